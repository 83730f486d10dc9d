//! `parlor healthcheck`: asks a running server whether it is ready. It writes the HTTP request by hand: four
//! lines, and only the first line of the response matters.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http::Uri;
use humantime_serde::re::humantime::{format_duration, parse_duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::terminal::print;
use crate::config::Config;

/// Ask a running server whether it is ready, for the probe of a container or a supervisor.
///
/// Prints "ok" if the server runs and its database can read and write (GET /readyz). Otherwise the exit code
/// is 1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Healthcheck {
    /// The server's address. [default: the first of server.listen]
    #[arg(long, value_name = "http://...")]
    url: Option<Uri>,
    /// Maximum time for the answer.
    #[arg(long, value_parser = parse_duration, default_value = "3s")]
    timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  parlor healthcheck
  parlor healthcheck --url http://chat-1:8087 --timeout 1s
  HEALTHCHECK CMD [\"parlor\", \"healthcheck\"]          (in a Dockerfile)";

pub async fn run(config: &Config, command: Healthcheck) -> anyhow::Result<()> {
    let (authority, path) = match &command.url {
        Some(url) => target(url)?,
        None => (local(&config.server.listen)?, "/readyz".to_owned()),
    };
    let asked = tokio::time::timeout(command.timeout, status_line(&authority, &path)).await;
    let url = format!("http://{authority}{path}");
    let line = asked
        .unwrap_or_else(|_| Err(anyhow!("no answer within {}", format_duration(command.timeout))))
        .with_context(|| format!("{url} cannot be asked"))?;
    match line.split_once(' ') {
        Some((version, status)) if version.starts_with("HTTP/1.") => {
            if status.split(' ').next() != Some("200") {
                bail!("{url} is not ready: {}", status.escape_debug());
            }
            Ok(print("ok")?)
        }
        _ => bail!("{url} does not speak HTTP"),
    }
}

/// The host with the port, and the path.
fn target(url: &Uri) -> anyhow::Result<(String, String)> {
    let (Some("http"), Some(host)) = (url.scheme_str(), url.host()) else {
        bail!(
            "--url {url}: must begin with http:// and a host; a healthcheck goes to the server itself, without TLS"
        );
    };
    let port = url.port_u16().unwrap_or(80);
    Ok((format!("{host}:{port}"), format!("{}/readyz", url.path().trim_end_matches('/'))))
}

/// The address at which this machine reaches the first listening address.
fn local(listen: &[SocketAddr]) -> anyhow::Result<String> {
    let address = *listen.first().context("server.listen names no address")?;
    if address.port() == 0 {
        bail!("server.listen is {address}, which is any free port: say which with --url");
    }
    Ok(reachable(address).to_string())
}

/// "All interfaces" is not an address to connect to.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The first line of the answer to a request.
pub(super) async fn status_line(authority: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    // Another program at this address may send without end.
    BufReader::new(stream.take(1024)).read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_are_asked_on_this_machine() {
        for (listen, asked) in [
            ("127.0.0.1:8087", "127.0.0.1:8087"),
            ("0.0.0.0:8087", "127.0.0.1:8087"),
            ("[::]:8087", "[::1]:8087"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(local(&[listen.parse().unwrap()]).unwrap(), asked);
        }
        assert!(local(&["127.0.0.1:0".parse().unwrap()]).is_err());
    }

    #[test]
    fn an_address_names_a_host_and_perhaps_a_port_and_a_folder() {
        for (url, authority, path) in [
            ("http://chat", "chat:80", "/readyz"),
            ("http://[::1]:8087/", "[::1]:8087", "/readyz"),
            ("http://chat:8087/parlor", "chat:8087", "/parlor/readyz"),
        ] {
            assert_eq!(target(&url.parse().unwrap()).unwrap(), (authority.to_owned(), path.to_owned()));
        }
        for url in ["https://chat", "chat:8087", "/readyz"] {
            assert!(target(&url.parse().unwrap()).is_err(), "{url}");
        }
    }
}
