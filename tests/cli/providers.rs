//! `hookwheel providers`. The snapshots are what the commands print, with the version put in.

use crate::{command, run, snapshot};

#[test]
fn the_table_lists_every_provider() {
    let ran = run(&["providers"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out, snapshot(include_str!("providers.txt")));
}

#[test]
fn one_is_explained_with_whose_word_each_line_is() {
    let ran = run(&["providers", "show", "ticketnation"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out, snapshot(include_str!("ticketnation.txt")));
}

#[test]
fn lines_of_every_explanation_fit_a_terminal() {
    for name in ["citizen-ticket", "gocardless", "opencard", "standard-webhooks", "yoco"] {
        let ran = run(&["providers", "show", name]);
        assert_eq!(ran.code, 0, "{name}");
        let widest = ran.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{name}: {widest} columns");
    }
}

#[test]
fn an_unknown_one_is_refused_with_the_known() {
    let ran = run(&["providers", "show", "nobody"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.starts_with("error: provider `nobody` is unknown: known are"), "{}", ran.err);
}

#[test]
fn providers_of_ones_own_come_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let own = include_str!("../../schedules/ticketnation.toml").replace("ticketnation\"", "mine\"");
    std::fs::write(folder.path().join("mine.toml"), &own).unwrap();
    let path = folder.path().to_str().unwrap();
    for arguments in [
        ["providers", "--folder", path, "show", "mine"],
        ["providers", "show", "mine", "--folder", path],
    ] {
        let ran = run(&arguments);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.starts_with("TicketNation (mine)\n"), "{}", ran.out);
    }
    std::fs::write(folder.path().join("mine.toml"), own.replace("\"10s\"", "\"soon\"")).unwrap();
    let ran = run(&["providers", "--folder", path]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("mine.toml:") && ran.err.contains("`delivery.timeout`"),
        "{}",
        ran.err
    );
}

#[test]
fn colour_is_there_only_where_it_is_wanted() {
    let plain = run(&["providers"]);
    assert!(!plain.out.contains('\u{1b}'));
    let forced = command(&["providers"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(forced.stdout.contains(&0x1b));
    let mut refused = command(&["providers"]);
    let refused = refused.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert!(!refused.stdout.contains(&0x1b));
}
