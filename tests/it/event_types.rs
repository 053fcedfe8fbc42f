//! What the platform says of its events: kept, changed, archived, and there after a restart.

use crate::common::{bench, open_in, seconds, start};
use hookwheel::{Engine, EventTypeChange, EventTypeDefinition, NewEventType, PutEventType};
use std::sync::Arc;

const SCHEMAS: &str = r#"{ "1":{"type":"object"}, "2": {"b":1,"a":1.10} }"#;

fn order() -> NewEventType {
    NewEventType {
        feature_flags: vec!["beta".to_owned()],
        group_name: Some("orders".to_owned()),
        schemas: Some(SCHEMAS.to_owned()),
        ..NewEventType::new("order.created", "An order was made")
    }
}

fn names(engine: &Engine) -> Vec<String> {
    engine.event_types().iter().map(|held| held.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_type_is_described_once_and_brought_back_when_archived() {
    let bench = bench().await;
    let engine = &bench.engine;
    let made = engine.create_event_type(order()).await.unwrap();
    assert_eq!(made.schemas.as_ref().unwrap().as_str(), SCHEMAS, "byte for byte");
    assert_eq!(engine.event_type("order.created").unwrap(), made);
    let error = engine.create_event_type(order()).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("`order.created`"), "{error}");

    bench.advance(seconds(1)).await;
    engine.delete_event_type("order.created", false).await.unwrap();
    let archived = engine.event_type("order.created").unwrap();
    assert!(archived.archived && archived.updated_at > made.updated_at);
    let back = engine.create_event_type(NewEventType::new("order.created", "New")).await.unwrap();
    let new_contents = (back.archived, back.description.as_str(), &back.schemas, back.created_at);
    assert_eq!(new_contents, (false, "New", &None, made.created_at));
    engine.delete_event_type("order.created", true).await.unwrap();
    assert!(engine.event_type("order.created").unwrap_err().is_not_found());
    let again = engine.delete_event_type("order.created", false).await;
    assert!(again.unwrap_err().is_not_found());
    assert_eq!(engine.event_types(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn put_says_which_and_a_change_leaves_the_rest() {
    let bench = bench().await;
    let engine = &bench.engine;
    let PutEventType::Created(first) = engine.put_event_type(order()).await.unwrap() else {
        panic!("there was none before");
    };
    bench.advance(seconds(1)).await;
    let new = NewEventType::new("order.created", "Else");
    let PutEventType::Replaced(second) = engine.put_event_type(new).await.unwrap() else {
        panic!("there was one before");
    };
    assert_eq!((&second.schemas, second.created_at), (&None, first.created_at));
    engine.put_event_type(order()).await.unwrap();
    let change = EventTypeChange { deprecated: Some(true), ..EventTypeChange::default() };
    let changed = engine.update_event_type("order.created", change).await.unwrap();
    let expected = EventTypeDefinition {
        deprecated: true,
        updated_at: changed.updated_at,
        ..EventTypeDefinition::clone(&first)
    };
    assert_eq!(*changed, expected);
    let change = EventTypeChange {
        description: Some(String::new()),
        archived: Some(true),
        feature_flags: Some(Vec::new()),
        group_name: Some(None),
        schemas: Some(None),
        ..EventTypeChange::default()
    };
    let changed = engine.update_event_type("order.created", change).await.unwrap();
    assert!(changed.archived && changed.deprecated && changed.description.is_empty());
    assert!(changed.feature_flags.is_empty() && changed.group_name.is_none());
    assert_eq!(changed.schemas, None);
    let unknown = engine.update_event_type("refund", EventTypeChange::default()).await;
    assert!(unknown.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_type_is_refused_with_what_is_wrong() {
    let bench = bench().await;
    let engine = &bench.engine;
    let with = |change: fn(&mut NewEventType)| {
        let mut new = order();
        change(&mut new);
        new
    };
    for (new, words) in [
        (NewEventType::new("order created", ""), "event type `order created`"),
        (with(|new| new.description = "x".repeat(4097)), "4096 bytes"),
        (with(|new| new.feature_flags = vec!["a b".to_owned()]), "feature flag `a b`"),
        (with(|new| new.feature_flags = vec!["a".to_owned(); 65]), "more than 64 feature flags"),
        (with(|new| new.group_name = Some(String::new())), "group name ``"),
        (with(|new| new.schemas = Some("[]".to_owned())), "schemas are no JSON object"),
        (with(|new| new.schemas = Some("{".to_owned())), "schemas are no JSON object"),
        (with(|new| new.schemas = Some(r#"{"1":{},"2":7}"#.to_owned())), "version `2`"),
        (with(|new| new.schemas = Some(format!("{{}}{}", " ".repeat(262_143)))), "too large"),
    ] {
        let error = engine.create_event_type(new).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(words), "{words}: {error}");
    }
    assert_eq!(engine.event_types(), []);
    engine.create_event_type(order()).await.unwrap();
    let bad = EventTypeChange { schemas: Some(Some("7".to_owned())), ..Default::default() };
    assert!(engine.update_event_type("order.created", bad).await.unwrap_err().is_invalid());
    assert!(engine.event_type("order.created").unwrap().schemas.is_some(), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_types_are_listed_by_name_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_in(folder.path(), start()).await;
    for name in ["refund.made", "order.created", "order", "order.paid"] {
        let new = NewEventType { name: name.to_owned(), ..order() };
        engine.create_event_type(new).await.unwrap();
    }
    engine.delete_event_type("order", true).await.unwrap();
    engine.delete_event_type("order.paid", false).await.unwrap();
    let listed: Vec<Arc<EventTypeDefinition>> = engine.event_types();
    assert_eq!(names(&engine), ["order.created", "order.paid", "refund.made"]);
    engine.close().await.unwrap();
    drop(engine);
    let engine = open_in(folder.path(), start()).await;
    assert_eq!(engine.event_types(), listed);
}
