//! Asking a store: filters, the walk through what is on record, and the page that is made of it.

mod filter;
mod page;
mod walk;

pub use filter::{DeliveryFilter, EventFilter};
pub use page::Page;
pub use walk::Walk;
