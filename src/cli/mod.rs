//! The command line: all commands, and the files that run them.

mod backup;
mod completions;
mod config;
mod doctor;
mod healthcheck;
mod licences;
mod migrate;
mod moving;
mod new_file;
mod schema;
mod seed;
mod serve;
mod signals;
mod supervisor;
mod terminal;
mod token;
mod user;
mod with_app;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use sea_orm::DbErr;

use crate::{
    config::{Config, ConfigError, Mode, environment},
    error::{Error, cause},
    telemetry::VERSION,
};

/// Parlor, a chat backend for socket.io-client front ends.
///
/// Without a command it runs the server. Settings come from the built-in defaults, then the defaults of the
/// mode, then the file of --config, then the environment (PARLOR__SERVER__LISTEN=0.0.0.0:8087 and so on).
/// `parlor config show` prints the result.
///
/// Every command uses the database of that configuration, even while a server runs on it. Output goes to
/// standard output, everything else to standard error. The exit code is 0 for success, 1 for a refusal or a
/// failure, and 2 for an invalid command line.
#[derive(Debug, Parser)]
#[command(version = VERSION, about, long_about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    settings: ConfigSource,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  parlor                                           serve on http://127.0.0.1:8087, data in data/
  parlor seed                                      make ada, bob, cyd and a group to try it with
  parlor user create ada --admin                   asks for the password
  parlor doctor                                    can it run on this machine?
  parlor --mode production config check            what is still missing for production?
  parlor --mode production --config my.toml serve  the real thing";

const SETTINGS: &str = "Configuration";

/// Where the configuration comes from.
#[derive(Clone, Debug, Args)]
pub struct ConfigSource {
    /// A TOML file with the settings that differ from the defaults.
    #[arg(long, global = true, value_name = "FILE", env = "PARLOR_CONFIG", help_heading = SETTINGS)]
    config: Option<PathBuf>,
    /// development: works without configuration, on loopback only. production: refuses unsafe settings.
    #[arg(long, global = true, default_value_t = Mode::Development, env = "PARLOR_MODE", help_heading = SETTINGS)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default).
    Serve,
    /// Apply, undo or list database migrations.
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    Seed(seed::Seed),
    /// Create, change, disable, delete and list accounts.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Issue an access token, or inspect one.
    #[command(subcommand)]
    Token(token::Token),
    /// Print the configuration, check it, or make a file to start with.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Move(moving::Move),
    Healthcheck(healthcheck::Healthcheck),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    /// Print the contract with front ends: types of all events, answers and HTTP requests.
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Print the licence of Parlor, and the notice of the browser client that this program contains.
    Licences,
}

impl Cli {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        // Whatever this process makes, such as the database, is for its user alone.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let Some(command) = self.command.unwrap_or(Command::Serve).run_without_settings()? else {
            return Ok(());
        };
        let ConfigSource { config: file, mode } = self.settings;
        let loaded = Config::load(mode, file.as_deref(), environment());
        if matches!(command, Command::Doctor(_)) {
            return doctor::run(mode, loaded).await;
        }
        let config = loaded.map_err(mistakes)?;
        match command {
            Command::Serve => serve::run(config).await,
            Command::Migrate(command) => migrate::run(config, command).await,
            Command::Seed(command) => seed::run(config, command).await,
            Command::User(command) => user::run(config, command).await,
            Command::Token(command) => token::run(config, command).await,
            Command::Config(command) => config::run(&config, command),
            Command::Backup(command) => backup::back_up(&config, &command).await,
            Command::Restore(command) => backup::restore(&config, &command).await,
            Command::Move(command) => moving::run(&config, &command).await,
            Command::Healthcheck(command) => healthcheck::run(&config, command).await,
            // These need no settings, so they have run above.
            Command::Doctor(_) | Command::Completions(_) | Command::Schema(_) | Command::Licences => Ok(()),
        }
    }
}

impl Command {
    /// Runs a command that works with any settings, also with wrong ones. Returns any other command.
    fn run_without_settings(self) -> anyhow::Result<Option<Self>> {
        match self {
            Self::Config(command) => return Ok(command.run_without_settings()?.map(Self::Config)),
            Self::Completions(command) => completions::run(&command)?,
            Self::Schema(command) => schema::run(command)?,
            Self::Licences => licences::run()?,
            other => return Ok(Some(other)),
        }
        Ok(None)
    }
}

/// Why a command failed, on one line. If the database is the reason, what it says comes first.
pub fn reason(err: &anyhow::Error) -> String {
    let at = err.chain().position(|err| err.is::<DbErr>());
    let database = at.and_then(|at| Some((at, err.chain().nth(at)?.downcast_ref::<DbErr>()?)));
    let Some((at, database)) = database else { return format!("{err:#}") };
    let cause = cause(database);
    // The server's own error says only that something went wrong.
    let around = err.chain().take(at).filter(|err| !err.is::<Error>()).map(ToString::to_string);
    let around: Vec<String> = around.filter(|text| !text.contains(&cause)).collect();
    if around.is_empty() { cause } else { format!("{cause} ({})", around.join(": ")) }
}

/// One mistake is one line. Several are a list with a line each.
fn mistakes(err: ConfigError) -> anyhow::Error {
    match err.mistakes.len() {
        1 => err.into(),
        count => {
            let lines: String = err.mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
            anyhow::anyhow!("the configuration has {count} mistakes{lines}")
        }
    }
}
