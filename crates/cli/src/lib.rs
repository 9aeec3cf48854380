//! The vigos command.
