//! SIGTERM and SIGINT: the server drains, and a running command completes. A second signal ends the process
//! at once.

use std::{future::Future, pin::pin};

use tokio::signal::unix::{Signal, SignalKind, signal};

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for the first signal; a second one ends the process at once.
pub fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new()?;
    Ok(async move {
        signals.next().await;
        #[expect(
            clippy::disallowed_methods,
            reason = "it must not be waited for: it is the way out of waiting"
        )]
        tokio::spawn(async move {
            signals.next().await;
            eprintln!("Stopped without waiting");
            std::process::exit(1);
        });
    })
}

/// Runs a command that must not stop in the middle: the first signal only prints a message.
///
/// # Errors
/// Signals cannot be watched. Nothing was run.
pub async fn to_its_end<T>(command: impl Future<Output = T>) -> std::io::Result<T> {
    let stopped = pin!(stopped()?);
    let mut command = pin!(command);
    tokio::select! {
        done = command.as_mut() => Ok(done),
        () = stopped => {
            eprintln!("Finishing the command; interrupt again to stop at once");
            Ok(command.await)
        }
    }
}
