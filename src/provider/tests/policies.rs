//! What the providers' files say of retries, success and giving up.

use super::*;
use crate::provider::AuthenticationKind;
use std::time::Duration;

#[test]
fn the_ladders_are_those_of_the_pages() {
    let ladder = |name: &str| {
        let seconds = provider(name).schedule().delays().iter().map(Duration::as_secs).collect();
        let seconds: Vec<u64> = seconds;
        seconds
    };
    assert_eq!(ladder("ticketnation"), [30, 300, 3000]);
    assert_eq!(ladder("yoco"), [5, 300, 1800, 7200, 18_000, 36_000, 36_000]);
    assert_eq!(ladder("gocardless").len(), 8);
    assert_eq!(ladder("gocardless")[..3], [60, 120, 600]);
    assert_eq!(ladder("opencard").len(), 3);
    // 75:35:05, as the spec's table sums up.
    assert_eq!(ladder("standard-webhooks").iter().sum::<u64>(), 75 * 3600 + 35 * 60 + 5);
    assert_eq!(ladder("yoco").iter().sum::<u64>(), 27 * 3600 + 35 * 60 + 5);
}

#[test]
fn only_opencard_parks_and_only_standard_webhooks_disables() {
    for provider in Providers::embedded().unwrap().iter() {
        let name = provider.name();
        assert_eq!(provider.exhausted_parks(), name == "opencard", "{name}");
        assert_eq!(provider.gone_disables(410), name == "standard-webhooks", "{name}");
        assert!(!provider.gone_disables(404), "{name}");
        let heeds = provider.schedule().retry_after_max().is_some();
        assert_eq!(heeds, name == "standard-webhooks", "{name}");
        assert_eq!(provider.allows_client_certificate(), name == "gocardless", "{name}");
        assert_eq!(provider.batch_max(), (name == "gocardless").then_some(250), "{name}");
        assert_eq!(provider.is_success(204), name != "opencard", "{name}");
        assert!(provider.is_success(201) && !provider.is_success(302), "{name}");
        let oauth2 = provider.authentications().contains(&AuthenticationKind::Oauth2);
        assert_eq!(oauth2, ["opencard", "standard-webhooks"].contains(&name), "{name}");
    }
}
