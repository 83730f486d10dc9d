//! What the machine gives: ports, a folder, open files, the time.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, Utc};
use rustix::fs::{Access, access, statvfs};

use super::Report;
use crate::{
    cli::{healthcheck, serve},
    clock::Clock,
    config::{Config, Metrics},
    db::sqlite_path,
    descriptors,
};

/// How long a program on one of our ports may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(2);
/// With less free space, a server would soon have to refuse messages.
const LITTLE_SPACE: u64 = 200_000_000;
/// With fewer connections, a handful of pages can take all.
const FEW_CONNECTIONS: usize = 900;
/// Descriptors of a SQLite database.
const OF_SQLITE: usize = 18;
/// No clock that is right says an earlier time: this version did not exist then.
const OLDEST: &str = "2026-11-01T00:00:00Z";

/// Whether each address is free. Returns whether a server of ours uses one.
pub async fn ports(config: &Config, report: &mut Report) -> io::Result<bool> {
    let mut is_running = false;
    for address in &config.server.listen {
        is_running |= port(report, "port", "server.listen", *address, "/healthz").await?;
    }
    if let Metrics::Own(address) = config.telemetry.metrics {
        port(report, "metrics port", "telemetry.metrics", address, "/metrics").await?;
    }
    Ok(is_running)
}

async fn port(
    report: &mut Report,
    check: &str,
    setting: &str,
    address: SocketAddr,
    path: &str,
) -> io::Result<bool> {
    // Freed again when the listener is dropped here.
    let Err(err) = serve::listen(address) else {
        report.ok(check, format_args!("{address} is free"))?;
        return Ok(false);
    };
    match err.kind() {
        ErrorKind::AddrInUse => {
            if answers(address, path).await {
                report.ok(check, format_args!("{address} has a running server, which answers {path}"))?;
                return Ok(true);
            }
            let found = format!("{address} is in use by another program");
            report.broken(
                check,
                found,
                &format!("stop that program, or choose another address in {setting}"),
            )?;
        }
        ErrorKind::AddrNotAvailable => {
            let found = format!("{address} is no address of this machine");
            report.broken(check, found, &format!("name one of its own in {setting}, or 0.0.0.0 for all"))?;
        }
        ErrorKind::PermissionDenied => {
            let found = format!("{address} is not for this user");
            let repair = format!("choose a port above 1023 in {setting}, with a proxy in front");
            report.broken(check, found, &repair)?;
        }
        _ => {
            let repair = format!("choose another address in {setting}");
            report.broken(check, format_args!("{address} cannot be used ({err})"), &repair)?;
        }
    }
    Ok(false)
}

/// Whether a server at this address answers as Parlor does.
async fn answers(address: SocketAddr, path: &str) -> bool {
    let authority = healthcheck::reachable(address).to_string();
    let line = tokio::time::timeout(PATIENCE, healthcheck::status_line(&authority, path)).await;
    line.is_ok_and(|line| line.is_ok_and(|line| line.starts_with("HTTP/1.1 200 ")))
}

/// Whether the data can be written.
pub fn folder(config: &Config, report: &mut Report) -> io::Result<()> {
    let Some(file) = sqlite_path(&config.database) else { return Ok(()) };
    let folder = file.parent().unwrap_or(Path::new("/"));
    let repair = "give it to the user of the server with chown, or name another file in database.url";
    // The server makes what is missing in the nearest folder that exists.
    let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else {
        return report.broken("data folder", format_args!("{} has no folder", file.display()), repair);
    };
    if !existing.is_dir() {
        return report.broken("data folder", format_args!("{} is no folder", existing.display()), repair);
    }
    if let Err(err) = access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        let found = format!("{} cannot be written to ({err})", existing.display());
        return report.broken("data folder", found, repair);
    }
    if file.exists()
        && let Err(err) = access(&file, Access::READ_OK | Access::WRITE_OK)
    {
        return report.broken(
            "data folder",
            format_args!("{} cannot be written to ({err})", file.display()),
            repair,
        );
    }
    let free = statvfs(existing).map_or(u64::MAX, |found| found.f_bavail.saturating_mul(found.f_frsize));
    let is_made = if existing == folder { "can be written to" } else { "will be made" };
    let found = format!("{} {is_made}, with {} MB free", folder.display(), free / 1_000_000);
    match free < LITTLE_SPACE {
        true => report.warning("data folder", found, "make room: a full disk stores no message"),
        false => report.ok("data folder", found),
    }
}

/// How many connections clients may open.
pub fn descriptors(config: &Config, report: &mut Report) -> io::Result<()> {
    let of_database = match config.database.url.is_sqlite() {
        true => OF_SQLITE,
        false => config.database.max_connections as usize,
    };
    // As the server does.
    descriptors::raise_limit();
    let most = descriptors::connections(of_database);
    let found = format!("this process may open enough for {most} connections of clients");
    match most < FEW_CONNECTIONS {
        true => {
            report.warning("open files", found, "raise the hard limit: LimitNOFILE in the unit, or ulimit -n")
        }
        false => report.ok("open files", found),
    }
}

/// Whether the time can be right.
pub fn clock(report: &mut Report) -> io::Result<()> {
    let now = Clock::real().now();
    let oldest = OLDEST.parse::<DateTime<Utc>>().unwrap_or_default();
    let found = format!("says {}", now.to_rfc3339_opts(SecondsFormat::Secs, true));
    match now < oldest {
        true => report.broken(
            "clock",
            format_args!("{found}, which is before this version was made"),
            "set it, and let it be kept right: timedatectl set-ntp true",
        ),
        false => report.ok("clock", found),
    }
}
