//! `parlor serve`: runs the server until a signal stops it.

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};

use super::signals::stopped;
use crate::{
    app::App,
    clock::Clock,
    config::{Config, LogFormat, Mode},
    telemetry,
};

/// Maximum number of TCP connections that wait to be accepted.
const BACKLOG: u32 = 4096;

pub async fn run(config: Config) -> anyhow::Result<()> {
    let format = match config.telemetry.format {
        LogFormat::Readable => telemetry::Format::Readable,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::start_logging(format, &config.telemetry.level)?;
    for dialect in config.dialects.open_ones() {
        tracing::warn!(dialect, "an open dialect is on: it lets people in without a password");
    }
    let app = App::build(&config, Clock::real()).await?;
    let mut listeners = Vec::new();
    for address in &config.server.listen {
        let listener = listen(*address).with_context(|| format!("cannot listen on {address}"))?;
        println!("Parlor {} listening on http://{}", env!("CARGO_PKG_VERSION"), listener.local_addr()?);
        listeners.push(listener);
    }
    welcome(&config, &listeners)?;
    app.serve(listeners, stopped()?).await
}

fn listen(address: std::net::SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Lets a restarted server use its port again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Shows what to do next to somebody who starts the server for the first time.
fn welcome(config: &Config, listeners: &[TcpListener]) -> anyhow::Result<()> {
    let Some(first) = listeners.first() else { return Ok(()) };
    let address = first.local_addr()?;
    println!("  data      {}", config.database.url);
    if config.mode == Mode::Development {
        println!("  docs      http://{address}/docs");
        println!("  check     curl \"http://{address}/socket.io/?EIO=4&transport=polling\"");
        println!("  connect   io(\"http://{address}/chat\", {{ auth: {{ token }} }})");
        println!("  people    `parlor seed` makes some to talk to");
    }
    Ok(())
}
