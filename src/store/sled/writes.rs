//! What one commit writes, kept until it is written: sled's own batch cannot be read back.

use ::sled::IVec;

/// Keys that get a value, and keys that lose theirs; of two for one key the later counts.
#[derive(Clone, Default)]
pub(super) struct Writes(Vec<(IVec, Option<IVec>)>);

impl Writes {
    /// Has `key` get `value`.
    pub fn insert(&mut self, key: impl Into<IVec>, value: impl Into<IVec>) {
        self.0.push((key.into(), Some(value.into())));
    }

    /// Has `key` lose its value.
    pub fn remove(&mut self, key: impl Into<IVec>) {
        self.0.push((key.into(), None));
    }

    /// The same as sled takes it.
    pub fn batch(&self) -> ::sled::Batch {
        let mut batch = ::sled::Batch::default();
        for (key, value) in &self.0 {
            match value {
                // Neither copies what is long.
                Some(value) => batch.insert(key.clone(), value.clone()),
                None => batch.remove(key.clone()),
            }
        }
        batch
    }

    /// Each key with its value, if it gets one.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_deref()))
    }
}

impl FromIterator<(IVec, Option<IVec>)> for Writes {
    fn from_iter<T: IntoIterator<Item = (IVec, Option<IVec>)>>(writes: T) -> Self {
        Self(writes.into_iter().collect())
    }
}
