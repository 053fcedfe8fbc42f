//! Both ends of a webhook, played: a provider towards somebody's endpoint, and the consumers that
//! behave as a provider's page tells its users to.

mod progress;
mod simulation;

pub mod receiver;

pub use progress::{End, Exchange, Report, Step};
pub use simulation::{Plan, Simulation};
