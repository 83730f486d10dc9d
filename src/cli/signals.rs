//! SIGTERM, SIGINT, SIGQUIT and SIGHUP: the server drains, and a running command completes. A second signal
//! ends the process at once.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// Within this time, a second signal other than SIGTERM counts as part of the first one. Ctrl-C reaches every
/// process of a terminal, and a program that started this one often passes it on; a terminal that closes, and
/// systemd, may send SIGHUP on top.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

struct Signals(Vec<(SignalKind, Signal)>);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        // `nohup` means that the server is to stay when its terminal closes.
        if !hangup_is_ignored() {
            kinds.push(SignalKind::hangup());
        }
        let signals = kinds.into_iter().map(|kind| Ok((kind, signal(kind)?)));
        Ok(Self(signals.collect::<std::io::Result<_>>()?))
    }

    async fn next(&mut self) -> SignalKind {
        poll_fn(|cx| {
            for (kind, signal) in &mut self.0 {
                if signal.poll_recv(cx).is_ready() {
                    return Poll::Ready(*kind);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Whether this process was started with SIGHUP ignored. Only Linux tells.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Waits for the first signal. A second one calls `hurry`, and ends the process at once.
pub fn stopped(hurry: impl FnOnce() + Send + 'static) -> std::io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new()?;
    Ok(async move {
        signals.next().await;
        let first = Instant::now();
        #[expect(
            clippy::disallowed_methods,
            reason = "it must not be waited for: it is the way out of waiting"
        )]
        tokio::spawn(async move {
            while signals.next().await != SignalKind::terminate() && first.elapsed() < ONE_SIGNAL {}
            hurry();
            std::process::exit(1);
        });
    })
}

/// Runs a command that must not stop in the middle: the first signal only prints a message.
///
/// # Errors
/// Signals cannot be watched. Nothing was run.
pub async fn to_its_end<T>(command: impl Future<Output = T>) -> std::io::Result<T> {
    let stopped = pin!(stopped(|| eprintln!("Stopped without waiting"))?);
    let mut command = pin!(command);
    tokio::select! {
        done = command.as_mut() => Ok(done),
        () = stopped => {
            eprintln!("Finishing the command; interrupt again to stop at once");
            Ok(command.await)
        }
    }
}
