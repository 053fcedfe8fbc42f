//! The other end of a webhook: consumers that behave as a provider's page tells its users to.

pub mod receiver;
