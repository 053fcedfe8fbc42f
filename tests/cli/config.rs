//! `hookwheel config`: what counts more, where it comes from, and what is refused.

use crate::Ran;
use std::path::Path;
use std::process::Command;

/// Runs `hookwheel config` in `folder` with this environment alone.
fn config(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
    command.env_clear().envs(environment.iter().copied()).current_dir(folder);
    command.arg("config").args(arguments).output().unwrap().into()
}

/// A folder with a configuration file of this text.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hookwheel.toml"), text).unwrap();
    folder
}

/// The line of the setting that begins with `key`.
fn line<'a>(ran: &'a Ran, key: &str) -> &'a str {
    assert_eq!(ran.code, 0, "{}", ran.err);
    let begin = format!("{key} = ");
    let mut lines =
        ran.out.lines().filter(|line| line.trim_start_matches("# ").starts_with(&begin));
    let line = lines.next().unwrap_or_else(|| panic!("no `{key}` in\n{}", ran.out));
    assert_eq!(lines.next(), None, "`{key}` is there twice");
    line
}

const FILE: &str = "\
retention_days = 7
listen = '127.0.0.1:9000'

[api]
body_max_bytes = 1000
request_seconds = 1

[egress]
allow = ['10.0.0.0/8']
";

#[test]
fn flags_count_more_than_the_environment_and_that_more_than_the_file() {
    let folder = folder(FILE);
    let ran = config(
        folder.path(),
        &[
            ("HOOKWHEEL_LISTEN", "127.0.0.1:9001"),
            ("HOOKWHEEL_API__BODY_MAX_BYTES", "2000"),
            ("HOOKWHEEL_EGRESS__PORTS", "443, 8443"),
            ("HOOKWHEEL_LOG", "debug"),
        ],
        &["--listen", "127.0.0.1:9002", "--set", "api.requests_burst=9", "--development"],
    );
    for (key, expected) in [
        ("retention_days", "retention_days = 7  # file hookwheel.toml:1"),
        ("request_seconds", "request_seconds = 1  # file hookwheel.toml:6"),
        ("allow", "allow = [\"10.0.0.0/8\"]  # file hookwheel.toml:9"),
        ("body_max_bytes", "body_max_bytes = 2000  # environment HOOKWHEEL_API__BODY_MAX_BYTES"),
        ("ports", "ports = [443,8443]  # environment HOOKWHEEL_EGRESS__PORTS"),
        ("filter", "filter = \"debug\"  # environment HOOKWHEEL_LOG"),
        ("listen", "listen = \"127.0.0.1:9002\"  # flag --listen"),
        ("requests_burst", "requests_burst = 9  # flag --set"),
        ("development", "development = true  # flag --development"),
        ("connections_max", "connections_max = 1024  # default"),
        ("public_url", "# public_url =  # default"),
    ] {
        assert_eq!(line(&ran, key), expected);
    }
}

#[test]
fn what_is_printed_is_a_configuration_file_that_says_the_same() {
    let first = folder(FILE);
    let printed = config(first.path(), &[], &["--set", "public_url=https://hooks.example"]);
    let second = folder(&printed.out);
    let again = config(second.path(), &[], &[]);
    let values = |ran: &Ran| {
        let values = ran.out.lines().map(|line| line.split("  # ").next().unwrap().to_owned());
        values.collect::<Vec<_>>()
    };
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(values(&again), values(&printed));
}

#[test]
fn the_file_is_the_one_that_is_named_first() {
    let (here, named, given) =
        (folder("retention_days = 1"), folder("retention_days = 2"), folder("retention_days = 3"));
    let path = |folder: &tempfile::TempDir| folder.path().join("hookwheel.toml");
    let (named, given) = (path(&named), path(&given));
    let variable = [("HOOKWHEEL_CONFIG", named.to_str().unwrap())];
    let flag = ["--config", given.to_str().unwrap()];
    let days = |ran: Ran| line(&ran, "retention_days").to_owned();

    assert!(days(config(here.path(), &[], &[])).starts_with("retention_days = 1 "));
    assert!(days(config(here.path(), &variable, &[])).starts_with("retention_days = 2 "));
    assert!(days(config(here.path(), &variable, &flag)).starts_with("retention_days = 3 "));

    let missing = config(here.path(), &[("HOOKWHEEL_CONFIG", "/nowhere/h.toml")], &[]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("/nowhere/h.toml cannot be read"), "{}", missing.err);
}

