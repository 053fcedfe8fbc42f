//! Sample events of every provider.

use super::*;
use serde_json::{Value, json};

fn sample(
    name: &str,
    event_type: &str,
    overrides: &[(&str, Value)],
) -> crate::error::Result<Value> {
    let overrides: Vec<(String, RawJson)> =
        overrides.iter().map(|(path, value)| ((*path).to_owned(), value.clone().into())).collect();
    let payload = provider(name).sample(event_type, &overrides)?;
    Ok(serde_json::from_str(payload.as_str()).unwrap())
}

#[test]
fn every_sample_renders_and_verifies() {
    for provider in Providers::embedded().unwrap().iter() {
        let keys: Vec<SigningKey> = provider
            .schemes()
            .map(|scheme| {
                let new = provider.generate_secret(Some(scheme)).unwrap();
                provider.signing_key(scheme, &new.secret).unwrap()
            })
            .collect();
        let mut types = 0;
        for event_type in provider.event_types() {
            let data = provider.sample(event_type.as_str(), &[]).unwrap();
            let rendered = render(provider, &event(event_type.as_str(), data.as_str()), &keys);
            serde_json::from_slice::<Value>(&rendered.body).unwrap();
            let checked = provider.verify(&rendered.headers, &rendered.body, &keys, now(), None);
            assert_eq!(checked, Ok(()), "{} {event_type}", provider.name());
            let mut tampered = rendered.body.to_vec();
            tampered[5] ^= 1;
            let checked = provider.verify(&rendered.headers, &tampered, &keys, now(), None);
            assert!(checked.is_err(), "{} {event_type}", provider.name());
            types += 1;
        }
        assert!(types > 0);
        provider.sample(provider.test_event_type().as_str(), &[]).unwrap();
    }
}

#[test]
fn gocardless_knows_all_its_events() {
    let provider = provider("gocardless");
    assert_eq!(provider.event_types().count(), 96);
    assert_eq!(provider.test_event_type().as_str(), "mandates.cancelled");
    // The example on the page.
    assert_eq!(
        provider.sample("mandates.cancelled", &[]).unwrap().as_str(),
        concat!(
            r#"{"links":{"mandate":"MD123","organisation":"OR123"},"details":{"origin":"bank","#,
            r#""cause":"bank_account_disabled","description":"Your customer closed their bank "#,
            r#"account.","scheme":"bacs","reason_code":"ADDACS-B"},"metadata":{}}"#
        )
    );
}

#[test]
fn a_cause_chooses_the_variant() {
    let details = |overrides: &[(&str, Value)]| {
        sample("gocardless", "payments.failed", overrides).map(|data| data["details"].clone())
    };
    let funds = details(&[("details.cause", json!("insufficient_funds"))]).unwrap();
    assert_eq!(funds["origin"], "bank");
    assert_eq!(funds["reason_code"], "AM04");
    let coded = details(&[
        ("details.cause", json!("insufficient_funds")),
        ("/details/scheme", json!("bacs")),
        ("details.reason_code", json!("ARUDD-0")),
    ]);
    let coded = coded.unwrap();
    assert_eq!((&coded["scheme"], &coded["reason_code"]), (&json!("bacs"), &json!("ARUDD-0")));
    assert_eq!(coded["description"], funds["description"]);
    let ours = details(&[("details.origin", json!("gocardless"))]).unwrap();
    assert_eq!(ours["cause"], "other");
    let error = details(&[("details.cause", json!("bad_weather"))]).unwrap_err().to_string();
    assert!(error.contains("possible are") && error.contains("insufficient_funds"), "{error}");
}

#[test]
fn scheme_and_reason_code_go_only_where_they_belong() {
    let api = |extra: &[(&str, Value)]| {
        let mut overrides = vec![("details.origin", json!("api"))];
        overrides.extend_from_slice(extra);
        sample("gocardless", "mandates.cancelled", &overrides)
    };
    assert!(api(&[]).unwrap()["details"].get("scheme").is_none());
    let error = api(&[("details.scheme", json!("bacs"))]).unwrap_err().to_string();
    assert!(error.contains("`details.scheme` does not belong"), "{error}");
}

