//! What a supervisor such as systemd is told, by the protocol of sd_notify.

use std::os::linux::net::SocketAddrExt;

use tempfile::TempDir;
use tokio::net::UnixDatagram;

use crate::harness::{Database, Process, in_time};

async fn told(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let length = in_time("a message to the supervisor", socket.recv(&mut bytes)).await.unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_learns_that_the_server_is_ready_alive_and_stopping() {
    let database = Database::fresh().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let name = format!("parlor-test-{}", std::process::id());
    let abstract_name = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let in_kernel = std::os::unix::net::UnixDatagram::bind_addr(&abstract_name).unwrap();
    in_kernel.set_nonblocking(true).unwrap();
    for (address, socket) in [
        (path.to_str().unwrap().to_owned(), UnixDatagram::bind(&path).unwrap()),
        (format!("@{name}"), UnixDatagram::from_std(in_kernel).unwrap()),
    ] {
        let env = [("NOTIFY_SOCKET", address.as_str()), ("WATCHDOG_USEC", "200000")];
        let mut process = Process::with(&database, &env).await;
        assert_eq!(told(&socket).await, "READY=1");
        process.http.get("/healthz").await.is(200);
        for _ in 0..3 {
            assert_eq!(told(&socket).await, "WATCHDOG=1");
        }
        process.signal("TERM").await;
        while told(&socket).await == "WATCHDOG=1" {}
        assert!(process.exits().await.success(), "{}", process.written());
    }
    database.remove().await;
}

/// A supervisor that asks for no sign of life, or of another process, gets none; one that has gone is no reason to stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_has_gone_or_asks_another_process_changes_nothing() {
    let database = Database::fresh().await;
    let env = [("NOTIFY_SOCKET", "/nowhere/notify"), ("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let mut process = Process::with(&database, &env).await;
    process.http.get("/healthz").await.is(200);
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
    database.remove().await;
}
