//! The results as a Markdown table and as JSON. All figures are measured. Ratios are ratios of medians.

use std::{fmt::Write, process::Command};

use anyhow::Result;
use serde::Serialize;

use crate::{
    plan::{Run, values},
    server::Contender,
    workload::{Row, Target, Workload},
};

/// The environment that the figures depend on.
#[derive(Serialize)]
pub struct Machine {
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
    pub memory: String,
    pub commit: String,
    pub node: String,
    pub rustc: String,
    pub load_average: String,
    pub when: String,
}

impl Machine {
    pub fn look() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |path: &str, name: &str| {
            let text = file(path);
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(0, Into::into),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory: field("/proc/meminfo", "MemTotal"),
            commit: said("git", &["describe", "--always", "--dirty"]),
            node: said("node", &["--version"]),
            rustc: said("rustc", &["--version"]),
            load_average: file("/proc/loadavg").trim().to_owned(),
            when: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        }
    }
}

/// The output of a program. Empty if the program is not installed.
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[derive(Serialize)]
struct Results<'a> {
    machine: &'a Machine,
    command: String,
    runs: &'a [Run],
}

pub fn json(machine: &Machine, runs: &[Run]) -> Result<String> {
    Ok(serde_json::to_string_pretty(&Results { machine, command: command(), runs })?)
}

fn command() -> String {
    let args: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo run -p bench --release -- {}", args.join(" "))
}

pub fn markdown(machine: &Machine, workloads: &[&Workload], runs: &[Run]) -> String {
    let mut text = String::new();
    let Machine { processor, processors, kernel, memory, commit, node, rustc, load_average, when } = machine;
    let _ = writeln!(
        text,
        "`{}` at {commit} on {when}: {processors} × {processor}, {memory}, Linux {kernel}, Node {node}, {rustc}; load \
         average before {load_average}. Medians, with the least and the most of the runs in brackets where there was \
         more than one.\n",
        command()
    );
    text.push_str("| workload | figure | Parlor | Node | floor | ratio | must | aim | |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---:|---:|---|\n");
    for workload in workloads {
        for (at, row) in workload.rows.iter().enumerate() {
            let name = if at == 0 { workload.name } else { "" };
            text.push_str(&line(name, workload, row, runs));
        }
    }
    text
}

fn line(name: &str, workload: &Workload, row: &Row, runs: &[Run]) -> String {
    let values = values(runs, workload.name, row.figure);
    let median_of = |contender| values.get(&contender).map(|values| median(values));
    let shown = |contender| values.get(&contender).map(|values| show(values)).unwrap_or_default();
    let (parlor, node) = (median_of(Contender::Parlor), median_of(Contender::Node));
    let of = |other: Option<f64>| parlor.zip(other).map(|(one, other)| one / other);
    let (ratio, judged) = match row.target {
        Some(Target::OfFloor(..)) => (of(median_of(Contender::Floor)), of(median_of(Contender::Floor))),
        Some(Target::AtMost(..)) => (of(node), parlor),
        _ => (of(node), of(node)),
    };
    let (must, aim, verdict) = match row.target {
        None => (String::new(), String::new(), ""),
        Some(target) => judge(target, judged),
    };
    let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
    let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
    format!(
        "| {name} | {}{unit} | {} | {} | {} | {ratio} | {must} | {aim} | {verdict} |\n",
        row.what,
        shown(Contender::Parlor),
        shown(Contender::Node),
        shown(Contender::Floor),
    )
}

fn judge(target: Target, judged: Option<f64>) -> (String, String, &'static str) {
    let (sign, suffix, must, aim, high) = match target {
        Target::OfNode(must, aim) => ("≤", " ×", must, aim, false),
        Target::TimesNode(must, aim) => ("≥", " ×", must, aim, true),
        Target::OfFloor(must, aim) => ("≤", " × floor", must, aim, false),
        Target::AtMost(must, aim) => ("≤", "", must, aim, false),
    };
    let holds = |bound: f64| judged.is_some_and(|value| if high { value >= bound } else { value <= bound });
    let verdict = match judged {
        None => "",
        Some(_) if holds(aim) => "aim",
        Some(_) if holds(must) => "must",
        Some(_) => "**missed**",
    };
    (format!("{sign} {must}{suffix}"), format!("{sign} {aim}{suffix}"), verdict)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

fn show(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        1 => digits(values[0]),
        _ => format!("{} ({}–{})", digits(median(values)), digits(least), digits(most)),
    }
}

fn digits(value: f64) -> String {
    match value.abs() {
        _ if value.is_infinite() => "never".to_owned(),
        size if size >= 1_000.0 => {
            let whole = format!("{value:.0}");
            let split = whole.len() - 3;
            format!("{} {}", &whole[..split], &whole[split..])
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
