//! hookwheel.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod clock;
pub mod config;
pub mod dispatch;
pub mod error;
pub mod id_source;
pub mod model;
pub mod provider;
pub mod schedule;
pub mod store;
pub mod vault;
pub mod wheel;

pub use error::{Error, ErrorKind, Result};
pub use model::{Secret, Timestamp};
