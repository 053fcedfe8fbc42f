//! `hookwheel check`: what it prints, writes and exits with.

use crate::{Ran, command, run};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hookwheel::simulate::receiver::{Answer, Consumer, Receiver};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Nothing that is printed or written may hold it.
const CANARY: &str = "canary-0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// What a consumer answers that means harm to whoever looks at the report.
const HOSTILE: &str = "<script>alert(1)</script>\u{1b}[31m]]>&<b x=\"'\u{9b}31m\u{202e}";

/// Runs a check to its end, while receivers go on. The secret is given where others cannot see it.
async fn check(provider: &str, arguments: &[&str]) -> Ran {
    let mut command = command(&[&["check", provider], arguments].concat());
    command.env("HOOKWHEEL_SECRET", CANARY);
    tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
}

/// A consumer of TicketNation that does what the page says.
async fn good() -> Receiver {
    Receiver::start(Consumer::TicketNation, CANARY).await.unwrap()
}

/// Serves `router` on a free port.
async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// A handler that accepts whatever has some signature, and tells its secret to everybody.
async fn talkative() -> SocketAddr {
    let handler = async |headers: HeaderMap, _body: Bytes| -> Response {
        let signed = headers.contains_key("X-TN-Signature");
        let status = if signed { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        let cookie = ("Set-Cookie", "session=s-17; HttpOnly");
        let hex: String = CANARY.bytes().map(|byte| format!("{byte:02X}")).collect();
        let gate = headers.get("X-Gate").and_then(|held| held.to_str().ok()).unwrap_or_default();
        let body = format!("{HOSTILE} {CANARY} {hex} {gate}");
        (status, [("X-Secret", CANARY), cookie], body).into_response()
    };
    serve(Router::new().fallback(any(handler))).await
}

/// A folder with a TicketNation that waits for 100 ms only.
fn impatient() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = include_str!("../../schedules/ticketnation.toml").replace("\"10s\"", "\"100ms\"");
    std::fs::write(folder.path().join("ticketnation.toml"), file).unwrap();
    folder
}

