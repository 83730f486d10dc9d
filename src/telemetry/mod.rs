//! The log of the process. No token, no password and no message content is ever logged. Log entries
//! refer to things by id, and the field names are the same everywhere (`room.id`, `user.id`, `connection.id`,
//! `request.id`).

mod log_writer;

use std::{
    fs::{File, Permissions},
    os::{fd::AsFd, unix::fs::PermissionsExt},
};

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

pub use self::log_writer::{LogWriter, lost_lines};

/// The commit that this program was built from; empty if that was not known.
pub const COMMIT: &str = env!("PARLOR_COMMIT");
/// The day of the source, in UTC; empty if that was not known.
pub const DATE: &str = env!("PARLOR_DATE");
/// The version of this program, and what it was built from as far as that was known.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("PARLOR_SOURCE"));

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for people to read.
    Readable,
    /// One JSON object per line.
    Json,
}

/// Libraries that would log what clients wrote, or as an error what Parlor itself says and repairs. They are off at every
/// level.
const NEVER: [&str; 5] =
    ["socketioxide=off", "engineioxide=off", "sqlx=off", "tungstenite=off", "async_nats=off"];

/// Starts logging to standard error, for a command: each line is written before the command continues.
/// `RUST_LOG` takes precedence over `level`, but cannot switch on the libraries in [`NEVER`].
pub fn start_command_log(level: &str) -> anyhow::Result<()> {
    start(Format::Readable, level, std::io::stderr)
}

/// Starts logging to standard error, for a server: nothing waits for a line to be written. Panics are log
/// entries, too. `level` is as in [`start_command_log`].
pub fn start_server_log(format: Format, level: &str) -> anyhow::Result<LogWriter> {
    let writer = LogWriter::start(std::io::stderr()).context("the log cannot be started")?;
    start(format, level, writer.clone())?;
    // The default hook writes to standard error by itself, and would wait for a blocked terminal.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(writer)
}

fn start<W>(format: Format, level: &str, writer: W) -> anyhow::Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| level.to_owned());
    let mut filter: EnvFilter =
        directives.parse().with_context(|| format!("{directives:?} is not a log filter"))?;
    for directive in NEVER {
        filter = filter.add_directive(directive.parse()?);
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Readable => registry.with(lines).try_init()?,
        Format::Json => {
            // The innermost span has all that identifies the entry; a list of all spans would repeat it.
            registry.with(lines.json().flatten_event(true).with_span_list(false)).try_init()?;
        }
    }
    Ok(())
}

/// If standard error is a file that everybody may read, takes that right away: the log says who was here when.
/// A file with a mode that somebody has chosen keeps it.
pub fn keep_log_file_private() {
    let made_private = std::io::stderr().as_fd().try_clone_to_owned().map(File::from).and_then(|file| {
        let found = file.metadata()?;
        match found.is_file() && found.permissions().mode() & 0o004 != 0 {
            true => file.set_permissions(Permissions::from_mode(0o600)),
            false => Ok(()),
        }
    });
    if let Err(err) = made_private {
        tracing::warn!(error = %err, "everybody on this machine may read the log file: restrict it with chmod 600");
    }
}
