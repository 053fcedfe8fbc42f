//! How many files and connections this process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Lets this process, and those that it starts, have as many as the system grants: each connection
/// counts, and the usual limit is for programs that have few.
pub fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
