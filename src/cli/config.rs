//! `parlor config`: shows the effective settings, and checks them.

use clap::Subcommand;

use super::terminal::print;
use crate::config::Config;

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ConfigCommand {
    /// Print all effective settings as TOML, with secrets as <redacted>.
    Show,
    /// Print "ok", or every mistake with its correction (exit code 1).
    ///
    /// What works and is most likely not meant is a warning on standard error. The server logs it at its start.
    Check,
}

const EXAMPLES: &str = "\
Examples:
  parlor config show
  parlor --mode production --config /etc/parlor.toml config check";

/// Every other command also stops at an invalid configuration, so this one has been checked.
pub fn run(config: &Config, command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Show => print(config.to_toml_redacted().trim_end())?,
        ConfigCommand::Check => {
            for warning in &config.warnings {
                eprintln!("warning: {warning}");
            }
            print("ok")?;
        }
    }
    Ok(())
}
