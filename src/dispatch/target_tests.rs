use super::*;
use crate::config::EgressConfig;

fn parse(url: &str, config: &EgressConfig) -> Result<Target> {
    Target::parse(url, &Policy::new(config))
}

#[test]
fn a_refusal_says_what_would_allow_it_and_hides_the_path() {
    let error = parse("http://10.0.0.1/hooks?token=CANARY", &EgressConfig::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "endpoint url `http://10.0.0.1/` refused: the address is private; \
         allow it with `egress.allow = [\"10.0.0.1/32\"]`"
    );
    for url in ["https://user:CANARY@example.com/", "https://example.com/CANARY b"] {
        let error = parse(url, &EgressConfig::default()).unwrap_err();
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
}

#[test]
fn development_takes_local_names_and_unencrypted_urls() {
    let config = EgressConfig { development: true, ..EgressConfig::default() };
    for url in ["http://localhost:3000/", "http://127.0.0.1/", "http://app/", "http://[::1]/"] {
        let target = parse(url, &config).unwrap();
        target.check_scheme(true, &Policy::new(&config)).unwrap();
    }
    assert!(parse("http://169.254.169.254/", &config).is_err());
}

#[test]
fn a_provider_that_wants_tls_gets_no_other() {
    let policy = Policy::new(&EgressConfig::default());
    let plain = Target::parse("http://example.com/a", &policy).unwrap();
    assert!(plain.check_scheme(false, &policy).is_ok());
    let error = plain.check_scheme(true, &policy).unwrap_err();
    assert!(error.is_address_refused());
    assert!(error.to_string().contains("use `https:`"), "{error}");
}

#[test]
fn names_of_inner_networks_are_taken_where_the_operator_allows_networks() {
    let config =
        EgressConfig { allow: vec!["10.0.0.0/8".parse().unwrap()], ..EgressConfig::default() };
    assert!(parse("http://hooks.internal/", &config).is_ok());
    assert!(parse("http://192.168.0.1/", &config).is_err());
}

#[test]
fn ports_are_checked_for_names_too() {
    let config = EgressConfig { ports: vec![443], ..EgressConfig::default() };
    assert!(parse("https://example.com/", &config).is_ok());
    let error = parse("https://example.com:22/", &config).unwrap_err();
    assert!(error.to_string().contains("`egress.ports`"), "{error}");
}

#[test]
fn the_request_line_says_what_was_registered() {
    let said = [
        ("https://example.com", "/", "example.com"),
        ("https://EXAMPLE.com:443/A/../b//c", "/A/../b//c", "example.com"),
        ("http://example.com:443?x=%2f%2F", "/?x=%2f%2F", "example.com:443"),
        ("http://[2606:4700::1111]:81/~a/(b)!", "/~a/(b)!", "[2606:4700::1111]:81"),
        ("https://bücher.example/ü?ä\"{}", "/%C3%BC?%C3%A4%22%7B%7D", "xn--bcher-kva.example"),
        ("https://example.com/100%", "/100%", "example.com"),
    ];
    for (url, uri, host) in said {
        let target = parse(url, &EgressConfig::default()).unwrap();
        assert_eq!(target.uri.to_string(), uri);
        assert_eq!(target.host_header, host);
    }
}

#[test]
fn a_long_url_is_refused() {
    let url = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX));
    assert!(parse(&url, &EgressConfig::default()).unwrap_err().is_invalid());
}
