//! The lines of the report.

use std::{fmt::Display, io};

use crate::cli::terminal::print;

#[derive(Debug, Default)]
pub struct Report {
    pub checks: usize,
    pub broken: usize,
}

impl Report {
    pub fn ok(&mut self, check: &str, found: impl Display) -> io::Result<()> {
        self.line("ok", check, found, "")
    }

    /// It works, and is most likely not meant.
    pub fn warning(&mut self, check: &str, found: impl Display, repair: &str) -> io::Result<()> {
        self.line("warning", check, found, repair)
    }

    /// A server cannot start, or cannot do its work.
    pub fn broken(&mut self, check: &str, found: impl Display, repair: &str) -> io::Result<()> {
        self.broken += 1;
        self.line("broken", check, found, repair)
    }

    fn line(&mut self, state: &str, check: &str, found: impl Display, repair: &str) -> io::Result<()> {
        self.checks += 1;
        let repair = if repair.is_empty() { String::new() } else { format!(": {repair}") };
        let line = format!("{state:<8} {check:<14} {found}{repair}");
        // What a library or a file says may have several lines.
        print(line.replace(char::is_control, " "))
    }
}
