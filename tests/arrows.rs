//! Which room of the crate may use which. ARCHITECTURE.md draws the map; this keeps it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room, what it may use, and why that and no more. A room uses only rooms above it in this
/// table, so there are no circles. A room that has a row of its own here, like `wheel::window`, is
/// apart from the folder that it lies in.
const ROOMS: &[(&str, &[&str], &str)] = &[
    ("error", &[], "everything fails in the same words, so it stands on nothing"),
    ("model", &["error"], "plain data without I/O, clock or random numbers"),
    ("config", &["error"], "reads settings and says which are wrong; it acts on none"),
    ("chance", &["error"], "random numbers, and the errors of a system that has none"),
    ("clock", &["model"], "the time is an instant of the model"),
    ("patience", &["clock"], "a connection that is given up by the clock, whoever serves it"),
    ("schedule", &["error", "model"], "pure: the answer and a random number in, a delay out"),
    (
        "round",
        &["error", "model"],
        "who wants a place and who gives one back in, whose turn it is out: no I/O, no clock",
    ),
    (
        "id_source",
        &["chance", "clock", "error", "model"],
        "UUIDv7 need the time and random numbers",
    ),
    ("vault", &["chance", "error", "model"], "seals secrets; random numbers for nonces"),
    (
        "provider",
        &["chance", "clock", "error", "model", "schedule"],
        "renders and signs; it neither sends nor stores",
    ),
    ("telemetry", &["error", "model"], "counts what others tell it; it asks nobody"),
    (
        "folder",
        &["error"],
        "a locked folder with sled in it; what is kept there is others' business",
    ),
    ("record", &["model", "provider", "schedule"], "a pure decision; the engine commits it"),
    (
        "store",
        &["clock", "error", "folder", "id_source", "model", "telemetry"],
        "keeps what it is given; it knows neither what is due now nor how it is sent",
    ),
    ("query", &["error", "model", "store"], "asks a store what is on record, and changes nothing"),
    ("wheel", &[], "ticks in, ids out: no I/O, no clock, no words of the domain"),
    (
        "wheel::window",
        &["clock", "error", "model", "store", "wheel"],
        "reads queues and hands on; it cannot send",
    ),
    (
        "dispatch",
        &["clock", "config", "error", "model", "provider", "round"],
        "sends what it is handed, never from the store: nothing is locked while a request runs",
    ),
    (
        "engine",
        &[
            "chance",
            "clock",
            "config",
            "dispatch",
            "error",
            "id_source",
            "model",
            "provider",
            "query",
            "record",
            "round",
            "schedule",
            "store",
            "telemetry",
            "vault",
            "wheel",
            "wheel::window",
        ],
        "puts the rooms together, and knows nobody who uses it",
    ),
    (
        "emit",
        &["clock", "dispatch", "engine", "error", "model", "store", "wheel::window"],
        "the engine's methods that accept events",
    ),
    (
        "history",
        &["engine", "error", "model", "query", "store", "wheel::window"],
        "the engine's methods that read and repeat",
    ),
    (
        "simulate",
        &[
            "chance",
            "clock",
            "config",
            "dispatch",
            "engine",
            "error",
            "folder",
            "history",
            "id_source",
            "model",
            "patience",
            "provider",
            "schedule",
        ],
        "a user of the engine, and the far end of its sockets; never its store: what \
         a listener remembers is a small tree of its own",
    ),
    (
        "measure",
        &[
            "clock",
            "dispatch",
            "engine",
            "error",
            "folder",
            "history",
            "id_source",
            "model",
            "store",
        ],
        "a user of the engine that times it; the store, to fill it as days of work would",
    ),
    (
        "api",
        &[
            "clock",
            "config",
            "engine",
            "error",
            "history",
            "model",
            "patience",
            "provider",
            "telemetry",
        ],
        "REST over the engine's handle; never the store",
    ),
    (
        "portal",
        &["clock", "config", "engine", "error", "history", "model", "provider"],
        "pages over the engine's handle; never the store",
    ),
    (
        "cli",
        &[
            "api",
            "clock",
            "config",
            "engine",
            "error",
            "folder",
            "history",
            "id_source",
            "measure",
            "model",
            "portal",
            "provider",
            "schedule",
            "simulate",
            "telemetry",
            "vault",
        ],
        "the outermost room: nothing uses it but the binary's door",
    ),
];

/// The crate's face and the binary's door: they name every room, and hold no logic.
const DOORS: [&str; 2] = ["lib.rs", "main.rs"];

