//! The metrics: what a scrape says from the start, and what moves when something happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::harness::{Answer, Database, Person, Process};

/// The names of the metrics in a scrape, each with its kind; every one has a help text.
pub fn kinds(scrape: &str) -> BTreeMap<String, String> {
    let named = |begin: &str| {
        let lines = scrape.lines().filter_map(|line| line.strip_prefix(begin)?.split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect::<BTreeMap<_, _>>()
    };
    let (help, kinds) = (named("# HELP "), named("# TYPE "));
    let names = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&help), names(&kinds));
    assert!(help.values().all(|text| text.ends_with('.')), "{help:?}");
    kinds
}

/// The names that samples have: of a histogram, three.
pub fn sample_names(scrape: &str) -> BTreeSet<String> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_from_the_start_with_the_value_zero() {
    let database = Database::fresh().await;
    let process = Process::start(&database).await;
    let scrape = process.http.get("/metrics").await;
    assert_eq!(scrape.header("content-type"), "text/plain; version=0.0.4");
    let kinds = kinds(&scrape.text);
    for (name, kind) in [
        ("parlor_build_info", "gauge"),
        ("parlor_connections", "gauge"),
        ("parlor_refusals_total", "counter"),
        ("parlor_logins_total", "counter"),
        ("parlor_acknowledgement_duration_seconds", "histogram"),
        ("parlor_commit_duration_seconds", "histogram"),
        ("parlor_database_wait_seconds", "histogram"),
        ("parlor_http_request_duration_seconds", "histogram"),
    ] {
        assert_eq!(kinds.get(name).map(String::as_str), Some(kind), "{name}");
    }
    // A metric without a sample would be missing in an alarm.
    let samples = sample_names(&scrape.text);
    for (name, kind) in &kinds {
        let name = if kind == "histogram" { format!("{name}_bucket") } else { name.clone() };
        assert!(samples.contains(&name), "{name}");
    }
    let values = process.http.metrics().await;
    for (name, value) in &values {
        let is_counter = kinds.get(name.split('{').next().unwrap()).is_some_and(|kind| kind == "counter");
        assert!(!is_counter || name.starts_with("process_") || *value == 0.0, "{name} {value}");
    }
    for sample in [
        "parlor_refusals_total{code=\"unavailable\"}",
        "parlor_logins_total{result=\"wrong\"}",
        "parlor_connections_disconnected_total{reason=\"its queue is full\"}",
        "parlor_commits_total{path=\"transaction\"}",
        "parlor_gateway_connections{gateway=\"encrypted\"}",
        "parlor_http_request_duration_seconds_count{method=\"POST\",route=\"/api/rooms/{id}/join\"}",
    ] {
        assert_eq!(values.get(sample), Some(&0.0), "{sample}");
    }
    let version = format!(
        "parlor_build_info{{version=\"{}\",commit=\"{}\",date=\"{}\"}}",
        env!("CARGO_PKG_VERSION"),
        env!("PARLOR_COMMIT"),
        env!("PARLOR_DATE")
    );
    assert_eq!(values.get(&version), Some(&1.0));
    if cfg!(target_os = "linux") {
        for name in
            ["cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds"]
        {
            assert!(values[&format!("process_{name}")] > 0.0, "{name}");
        }
        let started = values["process_start_time_seconds"];
        let now = chrono::Utc::now().timestamp() as f64;
        assert!(started > now - 3_600.0 && started < now + 60.0, "{started} {now}");
    }
    drop(process);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_promtool), ignore = "promtool is not installed (Debian: prometheus)")]
