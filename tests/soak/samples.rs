//! What the process holds, moment by moment: its memory as the kernel counts it, and its own gauges.

use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, Instant},
};

use crate::harness::{Http, Process};

/// Gauges of things that may be left over, which is what a soak is about; all others are counters.
const GAUGES: [&str; 11] = [
    "parlor_users_online",
    "parlor_connections",
    "parlor_gateway_connections",
    "parlor_rooms_resident",
    "parlor_subscriptions",
    "parlor_drafts_waiting",
    "parlor_catch_ups",
    "parlor_acknowledgements_awaited",
    "parlor_tasks",
    "parlor_tcp_connections",
    "parlor_engine_sessions",
];

#[derive(Clone, Debug)]
pub struct Sample {
    pub at: Duration,
    /// Resident memory in MiB.
    pub memory: f64,
    pub stored: f64,
    /// By name, with the label where there is one.
    pub gauges: BTreeMap<String, f64>,
}

pub struct Samples {
    http: Http,
    status: String,
    began: Instant,
    taken: Vec<Sample>,
}

impl Samples {
    pub fn new(process: &Process) -> Self {
        let status = format!("/proc/{}/status", process.pid());
        Self { http: process.http.clone(), status, began: Instant::now(), taken: Vec::new() }
    }

    pub async fn take(&mut self) -> Sample {
        let values = self.http.metrics().await;
        let is_gauge = |name: &str| {
            let bare = name.split('{').next().unwrap_or_default();
            GAUGES.contains(&bare) || bare == "parlor_engine_sessions_upgraded"
        };
        let sample = Sample {
            at: self.began.elapsed(),
            memory: self.memory(),
            stored: values.get("parlor_messages_stored_total").copied().unwrap_or_default(),
            gauges: values.into_iter().filter(|(name, _)| is_gauge(name)).collect(),
        };
        self.taken.push(sample.clone());
        sample
    }

    /// Resident memory in MiB.
    pub fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(&self.status).expect("the process runs, on Linux");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes / 1024.0
    }

    /// Takes samples until one is as wanted, or time is over; the last one.
    pub async fn take_until(&mut self, patience: Duration, wanted: impl Fn(&Sample) -> bool) -> Sample {
        let began = Instant::now();
        loop {
            let sample = self.take().await;
            if wanted(&sample) || began.elapsed() > patience {
                return sample;
            }
            self.taken.pop();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Some of them in Markdown, evenly spread, the first and the last included.
    pub fn table(&self, rows: usize) -> String {
        let columns: [(&str, &str); 8] = [
            ("connections", "parlor_connections"),
            ("TCP connections", "parlor_tcp_connections"),
            ("engine sessions", "parlor_engine_sessions"),
            ("rooms", "parlor_rooms_resident"),
            ("subscriptions", "parlor_subscriptions"),
            ("acks awaited", "parlor_acknowledgements_awaited"),
            ("catch-ups", "parlor_catch_ups"),
            ("tasks", "parlor_tasks"),
        ];
        let mut table = String::from("| minute | memory MiB | messages |");
        columns.iter().for_each(|(title, _)| write!(table, " {title} |").unwrap());
        table.push_str("\n|---:|---:|---:|");
        table.push_str(&"---:|".repeat(columns.len()));
        let last = self.taken.len() - 1;
        let mut shown: Vec<usize> = (0..rows).map(|row| row * last / (rows - 1)).collect();
        shown.dedup();
        for sample in shown.into_iter().map(|at| &self.taken[at]) {
            let minute = sample.at.as_secs_f64() / 60.0;
            write!(table, "\n| {minute:.1} | {:.1} | {} |", sample.memory, sample.stored).unwrap();
            for (_, gauge) in columns {
                write!(table, " {} |", sample.gauges.get(gauge).copied().unwrap_or_default()).unwrap();
            }
        }
        table
    }

    /// Mean memory of the second and of the last quarter: after the first, which is for warming up, it
    /// must not grow by more than a tenth.
    pub fn assert_flat(&self) {
        let quarter = self.taken.len() / 4;
        let mean = |part: &[Sample]| part.iter().map(|sample| sample.memory).sum::<f64>() / part.len() as f64;
        let second = mean(&self.taken[quarter..2 * quarter]);
        let last = mean(&self.taken[3 * quarter..]);
        println!("memory: {second:.1} MiB in the second quarter, {last:.1} MiB in the last");
        assert!(last <= second * 1.1, "memory grows: {second:.1} MiB, then {last:.1} MiB");
    }
}
