//! Provider files: wrong ones are refused with their place, and descriptions tell whose word is what.

use super::*;
use crate::provider::Mark;
use proptest::prelude::*;

const GOOD: &str = include_str!("good.toml");

/// What loading `GOOD` with `from` replaced by `to` says.
fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    match Provider::parse("acme.toml", &text) {
        Ok(_) => panic!("accepted: {to}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_file_that_the_refusals_start_from_is_good() {
    let provider = Provider::parse("acme.toml", GOOD).unwrap();
    assert_eq!(provider.name(), "acme");
}

/// What is replaced in the good file, by what, and the line and the words of the refusal.
const REFUSALS: &[(&str, &str, usize, &str)] = &[
    ("name = \"acme\"", "name = \"Acme!\"", 1, "`name`: expected 1 to 64 small letters"),
    ("name = \"acme\"", "name = acme", 1, "string values must be quoted"),
    ("title = \"Acme\"", "titel = \"Acme\"", 2, "`titel`: unknown field `titel`, expected"),
    (
        "timeout = \"5s\"",
        "timeout = 5",
        34,
        "`delivery.timeout`: invalid type: integer `5`, expected a duration",
    ),
    ("timeout = \"5s\"", "timeout = \"5 s\"", 34, "`delivery.timeout`: `5 s` is not a duration"),
    ("timeout = \"5s\"", "timeout = \"0s\"", 34, "`delivery.timeout`: expected more than nothing"),
    ("timeout = \"5s\"", "", 32, "missing field `timeout`"),
    ("success = [\"2xx\"]", "success = [\"9xx\"]", 33, "`delivery.success[0]`: invalid value"),
    ("success = [\"2xx\"]", "success = [200, 302]", 33, "`delivery.success[1]`: only statuses"),
    ("\"X-Time\"", "\"X Time\"", 9, "`request.headers[2]`: `X Time` is not a header name"),
    ("\"X-Time\"", "\"Host\"", 9, "header `Host` is written by the sender"),
    ("[\"X-Time\", \"{timestamp}\"],", "", 16, "`sign[0].content`: {timestamp} is signed, but no"),
    ("\"{timestamp}\"", "\"{timestamp|unix_ms}\"", 16, "`sign[0].content`: {timestamp} is signed"),
    ("\"{timestamp}\"", "\"{ts}\"", 9, "token `{ts}` is unknown: known are {body}"),
    ("[\"User-Agent\", \"acme\"],", "", 6, "`request.headers`: header `User-Agent` is missing"),
    (
        "content = \"{timestamp}.{body}\"",
        "content = \"{timestamp}\"",
        16,
        "the body must be signed",
    ),
    ("encoding = \"hex\"", "encoding = \"hax\"", 17, "unknown variant `hax`, expected"),
    ("\"acme\"]", "\"boxé/1\"]", 8, "`request.headers[1]`: a header cannot carry 'é': use visible"),
    ("\"acme\"]", "\"acme \"]", 8, "`request.headers[1]`: a header's value cannot begin or end"),
    ("\"v1={sig", "\"vé={sig", 18, "`sign[0].value`: a header cannot carry 'é': use visible"),
    ("\"v1={sig", "\" v1={sig", 18, "`sign[0].value`: a header's value cannot begin or end"),
    (
        "separator = \",\"",
        "separator = \"é\"",
        19,
        "`sign[0].separator`: a header cannot carry 'é'",
    ),
    (
        "separator = \",\"",
        r#"separator = "\r\nX-Evil: 1\r\n""#,
        19,
        r"`sign[0].separator`: a header cannot carry '\r'",
    ),
    ("title = \"Acme\"", "title = \"\"", 2, "`title`: expected 1 to 128 bytes"),
    (
        "title = \"Acme\"",
        r#"title = "\u001b[2J""#,
        2,
        "`title`: expected 1 to 128 bytes without control",
    ),
    ("\"X-Time\"", "\"TE\"", 9, "header `TE` is written by the sender"),
    ("\"X-Time\"", "\"expect\"", 9, "header `expect` is written by the sender"),
    ("\"X-Time\"", "\"Content-Encoding\"", 9, "header `Content-Encoding` is written by the sender"),
    ("\"X-Sig\"", "\"Upgrade\"", 15, "`sign[0].header`: header `Upgrade` is written by the sender"),
    (
        "\"X-Time\"",
        "\"user-agent\"",
        9,
        "`request.headers[2]`: header `user-agent` stands here already",
    ),
    ("scheme = \"hmac\"", "scheme = \"\"", 13, "`sign[0].scheme`: expected 1 to 64 letters"),
    // Where a part of a header ends, its receiver must be able to tell.
    ("separator = \",\"", "separator = \"a\"", 19, "`sign[0].separator`: where a signature ends"),
    (
        "\"v1={sig",
        "\"a,v1={sig",
        19,
        "`sign[0].separator`: where a signature ends could not be told",
    ),
    ("{signature}\"", "{signature}f\"", 18, "`sign[0].value`: where {signature} ends could not be"),
    ("v1={sig", "{timestamp}{sig", 18, "`sign[0].value`: where {timestamp} ends could not be told"),
    (
        "\"{timestamp}\"",
        "\"{id}-{timestamp}\"",
        9,
        "`request.headers[2]`: where {id} ends could not",
    ),
    (
        "timeout = \"5s\"",
        "timeout = \"2h\"",
        34,
        "`delivery.timeout`: expected more than nothing and up",
    ),
    ("value = \"v1={signature}\"", "value = \"v1\"", 18, "`sign[0].value`: expected {signature}"),
    ("separator = \",\"", "", 12, "`sign[0]`: while secrets overlap"),
    ("given = [8, 256]", "given = [100, 256]", 20, "a generated secret counts 64"),
    ("bytes = 32", "bytes = 3", 20, "`sign[0].secret.bytes`: expected 16 to 1024"),
    ("\"event.id\"", "\"event.uid\"", 24, "expression `event.uid` is unknown: known are event.id"),
    ("\"event.time|unix\"", "\"event.time|iso\"", 25, "time format `iso` is unknown"),
    ("\"event.time|unix\"", "\"attempt.time|unix\"", 22, "set it to true"),
    ("[envelope]", "[envelope]\nrestamp = true", 23, "`envelope.restamp`: no field holds"),
    ("[envelope]", "[envelope]\nbatch_max = 10", 25, "what an event says belongs to `item`"),
    ("[\"data\", \"event.data\"]", "[\"data\", \"items\"]", 26, "`items` needs a batch"),
    ("[\"id\", \"event.id\"]", "[\"data\", \"event.id\"]", 26, "`data` is written twice"),
    ("[\"id\", \"event.id\"]", "[\"*\", \"event.data\"]", 25, "`*` must be the last field"),
    ("event = \"ev_{uuid}\"", "event = \"ev_{uid}\"", 30, "`ids.event`: `ev_{uid}` is not a form"),
    ("exhausted = \"fail\"", "exhausted = \"park\"", 36, "comes back by its challenge"),
    ("delays = [\"1m\"]", "", 38, "`schedule`: expected either `delays` or `exponential`"),
    ("delays = [\"1m\"]", "delays = [\"1m\", \"1y\"]", 39, "`schedule.delays`: `1y` is not a"),
    ("delays = [\"1m\"]", "delays = [\"1m\"]\njitter = 2.0", 40, "`schedule.jitter`: jitter 2"),
    ("event = \"a.b\"", "event = \"a.c\"", 47, "`test.event`: expected the type of a [[sample]]"),
    ("[test]", "[consumer]\nstale = \"5m\"\n[test]", 47, "unknown field `stale`, expected"),
    ("[test]", "[consumer]\nstale_after = \"0s\"\n[test]", 47, "expected more than nothing"),
    ("[test]", "[consumer]\nduplicates = \"key\"\n[test]", 47, "expected a header of request"),
    ("[test]", "[consumer]\nrefusal = [\"2xx\"]\n[test]", 47, "a success refuses nothing"),
    ("[test]", "[consumer]\nown = \"a..b\"\n[test]", 47, "expected a dotted path"),
    (
        "[test]",
        "[consumer]\nthings = [\"\"]\n[test]",
        47,
        "`consumer.things[0]`: expected a dotted path",
    ),
    ("[test]", "[consumer]\nsequence = [[\"a.b\", \"x\"]]\n[test]", 47, "at least two events"),
    (
        "[test]",
        "[consumer]\nsequence = [[\"a.b\", \"x\"], [\"a.c\", \"x\"]]\n[test]",
        47,
        "`consumer.sequence[1]`: expected the type of a [[sample]]",
    ),
    (
        "[test]",
        "[[consumer.rule]]\nabout = [\"speed\"]\nsection = \"x\"\n[test]",
        47,
        "unknown variant `speed`, expected",
    ),
    (
        "[test]",
        "[[consumer.rule]]\nabout = [\"time\"]\nsection = \"x\"\nurl = \"javascript:1\"\n[test]",
        49,
        "expected an address that begins with `https://`",
    ),
    ("data = \"{}\"", "data = \"[]\"", 51, "`sample[0].data`: event data must be a JSON object"),
];

#[test]
fn wrong_files_are_refused_with_place_and_remedy() {
    for &(from, to, line, words) in REFUSALS {
        let error = refusal(from, to);
        assert!(error.starts_with(&format!("acme.toml:{line}:")), "{to}: line {line}: {error}");
        assert!(error.contains(words), "{to}: {error}");
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let error = Provider::parse("a.toml", "name = \"x\"\n[sign\n").unwrap_err().to_string();
    assert!(error.starts_with("a.toml:2:"), "{error}");
}

#[test]
fn a_folder_adds_and_replaces_providers() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("acme.toml", GOOD);
    write("yoco.toml", &GOOD.replace("name = \"acme\"", "name = \"yoco\""));
    write("notes.txt", "no provider");
    let mut providers = Providers::embedded().unwrap();
    providers.load_folder(folder.path()).unwrap();
    assert_eq!(providers.get("acme").unwrap().title(), "Acme");
    assert_eq!(providers.get("yoco").unwrap().title(), "Acme");
    assert_eq!(providers.iter().count(), 7);

    write("other.toml", GOOD);
    let error = providers.load_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("other.toml: `name` is `acme`"), "{error}");
    let error = providers.get("nobody").unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("acme, citizen-ticket"), "{error}");
}

