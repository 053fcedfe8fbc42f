//! The engine as its users see it, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod access_tokens;
mod addresses;
mod applications;
mod authentication;
mod common;
mod emit;
mod endpoints;
mod event_types;
mod event_uids;
mod expunging;
mod failing;
mod fairness;
mod fronts;
mod gocardless;
mod header_values;
mod history;
mod isolation;
mod ladders;
mod late;
mod listing;
mod memory;
mod notices;
mod opencard;
mod outcomes;
mod regression;
mod replay;
mod replies;
mod restart;
mod secrets;
mod simulating;
mod standard_webhooks;
mod tasks;
mod wire;
