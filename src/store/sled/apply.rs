//! A commit's writes put on the disk: one sled batch, flushed, synced, marked.

use crate::error::Result;
use crate::store::keys::Key;
use crate::store::sled::durability::Coming;
use crate::store::sled::mark::Acknowledged;
use crate::store::sled::redo::Half;
use crate::store::sled::writes::Writes;
use crate::store::sled::{Opened, Writer, failed, record};

impl Opened {
    /// Writes under the next number and makes that durable: sled's flush writes the file, the sync
    /// reaches the disk. Then that is noted beside the log.
    pub(super) fn apply(&self, writer: &mut Writer, writes: Writes) -> Result<()> {
        self.apply_with(writer, Coming::new(), writes)
    }

    /// The same with writes that add to queues.
    pub(super) fn apply_with(
        &self,
        writer: &mut Writer,
        coming: Coming,
        mut writes: Writes,
    ) -> Result<()> {
        let sequence = writer.sequence + 1;
        let value = record::inline(&u128::from(sequence).to_be_bytes());
        writes.insert(Key::Meta("sequence").encode(), value);
        self.durability.of(coming, || {
            self.write_whole(Half { sequence, writes })?;
            self.db.flush().map_err(failed)?;
            // Nothing else of sled's tells how far its log is on disk, and where its segments are.
            let log = &self.db.context.pagecache.log;
            let stable = log.stable_offset();
            self.data_file.sync_data().map_err(|error| failed(::sled::Error::Io(error)))?;
            let held = |from| {
                let segments = log.iter_from(i64::try_from(from).unwrap_or(i64::MAX)).segments;
                let place = |begins| u64::try_from(begins).unwrap_or(0);
                segments.into_iter().map(|(begins, offset)| (place(begins), offset)).collect()
            };
            writer.manifest.extend(u64::try_from(stable + 1).unwrap_or(0), held)
        })?;
        self.mark.write(Acknowledged { sequence, in_doubt: false })?;
        writer.sequence = sequence;
        Ok(())
    }

    /// Writes one batch, and has it made whole at the next opening where sled fails in the middle.
    fn write_whole(&self, half: Half) -> Result<()> {
        // What failed before takes no part of this one.
        self.db.context.global_error().map_err(failed)?;
        let Err(error) = self.db.apply_batch(half.writes.batch()) else { return Ok(()) };
        // After an error of writing sled writes nothing any more, and of what ties a batch together
        // it has written nothing before its end: none of it is there.
        if self.db.context.global_error().is_ok() {
            self.keep(half);
        }
        Err(failed(error))
    }

    fn keep(&self, half: Half) {
        let doubt = Acknowledged { sequence: half.sequence - 1, in_doubt: true };
        let kept = self.redo.keep(half).or_else(|error| {
            tracing::error!(%error, "a commit that failed half-way is kept in memory only");
            self.mark.write(doubt)
        });
        if let Err(error) = kept {
            tracing::error!(%error, "whoever opens the store next is not told of it");
        }
    }
}
