//! Who may call the API.

use crate::common::{bench, hours, open_in, start};
use hookwheel::{Engine, NewAccessToken, NewApplication, Secret};
use std::fs;
use std::path::Path;

fn named(name: &str) -> NewAccessToken {
    NewAccessToken { name: name.to_owned(), ..NewAccessToken::default() }
}

fn names(engine: &Engine) -> Vec<String> {
    engine.access_tokens().iter().map(|token| token.name.clone()).collect()
}

/// The text with the character at `at` replaced by another letter.
fn changed_at(text: &Secret, at: usize) -> String {
    let mut bytes = text.expose().as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_until_it_is_revoked_and_no_other_text_does() {
    let bench = bench().await;
    let engine = &bench.engine;
    let (token, text) = engine.create_access_token(named("ops")).await.unwrap();
    let (other, other_text) = engine.create_access_token(named("ci")).await.unwrap();
    assert_eq!(engine.authenticate(text.expose()), Some(token.clone()));
    assert_eq!(engine.authenticate(other_text.expose()), Some(other.clone()));
    for at in 0..text.expose().len() {
        assert_eq!(engine.authenticate(&changed_at(&text, at)), None, "byte {at}");
    }
    let (id, secret) = text.expose().rsplit_once('_').unwrap();
    let (_, other_secret) = other_text.expose().rsplit_once('_').unwrap();
    let wrong = [String::new(), "hw_".into(), "hw__".into(), token.id.to_string(), id.into()];
    let mixed = [format!("{id}_{other_secret}"), format!("{id}_"), format!("{id}_{secret}0")];
    for wrong in wrong.iter().chain(&mixed) {
        assert_eq!(engine.authenticate(wrong), None, "{wrong}");
    }
    assert_eq!(names(engine), ["ops", "ci"]);
    engine.revoke_access_token(token.id).await.unwrap();
    assert_eq!(engine.authenticate(text.expose()), None);
    assert_eq!(names(engine), ["ci"]);
    assert!(engine.revoke_access_token(token.id).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_time_and_with_its_application() {
    let bench = bench().await;
    let engine = &bench.engine;
    let brief = NewAccessToken { expires_in: Some(hours(1)), ..named("brief") };
    let (_, brief) = engine.create_access_token(brief).await.unwrap();
    let bound =
        NewAccessToken { application: Some(bench.application), read_only: true, ..named("portal") };
    let (token, portal) = engine.create_access_token(bound.clone()).await.unwrap();
    assert_eq!((token.application, token.read_only), (Some(bench.application), true));
    engine.create_access_token(named("ops")).await.unwrap();
    bench.advance(hours(1) - std::time::Duration::from_millis(1)).await;
    assert!(engine.authenticate(brief.expose()).is_some());
    bench.advance(std::time::Duration::from_millis(1)).await;
    assert_eq!(engine.authenticate(brief.expose()), None);
    assert_eq!(names(engine), ["portal", "ops"], "also before it is removed");
    engine.expire().await.unwrap();
    assert!(engine.authenticate(portal.expose()).is_some());
    engine.delete_application(bench.application).await.unwrap();
    assert_eq!(engine.authenticate(portal.expose()), None);
    assert_eq!(names(engine), ["ops"]);

    assert!(engine.create_access_token(bound).await.unwrap_err().is_not_found());
    let over = NewAccessToken { expires_in: Some(hours(0)), ..named("over") };
    assert!(engine.create_access_token(over).await.unwrap_err().is_invalid());
    assert!(engine.create_access_token(named(&"x".repeat(257))).await.unwrap_err().is_invalid());
}

/// Whether any file below `folder` holds `text`.
fn is_in(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => is_in(&path, text),
            false => memchr::memmem::find(&fs::read(path).unwrap(), text.as_bytes()).is_some(),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_survive_a_restart_and_a_new_master_key_and_are_kept_nowhere_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_in(folder.path(), start()).await;
    let shop = engine.create_application(NewApplication::new("Shop")).await.unwrap().id;
    let (gone, gone_text) = engine.create_access_token(named("CANARY-GONE")).await.unwrap();
    let bound = NewAccessToken { application: Some(shop), ..named("CANARY-NAME") };
    let (token, text) = engine.create_access_token(bound).await.unwrap();
    let brief = NewAccessToken { expires_in: Some(hours(1)), ..named("brief") };
    engine.create_access_token(brief).await.unwrap();
    engine.revoke_access_token(gone.id).await.unwrap();
    engine.rotate_master_key().await.unwrap();
    let (_, secret) = text.expose().rsplit_once('_').unwrap();
    assert!(secret.len() == 44 && !format!("{token:?}{text:?}").contains(secret));
    engine.close().await.unwrap();
    drop(engine);
    assert!(is_in(folder.path(), "CANARY-NAME"), "what is no secret is found: the search works");
    assert!(!is_in(folder.path(), secret));

    let engine = open_in(folder.path(), start().after(hours(2))).await;
    assert_eq!(engine.authenticate(text.expose()), Some(token));
    assert_eq!(engine.authenticate(gone_text.expose()), None);
    engine.expire().await.unwrap();
    engine.delete_application(shop).await.unwrap();
    engine.close().await.unwrap();
    drop(engine);
    let engine = open_in(folder.path(), start()).await;
    assert_eq!(engine.access_tokens(), [], "expired or revoked is gone for good");
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_make_room_for_their_own_and_leave_other_tokens_alone() {
    let bench = bench().await;
    let engine = &bench.engine;
    let other = engine.create_application(NewApplication::new("Other")).await.unwrap().id;
    let portal = |application, name: &str, seconds| NewAccessToken {
        application: Some(application),
        portal: true,
        expires_in: Some(std::time::Duration::from_secs(seconds)),
        ..named(name)
    };
    let (platform, _) = engine.create_access_token(named("ops")).await.unwrap();
    let (theirs, _) = engine.create_access_token(portal(other, "theirs", 5)).await.unwrap();
    let bound = NewAccessToken { application: Some(bench.application), ..named("bound") };
    let (bound, _) = engine.create_access_token(bound).await.unwrap();
    let (long, _) =
        engine.create_access_token(portal(bench.application, "long", 900)).await.unwrap();
    let (brief, _) =
        engine.create_access_token(portal(bench.application, "brief", 9)).await.unwrap();
    let more = (0..999).map(|_| engine.create_access_token(portal(bench.application, "more", 90)));
    for made in futures_util::future::join_all(more).await {
        made.unwrap();
    }
    let left: Vec<_> = engine.access_tokens().iter().map(|token| token.id).collect();
    assert_eq!(left.len(), 1003, "a thousand of the portal, and three others");
    assert!([&platform, &theirs, &bound, &long].iter().all(|token| left.contains(&token.id)));
    assert!(!left.contains(&brief.id), "the one that would have ended first");
}
