//! What is owed to whoever asked the committing thread for something.

use crate::error::{Error, Result};

/// Answers once, in any case: when it is dropped before, with an error that says that the engine is
/// closed.
pub(super) struct Reply<T>(Option<Box<dyn FnOnce(Result<T>) + Send>>);

impl<T> Reply<T> {
    /// An answer goes to `then`.
    pub(super) fn new(then: impl FnOnce(Result<T>) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// Answers.
    pub(super) fn send(mut self, result: Result<T>) {
        if let Some(then) = self.0.take() {
            then(result);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(Error::closed()));
        }
    }
}
