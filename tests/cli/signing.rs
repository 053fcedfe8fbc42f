//! `hookwheel sign` and `hookwheel verify`.
//!
//! The expected signatures were computed with openssl, over BODY and, where it says so, with the id
//! and the time in front.

use crate::{Ran, command, run, run_with};

const BODY: &[u8] = br#"{"a":1}"#;
const TEXT: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const WHSEC_OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// printf %s "$BODY" | openssl dgst -sha256 -hmac "$TEXT"
const HEX: &str = "127d806ddcf564e59fd6dc844cc1697334af4057078b237a460c7f52a658273d";
/// The same with `-binary | base64`
const BASE64: &str = "En2Abdz1ZOWf1tyETMFpczSvQFcHiyN6Rgx/UqZYJz0=";
/// printf 'msg_1.1744705867.%s' "$BODY" | openssl dgst -sha256 -mac HMAC -binary \
///   -macopt hexkey:$(printf %s "${WHSEC#whsec_}" | base64 -d | xxd -p) | base64
const STANDARD: &str = "cS8T1gi8AyGCHbxlS1hcR200rX7Qevo5ZxefXhQ6BnA=";
/// The same with WHSEC_OLD
const STANDARD_OLD: &str = "84SNuMKXeyfNrFRL+4FJke5CffAd2ZeOhDFy89EUGSs=";

/// Signs BODY.
fn sign(arguments: &[&str]) -> Ran {
    run_with(BODY, &[&["sign"], arguments].concat())
}

/// Verifies a body as Yoco's, received a minute after it was sent.
fn verify(body: &[u8], headers: &[&str], more: &[&str]) -> Ran {
    let mut arguments = vec!["verify", "yoco", "--secret", WHSEC, "--at", "1744705927"];
    headers.iter().for_each(|header| arguments.extend(["--header", header]));
    run_with(body, &[&arguments, more].concat())
}

#[test]
fn each_provider_signs_the_body_as_it_stands() {
    let agent = format!("User-Agent: hookwheel/{}\n", env!("CARGO_PKG_VERSION"));
    let json = "Content-Type: application/json\n";
    let signed = |arguments: &[&str]| {
        let ran = sign(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.out
    };
    assert_eq!(
        signed(&["citizen-ticket", "--secret", TEXT]),
        format!("{json}{agent}X-Signature: {BASE64}\n")
    );
    assert_eq!(
        signed(&["ticketnation", "--secret", TEXT]),
        format!("{json}{agent}X-TN-Signature: {HEX}\n")
    );
    assert_eq!(
        signed(&["gocardless", "--secret", TEXT, "--setting", "origin=https://a.example"]),
        format!(
            "Origin: https://a.example\nUser-Agent: gocardless-webhook-service/1.1\n\
             {json}Webhook-Signature: {HEX}\n"
        )
    );
    assert_eq!(
        signed(&["opencard", "--secret", TEXT, "--event-type", "tpa.signed"]),
        format!("{agent}{json}X-Version: 1\nX-Event: tpa.signed\nX-Data-Signature: {HEX}\n")
    );
    let id_and_time = ["--id", "msg_1", "--timestamp", "2025-04-15T08:31:07Z"];
    let head = format!("{json}{agent}webhook-id: msg_1\nwebhook-timestamp: 1744705867\n");
    assert_eq!(
        signed(&[&["yoco", "--secret", WHSEC][..], &id_and_time].concat()),
        format!("{head}webhook-signature: v1,{STANDARD}\n")
    );
    let rotating = ["standard-webhooks", "--secret", WHSEC_OLD, "--secret", WHSEC];
    assert_eq!(
        signed(&[&rotating[..], &id_and_time].concat()),
        format!("{head}webhook-signature: v1,{STANDARD} v1,{STANDARD_OLD}\n"),
        "the newest secret, given last, signs first"
    );
}

#[test]
fn bodies_and_secrets_come_from_files_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (body, secret) = (file("body", BODY), file("secret", format!("{TEXT}\n").as_bytes()));
    let ran = run(&["sign", "ticketnation", "--secret-file", &secret, "--body", &body]);
    assert!(ran.out.ends_with(&format!("X-TN-Signature: {HEX}\n\n{{\"a\":1}}")), "{}", ran.out);

    let mut from_environment = command(&["sign", "ticketnation", &body]);
    let ran: Ran = from_environment.env("HOOKWHEEL_SECRET", TEXT).output().unwrap().into();
    assert!(ran.out.ends_with(&format!("X-TN-Signature: {HEX}\n")), "{}", ran.out);
}

