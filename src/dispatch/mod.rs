//! Sending: which addresses may be reached, and one HTTP exchange with the endpoint behind one.

pub mod address;
mod cache;
mod target;
