//! The command line: what there is to say, and which file does it.

mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Mode, environment};

/// Parlor, a chat backend for socket.io-client front ends.
///
/// Without a command it serves. Settings come from the built-in defaults, then the mode's, then the
/// file of --config, then the environment (PARLOR__SERVER__LISTEN=0.0.0.0:8087 and so on);
/// `parlor config show` prints what comes out of that.
#[derive(Debug, Parser)]
#[command(version, about, long_about)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// A TOML file with settings that differ from the defaults.
    #[arg(long, global = true, value_name = "FILE", env = "PARLOR_CONFIG")]
    config: Option<PathBuf>,
    /// development: works at once, on loopback only. production: refuses what is not safe.
    #[arg(long, global = true, default_value_t = Mode::Development, env = "PARLOR_MODE")]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default).
    Serve,
}

impl Cli {
    /// Does what the command line says.
    pub async fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.settings.mode, self.settings.config.as_deref(), environment())?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(config).await,
        }
    }
}
