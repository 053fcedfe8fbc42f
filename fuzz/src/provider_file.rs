//! Provider files: a wrong one is refused with its place, and by a good one webhooks can be sent that
//! its own check finds genuine.

use hookwheel::model::{
    ApplicationId, EndpointId, Event, EventId, EventType, Mode, Reach, Response, Timestamp,
    WebhookId,
};
use hookwheel::provider::{Provider, Rendered, SigningKey, Webhook};
use hookwheel::schedule::Next;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Samples that are sent at most: a file may have thousands, all alike.
const SAMPLES_MAX: usize = 4;
/// Attempts of a schedule that are asked for at most.
const ATTEMPTS_MAX: u32 = 64;
const NOW: Timestamp = Timestamp::from_millis(1_744_705_800_123);

/// Checks the text of a file.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let provider = match Provider::parse("fuzz.toml", text) {
        Ok(provider) => provider,
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("fuzz.toml:"), "the place is missing: {told}");
            return;
        }
    };
    let _ = format!("{:?}", provider.describe());
    assert!(provider.success_words().len() > 1 && !provider.timeout().is_zero());
    check_schedule(&provider);
    let settings = settings(&provider);
    let schemes: Vec<&str> = provider.schemes().collect();
    for scheme in schemes {
        let (old, old_verifying) = keys(&provider, scheme);
        let (new, new_verifying) = keys(&provider, scheme);
        check_challenge(&provider, &new);
        let live = [old, new];
        for event_type in provider.event_types().take(SAMPLES_MAX) {
            let sent = render(&provider, event_type, &live, &settings);
            let verify = |key: &SigningKey| {
                let keys = std::slice::from_ref(key);
                provider.verify(&sent.headers, &sent.body, keys, NOW, None)
            };
            assert_eq!(verify(&new_verifying), Ok(()), "{scheme}: {sent:?}");
            let overlaps = provider.rotation_overlaps();
            assert_eq!(verify(&old_verifying).is_ok(), overlaps, "{scheme}: {sent:?}");
        }
    }
}

/// What signs under `scheme` and what its owner checks with, of a secret that the file had made.
fn keys(provider: &Provider, scheme: &str) -> (SigningKey, SigningKey) {
    let new = provider.generate_secret(Some(scheme)).expect("a secret of a known scheme");
    assert_eq!(new.scheme, scheme);
    let key = provider.signing_key(scheme, &new.secret).expect("its own secret");
    provider.check_secret(&new.secret).expect("its own secret, given back");
    let shown = provider.shown_form(&new.secret).expect("its own secret, shown");
    (key, provider.verifying_key(&shown).expect("what is shown"))
}

/// Settings of an endpoint with all that headers are made of, found as a person would: by what is
/// said to be missing.
fn settings(provider: &Provider) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    while let Err(error) = provider.check_settings(&settings) {
        let told = error.to_string();
        let name = told.split('`').nth(1).filter(|_| told.contains("is missing")).expect(&told);
        let before = settings.insert(name.to_owned(), "a value".to_owned());
        assert_eq!(before, None, "{told}");
    }
    settings
}

fn check_schedule(provider: &Provider) {
    let schedule = provider.schedule();
    let later = ("Retry-After".to_owned(), "99999999999999999999".to_owned());
    let busy = Response { status: 429, headers: vec![later], ..Response::default() };
    for made in 0..schedule.attempts().saturating_add(2).min(ATTEMPTS_MAX) {
        let next = schedule.next(made, Some(&busy), NOW, 1.0);
        assert_eq!(next == Next::GiveUp, made >= schedule.attempts(), "after {made}: {next:?}");
    }
}

fn check_challenge(provider: &Provider, key: &SigningKey) {
    let Some(challenge) = provider.challenge() else { return };
    let request = challenge.request("https://shop.example/hook?a=1", "abcDEF123");
    check_headers(&request.headers);
    assert_eq!(challenge.token_in(&request.url).as_deref(), Some("abcDEF123"));
    let answer = challenge.answer(&request.token, key).expect("a key that signs");
    let statuses = (200..600).filter(|status| {
        let headers = vec![answer.clone()];
        let response = Response { status: *status, headers, ..Response::default() };
        challenge.check(&request, &response, key).is_ok()
    });
    assert!(statuses.count() > 0, "no status proves anything");
}

fn render(
    provider: &Provider,
    event_type: &EventType,
    keys: &[SigningKey],
    settings: &BTreeMap<String, String>,
) -> Rendered {
    let events = [Arc::new(Event {
        id: EventId::from_uuid(Uuid::from_u128(0x0197_5a3c_8e21_7b40_9d3e_5f60_718a_9bac)),
        application: ApplicationId::from_uuid(Uuid::from_u128(1)),
        event_type: event_type.clone(),
        time: NOW,
        accepted_at: NOW,
        data: provider.sample(event_type.as_str(), &[]).expect("a sample that it has"),
        mode: Mode::Live,
        sample: true,
        channels: Vec::new(),
        uid: None,
        tags: Vec::new(),
        idempotency_key: None,
        reach: Reach::default(),
        expunged: false,
    })];
    let webhook = Webhook {
        webhook: WebhookId::from_uuid(events[0].id.uuid()),
        events: &events,
        endpoint: EndpointId::from_uuid(Uuid::from_u128(2)),
        attempt: 1,
        now: NOW,
        url: "https://shop.example/hook",
        keys,
        settings,
    };
    let rendered = provider.render(&webhook).expect("a sample can be sent");
    check_headers(&rendered.headers);
    rendered
}

/// Every receiver reads these headers as they were written, and each of them once.
fn check_headers(headers: &[(String, String)]) {
    for (index, (name, value)) in headers.iter().enumerate() {
        let is_same = |(held, _): &(String, String)| held.eq_ignore_ascii_case(name);
        assert!(!headers[..index].iter().any(is_same), "{name} twice: {headers:?}");
        let is_plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(is_plain && value.trim_matches(' ') == value, "{name}: {value:?}");
    }
}
