//! Sending: which addresses may be reached, and one HTTP exchange with the endpoint behind one.

pub mod address;
mod cache;
mod casing;
mod connection;
pub mod egress;
mod failure;
pub mod identity;
pub mod oauth;
mod pool;
pub mod resolver;
pub mod send;
mod target;
mod tls;

#[cfg(test)]
mod tests;

pub use egress::Egress;
pub use identity::ClientIdentity;
pub use oauth::{ClientCredentials, TokenCache};
pub use resolver::{Resolve, SystemResolver};
pub use send::{Exchange, OutboundRequest};
