//! Sending: which addresses may be reached, and one HTTP exchange with the endpoint behind one.

mod address;
mod cache;
mod casing;
mod connection;
mod egress;
mod failure;
mod identity;
mod oauth;
mod pool;
mod resolver;
mod send;
mod target;
mod tls;

#[cfg(test)]
mod tests;

pub use egress::Egress;
pub use identity::ClientIdentity;
pub use oauth::{ClientCredentials, TokenCache};
pub use resolver::{Resolve, SystemResolver};
pub use send::{Exchange, OutboundRequest};
