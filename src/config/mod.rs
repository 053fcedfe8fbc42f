//! Every limit and setting in one place, with its unit in its name and its default.

mod engine;
mod serve;

pub use engine::{Config, EgressConfig};
pub use serve::{ApiConfig, LogConfig, LogFormat, ServeConfig};
