//! Every limit and setting in one place, with its unit in its name and its default; and how they
//! are read from a file, the environment and flags.

mod engine;
mod expect;
mod file;
mod origin;
mod serve;
mod settings;

pub use engine::{Config, EgressConfig};
pub use origin::Origin;
pub use serve::{ApiConfig, LogConfig, LogFormat, ServeConfig};
pub use settings::{
    FILE_VARIABLE, GOCARDLESS_SECRET_VARIABLE, LOG_VARIABLE, MASTER_KEY_VARIABLE, Settings,
};
