//! Making, checking and showing secrets.

use super::*;
use std::collections::HashSet;

#[test]
fn generated_secrets_are_accepted_and_sign() {
    for provider in Providers::embedded().unwrap().iter() {
        for scheme in provider.schemes() {
            let mut seen = HashSet::new();
            for _ in 0..20 {
                let new = provider.generate_secret(Some(scheme)).unwrap();
                assert_eq!(provider.check_secret(&new.secret).unwrap(), scheme);
                assert_eq!(provider.signing_key(scheme, &new.secret).unwrap().scheme(), scheme);
                assert!(seen.insert(new.secret.expose().to_owned()));
            }
        }
    }
}

#[test]
fn secrets_have_the_providers_form() {
    let generated = |name: &str| provider(name).generate_secret(None).unwrap();
    let yoco = generated("yoco");
    assert_eq!((yoco.scheme.as_str(), yoco.secret.expose().len()), ("v1", 6 + 32));
    assert!(yoco.secret.expose().starts_with("whsec_"));
    assert_eq!(generated("opencard").secret.expose().len(), 60);
    assert_eq!(generated("ticketnation").secret.expose().len(), 64);
    let asymmetric = provider("standard-webhooks").generate_secret(Some("v1a")).unwrap();
    let shown = provider("standard-webhooks").shown_form(&asymmetric.secret).unwrap();
    assert!(shown.expose().starts_with("whpk_") && shown != asymmetric.secret);
    let plain = generated("yoco").secret;
    assert_eq!(provider("yoco").shown_form(&plain).unwrap(), plain);
}

#[test]
fn wrong_secrets_are_refused_without_being_shown() {
    let standard = provider("standard-webhooks");
    for (text, words) in [
        ("whsec_c2hvcnQ=", "`whsec_` and 24 to 64 bytes in base64"),
        ("whsec_****CANARY****", "`whsec_` and 24 to 64 bytes in base64"),
        ("CANARY", "`whsec_` and 24 to 64 bytes"),
        ("whsk_c2hvcnQ=", "`whsk_` and 32 to 64 bytes"),
        ("", "`whsec_`"),
    ] {
        let error = standard.check_secret(&Secret::new(text)).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("CANARY"), "{text}: {error}");
    }
    // Seed and another key's public half.
    let mut mixed = [7_u8; 64];
    mixed[40] = 1;
    let mixed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mixed);
    let error = standard.check_secret(&Secret::new(format!("whsk_{mixed}"))).unwrap_err();
    assert!(error.to_string().contains("seed and public key"), "{error}");
    let text = provider("ticketnation");
    for bad in ["short", "with space", "ümlautümlaut"] {
        assert!(text.check_secret(&Secret::new(bad)).unwrap_err().is_invalid(), "{bad}");
    }
    assert!(standard.generate_secret(Some("v2")).unwrap_err().to_string().contains("v1, v1a"));
}

#[test]
fn keys_do_not_show_themselves() {
    let key = key(&provider("ticketnation"), "CANARY-secret");
    assert_eq!(format!("{key:?}"), "SigningKey(hmac, …)");
}
