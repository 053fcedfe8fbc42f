//! What the figures were seen on, and what processes cost there, as Linux tells it.

use crate::error::{Error, Result};
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Ticks of a second in `/proc`: fixed, whatever the kernel's own are.
const TICKS_PER_SECOND: u64 = 100;
/// The kernel's number for file systems in memory.
const TMPFS: u64 = 0x0102_1994;

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of its cores we may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's version.
    pub kernel: String,
    /// Processes that wanted a core over the last minute, before we began: above a few tenths,
    /// others were at work too.
    pub load_before: f64,
    /// Whether the folder is in memory, where a sync costs nothing.
    pub folder_in_memory: bool,
}

impl Machine {
    /// This machine, and the disk of `folder`. What cannot be found out is left empty.
    pub(super) fn this(folder: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (cpu, memory, load) =
            (text("/proc/cpuinfo"), text("/proc/meminfo"), text("/proc/loadavg"));
        let cores = std::thread::available_parallelism();
        let disk = rustix::fs::statfs(folder);
        Self {
            processor: field(&cpu, "model name").unwrap_or_default().to_owned(),
            cores: cores.map_or(1, std::num::NonZero::get),
            memory_mib: kib(&memory, "MemTotal") / 1024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: first(&load).unwrap_or_default(),
            folder_in_memory: disk.is_ok_and(|disk| disk.f_type as u64 == TMPFS),
        }
    }
}

/// The processor time that a process has taken until now.
pub(super) fn processor_time(process: u32) -> Result<Duration> {
    let stat = read(process, "stat")?;
    // The name stands in brackets and may hold anything; user and system time come 12th after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The memory that a process holds now, in bytes.
pub(super) fn resident(process: u32) -> Result<u64> {
    Ok(kib(&read(process, "status")?, "VmRSS") * 1024)
}

/// The most memory that a process has held, in bytes.
pub(super) fn resident_at_most(process: u32) -> Result<u64> {
    Ok(kib(&read(process, "status")?, "VmHWM") * 1024)
}

/// Bytes that the files below `folder` take.
pub(super) fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    let failed = |error: std::io::Error| {
        Error::unavailable(format!("cannot look into `{}`: {error}", folder.display()))
            .with_source(error)
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        bytes += match entry.metadata().map_err(failed)? {
            held if held.is_dir() => folder_bytes(&entry.path())?,
            held => held.len(),
        };
    }
    Ok(bytes)
}

fn read(process: u32, what: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{process}/{what}")).map_err(|error| {
        Error::unavailable(format!("process {process} cannot be looked at: {error}"))
            .with_source(error)
    })
}

/// The value of a line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(held, _)| held.trim() == name).map(|(_, value)| value.trim())
}

fn kib(text: &str, name: &str) -> u64 {
    field(text, name).and_then(first).unwrap_or_default()
}

fn first<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let us = std::process::id();
        let resident = resident(us).unwrap();
        assert!(resident > 1 << 20 && resident <= resident_at_most(us).unwrap());
        assert!(processor_time(us).unwrap() < Duration::from_secs(3600));
        let machine = Machine::this(Path::new("."));
        assert!(machine.cores > 0 && machine.memory_mib > 0 && !machine.kernel.is_empty());
    }
}