/// A room named by another, and where.
struct Arrow {
    from: String,
    to: String,
    place: String,
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let path = file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        if DOORS.contains(&path.as_str()) {
            continue;
        }
        let arrows = arrows(&path, &fs::read_to_string(&file).unwrap());
        wrong.extend(arrows.iter().filter_map(complaint));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circles() {
    let mut above = BTreeSet::new();
    for (room, uses, _) in ROOMS {
        for used in *uses {
            assert!(above.contains(used), "`{room}` uses `{used}`, which does not stand above it");
        }
        assert!(above.insert(room), "`{room}` stands in the table twice");
    }
}

#[test]
fn forbidden_arrows_are_seen_however_they_are_written() {
    for (path, text) in [
        ("dispatch/run.rs", "use crate::store::Store;"),
        ("dispatch/run.rs", "use crate::{\n    error::Error,\n    store::{Change, Store},\n};"),
        ("dispatch/run.rs", "    let change = crate::store::Change::Enqueue(id, item);"),
        ("dispatch/mod.rs", "use super::store::Store;"),
        ("dispatch/tests/wire.rs", "use super::super::super::store::Store;"),
        ("wheel/mod.rs", "use crate::dispatch::lanes::Lanes;"),
        ("wheel/slab.rs", "use crate::wheel::window::Window;"),
        ("store/sled/mod.rs", "use crate::wheel::Wheel;"),
        ("api/endpoints.rs", "use crate::store::Store;"),
        ("engine/mod.rs", "use crate::cli::demo;"),
        ("record.rs", "use crate::engine::Engine;"),
        ("store/mod.rs", "use crate::Engine;"),
        ("unheard_of.rs", "use crate::error::Error;"),
    ] {
        let complaints: Vec<String> = arrows(path, text).iter().filter_map(complaint).collect();
        assert_eq!(complaints.len(), 1, "{path}: {text}: {complaints:?}");
    }
    for (path, text) in [
        ("engine/mod.rs", "use crate::store::{Change, Store};\nuse super::Engine;"),
        ("wheel/window.rs", "use crate::store::Store;\nuse crate::wheel::{TimerId, Wheel};"),
        ("store/mod.rs", "/// See [`Engine`](crate::Engine).\n// use crate::engine::Engine;"),
        ("dispatch/tests/wire.rs", "use super::super::pool::Pool;"),
    ] {
        let complaints: Vec<String> = arrows(path, text).iter().filter_map(complaint).collect();
        assert!(complaints.is_empty(), "{path}: {complaints:?}");
    }
}

/// What is wrong with an arrow, if anything is.
fn complaint(arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, place } = arrow;
    let Some((_, uses, why)) = ROOMS.iter().find(|(room, ..)| room == from) else {
        return Some(format!("{place}: room `{from}` is not in the table of tests/arrows.rs"));
    };
    if to == from || uses.contains(&to.as_str()) {
        return None;
    }
    if !is_room(to) {
        return Some(format!("{place}: `crate::{to}` is no room: name the room that it lives in"));
    }
    Some(format!("{place}: `{from}` may not use `{to}`: {why}"))
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|(room, ..)| *room == name)
}

/// The rooms that the file at `path`, below `src`, names.
fn arrows(path: &str, text: &str) -> Vec<Arrow> {
    let modules = module_path(path);
    let from = room(&modules);
    let code: String =
        text.lines().flat_map(|line| [line.split("//").next().unwrap(), "\n"]).collect();
    let mut arrows = Vec::new();
    let mut add = |at: usize, names: Vec<String>| {
        let line = code[..at].matches('\n').count() + 1;
        let place = format!("src/{path}:{line}");
        let arrow = |to| Arrow { from: from.clone(), to, place: place.clone() };
        arrows.extend(names.into_iter().map(arrow));
    };
    for (at, found) in code.match_indices("crate::") {
        add(at, names(&code[at + found.len()..]));
    }
    // As many `super::` as the file lies deep lead to the root too.
    let climb = "super::".repeat(modules.len());
    for (at, found) in code.match_indices(&climb) {
        let rest = code[at + found.len()..].trim_start_matches("super::");
        add(at, names(rest).into_iter().filter(|name| is_room(name)).collect());
    }
    arrows
}

/// The modules that lead to a file: `store/sled/mod.rs` is `store`, `sled`.
fn module_path(path: &str) -> Vec<&str> {
    let stem = path.strip_suffix(".rs").unwrap();
    stem.strip_suffix("/mod").unwrap_or(stem).split('/').collect()
}

/// The room that a module lies in: its folder, or a part of that with a row of its own.
fn room(modules: &[&str]) -> String {
    let part = modules.iter().take(2).copied().collect::<Vec<_>>().join("::");
    if is_room(&part) { part } else { modules.first().copied().unwrap_or_default().to_owned() }
}

/// The rooms that a path names whose text behind `crate::` is `rest`: one, or those of a group.
fn names(rest: &str) -> Vec<String> {
    match rest.strip_prefix('{') {
        None => vec![room(&path_start(rest))],
        Some(group) => members(group).iter().map(|member| room(&path_start(member))).collect(),
    }
}

/// The first two names of a path.
fn path_start(path: &str) -> Vec<&str> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    path[..end.unwrap_or(path.len())].split("::").take(2).collect()
}

/// The members of a group up to the brace that closes it.
fn members(group: &str) -> Vec<&str> {
    let (mut members, mut begin, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                members.push(group[begin..at].trim());
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
