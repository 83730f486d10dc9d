//! What the system knows of this process, under the names that Prometheus' own libraries use. Where there is no
//! `/proc`, only the limit of descriptors is known.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::DescriptorEncoder,
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};

use super::show;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge =
            |name: &str, help: &str, value: u64| show(&mut encoder, name, help, &ConstGauge::new(value));
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            gauge("process_max_fds", "Maximum number of open file descriptors.", limit)?;
        }
        if let Some(open) = open_descriptors() {
            gauge("process_open_fds", "Number of open file descriptors.", open)?;
        }
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let Some(stat) = Stat::of(&stat) else { return Ok(()) };
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", stat.virtual_bytes)?;
        let resident = stat.resident_pages.saturating_mul(page_size() as u64);
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident)?;
        let ticks = clock_ticks_per_second() as f64;
        let cpu = ConstCounter::new(stat.cpu_ticks as f64 / ticks);
        let help = "Total user and system CPU time spent in seconds.";
        show(&mut encoder, "process_cpu_seconds", help, &cpu)?;
        if let Some(boot) = boot_time() {
            let start = ConstGauge::new(boot as f64 + stat.start_ticks as f64 / ticks);
            let help = "Start time of the process since unix epoch in seconds.";
            show(&mut encoder, "process_start_time_seconds", help, &start)?;
        }
        Ok(())
    }
}

/// The fields of `/proc/self/stat` that are needed.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    /// Since the system started.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn of(line: &str) -> Option<Self> {
        // The second field is the name of the program, which may have any characters.
        let (_, fields) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // proc(5) counts from 1, and two fields are before these.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// Newer kernels say it at once; in older ones the entries have to be counted.
fn open_descriptors() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        // Without the descriptor of the folder itself, which is open meanwhile.
        0 => fs::read_dir(FOLDER).ok().map(|entries| (entries.count() as u64).saturating_sub(1)),
        open => Some(open),
    }
}

/// When the system started, in seconds since 1970.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_may_have_any_characters() {
        let line = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 9 0 12345 1000000 250 18446744073709551615";
        let expected =
            Stat { cpu_ticks: 200, start_ticks: 12_345, virtual_bytes: 1_000_000, resident_pages: 250 };
        assert_eq!(Stat::of(line), Some(expected));
        assert_eq!(Stat::of("7 (a) S 1"), None);
    }
}
