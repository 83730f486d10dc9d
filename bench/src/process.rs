//! The operating system's counts for a process.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Processor time so far, user and system. It is counted in ticks of 10 ms, so measure half a second or more.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat =
        fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The name may contain anything. After its closing bracket there are numbers; the 12th and 13th are the
    // times.
    let (_, numbers) = stat.rsplit_once(')').context("a strange /proc/…/stat")?;
    let mut times = numbers.split_whitespace().skip(11);
    let mut ticks =
        || times.next().and_then(|ticks| ticks.parse::<u64>().ok()).context("a strange /proc/…/stat");
    let ticks = ticks()? + ticks()?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The same for this process, the load generator.
pub fn own_cpu() -> Result<Duration> {
    cpu(std::process::id())
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

/// The number of open files and sockets.
pub fn open_files(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Raises the limit on open files for this process and the servers that it starts, as far as the machine
/// permits.
pub fn allow_open_files(wanted: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < wanted) {
        let current = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        anyhow::ensure!(current >= wanted, "{wanted} open files are needed, `ulimit -Hn` allows {current}");
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum })?;
    }
    Ok(())
}
