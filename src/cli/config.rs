//! `parlor config`: what the layers of settings come to, and whether that is right.

use clap::Subcommand;

use super::terminal::print;
use crate::config::Config;

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ConfigCommand {
    /// Print every setting as it is in force, as TOML, with secrets as <redacted>.
    Show,
    /// Print "ok", or every mistake at once with what would be right (exit code 1).
    Check,
}

const EXAMPLES: &str = "\
Examples:
  parlor config show
  parlor --mode production --config /etc/parlor.toml config check";

/// Every other command stops at a wrong configuration as well: what arrives here was checked.
pub fn run(config: &Config, command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Show => print(config.to_toml_redacted().trim_end())?,
        ConfigCommand::Check => print("ok")?,
    }
    Ok(())
}
