//! `parlor completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, terminal::print};

/// Print a script that lets a shell complete commands and options.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  parlor completions bash > /etc/bash_completion.d/parlor
  parlor completions zsh > \"${fpath[1]}/_parlor\"
  parlor completions fish > ~/.config/fish/completions/parlor.fish";

pub fn run(command: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(command.shell, &mut Cli::command(), "parlor", &mut script);
    Ok(print(String::from_utf8_lossy(&script).trim_end())?)
}
