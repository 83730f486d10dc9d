//! Output, secrets and confirmations on the terminal. A secret is never an argument, because the process list
//! and the shell's history would show it.

use std::{
    fmt::Display,
    io::{self, BufRead, IsTerminal, Read, Write},
};

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};

/// Maximum length of the input, longer than any password or token.
const LONGEST: u64 = 64 * 1024;

/// Prints a line of output. A closed reader (`| head`) is not an error.
pub fn print(line: impl Display) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Reads a new password: typed twice without being shown, or one line of standard input.
pub fn new_password(from_stdin: bool) -> anyhow::Result<SecretString> {
    if from_stdin {
        return Ok(line_of_stdin("the password")?.into());
    }
    if !io::stdin().is_terminal() {
        bail!(
            "there is no terminal to ask for the password; give it on standard input with --password-stdin"
        );
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(SecretString::from).context("the password could not be read")
    };
    let password = ask("Password: ")?;
    let again = ask("Again: ")?;
    if password.expose_secret() != again.expose_secret() {
        bail!("the two passwords differ");
    }
    Ok(password)
}

/// Reads one line of standard input, without its line break.
pub fn line_of_stdin(what: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LONGEST).read_to_string(&mut text);
    read.with_context(|| format!("{what} could not be read from standard input"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        bail!("standard input holds nothing where {what} should be");
    }
    if line.contains('\n') {
        bail!("standard input holds more than one line where {what} should be");
    }
    Ok(line.to_owned())
}

/// Asks a yes-or-no question on the terminal. Without a terminal it refuses, because nobody can have
/// answered; `option` is the option that gives the answer in advance.
pub fn confirm(question: &str, option: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to confirm on; say {option} if it is meant");
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was changed");
    }
    Ok(())
}
