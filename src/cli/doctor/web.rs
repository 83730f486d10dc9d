//! The way of a browser: through the proxy, to the files of the web client.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use http::{StatusCode, header};
use reqwest::{Client, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use uuid::Uuid;

use super::Report;
use crate::{
    app,
    config::{Config, Mode},
};

/// How long the public address may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Any 16 bytes in base64: the client that answers to it is not ours.
const WEBSOCKET_KEY: &str = "cGFybG9yIGRvY3RvciBhcw==";

/// Whether `server.trusted_proxies` fits, and whether the public address leads here with all headers.
pub async fn proxy(config: &Config, is_running: bool, report: &mut Report) -> io::Result<()> {
    let server = &config.server;
    let url = server.public_url.trim_end_matches('/');
    if url.is_empty() {
        return match config.mode {
            Mode::Development => report.ok("proxy", "none: development is for this machine alone"),
            Mode::Production => report.warning(
                "proxy",
                "the address that browsers open is not known",
                "set server.public_url, so that the server's own pages work",
            ),
        };
    }
    if let Some((found, repair)) = untrusted(config) {
        report.warning("proxy", found, repair)?;
    } else {
        let trusted: Vec<String> = server.trusted_proxies.iter().map(ToString::to_string).collect();
        let trusted = if trusted.is_empty() { "no proxy".to_owned() } else { trusted.join(", ") };
        report.ok("proxy", format_args!("{trusted} may name the address of a client"))?;
    }
    if !is_running {
        return report.ok("public address", format_args!("{url} was not asked, because no server runs here"));
    }
    match passes(url).await {
        Ok(()) => report.ok("public address", format_args!("{url} leads here, and passes WebSockets on")),
        // Some networks do not let a machine reach its own public address.
        Err(err) => report.warning(
            "public address",
            format_args!("{url}: {err:#}"),
            "compare the proxy's configuration with the samples in deploy/",
        ),
    }
}

/// What does not fit in `server.trusted_proxies`, and the repair.
fn untrusted(config: &Config) -> Option<(&'static str, &'static str)> {
    let server = &config.server;
    let is_https = server.public_origin().is_some_and(|(scheme, _)| scheme == "https");
    if is_https && server.trusted_proxies.is_empty() {
        return Some((
            "HTTPS needs a proxy, and none is trusted, so all clients have its address and share its limits",
            "name its address in server.trusted_proxies",
        ));
    }
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let is_local = server.listen.iter().all(|address| address.ip().is_loopback());
    let trusts_local = loopback.iter().any(|address| server.trusts(*address));
    (is_https && is_local && !trusts_local).then_some((
        "the proxy must be on this machine, because server.listen is loopback, and loopback is not trusted",
        "add 127.0.0.1 to server.trusted_proxies",
    ))
}

/// # Errors
/// The address leads elsewhere, or what is in front of the server does not pass WebSockets on.
async fn passes(url: &str) -> anyhow::Result<()> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .no_proxy()
        .build()?;
    let id = Uuid::now_v7().to_string();
    let asked = client.get(format!("{url}/healthz")).header("x-request-id", &id).send().await;
    let answer = asked.context("it cannot be reached from here")?;
    // Only Parlor gives the id back.
    let is_ours = answer.headers().get("x-request-id").is_some_and(|given| given.as_bytes() == id.as_bytes());
    ensure!(
        answer.status() == StatusCode::OK && is_ours,
        "it leads to another program ({})",
        answer.status()
    );
    let upgrade = client
        .get(format!("{url}/socket.io/?EIO=4&transport=websocket"))
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, WEBSOCKET_KEY);
    let answer = upgrade.send().await.context("it does not answer a WebSocket")?;
    ensure!(
        answer.status() == StatusCode::SWITCHING_PROTOCOLS,
        "it does not pass WebSockets on, so clients stay on polling ({}): pass the headers Upgrade and Connection",
        answer.status()
    );
    Ok(())
}

/// Where the web client comes from.
pub fn client(config: &Config, report: &mut Report) -> io::Result<()> {
    let web = &config.web;
    match (web.enabled, &web.folder) {
        (false, _) => report.ok("web client", "switched off (web.enabled)"),
        (true, None) => report.ok("web client", "is part of this program"),
        // The settings are checked for a missing index.html.
        (true, Some(folder)) => report.ok("web client", format_args!("is in {}", folder.display())),
    }
}

/// Whether pages can load the Socket.IO client from here.
pub async fn socket_client(config: &Config, report: &mut Report) -> io::Result<()> {
    let folder = &config.server.client_folder;
    match app::has_client_script(folder).await {
        true => report.ok("socket client", "/socket.io/socket.io.js can be loaded from here"),
        false => report.warning(
            "socket client",
            format_args!("{} has no socket.io-client, so pages use plain WebSockets", folder.display()),
            "run `npm install socket.io-client`, or set server.client_folder",
        ),
    }
}
