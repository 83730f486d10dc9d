//! `parlor doctor`: what is found, and how it is to be repaired.

use std::{net::TcpListener, process::Command};

use super::{Call, Folder, Server, line_of, text};
use crate::harness::{Database, parlor_with};

/// A call in a new folder, on a port that is free.
fn doctor(folder: &Folder, options: &str) -> Call {
    folder.parlor(&format!("{options} doctor")).env("PARLOR__SERVER__LISTEN", "127.0.0.1:0")
}

/// What it prints while it exits with 1.
#[track_caller]
fn finds_broken(call: Call) -> String {
    let output = call.output();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(err.starts_with("parlor: ") && err.contains("found something broken"), "{err}");
    out
}

#[test]
fn a_new_machine_is_ready_and_stays_as_it_was() {
    let folder = Folder::new();
    let found = doctor(&folder, "").succeeds().out;
    for line in [
        "ok       settings       are valid in development mode",
        "ok       port           127.0.0.1:0 is free",
        "ok       data folder    /",
        "ok       open files     ",
        "ok       clock          says 2",
        "ok       database       /",
        "ok       proxy          none",
        "ok       web client     is part of this program",
        "warning  socket client  node_modules/socket.io-client has no socket.io-client",
    ] {
        line_of(&found, line);
    }
    assert_eq!(found.lines().count(), 9, "one line each: {found}");
    assert!(folder.is_empty(), "it changes nothing");
}

#[test]
fn a_running_server_is_found_also_by_its_public_address() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let call = || folder.parlor("doctor").env("PARLOR__SERVER__LISTEN", &server.address);
    let public = format!("http://{}", server.address);
    let found = call().env("PARLOR__SERVER__PUBLIC_URL", &public).succeeds().out;
    let running = format!("ok       port           {} has a running server", server.address);
    line_of(&found, &running);
    line_of(&found, "ok       migrations     all ");
    line_of(&found, "ok       messages       there are none yet");
    let passed = line_of(&found, "ok       public address ");
    assert!(passed.ends_with("leads here, and passes WebSockets on"), "{passed}");

    // Another program there, which answers as a proxy without this server would.
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let elsewhere = other.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in other.incoming().flatten() {
            use std::io::{Read, Write};
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
        }
    });
    let found = call().env("PARLOR__SERVER__PUBLIC_URL", &format!("http://{elsewhere}")).succeeds().out;
    let strange = line_of(&found, "warning  public address ");
    assert!(strange.contains("it leads to another program") && strange.contains("deploy/"), "{strange}");
}

#[test]
fn a_port_of_another_program_is_named_with_the_repair() {
    let folder = Folder::new();
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    // It accepts nothing, so asking it ends by itself.
    let found = finds_broken(folder.parlor("doctor").env("PARLOR__SERVER__LISTEN", &address));
    let line = line_of(&found, "broken   port ");
    assert!(line.contains(&address) && line.contains("stop that program, or choose another"), "{line}");
    let elsewhere = folder.parlor("--mode production doctor").env("PARLOR__SERVER__LISTEN", "192.0.2.1:80");
    let found = finds_broken(elsewhere.env("PARLOR__TELEMETRY__METRICS", &address));
    line_of(&found, "broken   port           192.0.2.1:80 is no address of this machine");
    line_of(&found, "broken   metrics port ");
}

#[test]
fn a_folder_that_cannot_be_one_a_wrong_setting_and_a_database_that_is_away_are_broken() {
    let folder = Folder::new();
    folder.write("file", "not a folder");
    let found = finds_broken(doctor(&folder, "").env("PARLOR__DATABASE__URL", "sqlite://file/parlor.db"));
    let line = line_of(&found, "broken   data folder ");
    assert!(line.contains("is no folder") && line.contains("database.url"), "{line}");

    let wrong = doctor(&folder, "").env("PARLOR__AUTH__LEEWAY", "2m").env("PARLOR__SERVER__LISTNE", "a");
    let found = finds_broken(wrong);
    assert_eq!(found.lines().filter(|line| line.starts_with("broken   settings ")).count(), 2, "{found}");

    folder.write("other.db", &"what is this? ".repeat(1_000));
    let found = finds_broken(doctor(&folder, "").env("PARLOR__DATABASE__URL", "sqlite://other.db"));
    line_of(&found, "broken   database       file is not a database");
    let away =
        doctor(&folder, "").env("PARLOR__DATABASE__URL", "postgres://parlor:hunter2@127.0.0.1:1/parlor");
    let found = finds_broken(away.env("PARLOR__DATABASE__ACQUIRE_TIMEOUT", "1s"));
    assert!(line_of(&found, "broken   database ").contains("Connection refused"), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn few_descriptors_and_a_proxy_that_is_not_trusted_are_warnings() {
    let folder = Folder::new();
    let mut command = Command::new("sh");
    let script = "ulimit -n 200 && exec \"$0\" doctor";
    command.args(["-c", script, env!("CARGO_BIN_EXE_parlor")]).current_dir(folder.0.path()).env_clear();
    let call = Call { command, input: String::new() }.env("PARLOR__SERVER__LISTEN", "127.0.0.1:0");
    let line = line_of(&call.succeeds().out, "warning  open files ").to_owned();
    assert!(line.contains("118 connections") && line.contains("LimitNOFILE"), "{line}");

    for (trusted, expected) in [
        ("", "warning  proxy          HTTPS needs a proxy, and none is trusted"),
        ("192.0.2.1", "warning  proxy          the proxy must be on this machine"),
        ("127.0.0.1", "ok       proxy          127.0.0.1 may name the address of a client"),
    ] {
        let call = doctor(&folder, "--mode production").env("PARLOR__TELEMETRY__METRICS", "off");
        let call = call.env("PARLOR__SERVER__PUBLIC_URL", "https://chat.example.com");
        let found = call.env("PARLOR__SERVER__TRUSTED_PROXIES", trusted).succeeds().out;
        line_of(&found, expected);
        line_of(&found, "ok       public address https://chat.example.com was not asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn migrations_that_nobody_applies_are_broken_and_others_are_not() {
    let database = Database::postgres().await;
    let settings = |migrates: &'static str| {
        [
            ("PARLOR__SERVER__LISTEN", "127.0.0.1:0"),
            ("PARLOR__TELEMETRY__METRICS", "off"),
            ("PARLOR__AUTH__JWT_SECRET", super::GOOD_SECRET),
            ("PARLOR__DATABASE__AUTO_MIGRATE", migrates),
            ("PARLOR_MODE", "production"),
        ]
    };
    let said = parlor_with(&database, &["doctor"], &settings("false")).await;
    let line = line_of(&said.out, "broken   migrations ");
    assert!(line.contains("are not applied") && line.contains("parlor migrate up"), "{line}");
    said.refuses();
    let found = parlor_with(&database, &["doctor"], &settings("true")).await.succeeds();
    assert!(line_of(&found, "ok       migrations ").ends_with("the start applies them"), "{found}");
    parlor_with(&database, &["migrate", "up"], &settings("false")).await.succeeds();
    let found = parlor_with(&database, &["doctor"], &settings("false")).await.succeeds();
    line_of(&found, "ok       migrations     all ");
    database.remove().await;
}
