//! Reads `urls.txt`, the table of URLs that must and must not be reached. For unit and integration
//! tests alike.
#![allow(dead_code, reason = "no reader looks at every column")]

use std::net::IpAddr;

/// A line of the table.
pub struct Row {
    /// What is said when the URL is registered.
    pub registered: Verdict,
    /// What is said when it is connected to.
    pub connected: Verdict,
    /// The class.
    pub class: &'static str,
    /// The URL.
    pub url: String,
    /// What its name resolves to, with whether the address may be used.
    pub answer: Vec<(IpAddr, bool)>,
}

/// A kind of verdict and a part of its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    pub kind: &'static str,
    pub reason: &'static str,
}

/// All lines.
pub fn rows() -> Vec<Row> {
    let lines = include_str!("urls.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(row).collect()
}

fn row(line: &'static str) -> Row {
    let columns: Vec<&str> = line.split('\t').collect();
    let [registered, connected, class, url, ref rest @ ..] = columns[..] else {
        panic!("four columns or five: {line}");
    };
    Row {
        registered: verdict(registered),
        connected: verdict(connected),
        class,
        url: if url.starts_with('"') { serde_json::from_str(url).unwrap() } else { url.to_owned() },
        answer: answer(rest.first().unwrap_or(&"8.8.8.8")),
    }
}

fn verdict(text: &'static str) -> Verdict {
    let (kind, reason) = text.split_once(' ').unwrap_or((text, ""));
    Verdict { kind, reason }
}

fn answer(text: &str) -> Vec<(IpAddr, bool)> {
    let addresses = text.split(',').filter(|address| *address != "-");
    let read = |address: &str| match address.strip_prefix('!') {
        Some(left_alone) => (left_alone.parse().unwrap(), false),
        None => (address.parse().unwrap(), true),
    };
    addresses.map(read).collect()
}
