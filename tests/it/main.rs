//! The engine as its users see it, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;
mod gocardless;
mod ladders;
mod opencard;
mod standard_webhooks;
mod wire;
