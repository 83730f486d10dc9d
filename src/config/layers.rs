//! Lays settings over each other as TOML tables: built-in files, the owner's file, the environment. What is a setting at
//! all is left to `schema`, what a value means to the sections.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::env;
use super::mistake::Mistake;
use super::schema::{Schema, embedded, set};
use super::{Config, Mode};

const DEVELOPMENT: &str = include_str!("../../config/development.toml");
const PRODUCTION: &str = include_str!("../../config/production.toml");

/// The layers so far.
pub(super) struct Layers {
    schema: Schema,
    merged: Table,
    /// Dotted name -> the file or variable that was the last to set it.
    set_by: BTreeMap<String, String>,
    mistakes: Vec<Mistake>,
}

impl Layers {
    /// The two built-in layers.
    pub fn built_in(mode: Mode) -> Self {
        let schema = Schema::of(mode);
        let merged = schema.defaults();
        let mut layers = Self { schema, merged, set_by: BTreeMap::new(), mistakes: Vec::new() };
        let of_mode = match mode {
            Mode::Development => DEVELOPMENT,
            Mode::Production => PRODUCTION,
        };
        layers.table(embedded(of_mode), None);
        layers
    }

    pub fn file(&mut self, path: &Path) {
        let origin = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let right = "give --config a TOML file that this process may read";
                return self.refuse(&origin, None, format!("cannot be read ({error})"), right);
            }
        };
        match text.parse::<Table>() {
            Ok(table) => self.table(table, Some(&origin)),
            Err(error) => {
                // Only the message and the line: the error's own text quotes the line, which may hold a secret.
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
                let line = before.matches('\n').count() + 1;
                let wrong = format!("is not TOML, at line {line} ({})", error.message());
                self.refuse(&origin, None, wrong, "correct that line; config/default.toml shows the form");
            }
        }
    }

    /// Variables without our prefix are somebody else's.
    pub fn env(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let ours: BTreeMap<_, _> =
            variables.into_iter().filter(|(name, _)| name.starts_with(env::PREFIX)).collect();
        for (variable, text) in ours {
            let path = variable[env::PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            match self.schema.default_of(&path) {
                None if path.is_empty() => {
                    self.refuse(&variable, None, "names no setting", "write PARLOR__SECTION__KEY")
                }
                None => self.unknown(&path, Some(&variable)),
                // What `environment()` puts in place of bytes it cannot read.
                Some(_) if text.contains(char::REPLACEMENT_CHARACTER) => {
                    self.refuse(&path, Some(&variable), "is not valid UTF-8", "write it in UTF-8");
                }
                Some(default) => {
                    let readings = env::readings(&text, default);
                    self.leaf(&path, readings, Some(&variable));
                }
            }
        }
    }

    /// What came out, as far as it could be understood, and everything that could not.
    pub fn finish(self) -> (Option<Config>, Origins, Vec<Mistake>) {
        let mut mistakes = self.mistakes;
        match self.merged.try_into::<Config>() {
            Ok(config) => (Some(config), Origins(self.set_by), mistakes),
            Err(error) => {
                // Every value was tried alone before, so only values that clash while being read could lead here.
                mistakes.push(Mistake {
                    setting: "configuration".to_owned(),
                    set_by: None,
                    wrong: error.message().to_owned(),
                    right: "compare it with config/default.toml".to_owned(),
                });
                (None, Origins(self.set_by), mistakes)
            }
        }
    }

    /// Sections are one level deep, as in `default.toml`.
    fn table(&mut self, table: Table, origin: Option<&str>) {
        for (section, content) in table {
            match content {
                Value::Table(settings) if self.schema.is_section(&section) => {
                    for (key, value) in settings {
                        let path = format!("{section}.{key}");
                        match self.schema.default_of(&path) {
                            Some(_) => self.leaf(&path, vec![value], origin),
                            None => self.unknown(&path, origin),
                        }
                    }
                }
                _ if self.schema.is_section(&section) => {
                    let right = format!("write its settings in lines of their own, under [{section}]");
                    self.refuse(&section, origin, "is a section, not a setting", right);
                }
                _ => self.unknown(&section, origin),
            }
        }
    }

    /// Sets one value to the first of its readings that the whole configuration accepts on top of the defaults. A value
    /// that none fits is left out, so that the remaining mistakes can still be found.
    fn leaf(&mut self, path: &str, readings: Vec<Value>, origin: Option<&str>) {
        let mut first_error = None;
        for reading in readings {
            match self.schema.try_alone(path, reading.clone()) {
                Ok(()) => {
                    if let Some(origin) = origin {
                        self.set_by.insert(path.to_owned(), origin.to_owned());
                    }
                    return set(&mut self.merged, path, reading);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if let Some(error) = first_error {
            let right = self.schema.expected(path);
            self.refuse(path, origin, error.message(), right);
        }
    }

    fn unknown(&mut self, path: &str, origin: Option<&str>) {
        let right = self.schema.suggestion(path);
        self.refuse(path, origin, "is not a setting", right);
    }

    fn refuse(
        &mut self,
        setting: &str,
        origin: Option<&str>,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) {
        self.mistakes.push(Mistake {
            setting: setting.to_owned(),
            set_by: origin.map(str::to_owned),
            wrong: wrong.into(),
            right: right.into(),
        });
    }
}

/// Which file or variable set what.
pub(super) struct Origins(BTreeMap<String, String>);

impl Origins {
    pub fn of(&self, setting: &str) -> Option<String> {
        self.0.get(setting).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::names;

    #[test]
    fn the_files_of_the_modes_hold_only_what_differs() {
        let schema = Schema::of(Mode::Development);
        for text in [DEVELOPMENT, PRODUCTION] {
            let table = embedded(text);
            for name in names(&table) {
                let (section, key) = name.split_once('.').expect("a dotted name");
                assert!(schema.default_of(&name).is_some(), "{name} is not in default.toml");
                assert_ne!(schema.default_of(&name), Some(&table[section][key]), "{name}");
            }
        }
    }
}
