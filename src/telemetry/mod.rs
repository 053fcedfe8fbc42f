//! What can be measured of a running engine: every metric's name, unit and meaning.
//!
//! The engine counts through the facade of the `metrics` crate, so that a program that embeds it
//! measures with the recorder of its choice, and pays next to nothing without one. A recorder has
//! to be installed before the engine is opened: handles are taken then, once. `hookwheel serve`
//! installs [`Prometheus`].
//!
//! No label names an application, an endpoint or an event: what a series costs must not grow with
//! the number of customers.

mod meters;
mod names;
mod prometheus;
mod status;
#[cfg(feature = "otlp")]
mod traces;

pub(crate) use meters::Meters;
pub use meters::{api_request, api_span, token_refused};
pub use names::*;
pub use prometheus::Prometheus;
pub use status::{Backlog, EngineStatus};
#[cfg(feature = "otlp")]
pub use traces::Traces;
