//! `parlor serve`: runs the server until a signal stops it.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::net::{TcpListener, TcpSocket};

use super::{signals::stopped, supervisor::Supervisor};
use crate::{
    app::App,
    auth::NewAdminLink,
    clock::Clock,
    config::{Config, LogFormat, Mode},
    descriptors,
    telemetry::{self, LogWriter},
};

/// Maximum number of TCP connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long the end of the process waits for a blocked terminal to take the last lines of the log.
const LAST_LINES: Duration = Duration::from_secs(1);

pub async fn run(mut config: Config) -> anyhow::Result<()> {
    let format = match config.telemetry.format {
        LogFormat::Readable => telemetry::Format::Readable,
        LogFormat::Json => telemetry::Format::Json,
    };
    let log = telemetry::start_server_log(format, &config.telemetry.level)?;
    let served = start(&mut config, &log).await;
    log.flush_within(LAST_LINES);
    served
}

async fn start(config: &mut Config, log: &LogWriter) -> anyhow::Result<()> {
    telemetry::keep_log_file_private();
    descriptors::raise_limit();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for dialect in config.dialects.open_ones() {
        tracing::warn!(dialect, "an open dialect is on: it lets people in without a password");
    }
    if let Some(file) = config.make_missing_secret().context("auth.jwt_secret_file cannot be made")? {
        tracing::info!(file = %file.display(), "made a new key that signs tokens");
    }
    let mut app = App::build(config, Clock::real()).await?;
    // An operator may have a browser and no shell. In development there is no link: anybody could read it.
    let link = match config.mode {
        Mode::Production => app.auth.offer_first_admin().await?,
        Mode::Development => None,
    };
    // Nobody is told an address before all of them are open.
    let listeners = config
        .server
        .listen
        .iter()
        .map(|address| listen(*address).with_context(|| format!("cannot listen on {address}")));
    let listeners = listeners.collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(address) = app.metrics_address() {
        let listener = listen(address).with_context(|| format!("cannot listen on {address} for metrics"))?;
        app.serve_metrics_on(listener);
    }
    for listener in &listeners {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    // Nobody has to read it, and nothing waits until somebody does.
    LogWriter::start(std::io::stdout())?.write_all(welcome(config, &listeners, link.as_ref())?.as_bytes())?;
    let log = log.clone();
    let stop = stopped(move || {
        tracing::warn!("stopped without waiting");
        log.flush_within(LAST_LINES);
    });
    let stop = stop?;
    let supervisor = Supervisor::of_environment();
    supervisor.ready();
    let stop = async move {
        stop.await;
        supervisor.stopping();
    };
    app.serve(listeners, stop).await
}

pub(super) fn listen(address: std::net::SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Lets a restarted server use its port again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Where the server listens, and what to do next for somebody who starts it for the first time.
fn welcome(
    config: &Config,
    listeners: &[TcpListener],
    link: Option<&NewAdminLink>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    if config.web.enabled
        && let Some(first) = listeners.first()
    {
        match config.server.public_url.as_str() {
            "" => writeln!(text, "open http://{}", first.local_addr()?)?,
            url => writeln!(text, "open {url}")?,
        }
    }
    for listener in listeners {
        let address = listener.local_addr()?;
        writeln!(text, "Parlor {} listening on http://{address}", env!("CARGO_PKG_VERSION"))?;
    }
    let Some(first) = listeners.first() else { return Ok(text) };
    let address = first.local_addr()?;
    writeln!(text, "  data      {}", config.database.url)?;
    if let Some(link) = link {
        let base = match config.server.public_url.trim_end_matches('/') {
            "" => format!("http://{address}"),
            url => url.to_owned(),
        };
        let until = link.expires_at.format("%Y-%m-%d %H:%M:%SZ");
        writeln!(text, "  admin     {base}/first-admin#{}", link.secret.expose_secret())?;
        writeln!(text, "            makes the first admin: once, until {until}, for whoever has this link")?;
    }
    if config.mode == Mode::Development {
        writeln!(text, "  docs      http://{address}/docs")?;
        writeln!(text, "  check     curl \"http://{address}/socket.io/?EIO=4&transport=polling\"")?;
        writeln!(text, "  connect   io(\"http://{address}/chat\", {{ auth: {{ token }} }})")?;
        writeln!(text, "  people    `parlor seed` makes some to talk to")?;
    }
    Ok(text)
}
