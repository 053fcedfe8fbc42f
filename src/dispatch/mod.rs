//! Sending: which addresses may be reached, and one HTTP exchange with the endpoint behind one.

mod address;
mod cache;
mod casing;
mod connection;
mod egress;
mod failure;
pub mod gate;
mod identity;
pub mod lanes;
pub mod limits;
mod lookups;
mod oauth;
mod places;
mod pool;
mod ready;
pub mod recipient;
mod resolver;
mod round;
pub mod run;
mod send;
mod shortage;
mod target;
mod tls;
mod upload;

#[cfg(test)]
mod tests;

pub use egress::Egress;
pub use identity::ClientIdentity;
pub use oauth::{ClientCredentials, TokenCache};
pub use places::Places;
pub use resolver::{Resolve, SystemResolver};
pub use send::{Exchange, OutboundRequest};
pub use upload::Upload;