fn verdict<'a>(report: &'a Value, name: &str) -> &'a str {
    let results = report["results"].as_array().unwrap();
    let found = results.iter().find(|result| result["name"] == name);
    found.unwrap_or_else(|| panic!("no result of {name}"))["verdict"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_consumer_passes_and_the_table_says_so() {
    let receiver = good().await;
    let ran = check("ticketnation", &["--url", &receiver.url()]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("VERDICT") && lines[0].ends_with("FINDING"), "{}", lines[0]);
    let columns: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(columns, ["pass", "accepts-valid", "200", "OK"]);
    assert_eq!(lines[lines.len() - 1], "0 fail, 0 warnings, 21 pass, 10 not applicable");
    assert!(!ran.out.contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_pass_is_told_with_the_words_of_the_page() {
    let url = format!("http://{}/", talkative().await);
    let ran = check("ticketnation", &["--url", &url, "--only", "refuses-tampered", "-v"]).await;
    assert_eq!(ran.code, 1);
    let told = "\nfail refuses-tampered: refuses a changed body\n  \
         found     a body that was changed after it was signed: accepted with 200 OK\n  \
         expected  what the provider did not sign is not answered with 2xx\n  \
         why       TicketNation, “Security Best Practices” \
         <https://www.ticketnation.ph/docs/api/webhooks>\n            \
         Always verify the X-TN-Signature header. Reject requests with invalid or missing \
         signatures.\n\
         --> a body that was changed after it was signed\n    POST http://";
    assert!(ran.out.contains(told), "{}", ran.out);
    assert!(ran.out.contains("\\u{1b}[31m"), "{}", ran.out);
    assert!(ran.out.ends_with("\n1 fail, 0 warnings, 0 pass, 0 not applicable\n"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_document() {
    let receiver = good().await;
    let ran = check("ticketnation", &["--url", &receiver.url(), "--format", "json"]).await;
    assert_eq!(ran.code, 0);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&report["provider"], &report["success"], &report["reached"]),
        (&"ticketnation".into(), &true.into(), &true.into())
    );
    assert_eq!(report["counts"]["pass"], 21);
    assert_eq!(verdict(&report, "refuses-unsigned"), "pass");
    assert_eq!(verdict(&report, "refuses-stale"), "not-applicable");
    let first = &report["results"][0];
    assert_eq!(first["why"]["section"], "Overview");
    let exchange = &first["exchanges"][0];
    assert_eq!(exchange["request"]["method"], "POST");
    assert!(exchange["request"]["body"].as_str().unwrap().contains("order.created"));
    assert_eq!(
        (&exchange["response"]["status"], &exchange["failure"]),
        (&200.into(), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_harmless_and_hold_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (html, junit) = (folder.path().join("report.html"), folder.path().join("report.xml"));
    let url = format!("http://{}/hooks?token=t-17", talkative().await);
    let files = ["--html", html.to_str().unwrap(), "--junit", junit.to_str().unwrap()];
    let asked = ["--url", &url, "--header", "X-Gate: Bearer gate-token-17"];
    let table = check("ticketnation", &[&asked[..], &["-v"], &files].concat()).await;
    let json = check("ticketnation", &[&asked[..], &["--format", "json"]].concat()).await;
    assert_eq!((table.code, json.code), (1, 1), "{}", table.err);
    let html = std::fs::read_to_string(html).unwrap();
    let junit = std::fs::read_to_string(junit).unwrap();
    for output in [&table.out, &table.err, &json.out, &json.err, &html, &junit] {
        for hidden in [CANARY, "63616E6172792D", "gate-token-17", "s-17"] {
            assert!(!output.contains(hidden), "{hidden}: {output}");
        }
    }
    for output in [&table.out, &json.out] {
        assert!(!output.replace('\n', "").contains(hookwheel::model::is_unseen), "{output:?}");
    }
    assert!(table.out.to_ascii_lowercase().contains("x-gate: ***"), "{}", table.out);
    assert!(table.out.contains("x-secret: ***"), "{}", table.out);

    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;\\u{1b}[31m]]&gt;&amp;&lt;b"));
    for forbidden in ["<script", "<b x", "t-17", "http-equiv=\"refresh", "src=", "@import", "url("]
    {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("default-src 'none'"));
    assert!(html.contains("Always verify the X-TN-Signature header."));

    let read = quick_junit::Report::deserialize_from_str(&junit).unwrap();
    assert_eq!((read.tests, read.failures > 0), (31, true));
    let cases = &read.test_suites[0].test_cases;
    assert_eq!(cases[0].name.as_str(), "accepts-valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_how_bad_it_is() {
    let receiver = good().await;
    let url = receiver.url();
    // It refuses, and not with the status of the page's example, which is advice.
    let refused = StatusCode::FORBIDDEN;
    let strict = serve(Router::new().fallback(any(async move |headers: HeaderMap| {
        let genuine = headers.get("X-TN-Signature").is_some_and(|held| held.len() == 64);
        if genuine { StatusCode::OK } else { refused }
    })));
    let strict = format!("http://{}/", strict.await);
    let only = ["--only", "refuses-unsigned", "--only", "refuses-with-documented-status"];
    for (fail_on, code) in [("fail", 0), ("warn", 1)] {
        let asked = ["--url", &strict, "--fail-on", fail_on];
        let ran = check("ticketnation", &[&asked[..], &only].concat()).await;
        assert_eq!(ran.code, code, "{fail_on}: {}", ran.out);
    }
    receiver.stop().await;
    let effects = ["--effects-url", &url];
    for more in [&[][..], &["--only", "refuses-unsigned"], &["--only", "refuses-stale"], &effects] {
        let ran = check("ticketnation", &[&["--url", &url], more].concat()).await;
        assert_eq!(ran.code, 3, "{}", ran.out);
        assert!(ran.out.contains("nothing is listening"), "{}", ran.out);
        assert!(ran.out.ends_with("could not be reached\n"), "{}", ran.out);
        let json = [&["--url", &url, "--format", "json"], more].concat();
        let report: Value = serde_json::from_str(&check("ticketnation", &json).await.out).unwrap();
        assert_eq!((&report["reached"], &report["success"]), (&false.into(), &false.into()));
        assert_eq!((&report["counts"]["fail"], &report["counts"]["pass"]), (&1.into(), &0.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_accepts_nothing_fails_once_whatever_is_chosen() {
    let receiver = good().await;
    receiver.answer_always(Some(Answer::status(401)));
    let url = receiver.url();
    for more in [&[][..], &["--only", "refuses-unsigned"], &["--skip", "accepts-valid"]] {
        let asked = [&["--url", &url, "--format", "json"], more].concat();
        let ran = check("ticketnation", &asked).await;
        assert_eq!(ran.code, 1, "{}", ran.out);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&report["counts"]["fail"], &report["counts"]["pass"]), (&1.into(), &0.into()));
        let finding = report["results"][0]["finding"].as_str().unwrap();
        assert!(
            finding.starts_with("a genuine event: 401 Unauthorized; is the secret"),
            "{finding}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_hangs_is_not_waited_for_again_and_again() {
    let receiver = good().await;
    let never = std::time::Duration::from_secs(3600);
    receiver.answer_always(Some(Answer::status(200).after(never)));
    let folder = impatient();
    let asked = ["--url", &receiver.url(), "--folder", folder.path().to_str().unwrap()];
    let ran = check("ticketnation", &asked).await;
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_are_chosen_by_name() {
    let receiver = good().await;
    let url = receiver.url();
    let only = ["--only", "answers-in-time", "--only", "accepts-valid"];
    let ran = check("ticketnation", &[&["--url", &url], &only[..]].concat()).await;
    let names = |out: &str| -> Vec<String> {
        let rows = out.lines().skip(1).take_while(|line| !line.is_empty());
        rows.map(|row| row.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(names(&ran.out), ["accepts-valid", "answers-in-time"]);
    let skip = ["--skip", "accepts-valid"];
    let ran = check("ticketnation", &[&["--url", &url], &only[..], &skip[..]].concat()).await;
    assert_eq!(names(&ran.out), ["answers-in-time"]);
    let none = ["--only", "accepts-valid", "--skip", "accepts-valid"];
    let ran = check("ticketnation", &[&["--url", &url], &none[..]].concat()).await;
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    for option in ["--only", "--skip"] {
        let ran = check("ticketnation", &["--url", &url, option, "refuses-all"]).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        let told = "error: check `refuses-all` is unknown: known are accepts-valid, ";
        assert!(ran.err.starts_with(told), "{}", ran.err);
    }
}

#[test]
fn wrong_arguments_send_nothing() {
    let nowhere = ["check", "ticketnation", "--url", "http://127.0.0.1:9/"];
    let secret = ["--secret", "a secret of 20 letters"];
    let missing = run(&nowhere);
    assert_eq!((missing.code, missing.out.as_str()), (2, ""));
    assert!(missing.err.contains("set the environment variable `HOOKWHEEL_SECRET`"));
    for (more, words) in [
        (&["--junit", "/nonexistent/report.xml"][..], "/nonexistent/report.xml cannot be written"),
        (&["--setting", "origin=x"], "endpoint setting `origin` is unknown to TicketNation"),
        (&["--set", "a..b=1"], "path `a..b` is not one"),
        (&["--header", "Host: example.com"], "header `Host` is set with each webhook"),
        (&["--header", "x-tn-signature: 0"], "header `x-tn-signature` is set with each webhook"),
        (&["--event", "order.unheard_of"], "order.unheard_of"),
        (&["--effects-within", "0"], "expected seconds from 0.1 to 3600"),
        (&["--secret", "b secret-12345", "--secret", "c"], "more than two secrets are given"),
    ] {
        let ran = run(&[&nowhere[..], &["--secret", "secret-1234567"], more].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{more:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{more:?}: {}", ran.err);
    }
    let spaced = run(&[&nowhere[..], &secret].concat());
    assert!(spaced.err.contains("the secret is not one: expected"), "{}", spaced.err);
    let unknown = run(&["check", "nobody", "--list"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("provider `nobody` is unknown"), "{}", unknown.err);
}

#[test]
fn the_list_says_what_is_demanded_and_where() {
    let ran = run(&["check", "gocardless", "--list"]);
    assert_eq!(ran.code, 0);
    let line = |name: &str| -> String {
        let found = ran.out.lines().find(|line| line.starts_with(name)).unwrap();
        found.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line("refuses-with-documented-status"),
        "refuses-with-documented-status must refuses with the documented status GoCardless, \
         “Secure your webhooks”"
    );
    assert!(line("accepts-duplicates").contains(" advice "));
    assert!(line("answers-challenge ").ends_with("GoCardless does not challenge"));
    assert_eq!(ran.out.lines().count(), 32);
}

/// A handler that works later than it answers, and counts what it did.
async fn counting(twice: bool) -> SocketAddr {
    let done = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let handle = {
        let done = Arc::clone(&done);
        async move |body: Bytes| {
            let event: Value = serde_json::from_slice(&body).unwrap_or_default();
            let is_new = seen.lock().unwrap().insert(event["id"].to_string());
            if is_new || twice {
                tokio::spawn(async move {
                    // It works later than it answers: that is what is looked at.
                    tokio::task::yield_now().await;
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
            StatusCode::OK
        }
    };
    let effects = async move || done.load(Ordering::SeqCst).to_string();
    serve(Router::new().route("/effects", get(effects)).fallback(any(handle))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_are_asked_for_by_url_and_by_command() {
    let only = ["--only", "duplicates-without-effect", "--only", "forgeries-without-effect"];
    for (twice, duplicates) in [(false, "pass"), (true, "fail")] {
        let address = counting(twice).await;
        let (url, effects) = (format!("http://{address}/"), format!("http://{address}/effects"));
        let asked = ["--url", &url, "--format", "json", "--effects-url", &effects];
        let ran = check("ticketnation", &[&asked[..], &only].concat()).await;
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(verdict(&report, "duplicates-without-effect"), duplicates, "{}", ran.out);
        // It verifies nothing.
        assert_eq!(verdict(&report, "forgeries-without-effect"), "fail", "{}", ran.out);
    }
    let receiver = good().await;
    let asked = ["--url", &receiver.url(), "--format", "json", "--effects-command", "echo 3"];
    let asked = [&asked[..], &["--effects-within", "0.5"]].concat();
    let only = &only[..2];
    let ran = check("ticketnation", &[&asked[..], only].concat()).await;
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let finding = report["results"][0]["finding"].as_str().unwrap();
    assert!(finding.starts_with("could not be told: no genuine event had an effect"), "{finding}");
    assert_eq!((verdict(&report, "duplicates-without-effect"), ran.code), ("warn", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_that_can_no_longer_be_asked_for_are_a_finding() {
    let receiver = good().await;
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("report.xml");
    std::fs::write(&junit, "the report of yesterday").unwrap();
    // It answers once, and fails from then on.
    let asked = format!("mkdir {}/once && echo 1", folder.path().display());
    let asked = ["--url", &receiver.url(), "--effects-command", &asked];
    let files = ["--junit", junit.to_str().unwrap(), "--format", "json"];
    let ran = check("ticketnation", &[&asked[..], &files].concat()).await;
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, verdict(&report, "duplicates-without-effect")), (0, "warn"));
    assert!(ran.out.contains("could not be told: the effects command failed with exit status: 1"));
    assert!(std::fs::read_to_string(&junit).unwrap().contains("answers-burst-in-time"));

    // From the beginning, it is an error; and no file is touched.
    std::fs::write(&junit, "the report of yesterday").unwrap();
    let html = folder.path().join("report.html");
    let files = [&files[..], &["--html", html.to_str().unwrap()]].concat();
    let ran = check("ticketnation", &[&asked[..], &files].concat()).await;
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(std::fs::read_to_string(&junit).unwrap(), "the report of yesterday");
    assert!(!html.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_is_judged_by_its_status_and_its_time_apart() {
    let folder = impatient();
    let receiver = good().await;
    let late = std::time::Duration::from_millis(300);
    receiver.answer_always(Some(Answer::status(200).after(late)));
    let url = receiver.url();
    let only = ["accepts-valid", "answers-in-time", "answers-burst-in-time"];
    let only: Vec<&str> = only.iter().flat_map(|name| ["--only", name]).collect();
    let asked = ["--url", &url, "--format", "json", "--folder", folder.path().to_str().unwrap()];
    let ran = check("ticketnation", &[&asked[..], &only].concat()).await;
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(verdict(&report, "accepts-valid"), "pass", "{}", ran.out);
    assert_eq!(verdict(&report, "answers-in-time"), "fail");
    assert_eq!(verdict(&report, "answers-burst-in-time"), "fail");
}
