//! OpenCard's challenge.

use super::*;
use crate::model::Response;
use crate::provider::{ChallengeRequest, Moment};

const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// printf %s abcDEF123 | openssl dgst -sha256 -hmac "$SECRET" -hex
const ANSWER: &str = "9546a3b0ace06d6ae02bdcf83355bf31fd38a425bfe8f8162f3bfc95f9813436";

fn check(status: u16, name: &str, value: &str) -> Result<(), String> {
    let provider = provider("opencard");
    let challenge = provider.challenge().unwrap();
    let request = challenge.request("https://shop.example/hook", "abcDEF123");
    let response = Response {
        status,
        headers: vec![(name.to_owned(), value.to_owned())],
        ..Response::default()
    };
    let key = key(&provider, SECRET);
    challenge.check(&request, &response, &key).map_err(|error| error.to_string())
}

#[test]
fn the_right_answer_is_accepted_whatever_the_headers_casing() {
    assert_eq!(check(200, "x-verify-token", ANSWER), Ok(()));
    assert_eq!(check(204, "X-Verify-Token", ANSWER), Ok(()));
}

#[test]
fn wrong_answers_say_what_is_wrong() {
    let upper = ANSWER.to_uppercase();
    for (status, name, value, words) in [
        (404, "x-verify-token", ANSWER, "status 404"),
        (200, "x-token", ANSWER, "no header `x-verify-token`"),
        (200, "x-verify-token", upper.as_str(), "not lower-case hex"),
        (200, "x-verify-token", &ANSWER[..62], "not the HMAC"),
        (200, "x-verify-token", "", "not the HMAC"),
    ] {
        let error = check(status, name, value).unwrap_err();
        assert!(error.contains(words), "{value}: {error}");
    }
}

#[test]
fn the_text_is_added_to_whatever_query_there_is() {
    let provider = provider("opencard");
    let challenge = provider.challenge().unwrap();
    for (url, expected) in [
        ("https://a.example/h", "https://a.example/h?challenge=x1"),
        ("https://a.example/h?", "https://a.example/h?challenge=x1"),
        ("https://a.example/h?a=%20b", "https://a.example/h?a=%20b&challenge=x1"),
        ("https://a.example/h?a=b&", "https://a.example/h?a=b&challenge=x1"),
        ("https://a.example/h#top?x", "https://a.example/h?challenge=x1"),
    ] {
        assert_eq!(challenge.request(url, "x1").url, expected);
    }
    let ChallengeRequest { method, token, .. } = challenge.request("https://a.example", "x1");
    assert_eq!((method, token.as_str()), ("GET", "x1"));
}

#[test]
fn texts_are_random_and_all_moments_are_covered() {
    let provider = provider("opencard");
    let challenge = provider.challenge().unwrap();
    let chance = crate::chance::Chance::system();
    let (one, two) = (challenge.token(&chance).unwrap(), challenge.token(&chance).unwrap());
    assert_ne!(one, two);
    assert!(one.len() == 20 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{one}");
    for moment in [Moment::Create, Moment::UrlChange, Moment::Resume] {
        assert!(challenge.runs_on(moment));
    }
    assert_eq!(challenge.probe().delay(20), challenge.probe().cap);
}

#[test]
fn a_challenge_is_asked_with_headers_that_arrive_as_they_are() {
    let file = include_str!("../../../schedules/opencard.toml");
    let held = "headers = [[\"User-Agent\", \"hookwheel/{version}\"]]";
    for (value, words) in [
        ("hookwhéel", "a header cannot carry 'é'"),
        ("hookwheel ", "cannot begin or end with a space"),
        (&"h".repeat(4097), "expected up to 4096 bytes"),
    ] {
        let text = file.replace(held, &format!("headers = [[\"User-Agent\", \"{value}\"]]"));
        assert_ne!(text, file);
        let error = Provider::parse("opencard.toml", &text).unwrap_err().to_string();
        assert!(error.starts_with("opencard.toml:53:"), "{error}");
        assert!(error.contains("`challenge.headers[0]`") && error.contains(words), "{error}");
    }
}

#[test]
fn a_challenge_that_nobody_could_pass_is_refused() {
    let file = include_str!("../../../schedules/opencard.toml");
    let refused = |from: &str, to: &str, words: &str| {
        let text = file.replacen(from, to, 1);
        assert_ne!(text, file);
        let error = Provider::parse("opencard.toml", &text).unwrap_err().to_string();
        assert!(error.contains(words), "{to}: {error}");
    };
    let agent = "[[\"User-Agent\", \"hookwheel/{version}\"]]";
    refused(agent, "[[\"TE\", \"trailers\"]]", "`challenge.headers[0]`: header `TE` is written by");
    refused(agent, "[[\"A\", \"1\"], [\"a\", \"2\"]]", "`challenge.headers[1]`: header `a` stands");
    let success = "success = [\"2xx\"]  # ours: the page asks";
    refused(success, "success = []  # ours:", "`challenge.success`: expected at least one");
    refused(
        success,
        "success = [\"1xx\"]  # ours:",
        "`challenge.success[0]`: only statuses from 200",
    );
    refused(
        ", \"resume\"]",
        "]",
        "`delivery.exhausted`: a parked endpoint comes back by its challenge",
    );
    let long = format!("query = \"{}\" #", "q".repeat(65));
    refused("query = ", &long, "`challenge.query`: expected 1 to 64");
    let (before, rest) = file.split_once("[[sign]]").unwrap();
    let (signing, _) = rest.split_once("[envelope]").unwrap();
    assert!(before.contains("name = \"opencard\""));
    refused(&format!("[[sign]]{signing}"), "", "`challenge`: an answer is signed with a secret");
}