#[test]
fn what_cannot_be_signed_is_refused_without_showing_the_secret() {
    for (arguments, reason) in [
        (&["ticketnation"][..], "no secret is given"),
        (&["ticketnation", "--secret", "short"], "expected 8 to 256"),
        (&["yoco", "--secret", TEXT], "expected `whsec_`"),
        (&["opencard", "--secret", TEXT], "the event's type is missing"),
        (&["yoco", "--secret", WHSEC, "--id", "a\nb"], "`webhook-id` cannot be sent"),
        (&["yoco", "--secret", WHSEC, "--setting", "a=b"], "setting `a` is unknown"),
        (&["yoco", "--secret", WHSEC, "--timestamp", "noon"], "time `noon` is not one"),
        (&["yoco", "--secret", WHSEC, "/nowhere"], "/nowhere cannot be read"),
    ] {
        let ran = sign(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(reason), "{arguments:?}: {}", ran.err);
        for secret in [TEXT, WHSEC, "short"] {
            assert!(!ran.err.contains(secret), "{arguments:?}: {}", ran.err);
        }
    }
}

#[test]
fn a_genuine_webhook_is_told_from_others() {
    let signature = format!("Webhook-Signature: v1,{STANDARD}");
    let (id, time) = ("webhook-id: msg_1", "webhook-timestamp: 1744705867");
    let genuine = verify(BODY, &[id, time, &signature], &[]);
    assert_eq!((genuine.code, genuine.out.as_str()), (0, "genuine: signed as Yoco signs\n"));

    let other = format!("webhook-signature: v1,{STANDARD_OLD}");
    let later = "webhook-timestamp: 1744705868";
    for (body, headers, more, reason) in [
        (
            &b"{}"[..],
            [id, time, &signature],
            &[][..],
            "the signature in `webhook-signature` differs",
        ),
        (BODY, [id, time, &other], &[], "the signature in `webhook-signature` differs"),
        (BODY, [time, time, &signature], &[], "header `webhook-id` is missing"),
        (BODY, [id, time, time], &[], "header `webhook-signature` is missing"),
        (BODY, [id, time, &signature], &["--tolerance", "59s"], "the timestamp is too old"),
        (BODY, [id, later, &signature], &[], "the signature in `webhook-signature` differs"),
    ] {
        let ran = verify(body, &headers, more);
        assert_eq!(ran.code, 1, "{reason}: {}{}", ran.out, ran.err);
        assert!(ran.out.starts_with("not genuine: ") && ran.out.contains(reason), "{}", ran.out);
    }
    let unread = verify(BODY, &["no colon"], &[]);
    assert_eq!((unread.code, unread.out.as_str()), (2, ""));
}

#[test]
fn what_was_signed_a_moment_ago_is_genuine() {
    for (provider, secret) in [
        ("yoco", WHSEC),
        ("standard-webhooks", WHSEC),
        ("gocardless", TEXT),
        ("ticketnation", TEXT),
    ] {
        let signed = sign(&[provider, "--secret", secret]).out;
        let mut arguments = vec!["verify", provider, "--secret", secret];
        signed.lines().for_each(|header| arguments.extend(["-H", header]));
        let ran = run_with(BODY, &arguments);
        assert_eq!(ran.code, 0, "{provider}: {}{}", ran.out, ran.err);
    }
}
