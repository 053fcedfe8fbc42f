//! `hookwheel bench`: that it measures, checks what it measured, and says so to programs.

use super::run;
use serde_json::Value;

/// Rows that are quick even at a size at which their figures mean nothing.
const ROWS: [&str; 4] = ["floor", "embedded", "fan-out", "backlog"];

#[test]
fn what_is_asked_for_is_measured_and_written_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let (path, json) = (folder.path().to_str().unwrap(), folder.path().join("report.json"));
    let mut arguments = vec!["bench", "--tiny", "--folder", path, "--json", json.to_str().unwrap()];
    ROWS.iter().for_each(|row| arguments.extend(["--only", *row]));
    let ran = run(&arguments);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["row"].as_str().unwrap()).collect::<Vec<_>>(), ROWS);
    for row in rows {
        let (figures, goals) =
            (row["figures"].as_array().unwrap(), row["goals"].as_array().unwrap());
        for measured in figures.iter().chain(goals) {
            assert!(measured["value"].is_number(), "{measured}");
            assert!(ran.out.contains(measured["name"].as_str().unwrap()), "{measured}");
        }
        assert!(goals.iter().all(|goal| goal["reached"].is_boolean()), "{goals:?}");
    }
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    // Nothing but the report is left behind.
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_unknown_row_is_refused_with_those_that_there_are() {
    let ran = run(&["bench", "--only", "nonsense"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("fan-out") && ran.out.is_empty(), "{}", ran.err);
}
