use super::super::consumer::Consumer;
use super::*;

/// A genuine webhook, signed elsewhere, and when it is received.
struct Vector {
    consumer: Consumer,
    secret: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    now: &'static str,
    event_ids: &'static [&'static str],
    answer: u16,
}

impl Vector {
    fn request(&self) -> Request {
        let headers = self.headers.iter();
        Request {
            method: "POST".to_owned(),
            target: "/webhooks".to_owned(),
            headers: headers.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            body: self.body.into(),
            ..Request::default()
        }
    }

    fn check(&self, secret: &str, request: &Request, now: &str) -> Checked {
        self.consumer.check(secret, request, Timestamp::parse(now).unwrap())
    }

    /// What the consumer says of the webhook after `change`.
    fn changed(&self, change: impl FnOnce(&mut Request)) -> Checked {
        let mut request = self.request();
        change(&mut request);
        self.check(self.secret, &request, self.now)
    }
}

/// printf %s "$BODY" | openssl dgst -sha256 -hmac 'organiser secret' -binary | base64
const CITIZEN_TICKET: Vector = Vector {
    consumer: Consumer::CitizenTicket,
    secret: "organiser secret",
    headers: &[("X-Signature", "ENJhoiLbXbOuRQOmWh2yhIZNIubP9FMkg3Q2nFUqbcM=")],
    body: concat!(
        r#"{"id":"6f1c1a52-6c1e-4b0e-9f43-0d6c1c0a9f11","event_type":"payment.complete","#,
        r#""timestamp":"2025-04-15T08:30:00Z"}"#
    ),
    now: "2025-04-15T08:35:00Z",
    event_ids: &["6f1c1a52-6c1e-4b0e-9f43-0d6c1c0a9f11"],
    answer: 200,
};

/// printf %s "$BODY" | openssl dgst -sha256 -hmac tn_secret
const TICKETNATION: Vector = Vector {
    consumer: Consumer::TicketNation,
    secret: "tn_secret",
    headers: &[(
        "X-TN-Signature",
        "828dd9ca23f7d2b37cfea3964fe2db9e27518e35ece10765a4980afa3e143a58",
    )],
    body: concat!(
        r#"{"id":"evt_9c4d3b2e1f","event":"order.completed","isTest":false,"#,
        r#""timestamp":"2025-04-15T08:35:00.000Z","data":{"orderId":"ord_x9k2m7n4p","#,
        r#""amount":1500,"currency":"PHP","status":"COMPLETED"}}"#
    ),
    now: "2025-04-16T09:35:00Z",
    event_ids: &["evt_9c4d3b2e1f"],
    answer: 200,
};

/// The example in the tests of GoCardless's own client libraries.
const GOCARDLESS: Vector = Vector {
    consumer: Consumer::GoCardless,
    secret: "ED7D658C-D8EB-4941-948B-3973214F2D49",
    headers: &[(
        "Webhook-Signature",
        "2693754819d3e32d7e8fcb13c729631f316c6de8dc1cf634d6527f1c07276e7e",
    )],
    body: concat!(
        r#"{"events":[{"id":"EV00BD05S5VM2T","created_at":"2018-07-05T09:13:51.404Z","#,
        r#""resource_type":"subscriptions","action":"created","#,
        r#""links":{"subscription":"SB0003JJQ2MR06"},"details":{"origin":"api","#,
        r#""cause":"subscription_created","description":"Subscription created via the API."},"#,
        r#""metadata":{}},{"id":"EV00BD05TB8K63","created_at":"2018-07-05T09:13:56.893Z","#,
        r#""resource_type":"mandates","action":"created","links":{"mandate":"MD000AMA19XGEC"},"#,
        r#""details":{"origin":"api","cause":"mandate_created","#,
        r#""description":"Mandate created via the API."},"metadata":{}}]}"#
    ),
    now: "2025-04-15T08:30:00Z",
    event_ids: &["EV00BD05S5VM2T", "EV00BD05TB8K63"],
    answer: 204,
};

