//! The server: it listens, answers, and ends when it is told to.

use crate::error::WatchError;
use crate::listen::listen;
use crate::routes::routes;
use crate::runs::Runs;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// How often it is looked whether to end.
const GLANCE: Duration = Duration::from_millis(50);
/// How long answers that are on their way may take when it ends.
const GRACE: Duration = Duration::from_secs(2);
/// Pages are made on so many threads.
const MAKERS: usize = 2;

/// A server of runs' pages that has its address and does not answer yet.
#[derive(Debug)]
pub struct Watch {
    listener: TcpListener,
    runs: Runs,
}

impl Watch {
    /// Of the run, or of the runs in the folders, at a path; on an address of this machine alone, such as `127.0.0.1:7878`.
    ///
    /// # Errors
    /// If there is no run, or the address is no such one or is taken.
    pub fn open(path: &Path, address: &str) -> Result<Self, WatchError> {
        let runs = Runs::of(path)?;
        Ok(Self { listener: listen(address)?, runs })
    }

    /// What to open in a browser.
    pub fn address(&self) -> String {
        self.listener.local_addr().map_or_else(|_| String::new(), |address| format!("http://{address}/"))
    }

    /// Answers until `stop` is set.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn serve(self, stop: &AtomicBool) -> Result<(), WatchError> {
        let address = self.address();
        self.run(stop).map_err(|source| WatchError::Failed { address, source })
    }

    fn run(self, stop: &AtomicBool) -> io::Result<()> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(MAKERS)
            .enable_all()
            .build()?;
        let served = runtime.block_on(async {
            self.listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(self.listener)?;
            let (end, ended) = oneshot::channel::<()>();
            let until = async {
                let _ = ended.await;
            };
            let server = axum::serve(listener, routes(self.runs)).with_graceful_shutdown(until);
            let mut server = tokio::spawn(async { server.await });
            while !stop.load(Ordering::SeqCst) {
                tokio::select! {
                    failed = &mut server => return failed.map_err(io::Error::other)?,
                    () = tokio::time::sleep(GLANCE) => {}
                }
            }
            let _ = end.send(());
            // Who reads too slowly is left.
            let _ = tokio::time::timeout(GRACE, server).await;
            Ok(())
        });
        runtime.shutdown_timeout(GRACE);
        served
    }
}
