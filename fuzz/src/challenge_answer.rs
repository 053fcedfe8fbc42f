//! Answers to a challenge: one proves something when it is the HMAC, to the letter, and else not.

use hookwheel::model::Response;
use hookwheel::provider::{Provider, Providers, SigningKey};
use hookwheel::{ErrorKind, Secret};
use std::sync::{Arc, LazyLock};

/// The text of the challenge.
const TOKEN: &str = "abcDEF123";

static STAGE: LazyLock<(Arc<Provider>, SigningKey)> = LazyLock::new(|| {
    let provider = Providers::embedded().and_then(|all| all.get("opencard")).expect("opencard");
    let secret = Secret::new("0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    let key = provider.verifying_key(&secret).expect("a secret of its form");
    (provider, key)
});

/// Checks an answer: two bytes of status, one that says whether the header's value is the rest itself,
/// or the right answer with bytes of it replaced, as pairs of place and byte; then that rest.
pub fn check(data: &[u8]) {
    let [high, low, manner, rest @ ..] = data else { return };
    let (provider, key) = &*STAGE;
    let challenge = provider.challenge().expect("opencard challenges");
    let (name, right) = challenge.answer(TOKEN, key).expect("a key that signs");
    let value = if manner % 2 == 0 {
        String::from_utf8_lossy(rest).into_owned()
    } else {
        let mut bytes = right.clone().into_bytes();
        for pair in rest.as_chunks::<2>().0 {
            let at = usize::from(pair[0]) % bytes.len();
            bytes[at] = pair[1];
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let status = u16::from_be_bytes([*high, *low]);
    let response = Response { status, headers: vec![(name, value.clone())], ..Response::default() };
    let request = challenge.request("https://shop.example/hook?a=1", TOKEN);
    let is_right = (200..300).contains(&status) && value.trim() == right;
    match challenge.check(&request, &response, key) {
        Ok(()) => assert!(is_right, "{status} {value:?} was taken for the answer"),
        Err(error) => {
            assert!(!is_right, "{status} {value:?} was refused: {error}");
            assert_eq!(error.kind(), ErrorKind::NotProven);
            assert!(!error.to_string().contains(&right), "the answer is not told: {error}");
        }
    }
    // What reads a target finds a text only where one is.
    let target = String::from_utf8_lossy(rest);
    if let Some(token) = challenge.token_in(&target) {
        assert!(target.contains('?') && token.len() <= 3 * target.len(), "{target:?}");
    }
}
