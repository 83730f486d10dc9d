//! The command line: what there is to say, and which file does it.

mod config;
mod healthcheck;
mod migrate;
mod seed;
mod serve;
mod signals;
mod terminal;
mod token;
mod user;
mod with_app;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Mode, environment};

/// Parlor, a chat backend for socket.io-client front ends.
///
/// Without a command it serves. Settings come from the built-in defaults, then the mode's, then the
/// file of --config, then the environment (PARLOR__SERVER__LISTEN=0.0.0.0:8087 and so on);
/// `parlor config show` prints what comes out of that.
///
/// Every command works on the database of that configuration, also while a server runs on it. Output
/// goes to standard output, everything else to standard error; the exit code is 0, 1 for a refusal or a
/// failure, 2 for a command line that cannot be understood.
#[derive(Debug, Parser)]
#[command(version, about, long_about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  parlor                                           serve on http://127.0.0.1:8087, data in data/
  parlor seed                                      make ada, bob, cyd and a group to try it with
  parlor user create ada --admin                   asks for the password
  parlor --mode production config check            what is still missing for production?
  parlor --mode production --config my.toml serve  the real thing";

const SETTINGS: &str = "Configuration";

/// Where the configuration comes from.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// A TOML file with settings that differ from the defaults.
    #[arg(long, global = true, value_name = "FILE", env = "PARLOR_CONFIG", help_heading = SETTINGS)]
    config: Option<PathBuf>,
    /// development: works at once, on loopback only. production: refuses what is not safe.
    #[arg(long, global = true, default_value_t = Mode::Development, env = "PARLOR_MODE", help_heading = SETTINGS)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default).
    Serve,
    /// Bring the database's tables up to date, or back, or see how they stand.
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    Seed(seed::Seed),
    /// Accounts: create, change the password, delete, list.
    #[command(subcommand)]
    User(user::User),
    /// Access tokens: issue one, or see what is in one.
    #[command(subcommand)]
    Token(token::Token),
    /// The configuration: print it, or check it.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Healthcheck(healthcheck::Healthcheck),
}

impl Cli {
    /// Does what the command line says.
    pub async fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.settings.mode, self.settings.config.as_deref(), environment());
        let config = config.map_err(mistakes)?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(config).await,
            Command::Migrate(command) => migrate::run(config, command).await,
            Command::Seed(command) => seed::run(config, command).await,
            Command::User(command) => user::run(config, command).await,
            Command::Token(command) => token::run(config, command).await,
            Command::Config(command) => config::run(&config, command),
            Command::Healthcheck(command) => healthcheck::run(&config, command).await,
        }
    }
}

/// One mistake is one line; several are a list below one.
fn mistakes(err: ConfigError) -> anyhow::Error {
    match err.mistakes.len() {
        1 => err.into(),
        count => {
            let lines: String = err.mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
            anyhow::anyhow!("the configuration has {count} mistakes{lines}")
        }
    }
}
