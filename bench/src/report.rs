//! The results as a Markdown table and as JSON. All figures are measured. Ratios are ratios of medians.

use std::{collections::BTreeMap, fmt::Write, process::Command};

use anyhow::Result;
use serde::Serialize;

use crate::{
    plan::{Run, values},
    server::{Contender, Programs},
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
    pub bun: String,
    pub rustc: String,
    pub load_average: String,
    pub when: String,
}

impl Machine {
    pub fn look(programs: &Programs) -> Self {
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
            node: programs.node.version().unwrap_or_default(),
            bun: programs.bun.version().unwrap_or_default(),
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
    let Machine { processor, processors, kernel, memory, commit, node, bun, rustc, load_average, when } =
        machine;
    let _ = writeln!(
        text,
        "`{}` at {commit} on {when}: {processors} × {processor}, {memory}, Linux {kernel}, Node {node}, \
         Bun {bun}, {rustc}; load average before {load_average}. Medians, with the least and the most of the runs in \
         brackets where there was more than one. A target with a bare × is a ratio to the better of Node and Bun.\n",
        command()
    );
    text.push_str(
        "| workload | figure | Parlor | Node | Bun | floor | ÷ Node | ÷ Bun | ÷ floor | must | aim | |\n",
    );
    text.push_str("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n");
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
    let shown = |contender| values.get(&contender).map(|values| show(values)).unwrap_or_default();
    let medians: Medians = values.iter().map(|(contender, values)| (*contender, median(values))).collect();
    let ratio = |contender| {
        let ratio =
            medians.get(&Contender::Parlor).zip(medians.get(&contender)).map(|(one, other)| one / other);
        ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default()
    };
    let (must, aim, verdict) = row.target.map(|target| judge(target, &medians)).unwrap_or_default();
    let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
    let mut line = format!("| {name} | {}{unit} |", row.what);
    for contender in [Contender::Parlor, Contender::Node, Contender::Bun, Contender::Floor] {
        let _ = write!(line, " {} |", shown(contender));
    }
    for contender in [Contender::Node, Contender::Bun, Contender::Floor] {
        let _ = write!(line, " {} |", ratio(contender));
    }
    let _ = writeln!(line, " {must} | {aim} | {verdict} |");
    line
}

type Medians = BTreeMap<Contender, f64>;

/// What a target asks for, in words, and whether it is met by the contenders that have run.
fn judge(target: Target, medians: &Medians) -> (String, String, &'static str) {
    let of = |contender| medians.get(&contender).copied();
    let better = [of(Contender::Node), of(Contender::Bun)].into_iter().flatten().reduce(f64::min);
    let within =
        |must: f64, aim: f64, suffix: &str| (format!("≤ {must}{suffix}"), format!("≤ {aim}{suffix}"));
    let times = |other: Option<f64>, must: f64, aim: f64| other.map(|other| (must * other, aim * other));
    let ((must, aim), bounds) = match target {
        Target::OfPeers(must, aim) => (within(must, aim, " ×"), times(better, must, aim)),
        Target::OfPeersOrFloor(must, aim, limit) => {
            let (must_text, aim_text) = within(must, aim, " ×");
            let floor = of(Contender::Floor).map_or(0.0, |floor| floor * limit);
            let bounds = times(better, must, aim).map(|(must, aim)| (must, aim.max(floor)));
            ((must_text, format!("{aim_text} or {limit} × floor")), bounds)
        }
        Target::OfNode(must, aim) => (within(must, aim, " × Node"), times(of(Contender::Node), must, aim)),
        Target::TimesNode(must, aim) => {
            ((format!("≥ {must} × Node"), format!("≥ {aim} × Node")), times(of(Contender::Node), must, aim))
        }
        Target::OfFloor(must, aim) => (within(must, aim, " × floor"), times(of(Contender::Floor), must, aim)),
        Target::AtMost(must, aim) => (within(must, aim, ""), Some((must, aim))),
    };
    let Some((value, (least, wanted))) = of(Contender::Parlor).zip(bounds) else { return (must, aim, "") };
    let holds = |bound: f64| match target {
        Target::TimesNode(..) => value >= bound,
        _ => value <= bound,
    };
    // An aim that is the floor's may be above what must be.
    let verdict = match (holds(least), holds(wanted)) {
        (false, _) => "**missed**",
        (true, false) => "must",
        (true, true) => "aim",
    };
    (must, aim, verdict)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(target: Target, medians: &[(Contender, f64)]) -> &'static str {
        judge(target, &medians.iter().copied().collect()).2
    }

    #[test]
    fn a_figure_is_judged_by_the_better_of_the_two_peers() {
        let target = Target::OfPeers(0.8, 0.5);
        let node = (Contender::Node, 10.0);
        let of = |parlor| [(Contender::Parlor, parlor), node, (Contender::Bun, 5.0)];
        assert_eq!(verdict(target, &of(4.5)), "**missed**");
        assert_eq!(verdict(target, &of(4.0)), "must");
        assert_eq!(verdict(target, &of(2.5)), "aim");
        assert_eq!(verdict(target, &[(Contender::Parlor, 4.5), node]), "aim");
        assert_eq!(verdict(target, &[node]), "");
    }

    #[test]
    fn an_aim_is_not_below_what_the_floor_allows() {
        let target = Target::OfPeersOrFloor(0.8, 0.6, 1.2);
        let of =
            |parlor, floor| [(Contender::Parlor, parlor), (Contender::Bun, 10.0), (Contender::Floor, floor)];
        assert_eq!(verdict(target, &of(7.0, 6.0)), "aim");
        assert_eq!(verdict(target, &of(7.0, 3.0)), "must");
        assert_eq!(verdict(target, &of(9.0, 6.0)), "**missed**");
        assert_eq!(verdict(target, &of(9.0, 8.0)), "**missed**");
    }
}
