//! Which way a listing goes.

use serde::{Deserialize, Serialize};

/// The order of a listing; a page goes on from the one before it in the same order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Order {
    /// What came last is first.
    #[default]
    NewestFirst,
    /// What came first is first.
    OldestFirst,
}
