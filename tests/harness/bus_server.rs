//! A real NATS or Redis of the test's own.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long it may take to come up.
const COMES_UP: Duration = Duration::from_secs(60);

/// See the module. Dropping it stops the server.
pub struct BusServer {
    program: &'static str,
    port: u16,
    child: Option<Child>,
}

impl BusServer {
    pub fn nats() -> Self {
        Self::start("nats-server")
    }

    pub fn redis() -> Self {
        Self::start("redis-server")
    }

    fn start(program: &'static str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { program, port, child: None };
        server.starts();
        server
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn starts(&mut self) {
        let port = self.port.to_string();
        let arguments: &[&str] = match self.program {
            "nats-server" => &["-a", "127.0.0.1", "-p", &port],
            _ => &["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"],
        };
        let mut command = Command::new(self.program);
        let command =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("the server can be run"));
        let address = self.address();
        let deadline = Instant::now() + COMES_UP;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{} does not listen", self.program);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it: nobody is told.
    pub fn dies(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Drop for BusServer {
    fn drop(&mut self) {
        self.dies();
    }
}
