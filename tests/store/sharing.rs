//! Many callers, one thread that commits for them: nobody's wishes hold up the others' for long.

use crate::faults::{Faulty, committer};
use crate::world::*;
use hookwheel::store::{Change, Store};
use std::sync::Arc;
use std::task::{Context, Waker};

#[tokio::test]
async fn a_commit_is_bounded_by_what_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(sled_in(folder.path()));
    let (committer, _) = committer(Arc::clone(&faulty) as Arc<dyn Store>);
    let enqueue = |n| Change::Enqueue(endpoint(1), place(n, n));
    let ask = |part: u64| {
        Box::pin(committer.change((500 * part..500 * (part + 1)).map(enqueue).collect()))
    };
    let mut asked: Vec<_> = (0..8).map(ask).collect();
    {
        // All of them wait behind the first commit.
        let _looking = faulty.batches.lock().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        assert!(asked.iter_mut().all(|asked| asked.as_mut().poll(&mut context).is_pending()));
    }
    for asked in asked {
        asked.await.unwrap();
    }
    let batches = faulty.batches.lock().unwrap();
    assert_eq!(batches.iter().sum::<usize>(), 4000);
    assert!(batches.iter().all(|batch| *batch <= 1500), "{batches:?}");
}