#[test]
fn a_header_may_name_the_event_before_its_id() {
    let replaced = |by: &str| GOOD.replace("\"{timestamp}\"", &format!("\"{by},{{timestamp}}\""));
    Provider::parse("acme.toml", &replaced("{event_type};id={id}")).unwrap();
    let error =
        Provider::parse("acme.toml", &replaced("{event_type}.{id}")).unwrap_err().to_string();
    assert!(error.contains("where {event_type} ends could not be told"), "{error}");
}

#[test]
fn a_user_file_with_a_timestamp_in_the_signature_header_works() {
    let text = GOOD
        .replace("[\"X-Time\", \"{timestamp}\"],", "")
        .replace("v1={signature}", "t={timestamp},v1={signature}")
        .replace("separator = \",\"", "")
        .replace("\"overlap\"", "\"switch\"");
    let provider = Provider::parse("acme.toml", &text).unwrap();
    let keys = [key(&provider, "a-plain-secret")];
    let rendered = render(&provider, &event("a.b", "{}"), &keys);
    assert!(header(&rendered, "X-Sig").starts_with("t=1744705867,v1="));
    let tolerance = Some(std::time::Duration::from_secs(10));
    let check = |now| provider.verify(&rendered.headers, &rendered.body, &keys, now, tolerance);
    assert_eq!(check(now()), Ok(()));
    assert!(check(Timestamp::EPOCH).is_err());
}

