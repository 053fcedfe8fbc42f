//! hookwheel.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod clock;
pub mod config;
pub mod error;
pub mod model;
pub mod simulate;
pub mod wheel;

pub use error::{Error, ErrorKind, Result};
pub use model::{Secret, Timestamp};
