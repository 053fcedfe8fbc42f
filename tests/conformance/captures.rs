//! The consumers, before they judge hookwheel's checks, against webhooks that others have signed.

use crate::consumer::Consumer;
use crate::provider::Provider;
use crate::server::{Answer, Request};
use crate::vice::Vice;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A genuine webhook.
struct Capture {
    provider: Provider,
    secret: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

/// From the tests of GoCardless' own client libraries, from the Standard Webhooks libraries, and of
/// `openssl dgst -sha256 -hmac SECRET` and `openssl pkeyutl -sign -rawin`.
const CAPTURES: &[Capture] = &[
    Capture {
        provider: Provider::CitizenTicket,
        secret: "organiser secret",
        headers: &[("X-Signature", "ENJhoiLbXbOuRQOmWh2yhIZNIubP9FMkg3Q2nFUqbcM=")],
        body: concat!(
            r#"{"id":"6f1c1a52-6c1e-4b0e-9f43-0d6c1c0a9f11","event_type":"payment.complete","#,
            r#""timestamp":"2025-04-15T08:30:00Z"}"#
        ),
    },
    Capture {
        provider: Provider::TicketNation,
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
    },
    Capture {
        provider: Provider::GoCardless,
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
    },
    Capture {
        provider: Provider::OpenCard,
        secret: "oc_secret",
        headers: &[
            ("X-Event", "invoice.created"),
            (
                "X-Data-Signature",
                "8c715d9b5f334faa962a06d17b27b34e9425f5c304695ab538703fc0a82f70b0",
            ),
        ],
        body: r#"{"id":"1","invoice_amount":120.12}"#,
    },
    Capture {
        provider: Provider::StandardWebhooks,
        secret: "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                concat!(
                    "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0z",
                    "V9jSeGlHFG2NVAw=="
                ),
            ),
        ],
        body: r#"{"test": 2432232314}"#,
    },
    Capture {
        provider: Provider::Yoco,
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
    },
];

impl Capture {
    fn request(&self) -> Request {
        let header = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_static(value))
        };
        Request {
            method: Method::POST,
            query: String::new(),
            headers: self.headers.iter().map(header).collect::<HeaderMap>(),
            body: self.body.into(),
        }
    }

    /// Whether a consumer with `secret` takes it for genuine. Whether it is new and complete is
    /// another question: some are years old, and some bodies are not the provider's.
    fn is_genuine(&self, secret: &str, request: &Request) -> bool {
        let secrets = [secret.to_owned()];
        crate::signature::is_genuine(self.provider, Vice::None, &secrets, request)
    }
}

#[test]
fn what_others_have_signed_is_genuine_and_what_was_changed_is_not() {
    for capture in CAPTURES {
        let provider = capture.provider;
        assert!(capture.is_genuine(capture.secret, &capture.request()), "{provider:?}");
        let mut changed = capture.request();
        changed.body = format!("{} ", capture.body).into();
        assert!(!capture.is_genuine(capture.secret, &changed), "{provider:?}");
        let mut unsigned = capture.request();
        unsigned.headers.remove(provider.signature_header());
        assert!(!capture.is_genuine(capture.secret, &unsigned), "{provider:?}");
    }
}

#[test]
fn genuine_webhooks_are_thanked_for_and_others_refused() {
    for capture in CAPTURES {
        let secrets = [capture.secret];
        // The captures of three providers are old, and those of two carry another body.
        let (status, effects) = match capture.provider {
            Provider::TicketNation => (200, 1),
            Provider::GoCardless => (204, 0),
            Provider::OpenCard => (200, 0),
            Provider::CitizenTicket => (401, 0),
            Provider::Yoco | Provider::StandardWebhooks => (400, 0),
        };
        let good = Consumer::new(capture.provider, Vice::None, &secrets);
        let taken = good.take(&capture.request());
        assert_eq!(taken, (Answer::status(status), effects), "{:?}", capture.provider);
        let again = good.take(&capture.request());
        assert_eq!(again, (Answer::status(status), 0), "{:?}: a duplicate", capture.provider);
        let mut forged = capture.request();
        forged.body = "{}".into();
        let (refusal, _) = good.take(&forged);
        assert_eq!(refusal.status, capture.provider.refusal());
    }
}

#[test]
fn a_challenge_is_answered_with_its_code() {
    let good = Consumer::new(Provider::OpenCard, Vice::None, &["oc_secret"]);
    // printf %s 'a1 b2/c3' | openssl dgst -sha256 -hmac oc_secret
    let token = "67198f97f135f4c4c2656a934047b2b3094d91f5ad39a5eba9d56b3d05d9b4d9";
    let request = Request {
        method: Method::GET,
        query: "tenant=7&challenge=a1+b2%2Fc3".to_owned(),
        headers: HeaderMap::new(),
        body: "".into(),
    };
    let (answer, _) = good.take(&request);
    assert_eq!(answer.header, Some(("x-verify-token", token.to_owned())));
}
