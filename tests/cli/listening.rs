//! When a server says that it listens.

use std::{
    io::Read,
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{Folder, Server, text};
use crate::harness::PATIENCE;

#[test]
fn a_server_says_that_it_listens_only_when_all_addresses_are_open() {
    let folder = Folder::new();
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("an address").to_string();
    for (listen, metrics) in [(format!("127.0.0.1:0,{taken}"), "same"), ("127.0.0.1:0".to_owned(), &*taken)] {
        let call = folder.parlor("serve").env("PARLOR__SERVER__LISTEN", &listen);
        let mut call = call.env("PARLOR__TELEMETRY__METRICS", metrics);
        call.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ended with the test, if it goes on instead of refusing.
        let child = call.command.spawn().expect("the program starts");
        let mut server = Server { child, address: String::new() };
        let begun = Instant::now();
        let status = loop {
            match server.child.try_wait().expect("it can be waited for") {
                Some(status) => break status,
                None => assert!(begun.elapsed() < PATIENCE, "it serves"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut bytes = (Vec::new(), Vec::new());
        server.child.stdout.take().expect("its output").read_to_end(&mut bytes.0).expect("readable");
        server.child.stderr.take().expect("its errors").read_to_end(&mut bytes.1).expect("readable");
        let (out, err) = (text(bytes.0), text(bytes.1));
        assert_eq!(status.code(), Some(1), "{out}{err}");
        assert_eq!(out, "", "{err}");
        assert!(!err.contains("listening") && err.contains(&taken), "{err}");
    }
}

#[test]
fn what_is_printed_can_be_used_at_once() {
    let folder = Folder::new();
    let call = folder.parlor("serve").env("PARLOR__SERVER__LISTEN", "127.0.0.1:0,127.0.0.1:0");
    let mut call = call.env("PARLOR__TELEMETRY__METRICS", "127.0.0.1:0");
    call.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = call.command.spawn().expect("the server starts");
    // Ended with the test, also if it fails.
    let mut server = Server { child, address: String::new() };
    let mut out = server.child.stdout.take().expect("its output");
    let mut said = String::new();
    let mut bytes = [0; 1024];
    // The line after the addresses.
    while !said.contains("\n  data ") {
        let length = out.read(&mut bytes).expect("readable");
        assert!(length > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    let addresses: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("listening on http://"))
        .map(|(_, address)| address)
        .collect();
    assert_eq!(addresses.len(), 2, "{said}");
    for address in addresses {
        std::net::TcpStream::connect(address).expect("it is open");
    }
}
