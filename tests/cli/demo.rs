//! `hookwheel demo`.

use crate::command;

#[test]
fn the_demo_keeps_its_promises_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    // Five times as fast as people watch it.
    let mut demo = command(&["demo", "--speed", "20000"]);
    let ran: crate::Ran = demo.env("TMPDIR", temporary.path()).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.err, "");
    assert!(!ran.out.contains("BROKEN"), "{}", ran.out);
    let row = |title: &str| {
        let table = ran.out.split_once("\nPROVIDER ").unwrap().1;
        let row = table.lines().find_map(|line| line.strip_prefix(title)).unwrap();
        row.split_whitespace().map(|cell| cell.parse().unwrap()).collect::<Vec<u32>>()
    };
    // Events, delivered, attempts, duplicates, refused signatures.
    assert_eq!(row("Yoco"), [3, 3, 11, 0, 0]);
    assert_eq!(row("OpenCard"), [5, 5, 9, 0, 0]);
    assert_eq!(row("Citizen Ticket"), [2, 2, 3, 1, 0]);
    assert_eq!(row("TicketNation"), [4, 4, 6, 0, 0]);
    assert_eq!(row("GoCardless"), [97, 97, 3, 0, 0]);
    assert_eq!(row("Standard Webhooks"), [3, 3, 4, 0, 0]);
    assert!(ran.out.lines().count() <= 100, "it fits a few screens");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
