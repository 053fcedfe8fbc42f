//! Files by which no webhook could be sent, or none checked.

use super::*;

const GOOD: &str = include_str!("good.toml");

#[test]
fn two_schemes_of_one_file_have_secrets_and_headers_that_can_be_told_apart() {
    let second = |header: &str, secret: &str| {
        format!(
            "[[sign]]\nscheme = \"two\"\nalgorithm = \"hmac-sha256\"\nheader = \"{header}\"\n\
             content = \"{{body}}\"\nencoding = \"base64\"\nvalue = \"v2={{signature}}\"\n\
             separator = \",\"\nsecret = {{ {secret}, encoding = \"base64\", bytes = 24, \
             given = [24, 64] }}\n"
        )
    };
    let decoded = |prefix: &str| format!("prefix = \"{prefix}\", key = \"decoded\"");
    let text = "key = \"text\", given = [8, 256]";
    let first = "prefix = \"one_\", key = \"decoded\", given = [8, 256]";
    let file = |first: &str, second: &str| {
        let file = GOOD.replace(text, first).replace("[test]", &format!("{second}[test]"));
        Provider::parse("acme.toml", &file).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(file(first, &second("X-Sig", &decoded("two_"))), Ok(()));
    for (held, added, words) in [
        (
            text,
            second("X-Other", &decoded("two_")),
            "`sign[1].secret`: a secret of it could be one",
        ),
        (
            first,
            second("X-Other", "key = \"text\""),
            "`sign[1].secret`: a secret of it could be one",
        ),
        (
            first,
            second("X-Other", &decoded("one_b")),
            "`sign[1].secret`: a secret of it could be one",
        ),
        (
            first,
            second("x-sig", &decoded("two_")),
            "`sign[1].header`: another [[sign]] writes this",
        ),
    ] {
        let error = file(held, &added).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn public_keys_can_be_told_from_secrets() {
    let held = "{ encoding = \"hex\", bytes = 32, key = \"text\", given = [8, 256] }";
    let file = |prefix: &str, public_prefix: &str| {
        let secret = format!(
            "{{ prefix = \"{prefix}\", public_prefix = \"{public_prefix}\", encoding = \"base64\", \
             bytes = 32, key = \"decoded\", given = [32, 64] }}"
        );
        let file = GOOD.replace("hmac-sha256", "ed25519").replace(held, &secret);
        Provider::parse("acme.toml", &file).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(file("sk_", "pk_"), Ok(()));
    for (prefix, public_prefix, words) in [
        ("sk_", "", "expected 1 to 32 visible ASCII characters"),
        ("sk_", "pé_", "expected 1 to 32 visible ASCII characters"),
        ("sk_", "sk_", "a secret begins with it"),
    ] {
        let error = file(prefix, public_prefix).unwrap_err();
        assert!(error.contains("`sign[0].secret.public_prefix`"), "{error}");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn there_are_no_more_headers_than_can_be_sent() {
    let lines = |count: usize| -> String {
        (0..count).map(|number| format!("[\"X-{number}\", \"a\"],")).collect()
    };
    let with = |lines: &str| GOOD.replace("[\"X-Time\"", &format!("{lines}[\"X-Time\""));
    // The others are three, and the signature.
    assert!(Provider::parse("acme.toml", &with(&lines(28))).is_ok());
    let error = Provider::parse("acme.toml", &with(&lines(29))).unwrap_err().to_string();
    assert!(error.contains("`request.headers`: expected up to 32 headers"), "{error}");
    let long = format!("[\"X-{}\", \"a\"],", "a".repeat(127));
    let error = Provider::parse("acme.toml", &with(&long)).unwrap_err().to_string();
    assert!(error.contains("is not a header name: expected up to 128"), "{error}");
    let text = GOOD.replace("ev_{uuid}", &format!("{}{{uuid}}", "e".repeat(65)));
    let error = Provider::parse("acme.toml", &text).unwrap_err().to_string();
    assert!(error.contains("`ids.event`"), "{error}");
}

#[test]
fn a_sample_that_the_envelope_cannot_carry_is_refused() {
    let data = |text: &str| {
        GOOD.replace("[\"data\", \"event.data\"]", "[\"*\", \"event.data\"]")
            .replace("data = \"{}\"", &format!("data = '{text}'"))
    };
    assert!(Provider::parse("acme.toml", &data(r#"{"a":1}"#)).is_ok());
    let error = Provider::parse("acme.toml", &data(r#"{"id":1}"#)).unwrap_err().to_string();
    assert!(error.contains("`sample[0]`: event data has a member `id`"), "{error}");
    let text = GOOD.replace("event.id", "event.type.rest").replace("a.b", "ab");
    let error = Provider::parse("acme.toml", &text).unwrap_err().to_string();
    assert!(error.contains("`sample[0]`: event type `ab` does not fit"), "{error}");
}