/// printf %s "$BODY" | openssl dgst -sha256 -hmac oc_secret
const OPENCARD: Vector = Vector {
    consumer: Consumer::OpenCard,
    secret: "oc_secret",
    headers: &[
        ("Content-Type", "application/json"),
        ("X-Version", "1"),
        ("X-Event", "invoice.created"),
        ("X-Data-Signature", "8c715d9b5f334faa962a06d17b27b34e9425f5c304695ab538703fc0a82f70b0"),
    ],
    body: r#"{"id":"1","invoice_amount":120.12}"#,
    now: "2025-04-15T08:30:00Z",
    event_ids: &[],
    answer: 200,
};

/// The example of the Standard Webhooks libraries, behind a signature by another key and one by
/// another scheme, as while a secret is rotated.
/// printf %s "$ID.$TIMESTAMP.$BODY" | openssl dgst -sha256 -mac HMAC \
///     -macopt hexkey:$(printf MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | base64 -d | xxd -p) -binary | base64
const STANDARD_WEBHOOKS: Vector = Vector {
    consumer: Consumer::StandardWebhooks,
    secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    headers: &[
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        (
            "webhook-signature",
            concat!(
                "v1,AAAAoiLbXbOuRQOmWh2yhIZNIubP9FMkg3Q2nFUqbcM= v1a,bm90aGluZw== ",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
            ),
        ),
    ],
    body: r#"{"test": 2432232314}"#,
    now: "2021-02-25T15:04:00Z",
    event_ids: &["msg_p5jXN8AQM9LWM0D4loKWxJek"],
    answer: 200,
};

/// The same, signed with the private key of RFC 8032, section 7.1, test 1:
/// openssl pkeyutl -sign -rawin -in content -inkey key.der -keyform DER | base64 -w0
const STANDARD_WEBHOOKS_V1A: Vector = Vector {
    secret: "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    headers: &[
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        (
            "webhook-signature",
            concat!(
                "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSe",
                "GlHFG2NVAw=="
            ),
        ),
    ],
    ..STANDARD_WEBHOOKS
};

const YOCO: Vector = Vector { consumer: Consumer::Yoco, ..STANDARD_WEBHOOKS };

const VECTORS: [Vector; 7] = [
    CITIZEN_TICKET,
    TICKETNATION,
    YOCO,
    GOCARDLESS,
    OPENCARD,
    STANDARD_WEBHOOKS,
    STANDARD_WEBHOOKS_V1A,
];

fn is_forged(checked: &Checked) -> bool {
    let forged = [401, 498].contains(&checked.answer.code().unwrap());
    forged && !checked.verdict.is_accepted() && checked.event_ids.is_empty()
}

#[test]
fn what_was_signed_elsewhere_is_accepted() {
    for vector in VECTORS {
        let checked = vector.changed(|_| {});
        assert_eq!(checked.verdict, Verdict::Accepted, "{:?}", vector.consumer);
        assert_eq!(checked.event_ids, vector.event_ids);
        assert_eq!(checked.answer.code(), Some(vector.answer));
    }
}

#[test]
fn a_changed_byte_is_refused_wherever_it_is() {
    for vector in VECTORS {
        for position in 0..vector.body.len() {
            let checked = vector.changed(|request| request.body[position] ^= 1);
            assert!(is_forged(&checked), "{:?}, byte {position}", vector.consumer);
        }
        let checked = vector.changed(|request| request.body.push(b' '));
        assert!(is_forged(&checked), "{:?}, one more byte", vector.consumer);
    }
}

#[test]
fn another_secret_is_refused() {
    for vector in VECTORS {
        for secret in ["", "another", "whsec_bm90IHRoaXMgb25lIGVpdGhlcg==", "whpk_!"] {
            let checked = vector.check(secret, &vector.request(), vector.now);
            assert!(is_forged(&checked), "{:?}", vector.consumer);
        }
    }
}

#[test]
fn every_header_is_needed() {
    for vector in VECTORS {
        for (position, (name, _)) in vector.headers.iter().enumerate() {
            let checked = vector.changed(|request| drop(request.headers.remove(position)));
            let Verdict::Refused(reason) = checked.verdict else {
                panic!("{:?} accepts a webhook without `{name}`", vector.consumer);
            };
            assert!(reason.contains(name), "{reason}");
        }
    }
}

