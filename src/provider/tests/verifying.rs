//! Signatures that others check, and what our own check says.

use super::*;
use http::HeaderMap;
use std::time::Duration;

#[test]
fn the_published_vector_of_standard_webhooks_verifies() {
    // From the tests of every library of github.com/standard-webhooks/standard-webhooks.
    let provider = provider("standard-webhooks");
    let headers = [
        ("Webhook-Id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
        ("Webhook-Timestamp", "1649367553"),
        ("Webhook-Signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let keys = [key(&provider, WHSEC)];
    let then = Timestamp::from_millis(1_649_367_600_000);
    let tolerance = Some(Duration::from_secs(300));
    provider.verify(&headers, body, &keys, then, tolerance).unwrap();
    let late = provider.verify(&headers, body, &keys, now(), tolerance).unwrap_err();
    assert!(late.reason.contains("too old"), "{late}");
    assert_eq!(provider.verify(&headers, body, &keys, now(), None), Ok(()));
}

#[test]
fn the_standard_webhooks_crate_accepts_ours_while_secrets_overlap() {
    let provider = provider("standard-webhooks");
    let events = [Arc::new(event("order.paid", r#"{"amount":1.0}"#))];
    let keys = [key(&provider, WHSEC_OLD), key(&provider, WHSEC)];
    // The crate reads the machine's clock itself.
    let now = crate::clock::Clock::system().wall();
    let rendered = provider
        .render(&Webhook {
            webhook: WebhookId::from_uuid(Uuid::from_u128(ID)),
            events: &events,
            endpoint: EndpointId::from_uuid(Uuid::from_u128(2)),
            attempt: 3,
            now,
            url: "https://shop.example/hook",
            keys: &keys,
            settings: &BTreeMap::new(),
        })
        .unwrap();
    assert_eq!(header(&rendered, "webhook-signature").split(' ').count(), 2);
    let mut headers = HeaderMap::new();
    for (name, value) in &rendered.headers {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    for secret in [WHSEC, WHSEC_OLD] {
        let theirs = standardwebhooks::Webhook::new(secret).unwrap();
        theirs.verify(&rendered.body, &headers).unwrap();
        assert!(theirs.verify(b"{}", &headers).is_err());
    }
}

#[test]
fn ed25519_signatures_hold_under_the_public_key() {
    let provider = provider("standard-webhooks");
    let event = event("contact.created", r#"{"id":"1f81eb52"}"#);
    let rendered = render(&provider, &event, &[key(&provider, WHSK)]);
    // openssl pkeyutl -sign -rawin -inkey seed.pem, over "$ID.$TIMESTAMP.$BODY"
    assert_eq!(
        header(&rendered, "webhook-signature"),
        "v1a,hlBSXpbTemRSS83d45wW2uzORVWYvQqUULjI6izvUkpJFX0AiFbVN0mgrZKOmvtyLDRxX7FiUhIFvxNZAgJKBg=="
    );
    let shown = provider.shown_form(&Secret::new(WHSK)).unwrap();
    assert_eq!(shown.expose(), "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let public = provider.verifying_key(&shown).unwrap();
    let check = |body: &[u8]| {
        provider.verify(&rendered.headers, body, std::slice::from_ref(&public), now(), None)
    };
    assert_eq!(check(&rendered.body), Ok(()));
    assert!(check(b"{}").unwrap_err().reason.contains("differs"));
    let unsigned = try_render(&provider, &[event], std::slice::from_ref(&public), &[]).unwrap_err();
    assert!(unsigned.to_string().contains("cannot sign"), "{unsigned}");
}

#[test]
fn verification_says_which_part_does_not_hold() {
    let provider = provider("yoco");
    let keys = [key(&provider, WHSEC)];
    let rendered = render(&provider, &event("payment.succeeded", "{}"), &keys);
    let with = |name: &str, value: Option<&str>| {
        let mut headers = rendered.headers.clone();
        headers.retain(|(held, _)| held != name);
        headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        let tolerance = Some(Duration::from_secs(300));
        provider.verify(&headers, &rendered.body, &keys, now(), tolerance).unwrap_err().reason
    };
    for (name, value, words) in [
        ("webhook-signature", None, "`webhook-signature` is missing"),
        ("webhook-id", None, "`webhook-id` is missing"),
        ("webhook-signature", Some("v1=abc"), "is malformed: expected `v1,{signature}`"),
        ("webhook-signature", Some("v1,AAAA"), "differs"),
        ("webhook-id", Some("msg_2"), "differs"),
        ("webhook-timestamp", Some("1744705868"), "differs"),
    ] {
        let reason = with(name, value);
        assert!(reason.contains(words), "{name} {value:?}: {reason}");
    }
    let later = now().after(Duration::from_secs(301));
    let stale = provider.verify(&rendered.headers, &rendered.body, &keys, later, None);
    assert_eq!(stale, Ok(()), "no tolerance, no check");
}

#[test]
fn citizen_tickets_age_is_read_from_the_body() {
    let provider = provider("citizen-ticket");
    let keys = [key(&provider, TEXT_SECRET)];
    let rendered = render(&provider, &event("test", "{}"), &keys);
    let check = |now: Timestamp| {
        let tolerance = Some(Duration::from_secs(300));
        provider.verify(&rendered.headers, &rendered.body, &keys, now, tolerance)
    };
    assert_eq!(check(now()), Ok(()));
    assert!(check(now().after(Duration::from_secs(400))).unwrap_err().reason.contains("too old"));
    assert!(check(now().before(Duration::from_secs(400))).unwrap_err().reason.contains("future"));
}