#[test]
fn wrong_settings_are_named_with_their_place_and_what_would_be_right() {
    let nothing = "";
    for (file, environment, arguments, expected) in [
        (
            "\n[api]\nbody_max_byte = 1",
            &[][..],
            &[][..],
            "`api.body_max_byte` is no setting: did you mean `api.body_max_bytes`? \
             (file hookwheel.toml:3)",
        ),
        (
            "[api]\nbody_max_bytes = '1 MiB'",
            &[],
            &[],
            "`api.body_max_bytes` is `1 MiB`: expected a whole number, 0 or more \
             (file hookwheel.toml:2)",
        ),
        ("api = 3", &[], &[], "`api` is a table: write `[api]`"),
        ("public_url = nan", &[], &[], "`public_url` is `null`: expected text"),
        ("listen = ", &[], &[], "file hookwheel.toml:1: "),
        (
            nothing,
            &[("HOOKWHEEL_API__BODY_MAX_BITES", "1")],
            &[],
            "environment variable `HOOKWHEEL_API__BODY_MAX_BITES` is no setting: did you mean \
             `HOOKWHEEL_API__BODY_MAX_BYTES`?",
        ),
        (
            nothing,
            &[("HOOKWHEEL_EGRESS__ALLOW", "10.0.0.0/8,internal")],
            &[],
            "expected a list of networks, like `10.0.0.0/8` (environment HOOKWHEEL_EGRESS__ALLOW)",
        ),
        (
            nothing,
            &[],
            &["--set", "log.format=xml"],
            "`log.format` is `xml`: expected `text` or `json` (flag --set)",
        ),
        (
            nothing,
            &[],
            &["--listen", "localhost"],
            "`listen` is `localhost`: expected an address with a port, like `127.0.0.1:8071` \
             (flag --listen)",
        ),
        ("in_flight_max = 0", &[], &[], "`in_flight_max` (file hookwheel.toml:1) must be above 0"),
        (nothing, &[("HOOKWHEEL_LOG", "a=b=c")], &[], "`log.filter` (environment HOOKWHEEL_LOG)"),
        (nothing, &[], &["--set", "tls_key_file=k"], "needs `tls_certificate_file` as well"),
        (
            nothing,
            &[],
            &["--public-url", "https://me:hunter2@hooks.example"],
            "`public_url` (flag --public-url) must be",
        ),
    ] {
        let folder = folder(file);
        for check in [&[][..], &["--check"]] {
            let ran = config(folder.path(), environment, &[arguments, check].concat());
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{expected}");
            assert!(ran.err.contains(expected), "{expected}\n{}", ran.err);
            assert!(!ran.err.contains("hunter2"), "{}", ran.err);
        }
    }
}

#[test]
fn right_settings_are_said_to_be_right_and_secrets_are_not_shown() {
    let folder = folder(FILE);
    let key = [("HOOKWHEEL_MASTER_KEY", "c2VjcmV0"), ("HOOKWHEEL_TOKEN", "token")];
    let checked = config(folder.path(), &key, &["--check"]);
    assert_eq!((checked.code, checked.out.as_str()), (0, "the settings are right\n"));
    let printed = config(folder.path(), &key, &[]);
    assert!(printed.out.contains("# master key: *** (environment HOOKWHEEL_MASTER_KEY)"));
    assert!(!printed.out.contains("c2VjcmV0"));

    let secret = [("HOOKWHEEL_FRONTS_GOCARDLESS_SECRET", "c2VjcmV0")];
    let flags =
        ["--fronts-listen", "127.0.0.1:1", "--fronts-gocardless-url", "https://shop.example/"];
    let printed = config(folder.path(), &secret, &flags);
    let told = "endpoint: *** (environment HOOKWHEEL_FRONTS_GOCARDLESS_SECRET)";
    assert!(printed.out.contains(told) && !printed.out.contains("c2VjcmV0"), "{}", printed.out);
    assert!(config(folder.path(), &[], &flags).out.contains("endpoint: made at the start"));
}

#[test]
fn completions_are_what_their_shell_can_read() {
    let ran = crate::run(&["completions", "bash"]);
    assert_eq!(ran.code, 0);
    let mut shell = Command::new("bash");
    let read = shell.args(["-n", "-c", &ran.out]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert!(ran.out.contains("simulate") && ran.out.contains("--url"));
    assert_eq!(crate::run(&["completions", "cobol"]).code, 2);
}
