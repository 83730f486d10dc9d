//! Lays settings over each other as TOML tables: built-in files, the owner's file, the environment. What is a setting at
//! all is left to `schema`, what a value means to the sections.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::env;
use super::mistake::Mistake;
use super::origins::Origins;
use super::schema::{Schema, embedded, set};
use super::secret_files;
use super::telemetry::unknown_level;
use super::{Config, DatabaseUrl, Mode};

const DEVELOPMENT: &str = include_str!("../../config/development.toml");
const PRODUCTION: &str = include_str!("../../config/production.toml");

/// The number of the layers that are part of the program.
const BUILT_IN: usize = 0;

/// The layers so far.
pub(super) struct Layers {
    mode: Mode,
    schema: Schema,
    merged: Table,
    /// Dotted name -> the file or variable that was the last to set it.
    set_by: BTreeMap<String, String>,
    /// Dotted name -> the number of the layer that was the last to set it.
    set_in: BTreeMap<String, usize>,
    layer: usize,
    mistakes: Vec<Mistake>,
    /// What works, and is most likely not meant.
    pub warnings: Vec<Mistake>,
}

impl Layers {
    /// The two built-in layers.
    pub fn built_in(mode: Mode) -> Self {
        let schema = Schema::of(mode);
        let merged = schema.defaults();
        let mut layers = Self {
            mode,
            schema,
            merged,
            set_by: BTreeMap::new(),
            set_in: BTreeMap::new(),
            layer: BUILT_IN,
            mistakes: Vec::new(),
            warnings: Vec::new(),
        };
        let of_mode = match mode {
            Mode::Development => DEVELOPMENT,
            Mode::Production => PRODUCTION,
        };
        layers.table(embedded(of_mode), None);
        layers
    }

