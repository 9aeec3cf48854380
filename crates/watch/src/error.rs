//! Why there is nothing to watch.

use std::io;
use std::path::PathBuf;
use vigos_report::ReportError;

/// Why a run cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no run in a folder nor in the folders below.
    #[error(
        "{}: {message}; wanted the folder of a run, or one with runs in it, such as runs; `vigos train` begins one",
        path.display()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// What was found.
        message: &'static str,
    },
    /// The address is none, or one that others could reach.
    #[error(
        "--listen: found `{found}`, wanted an address of this machine alone, such as 127.0.0.1:7878; from another one \
         `ssh -L 7878:127.0.0.1:7878 HOST` reaches it"
    )]
    Address {
        /// What was found.
        found: String,
    },
    /// Another program has the port.
    #[error(
        "{address}: the port is taken, perhaps by another `vigos watch`; --listen 127.0.0.1:0 takes one that is free"
    )]
    Taken {
        /// The address.
        address: String,
    },
    /// The address cannot be listened on, or the server failed.
    #[error("{address}: {source}")]
    Failed {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// There is no terminal to draw on.
    #[error(
        "found no terminal to draw on; `vigos watch` shows the same in a browser, `vigos report` writes it into a file"
    )]
    NoTerminal,
    /// The terminal failed.
    #[error("the terminal: {0}")]
    Terminal(io::Error),
    /// The run could not be read, or its page not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl WatchError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::NoRun { .. } | Self::Address { .. } | Self::Taken { .. } | Self::NoTerminal => true,
            Self::Failed { .. } | Self::Terminal(_) => false,
            Self::Report(error) => error.is_input(),
        }
    }
}
