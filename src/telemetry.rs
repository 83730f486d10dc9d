//! Logs and metrics of the process. No token, no password and no message content is ever logged. Log entries
//! refer to things by id, and the field names are the same everywhere (`room.id`, `user.id`, `connection.id`,
//! `request.id`).

use std::sync::OnceLock;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for people to read.
    Readable,
    /// One JSON object per line.
    Json,
}

/// Libraries that would log what clients wrote. They are off at every level.
const NEVER: [&str; 4] = ["socketioxide=off", "engineioxide=off", "sqlx=off", "tungstenite=off"];

/// Starts logging to standard error. `RUST_LOG` takes precedence over `level`, but cannot switch on the
/// libraries in [`NEVER`].
pub fn start_logging(format: Format, level: &str) -> anyhow::Result<()> {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| level.to_owned());
    let mut filter: EnvFilter =
        directives.parse().with_context(|| format!("{directives:?} is not a log filter"))?;
    for directive in NEVER {
        filter = filter.add_directive(directive.parse()?);
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Readable => registry.with(lines).try_init()?,
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

/// The metrics of this process, in Prometheus's text format. All servers in one process share them.
pub fn metrics() -> Option<PrometheusHandle> {
    static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    METRICS
        .get_or_init(|| {
            let sizes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
            PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Full("parlor_commit_messages".to_owned()), &sizes)
                .and_then(PrometheusBuilder::install_recorder)
                .inspect_err(|err| tracing::error!(error = %err, "there will be no metrics"))
                .ok()
        })
        .clone()
}