#[test]
fn overrides_are_set_on_top_of_the_sample() {
    let path = [("metadata.checkoutId", json!("ch_mine")), ("/note/a.b", json!([1]))];
    let data = sample("yoco", "payment.succeeded", &path).unwrap();
    assert_eq!(data["metadata"]["checkoutId"], "ch_mine");
    assert_eq!(data["note"]["a.b"], json!([1]));
    assert_eq!(data["amount"], 900);
    assert!(sample("yoco", "payment.succeeded", &[("", json!(1))]).unwrap_err().is_invalid());
    assert!(sample("yoco", "payment.succeeded", &[("amount.x", json!(1))]).is_err());
    let unknown = sample("yoco", "payment.refused", &[]).unwrap_err().to_string();
    assert!(unknown.contains("known are payment.succeeded"), "{unknown}");
}

#[test]
fn later_overrides_are_set_within_earlier_ones() {
    let set = [
        ("metadata", json!({"a": 1})),
        ("metadata.b", json!([2])),
        ("new.deep.er", json!(1)),
        ("new.deep", json!({"x": {}})),
        ("new.deep.x.y", json!(3)),
        ("new.last", json!(4)),
    ];
    let data = sample("yoco", "payment.succeeded", &set).unwrap();
    assert_eq!(data["metadata"], json!({"a": 1, "b": [2]}));
    assert_eq!(data["new"], json!({"deep": {"x": {"y": 3}}, "last": 4}));
    for through in [json!(1), json!("text"), json!([{}])] {
        let set = [("metadata", json!({"a": through})), ("metadata.a.b", json!(1))];
        let error = sample("yoco", "payment.succeeded", &set).unwrap_err().to_string();
        assert!(error.contains("`b` cannot be set"), "{error}");
    }
}

#[test]
fn values_are_set_as_they_are_written() {
    let set = |overrides: &[(&str, &str)]| {
        let read =
            |(path, value): &(&str, &str)| ((*path).to_owned(), RawJson::from_text(value).unwrap());
        let overrides: Vec<_> = overrides.iter().map(read).collect();
        let data = provider("gocardless").sample("payments.failed", &overrides).unwrap();
        data.as_str().to_owned()
    };
    let data = set(&[
        ("metadata", r#"{ "a":10.00,"a":{"b":1e400 },"b" : 1 }"#),
        ("metadata.c.d", "18446744073709551617"),
        ("metadata.b", r#""\u0041\ud800""#),
    ]);
    let expected = r#""metadata":{ "a":10.00,"a":{"b":1e400 },"b" : "\u0041\ud800" ,"c":{"d":"#;
    assert!(data.contains(&format!("{expected}18446744073709551617}}}}")), "{data}");
    // What chooses a variant means the same however it is written.
    let cause = r#""insufficient\u005ffunds""#;
    let data = set(&[("details.cause", cause)]);
    assert!(data.contains(&format!(r#""cause":{cause}"#)) && data.contains("AM04"), "{data}");
}

#[test]
fn more_overrides_than_a_sample_can_need_are_refused() {
    let names: Vec<String> = (0..65).map(|n| format!("metadata.m{n}")).collect();
    let set: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), json!(1))).collect();
    let data = sample("yoco", "payment.succeeded", &set[..64]).unwrap();
    assert!((0..64).all(|n| data["metadata"][format!("m{n}")] == 1));
    let error = sample("yoco", "payment.succeeded", &set).unwrap_err().to_string();
    assert!(error.contains("65 values") && error.contains("64 is the most"), "{error}");
}

#[test]
fn citizen_ticket_tests_with_one_type_only() {
    let provider = provider("citizen-ticket");
    assert!(provider.check_test_event("test").is_ok());
    let error = provider.check_test_event("payment.complete").unwrap_err().to_string();
    assert!(error.contains("it sends test"), "{error}");
}