#[test]
fn descriptions_tell_whose_word_is_what() {
    let line = |name: &str, words: &str| {
        let provider = provider(name);
        let lines = provider.describe().sections.iter().flat_map(|section| &section.lines);
        let found = lines.into_iter().find(|line| line.text.contains(words)).cloned();
        found.unwrap_or_else(|| panic!("{name} says nothing of `{words}`"))
    };
    let ladder = line("ticketnation", "after each failed attempt");
    assert_eq!(ladder.text, "30 s, 5 min, 50 min after each failed attempt");
    assert_eq!(ladder.mark, Mark::Documented(None));
    let ours = |mark: &Mark| matches!(mark, Mark::Ours(_));
    assert!(ours(&line("citizen-ticket", "after each failed attempt").mark));
    assert!(ours(&line("opencard", "an attempt may take 10 s").mark));
    assert!(ours(&line("yoco", "User-Agent").mark));
    assert!(matches!(line("yoco", "an attempt may take 15 s").mark, Mark::Documented(_)));
    assert!(matches!(line("gocardless", "an attempt may take").mark, Mark::Found(_)));
    let gocardless = line("gocardless", "after each failed attempt").mark;
    assert!(matches!(&gocardless, Mark::Ours(why) if why.contains("from the fourth")));
}

#[test]
fn a_file_without_consumers_asks_nothing_of_them() {
    let provider = Provider::parse("acme.toml", GOOD).unwrap();
    assert_eq!(provider.consumers(), &crate::provider::Consumers::default());
    // A body that says nothing of when it was sent cannot be too old.
    let timeless = include_str!("../../../schedules/ticketnation.toml")
        .replace("[consumer]", "[consumer]\nstale_after = \"5m\"");
    let error = Provider::parse("ticketnation.toml", &timeless).unwrap_err().to_string();
    assert!(error.contains("`consumer.stale_after`: no header and no field"), "{error}");
}