#[test]
fn id_and_timestamp_are_signed_too() {
    for vector in [STANDARD_WEBHOOKS, STANDARD_WEBHOOKS_V1A] {
        let other_id = vector.changed(|request| request.headers[0].1.push('x'));
        assert!(is_forged(&other_id));
        let later = vector.changed(|request| request.headers[1].1 = "1614265331".to_owned());
        assert!(is_forged(&later));
    }
}

#[test]
fn a_signature_of_one_scheme_does_not_pass_as_the_other() {
    let checked = STANDARD_WEBHOOKS.changed(|request| {
        let signatures = &mut request.headers[2].1;
        *signatures = signatures.replace("v1,", "v1a,");
    });
    assert!(is_forged(&checked));
}

#[test]
fn five_minutes_are_the_limit() {
    let cases = [
        (CITIZEN_TICKET, "2025-04-15T08:35:00Z", true),
        (CITIZEN_TICKET, "2025-04-15T08:35:00.001Z", false),
        (STANDARD_WEBHOOKS, "2021-02-25T15:07:10Z", true),
        (STANDARD_WEBHOOKS, "2021-02-25T15:07:10.001Z", false),
        (STANDARD_WEBHOOKS, "2021-02-25T14:57:10Z", true),
        (STANDARD_WEBHOOKS, "2021-02-25T14:57:09Z", false),
        (TICKETNATION, "2031-01-01T00:00:00Z", true),
    ];
    for (vector, now, accepted) in cases {
        let checked = vector.check(vector.secret, &vector.request(), now);
        assert_eq!(checked.verdict.is_accepted(), accepted, "{:?} at {now}", vector.consumer);
    }
}

#[test]
fn only_gocardless_minds_the_casing_of_its_header() {
    for vector in VECTORS {
        let checked = vector.changed(|request| {
            for (name, _) in &mut request.headers {
                name.make_ascii_lowercase();
            }
        });
        let accepted = checked.verdict.is_accepted();
        assert_eq!(accepted, vector.consumer != Consumer::GoCardless, "{:?}", vector.consumer);
    }
}

#[test]
fn refusals_are_answered_as_the_pages_say() {
    let refused = |vector: Vector| vector.check("another", &vector.request(), vector.now).answer;
    assert_eq!(refused(TICKETNATION), Answer::status(401).body("Invalid signature"));
    assert_eq!(refused(GOCARDLESS), Answer::status(498));

    let get = TICKETNATION.changed(|request| request.method = "GET".to_owned());
    assert_eq!(get.answer.code(), Some(405));
}

#[test]
fn what_is_genuine_but_not_json_is_refused() {
    // printf %s '{"id":' | openssl dgst -sha256 -hmac tn_secret
    let signature = "99c8ca3dac715bf98ea7f0ba858d8c8eaf50bffc5d0a20fd258b2f8c90a7c18d";
    let checked = TICKETNATION.changed(|request| {
        request.body = br#"{"id":"#.to_vec();
        request.headers[0].1 = signature.to_owned();
    });
    assert_eq!(checked.answer.code(), Some(400), "{}", checked.verdict);
}

#[test]
fn a_challenge_is_answered_with_its_code() {
    let answer_to = |target: &str| {
        let checked = OPENCARD.changed(|request| {
            request.method = "GET".to_owned();
            request.target = target.to_owned();
            request.headers.clear();
        });
        checked.answer
    };
    // printf %s 'a1 b2/c3' | openssl dgst -sha256 -hmac oc_secret
    let token = "67198f97f135f4c4c2656a934047b2b3094d91f5ad39a5eba9d56b3d05d9b4d9";
    let proof = Answer::status(200).header("x-verify-token", token);
    assert_eq!(answer_to("/webhooks?challenge=a1%20b2%2Fc3"), proof);
    assert_eq!(answer_to("/webhooks?tenant=7&challenge=a1+b2/c3"), proof);
    assert_eq!(answer_to("/webhooks?tenant=7").code(), Some(400));
}

#[test]
fn consumers_are_known_by_their_providers_names() {
    for consumer in Consumer::ALL {
        assert_eq!(Consumer::named(consumer.name()), Some(consumer));
    }
    assert_eq!(Consumer::named("stripe"), None);
}
