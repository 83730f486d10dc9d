//! `parlor doctor`: looks at everything that a server needs from its machine. It changes nothing.

mod database;
mod machine;
mod report;
mod web;

use anyhow::bail;
use clap::Args;

use self::report::Report;
use crate::config::{Config, ConfigError, Mode};

/// Look for what would keep a server from running here, and say how to repair it.
///
/// Looks at the settings, the ports, the folder of the data, the limit of open files, the clock, the database and
/// its migrations, the proxy, and the files of the web client. Each check prints one line: ok, warning or broken,
/// with the repair. The exit code is 1 if something is broken. Run it as the user that runs the server, with the
/// same settings, beside a running server or before the first start. It changes nothing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {}

const EXAMPLES: &str = "\
Examples:
  parlor doctor
  parlor --mode production --config /etc/parlor/parlor.toml doctor";

/// `loaded` has the settings, or what is wrong with them.
pub async fn run(mode: Mode, loaded: Result<Config, ConfigError>) -> anyhow::Result<()> {
    let mut report = Report::default();
    match loaded {
        Ok(config) => examine(&config, &mut report).await?,
        Err(mistakes) => {
            for mistake in &mistakes.mistakes {
                report.broken("settings", mistake, "")?;
            }
            report.warning("settings", "nothing else was looked at", "correct the settings first")?;
        }
    }
    if report.broken > 0 {
        bail!("{} of {} checks in {mode} mode found something broken", report.broken, report.checks);
    }
    Ok(())
}

async fn examine(config: &Config, report: &mut Report) -> std::io::Result<()> {
    if config.warnings.is_empty() {
        report.ok("settings", format_args!("are valid in {} mode", config.mode))?;
    }
    for warning in &config.warnings {
        report.warning("settings", warning, "")?;
    }
    let is_running = machine::ports(config, report).await?;
    machine::folder(config, report)?;
    machine::descriptors(config, report)?;
    machine::clock(report)?;
    database::examine(config, report).await?;
    web::proxy(config, is_running, report).await?;
    web::client(config, report)?;
    web::socket_client(config, report).await
}
