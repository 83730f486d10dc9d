//! `parlor config`: shows the effective settings and checks them, and makes a file to start with.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;

use super::{new_file::NewFile, terminal::print};
use crate::config::{Config, DEFAULT_FILE, starting_file};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ConfigCommand {
    /// Print all settings with their defaults and their meaning, as a TOML file.
    Default,
    /// Print a minimal file for production, with a new secret. With FILE, write it there.
    ///
    /// It never replaces a file. Only the user who runs this may read the new file.
    Init {
        /// Where to write it.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print all effective settings as TOML, with secrets as <redacted>, and the layer of each value.
    Show,
    /// Print "ok", or every mistake with its correction (exit code 1).
    ///
    /// What works and is most likely not meant is a warning on standard error. The server logs it at its start.
    Check,
}

const EXAMPLES: &str = "\
Examples:
  parlor config default > all-settings.toml
  parlor config init /etc/parlor/parlor.toml
  parlor config show
  parlor --mode production --config /etc/parlor/parlor.toml config check";

impl ConfigCommand {
    /// Runs the command if it needs no configuration; returns it otherwise.
    pub fn run_without_settings(self) -> anyhow::Result<Option<Self>> {
        match self {
            Self::Default => print(DEFAULT_FILE.trim_end())?,
            Self::Init { file } => init(file.as_deref())?,
            other => return Ok(Some(other)),
        }
        Ok(None)
    }
}

/// Every other command also stops at an invalid configuration, so this one has been checked.
pub fn run(config: &Config, command: ConfigCommand) -> anyhow::Result<()> {
    match command.run_without_settings()? {
        Some(ConfigCommand::Check) => {
            for warning in &config.warnings {
                eprintln!("warning: {warning}");
            }
            print("ok")?;
        }
        Some(_) => print(config.to_toml_redacted().trim_end())?,
        None => {}
    }
    Ok(())
}

fn init(file: Option<&Path>) -> anyhow::Result<()> {
    let text = starting_file().context("there is no secret without random bytes")?;
    let Some(file) = file else { return Ok(print(text.trim_end())?) };
    let new = NewFile::begin(file)?;
    std::fs::write(new.draft(), text).with_context(|| new.draft().display().to_string())?;
    let file = new.keep()?;
    Ok(print(format_args!(
        "made {0}\nSet server.public_url in it, and then: parlor --mode production --config {0} doctor",
        file.display()
    ))?)
}
