//! The REST API as its users see it: black-box tests over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod access;
mod addresses;
mod applications;
mod attempts;
mod common;
mod deliveries;
mod delivering;
mod endpoint_parts;
mod endpoints;
mod event_types;
mod hardening;
mod header_values;
mod idempotency;
mod limits;
mod messages;
mod notices;
mod payloads;
mod providers;
mod secrecy;
mod serving;
mod shares;
mod slow_readers;
mod streams;
mod tasks;
mod tokens;
