//! Both ends of a webhook, played: a provider towards somebody's endpoint, with the API that its
//! users register and retry by, the consumers that behave as a provider's page tells them to, and
//! the checks that tell whether somebody's consumer does.

mod check;
mod faults;
mod progress;
mod report;
mod simulation;
mod wire;

pub mod fronts;
pub mod listener;
pub mod receiver;

pub use check::{
    CheckExchange, CheckResult, Conformance, ConformanceReport, PlannedCheck, Pointer, Verdict,
};
pub use faults::{Fault, FaultChoice, Forgery, ForgeryVerdict, SHARE_DEFAULT};
pub use progress::{Exchange, Standing, Step};
pub use report::{End, FaultTally, ForgeryTally, NotPlayed, Report};
pub(crate) use simulation::RATE_RANGE;
pub use simulation::{Plan, Simulation};
pub use wire::Sent;
