//! Whether `check` tells good consumers from bad ones.
//!
//! The consumers are written from the providers' pages as their users would write them, and share
//! no code with hookwheel's signing, verifying or receiving.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod captures;
mod consumer;
mod handlers;
mod judging;
mod ordered_json;
mod provider;
mod server;
mod signature;
mod table;
mod vice;
