//! What systemd, or another supervisor with the same protocol, wants to know: that the server is ready, that it stops,
//! and that it is alive. The messages are sd_notify's; nothing is sent where nobody listens.

#[cfg(target_os = "linux")]
use std::os::{linux::net::SocketAddrExt, unix::ffi::OsStrExt};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
    time::Duration,
};

use tokio::time::MissedTickBehavior;

/// The supervisor of this process, if there is one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supervisor {
    address: Option<OsString>,
}

impl Supervisor {
    /// The one that the environment names.
    pub fn of_environment() -> Self {
        Self { address: std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) }
    }

    /// The server accepts connections. From now on the supervisor is told that the server is alive, as often as it
    /// asks for (`WATCHDOG_USEC`, for this process): the runtime that serves the clients does it.
    pub fn ready(&self) {
        self.send("READY=1");
        if let Some(interval) = watchdog_interval() {
            let supervisor = self.clone();
            #[expect(clippy::disallowed_methods, reason = "it ends with the process: a drain is alive, too")]
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(interval);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    supervisor.send("WATCHDOG=1");
                }
            });
        }
    }

    /// The server drains, and then ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, message: &str) {
        let Some(address) = &self.address else { return };
        if let Err(err) = send_to(address, message) {
            tracing::warn!(error = %err, message, "the supervisor cannot be told");
        }
    }
}

fn send_to(address: &OsStr, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    // A supervisor that does not read must not block the server.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &parsed(address)?).map(drop)
}

fn parsed(address: &OsStr) -> io::Result<SocketAddr> {
    // An abstract name, which is in no file system.
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_bytes().strip_prefix(b"@") {
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(address)
}

/// Half of the time after which the supervisor would give this process up.
fn watchdog_interval() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    let is_mine = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
    let micros: u64 = variable("WATCHDOG_USEC").filter(|_| is_mine)?.parse().ok()?;
    (micros > 1).then(|| Duration::from_micros(micros / 2))
}
