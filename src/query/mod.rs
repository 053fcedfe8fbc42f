//! Asking a store: filters, the walk through what is on record, and the page that is made of it.

mod filter;
mod page;
mod walk;

pub use filter::{DeliveryFilter, EventFilter};
pub use page::{LOOKED_AT_MAX, Page};
pub use walk::Walk;
