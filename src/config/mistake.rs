//! What is wrong with a configuration, in words its owner can act on. Finding the mistakes is left to the sections and
//! to `layers`.

use std::{fmt, path::Path, time::Duration};

use humantime_serde::re::humantime::format_duration;

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Dotted name, e.g. `server.listen`; for a file that cannot be read, its path.
    pub setting: String,
    /// Where the value came from (a file or an environment variable), when it is not a built-in one.
    pub set_by: Option<String>,
    /// What is wrong, e.g. "is zero". Never a secret's value.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set_by = match &self.set_by {
            Some(origin) => format!(" (from {origin})"),
            None => String::new(),
        };
        let line = format!("{}{set_by}: {}; {}", self.setting, self.wrong, self.right);
        // Parsers and values may bring line breaks along; the promise is one line per mistake.
        f.write_str(&line.replace(char::is_control, " "))
    }
}

/// Every mistake of a configuration, so that its owner can correct them in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one; those of names and types first, then those of meaning.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.mistakes.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Longer than any sensible setting, and short enough that adding it to a time cannot overflow.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Collects the mistakes of one section, which asks questions about its own keys.
pub(super) struct Findings<'a> {
    section: &'static str,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Findings<'a> {
    pub fn of(section: &'static str, mistakes: &'a mut Vec<Mistake>) -> Self {
        Self { section, mistakes }
    }

    pub fn refuse(&mut self, key: &str, wrong: impl Into<String>, right: impl Into<String>) {
        self.mistakes.push(Mistake {
            setting: format!("{}.{key}", self.section),
            set_by: None,
            wrong: wrong.into(),
            right: right.into(),
        });
    }

    /// A count or a size: zero would stop everything, and beyond u32 the queues and pools built from it panic.
    pub fn count(&mut self, key: &str, value: usize) {
        if value == 0 || u32::try_from(value).is_err() {
            self.refuse(key, format!("is {value}"), format!("use a number from 1 to {}", u32::MAX));
        }
    }

    /// The folder of a page. `what` is in it.
    pub fn page_folder(&mut self, key: &str, folder: Option<&Path>, what: &str) {
        if let Some(folder) = folder.filter(|folder| !folder.join("index.html").is_file()) {
            self.refuse(
                key,
                format!("{} has no index.html", folder.display()),
                format!("name the folder that the {what} is in, or leave it empty for the built-in {what}"),
            );
        }
    }

    /// A duration for which zero cannot work.
    pub fn duration(&mut self, key: &str, value: Duration) {
        if value.is_zero() {
            self.refuse(key, "is zero", "use a longer time, such as \"1s\"");
        }
        self.duration_or_zero(key, value);
    }

    /// A duration that may be zero.
    pub fn duration_or_zero(&mut self, key: &str, value: Duration) {
        if value > LONGEST {
            self.refuse(key, format!("is {}", format_duration(value)), "use at most \"3650days\"");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_one_line_whatever_it_quotes() {
        let mistake = Mistake {
            setting: "cors.origins".into(),
            set_by: Some("PARLOR__CORS__ORIGINS".into()),
            wrong: "has\nline breaks".into(),
            right: "write it on one".into(),
        };
        assert_eq!(
            mistake.to_string(),
            "cors.origins (from PARLOR__CORS__ORIGINS): has line breaks; write it on one"
        );
        let error = ConfigError { mistakes: vec![mistake.clone(), mistake] };
        assert_eq!(error.to_string().lines().count(), 2);
    }

    #[test]
    fn counts_and_durations_have_limits() {
        let mut mistakes = Vec::new();
        let mut found = Findings::of("writer", &mut mistakes);
        found.count("fine", 1);
        found.count("zero", 0);
        found.count("huge", usize::MAX >> 1);
        found.duration("fine", Duration::from_nanos(1));
        found.duration("never", Duration::ZERO);
        found.duration_or_zero("fine", Duration::ZERO);
        found.duration("for_ever", LONGEST + Duration::from_secs(1));
        let named: Vec<_> = mistakes.iter().map(|mistake| mistake.setting.as_str()).collect();
        assert_eq!(named, ["writer.zero", "writer.huge", "writer.never", "writer.for_ever"]);
    }
}
