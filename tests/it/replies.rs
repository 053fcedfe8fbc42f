//! Answers kept for idempotency keys of the API.

use crate::common::{bench, hours, open_in, soon, start};
use hookwheel::Reply;
use hookwheel::store::sled::SledOptions;
use hookwheel::store::{Batch, Change, DocumentKind, SledStore, Store};
use std::path::Path;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

fn reply(body: &str) -> Reply {
    Reply { request_digest: [7; 32], status: 201, body: body.as_bytes().to_vec().into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_under_its_key_for_a_day() {
    let bench = bench().await;
    let engine = &bench.engine;
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), None);
    engine.keep_reply(&[1; 32], None, reply("one")).await.unwrap();
    let binary = Reply { body: vec![0xff, 0].into(), ..reply("") };
    engine.keep_reply(&[2; 32], None, binary.clone()).await.unwrap();
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), Some(reply("one")));
    assert_eq!(engine.reply(&[2; 32]).await.unwrap(), Some(binary), "bytes, not text");

    bench.advance(hours(24) - MILLISECOND).await;
    engine.keep_reply(&[2; 32], None, reply("two")).await.unwrap();
    engine.expire().await.unwrap();
    assert!(engine.reply(&[1; 32]).await.unwrap().is_some());
    bench.advance(MILLISECOND).await;
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), None, "also before it is removed");
    engine.expire().await.unwrap();
    assert_eq!(engine.reply(&[2; 32]).await.unwrap(), Some(reply("two")), "kept anew");
    engine.keep_reply(&[1; 32], None, reply("three")).await.unwrap();
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), Some(reply("three")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_given_again_while_old_answers_go_keeps_its_new_one() {
    let bench = bench().await;
    let key = |n: u16| [n.to_be_bytes(); 16].concat().try_into().unwrap();
    for n in 0..500 {
        bench.engine.keep_reply(&key(n), None, reply("old")).await.unwrap();
    }
    bench.advance(hours(24)).await;
    let expiring = tokio::spawn({
        let engine = bench.engine.clone();
        async move { engine.expire().await }
    });
    for n in 0..500 {
        bench.engine.keep_reply(&key(n), None, reply("new")).await.unwrap();
    }
    expiring.await.unwrap().unwrap();
    for n in 0..500 {
        assert_eq!(bench.engine.reply(&key(n)).await.unwrap(), Some(reply("new")), "{n}");
    }
}

/// A store on its own, once whoever had its folder has let go.
async fn store_in(data: &Path) -> SledStore {
    soon(async {
        loop {
            match SledStore::open(data, SledOptions::default()) {
                Err(error) if error.is_in_use() => {}
                opened => return opened.unwrap(),
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_keeps_no_engine_from_opening_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    open_in(folder.path(), start()).await.close().await.unwrap();
    let key = "01".repeat(32);
    // As it was with the digest in clear: version, digest, status, time, no application, body.
    let older = [&[1][..], &[7; 32], &[0xc9, 1], &[0x80, 1], &[0], &[2, 1, 1]].concat();
    {
        let store = store_in(&data).await;
        let document =
            Change::Document { kind: DocumentKind::Reply, key, value: Some(older.clone()) };
        store.commit(&Batch { change: vec![document], ..Batch::default() }).unwrap();
        store.close().unwrap();
    }
    let engine = open_in(folder.path(), start()).await;
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), None);
    engine.expire().await.unwrap();
    engine.close().await.unwrap();
    drop(engine);
    assert_eq!(store_in(&data).await.documents(DocumentKind::Reply).unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_survive_a_restart_sealed_but_not_a_new_master_key() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_in(folder.path(), start()).await;
    // More than one page of them, so that opening reads on.
    for n in 0..150_u8 {
        engine.keep_reply(&[n; 32], None, reply("CANARY-BODY")).await.unwrap();
    }
    assert!(!format!("{:?}", engine.reply(&[9; 32]).await).contains("CANARY"));
    engine.close().await.unwrap();
    drop(engine);
    let data = std::fs::read(folder.path().join("data/sled/db")).unwrap();
    assert_eq!(memchr::memmem::find(&data, b"CANARY-BODY"), None);
    assert_eq!(memchr::memmem::find(&data, &[7; 32]), None, "a digest lets a secret be guessed");

    let engine = open_in(folder.path(), start()).await;
    for n in 0..150_u8 {
        assert_eq!(engine.reply(&[n; 32]).await.unwrap(), Some(reply("CANARY-BODY")), "{n}");
    }
    engine.rotate_master_key().await.unwrap();
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), None);
    engine.keep_reply(&[1; 32], None, reply("new")).await.unwrap();
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), Some(reply("new")));
    engine.close().await.unwrap();
    drop(engine);

    let engine = open_in(folder.path(), start().after(hours(24))).await;
    assert_eq!(engine.reply(&[1; 32]).await.unwrap(), None);
    engine.expire().await.unwrap();
    engine.close().await.unwrap();
    drop(engine);
    let store = store_in(&folder.path().join("data")).await;
    let left = store.documents(DocumentKind::Reply).unwrap();
    assert_eq!(left, [], "what has expired is gone, whatever sealed it");
}