#[test]
fn the_files_say_what_the_pages_ask_of_consumers() {
    use crate::provider::Subject;
    let yoco = provider("yoco");
    let consumers = yoco.consumers();
    assert_eq!(consumers.stale_after, Some(std::time::Duration::from_secs(180)));
    assert_eq!(consumers.own.as_deref(), Some("metadata.checkoutId"));
    let filter = consumers.rule(Subject::Own).unwrap();
    assert!(filter.must && filter.section == "4. Filter events");
    let gocardless = provider("gocardless");
    assert!(gocardless.consumers().is_refusal(498) && !gocardless.consumers().is_refusal(401));
    assert!(provider("ticketnation").consumers().is_refusal(401));
    assert!(!provider("opencard").consumers().names_refusal());
    assert_eq!(provider("opencard").consumers().duplicates, None);
    for provider in Providers::embedded().unwrap().iter() {
        let rule = provider.consumers().rule(Subject::Signature).unwrap();
        assert!(rule.must && rule.words.is_some(), "{}", provider.name());
    }
}

#[test]
fn deep_nesting_is_refused_not_overrun() {
    let dots = "a.".repeat(100_000);
    for text in [
        GOOD.replace("[\"id\", ", &format!("[\"{dots}a\", ")),
        format!("{dots}a = 1\n{GOOD}"),
        format!("{GOOD}\nx = {}", "[".repeat(100_000)),
        format!("{GOOD}\n[{dots}a]"),
    ] {
        assert!(Provider::parse("x.toml", &text).unwrap_err().is_invalid());
    }
    let path = vec![(dots + "a", 1.into())];
    assert!(provider("yoco").sample("payment.succeeded", &path).unwrap_err().is_invalid());
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "\\PC{0,200}", bytes in any::<Vec<u8>>()) {
        let _ = Provider::parse("x.toml", &text);
        let _ = Provider::parse("x.toml", &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_damaged_file_makes_loading_panic(
        at in 0..GOOD.len(),
        length in 0_usize..20,
        with in "[a-z\\[\\]{}\"=.,*|0-9\n-]{0,6}",
    ) {
        let mut text = GOOD.to_owned();
        let end = (at + length).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &with);
        }
        if let Ok(provider) = Provider::parse("x.toml", &text) {
            let event = event("a.b", "{}");
            let _ = try_render(&provider, &[event], &[], &[]);
        }
    }
}