    pub fn file(&mut self, path: &Path) {
        self.layer += 1;
        let origin = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let right = "give --config a TOML file that this process may read";
                return self.refuse(&origin, None, format!("cannot be read ({error})"), right);
            }
        };
        match text.parse::<Table>() {
            Ok(table) => {
                if has_secrets(&table) {
                    self.warn_if_open(path);
                }
                self.table(table, Some(&origin));
            }
            Err(error) => {
                // Only the message and the line: the error's own text quotes the line, which may hold a secret.
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
                let line = before.matches('\n').count() + 1;
                let wrong = format!("is not TOML, at line {line} ({})", error.message());
                self.refuse(&origin, None, wrong, "correct that line; config/default.toml shows the form");
            }
        }
    }

    /// Variables without our prefix are somebody else's, unless they name a setting all the same.
    pub fn env(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.layer += 1;
        let (ours, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            variables.into_iter().partition(|(name, _)| name.starts_with(env::PREFIX));
        for (variable, text) in others {
            if let Some(right) = self.schema.meant_by_variable(&variable) {
                let wrong = "sets nothing: two underscores are between PARLOR, the section and the key";
                self.refuse(&variable, None, wrong, right);
            } else if variable == "RUST_LOG"
                && let Some(word) = unknown_level(&text)
            {
                self.warnings.push(Mistake {
                    setting: variable,
                    set_by: None,
                    wrong: format!(
                        "\"{word}\" is not a level, so only a part of the program with this name is logged"
                    ),
                    right: "use error, warn, info, debug, trace or off".to_owned(),
                });
            }
        }
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
    pub fn finish(mut self) -> (Option<Config>, Origins, Vec<Mistake>) {
        self.read_secret_files();
        let mut mistakes = std::mem::take(&mut self.mistakes);
        let of_mode = self.set_in.into_iter().filter(|(_, layer)| *layer == BUILT_IN).map(|(name, _)| name);
        let origins = Origins::new(self.set_by, of_mode);
        match self.merged.try_into::<Config>() {
            Ok(mut config) => {
                config.warnings = std::mem::take(&mut self.warnings);
                (Some(config), origins, mistakes)
            }
            Err(error) => {
                // Every value was tried alone before, so only values that clash while being read could lead here.
                mistakes.push(Mistake {
                    setting: "configuration".to_owned(),
                    set_by: None,
                    wrong: error.message().to_owned(),
                    right: "compare it with config/default.toml".to_owned(),
                });
                (None, origins, mistakes)
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
                    if let Some(other) = self.other_form(path, &reading)
                        && !self.replace(path, other, origin)
                    {
                        return;
                    }
                    self.set_in.insert(path.to_owned(), self.layer);
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

    /// The other setting for the same secret, if this value is one.
    fn other_form(&self, path: &str, value: &Value) -> Option<&'static str> {
        secret_files::other_form(path).filter(|_| value.as_str().is_some_and(|text| !text.is_empty()))
    }

    /// Unsets the other form of a secret that an earlier layer has set. In the same layer both are a mistake.
    fn replace(&mut self, path: &str, other: &'static str, origin: Option<&str>) -> bool {
        if self.text(other).is_empty() {
            return true;
        }
        if self.layer > BUILT_IN && self.set_in.get(other) == Some(&self.layer) {
            self.refuse(path, origin, format!("is set, and {other} is, too"), "set one of them");
            return false;
        }
        set(&mut self.merged, other, Value::String(String::new()));
        self.set_by.remove(other);
        self.set_in.remove(other);
        true
    }

    /// The text of a setting; empty if it is not one.
    fn text(&self, path: &str) -> String {
        let value = path.split_once('.').and_then(|(section, key)| self.merged.get(section)?.get(key));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Puts the secrets in the place of the files that hold them. A key that does not exist yet stays empty where it
    /// may be made: on SQLite, which one machine uses alone.
    fn read_secret_files(&mut self) {
        for (secret, by_file) in secret_files::PAIRS {
            let is_own = secret == "auth.jwt_secret";
            let database = DatabaseUrl::from(self.text("database.url"));
            if is_own
                && self.mode == Mode::Production
                && self.text(secret).is_empty()
                && self.text(by_file).is_empty()
                && let Some(file) = secret_files::beside(&database)
            {
                set(&mut self.merged, by_file, Value::String(file.display().to_string()));
                self.set_in.insert(by_file.to_owned(), BUILT_IN);
            }
            let named = self.text(by_file);
            if named.is_empty() {
                continue;
            }
            let origin = self.set_by.get(by_file).cloned();
            let file = Path::new(&named);
            let (wrong, right) = match secret_files::read(file) {
                Ok(Some(text)) => {
                    self.warn_if_open(file);
                    set(&mut self.merged, secret, Value::String(text));
                    self.set_by.insert(secret.to_owned(), named);
                    continue;
                }
                Ok(None) if is_own && database.is_sqlite() => continue,
                Ok(None) if is_own => (
                    format!("{named} does not exist"),
                    "make it with `openssl rand -base64 48`, the same on all servers of the database",
                ),
                Ok(None) => (format!("{named} does not exist"), "name a file with the secret on one line"),
                Err(error) => {
                    (format!("{named} cannot be used ({error})"), "name a file with the secret on one line")
                }
            };
            self.refuse(by_file, origin.as_deref(), wrong, right);
            // One mistake is enough.
            if let Some(default) = self.schema.default_of(secret).cloned() {
                set(&mut self.merged, secret, default);
            }
        }
    }

    fn warn_if_open(&mut self, file: &Path) {
        if secret_files::is_open_to_others(file) {
            self.warnings.push(Mistake {
                setting: file.display().to_string(),
                set_by: None,
                wrong: "holds secrets, and every user of this machine may read it".to_owned(),
                right: "restrict it with chmod 600".to_owned(),
            });
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

/// Whether a file sets a secret itself.
fn has_secrets(table: &Table) -> bool {
    let text = |section: &str, key: &str| {
        let value = table.get(section).and_then(Value::as_table).and_then(|settings| settings.get(key));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let url = DatabaseUrl::from(text("database", "url"));
    ["jwt_secret", "previous_jwt_secret"].iter().any(|key| !text("auth", key).is_empty())
        || url.redacted() != url.expose()
        || text("cluster", "url").contains('@')
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
