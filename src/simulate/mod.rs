//! Both ends of a webhook, played: a provider towards somebody's endpoint, with the API that its
//! users register and retry by, and the consumers that behave as a provider's page tells them to.

mod progress;
mod simulation;
mod wire;

pub mod fronts;
pub mod receiver;

pub use progress::{End, Exchange, Report, Step};
pub use simulation::{Plan, Simulation};
pub use wire::Sent;
