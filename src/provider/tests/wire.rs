//! The exact bytes of each provider's requests. The signatures were computed elsewhere, with the
//! command beside each.

use super::*;

const AGENT: &str = concat!("hookwheel/", env!("CARGO_PKG_VERSION"));

fn pairs(rendered: &Rendered) -> Vec<(&str, &str)> {
    rendered.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn citizen_ticket() {
    let provider = provider("citizen-ticket");
    let event = event("payment.complete", r#"{"tickets": [1.10]}"#);
    let rendered = render(&provider, &event, &[key(&provider, TEXT_SECRET)]);
    assert_eq!(
        body(&rendered),
        concat!(
            r#"{"id":"01975a3c-8e21-7b40-9d3e-5f60718a9bac","event_type":"payment.complete","#,
            r#""timestamp":"2025-04-15T08:31:07Z","payload":{"tickets": [1.10]}}"#
        )
    );
    // printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -binary | base64
    let signature = "nFz0aXmSRiDOt2tZ3MbsWrb0uiyDtknvByzsyjkaJV8=";
    assert_eq!(
        pairs(&rendered),
        [("Content-Type", "application/json"), ("User-Agent", AGENT), ("X-Signature", signature)]
    );
    assert!(!provider.body_is_fixed());
}

#[test]
fn ticketnation() {
    let provider = provider("ticketnation");
    let mut event = event("order.created", r#"{"orderId":"ord_x9k2m7n4p","amount":1500}"#);
    let rendered = render(&provider, &event, &[key(&provider, TEXT_SECRET)]);
    assert_eq!(
        body(&rendered),
        concat!(
            r#"{"id":"evt_3e36qihswmjkdblms7wc0698","event":"order.created","isTest":false,"#,
            r#""timestamp":"2025-04-15T08:30:00.123Z","#,
            r#""data":{"orderId":"ord_x9k2m7n4p","amount":1500}}"#
        )
    );
    // printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -hex
    let signature = "62544acf98a581c25e14b39fcceaaf29c210e6d8981c6b2cacb0b812d78b31ce";
    assert_eq!(
        pairs(&rendered),
        [
            ("Content-Type", "application/json"),
            ("User-Agent", AGENT),
            ("X-TN-Signature", signature)
        ]
    );
    assert!(provider.body_is_fixed());
    event.mode = Mode::Test;
    let rendered = render(&provider, &event, &[key(&provider, TEXT_SECRET)]);
    assert!(body(&rendered).contains(r#""isTest":true"#));
}

#[test]
fn yoco() {
    let provider = provider("yoco");
    let data = r#"{"id":"p_1", "amount":900,"mode" : "live","metadata":{"checkoutId":"ch_1"}}"#;
    let mut event = event("payment.succeeded", data);
    let keys = [key(&provider, WHSEC)];
    let rendered = render(&provider, &event, &keys);
    assert_eq!(
        body(&rendered),
        format!(
            "{{\"id\":\"evt_000309xN3e5sbAN9pAaXpjSu\",\"type\":\"payment.succeeded\",\
             \"createdDate\":\"2025-04-15T08:30:00.123456Z\",\"payload\":{data}}}"
        )
    );
    // printf %s "$ID.$TIMESTAMP.$BODY" | openssl dgst -sha256 -mac HMAC \
    //   -macopt hexkey:0b6155b0140886bb1c0a195020c57e6f9b1262ca686fba03 -binary | base64
    assert_eq!(
        pairs(&rendered),
        [
            ("Content-Type", "application/json"),
            ("User-Agent", AGENT),
            ("webhook-id", "msg_000000309xN3e5sbAN9pAaXpjSu"),
            ("webhook-timestamp", "1744705867"),
            ("webhook-signature", "v1,zuSwopksqFjhbJgffnNIor05XZep1t1NYYLa6I456AI="),
        ]
    );
    event.mode = Mode::Test;
    let tested = render(&provider, &event, &keys);
    assert_eq!(body(&tested), body(&rendered).replace(r#""mode" : "live""#, r#""mode" : "test""#));
}

#[test]
fn gocardless() {
    let provider = provider("gocardless");
    let links = r#"{"links":{"mandate":"MD123"},"details":{"cause":"x"}}"#;
    let mut second = event("payments.failed", "{}");
    second.id = EventId::from_uuid(Uuid::from_u128(1));
    second.sample = true;
    let events = [event("mandates.cancelled", links), second];
    let keys = [key(&provider, TEXT_SECRET)];
    let rendered =
        try_render(&provider, &events, &keys, &[("origin", "https://a.example")]).unwrap();
    assert_eq!(
        body(&rendered),
        concat!(
            r#"{"events":[{"id":"EV1JXD3S3H1FD09TFJZC1RRN6XC","created_at":"2025-04-15T08:30:00.123Z","#,
            r#""action":"cancelled","resource_type":"mandates","#,
            r#""links":{"mandate":"MD123"},"details":{"cause":"x"}},"#,
            r#"{"id":"EVTEST1","created_at":"2025-04-15T08:30:00.123Z","#,
            r#""action":"failed","resource_type":"payments"}],"#,
            r#""meta":{"webhook_id":"WB1JXD3S3H1FD09TFJZC1RRN6XC"}}"#
        )
    );
    // printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -hex
    assert_eq!(
        pairs(&rendered),
        [
            ("Origin", "https://a.example"),
            ("User-Agent", "gocardless-webhook-service/1.1"),
            ("Content-Type", "application/json"),
            (
                "Webhook-Signature",
                "80ce0b1ed791792270cfe0b576e409f946aa0be9df65d5d3db6f856ac6be9893"
            ),
        ]
    );
    let plain = try_render(&provider, &events, &keys, &[]).unwrap();
    assert_eq!(plain.headers[0].0, "User-Agent", "no setting, no Origin");
    let forged = try_render(&provider, &events, &keys, &[("origin", "a\r\nX-Evil: 1")]);
    assert!(forged.unwrap_err().to_string().contains("`Origin` cannot be sent"));
}

#[test]
fn opencard() {
    let provider = provider("opencard");
    let data = r#"{ "id":"1","name":"Test Inc." }"#;
    let rendered = render(&provider, &event("tpa.signed", data), &[key(&provider, TEXT_SECRET)]);
    assert_eq!(body(&rendered), data);
    // printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -hex
    assert_eq!(
        pairs(&rendered),
        [
            ("User-Agent", AGENT),
            ("Content-Type", "application/json"),
            ("X-Version", "1"),
            ("X-Event", "tpa.signed"),
            (
                "X-Data-Signature",
                "11d8e0ab574d344ee6cde73922e7a50f958a61454aa26aa4cb6f29c4881e3597"
            ),
        ]
    );
}

#[test]
fn standard_webhooks() {
    let provider = provider("standard-webhooks");
    let event = event("contact.created", r#"{"id":"1f81eb52"}"#);
    let rendered = render(&provider, &event, &[key(&provider, WHSEC)]);
    assert_eq!(
        body(&rendered),
        concat!(
            r#"{"type":"contact.created","timestamp":"2025-04-15T08:30:00.123456Z","#,
            r#""data":{"id":"1f81eb52"}}"#
        )
    );
    assert_eq!(header(&rendered, "webhook-id"), event.id.to_string());
    // As for Yoco.
    assert_eq!(
        header(&rendered, "webhook-signature"),
        "v1,SQSMpPm0mojVCAnkwleQqxMuMBJ4rSwoceRPEB6/iOk="
    );
}

#[test]
fn a_switching_provider_signs_with_the_newest_secret_only() {
    let provider = provider("ticketnation");
    let (old, new) = (key(&provider, "old-secret"), key(&provider, "new-secret"));
    let event = event("order.created", "{}");
    let both = render(&provider, &event, &[old, new.clone()]);
    assert_eq!(both, render(&provider, &event, &[new]));
    let none = try_render(&provider, &[event], &[], &[]).unwrap_err();
    assert!(none.to_string().contains("no secret is live"), "{none}");
}

#[test]
fn events_that_do_not_fit_the_envelope_are_refused() {
    let provider = provider("gocardless");
    let twice = event("mandates.cancelled", r#"{"\u0069d":"EV1"}"#);
    assert!(provider.check_event(&twice).unwrap_err().to_string().contains("member `id`"));
    let undotted = event("mandates", "{}");
    assert!(provider.check_event(&undotted).unwrap_err().to_string().contains("two parts"));
    assert!(provider.check_event(&event("mandates.cancelled", "{}")).is_ok());
    let many = vec![event("mandates.cancelled", "{}"); 251];
    assert!(try_render(&provider, &many, &[key(&provider, TEXT_SECRET)], &[]).is_err());
}

#[test]
fn settings_are_checked_before_they_are_kept() {
    let provider = provider("gocardless");
    let check = |name: &str, value: &str| {
        let settings = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        provider.check_settings(&settings).map_err(|error| error.to_string())
    };
    assert_eq!(check("origin", "https://a.example"), Ok(()));
    assert!(provider.check_settings(&BTreeMap::new()).is_ok());
    assert!(check("orgin", "x").unwrap_err().contains("known are origin"));
    assert!(check("origin", "a\r\nb").unwrap_err().contains("`Origin` cannot be sent"));
    let names: Vec<&str> = provider.header_names().collect();
    assert_eq!(names, ["Origin", "User-Agent", "Content-Type", "Webhook-Signature"]);
}

#[test]
fn a_body_that_is_there_already_is_signed_as_it_stands() {
    let provider = provider("opencard");
    let keys = [key(&provider, TEXT_SECRET)];
    let settings = BTreeMap::new();
    let raw = RawWebhook {
        body: b" not even JSON\n",
        id: "",
        event_type: Some("invoice.created"),
        attempt: 1,
        now: now(),
        url: "",
        keys: &keys,
        settings: &settings,
    };
    let headers = provider.sign(&raw).unwrap();
    let header = |name: &str| headers.iter().find(|(held, _)| held == name).unwrap().1.as_str();
    assert_eq!(header("X-Event"), "invoice.created");
    // printf ' not even JSON\n' | openssl dgst -sha256 -hmac "$TEXT_SECRET"
    assert_eq!(
        header("X-Data-Signature"),
        "cb85409c28c92a04807994e283c6254b75186f3ce043c2251eb8dca5ac33eab0"
    );
    let untyped = provider.sign(&RawWebhook { event_type: None, ..raw }).unwrap_err();
    assert!(untyped.is_invalid(), "{untyped}");
    assert!(untyped.to_string().contains("`X-Event`"), "{untyped}");
}

#[test]
fn a_signature_header_takes_in_no_line_of_anybodys() {
    let text = include_str!("good.toml")
        .replace("v1={signature}", "i={id},v1={signature}")
        .replace("separator = \",\"", "separator = \";\"");
    let provider = Provider::parse("acme.toml", &text).unwrap();
    let sign = |id: &str| {
        let raw = RawWebhook {
            body: b"{}",
            id,
            event_type: None,
            attempt: 1,
            now: now(),
            url: "",
            keys: &[key(&provider, TEXT_SECRET)],
            settings: &BTreeMap::new(),
        };
        provider.sign(&raw).map_err(|error| error.to_string())
    };
    assert!(sign("msg_1").unwrap()[3].1.starts_with("i=msg_1,v1="));
    for id in ["x\r\nX-Evil: 1", "é"] {
        let error = sign(id).unwrap_err();
        assert!(error.contains("header `X-Sig` cannot be sent"), "{id:?}: {error}");
    }
}