async fn promtool_finds_nothing_to_say_about_a_scrape() {
    let database = Database::fresh().await;
    let process = Process::start(&database).await;
    let ada = process.online("ada").await;
    ada.posts_to("ada", "hello").await;
    process.http.get("/api/nowhere").await.is(404);
    let scrape = process.http.get("/metrics").await.text;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(scrape.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{said}", output.status);
    drop((ada, process));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_and_measured() {
    let database = Database::fresh().await;
    let process = Process::start(&database).await;
    let (ada, bob) = (process.person("ada").await, process.online("bob").await);
    // A connection is counted after its client has heard of it.
    let mut before = process.http.metrics().await;
    while before["parlor_connections_opened_total"] < 1.0 {
        tokio::task::yield_now().await;
        before = process.http.metrics().await;
    }
    let socket = ada.connect().await;
    socket.posts_to("bob", "hello").await;
    bob.sees_message("hello").await;
    let room = ada.makes_group("friends", &["bob"]).await;
    ada.get(&format!("/api/rooms/{room}/messages?limit=1")).await.is(200);
    ada.get(&format!("/api/rooms/{room}/messages?limit=2")).await.is(200);
    Person::tries_to_log_in(&process, "ada", "a wrong password").await.is(401);
    ada.logs_in_again().await;
    socket.is_refused("privateMessage", json!({ "receiver": "nobody", "content": "hi" }), "not_found").await;
    ada.connecting().with(json!({ "token": "bad" })).fails().await;
    process.http.get("/api/nowhere/at/all").await.is(404);
    let strange = process.http.request(http::Method::from_bytes(b"BREW").unwrap(), "/api/nowhere");
    Answer::to(strange).await;
    let after = process.http.metrics().await;

    let grown = |name: &str| {
        after.get(name).copied().unwrap_or_default() - before.get(name).copied().unwrap_or_default()
    };
    let took = |route: &str, method: &str| {
        grown(&format!("parlor_http_request_duration_seconds_count{{method=\"{method}\",route=\"{route}\"}}"))
    };
    assert_eq!(grown("parlor_messages_stored_total"), 1.0);
    assert_eq!(grown("parlor_connections_opened_total"), 1.0);
    assert_eq!(grown("parlor_logins_total{result=\"ok\"}"), 1.0);
    assert_eq!(grown("parlor_logins_total{result=\"wrong\"}"), 1.0);
    assert_eq!(grown("parlor_refusals_total{code=\"unauthorized\"}"), 1.0);
    assert_eq!(grown("parlor_refusals_total{code=\"token_invalid\"}"), 1.0);
    // An event, and two addresses.
    assert!(grown("parlor_refusals_total{code=\"not_found\"}") >= 2.0);
    assert_eq!(grown("parlor_commit_duration_seconds_count"), 1.0);
    assert_eq!(grown("parlor_acknowledgement_duration_seconds_count"), 1.0);
    assert!(
        grown("parlor_acknowledgement_duration_seconds_sum") >= grown("parlor_commit_duration_seconds_sum")
    );
    assert!(grown("parlor_commit_duration_seconds_sum") > 0.0);
    assert!(grown("parlor_database_wait_seconds_count") >= 1.0);
    assert_eq!(took("/api/rooms/{id}/messages", "GET"), 2.0, "by pattern, not by path");
    assert_eq!(took("/api/auth/login", "POST"), 2.0);
    assert!(took("(none)", "GET") >= 1.0);
    assert_eq!(took("(none)", "other"), 1.0);
    let labels =
        after.keys().filter(|name| name.contains(&room) || name.contains("nowhere") || name.contains("BREW"));
    assert_eq!(labels.count(), 0, "nothing that a client sends is a label");
    drop((bob, socket, process));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_in_the_operators_page_and_nothing_else() {
    let database = Database::fresh().await;
    let process = Process::start(&database).await;
    let scrape = process.http.get("/metrics").await.text;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    // In tables, with the labels behind the name.
    let named = page.split('`').filter(|text| text.starts_with("parlor_") || text.starts_with("process_"));
    let named: BTreeSet<&str> =
        named.filter_map(|text| text.split('{').next()).filter(|text| !text.contains(['.', ' '])).collect();
    let kinds = kinds(&scrape);
    let known: BTreeSet<&str> = kinds.keys().map(String::as_str).collect();
    assert_eq!(named, known);
    drop(process);
    database.remove().await;
}
