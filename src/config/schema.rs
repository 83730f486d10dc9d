//! What `default.toml` says about every setting: its name, its kind, its comment. Values of other layers are left to
//! `layers`.

use toml::{Table, Value};

use super::env;
use super::nearest::nearest;
use super::{Config, Mode};

pub(super) const DEFAULT: &str = include_str!("../../config/default.toml");

/// `default.toml` and the mode: valid in form, so a new value can be tried on it alone.
pub(super) struct Schema(Table);

impl Schema {
    pub fn of(mode: Mode) -> Self {
        let mut table = embedded(DEFAULT);
        table.insert("mode".to_owned(), Value::String(mode.to_string()));
        Self(table)
    }

    /// The defaults, to lay other values over.
    pub fn defaults(&self) -> Table {
        self.0.clone()
    }

    pub fn is_section(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(Value::is_table)
    }

    pub fn default_of(&self, path: &str) -> Option<&Value> {
        let (section, key) = path.split_once('.')?;
        self.0.get(section)?.get(key)
    }

    /// Whether the setting may have this value, or why not.
    pub fn try_alone(&self, path: &str, value: Value) -> Result<(), toml::de::Error> {
        let mut trial = self.defaults();
        set(&mut trial, path, value);
        trial.try_into::<Config>().map(|_| ())
    }

    /// What belongs there: the comment in `default.toml`, and the default.
    pub fn expected(&self, path: &str) -> String {
        let default = self.default_of(path).map(|value| format!(" Default: {value}")).unwrap_or_default();
        format!("what belongs here: {}{default}", comment(path).unwrap_or_default())
    }

    /// What an environment variable was meant to be that sets nothing, because it is written with other underscores
    /// or in small letters; `None` if it may be somebody else's.
    pub fn meant_by_variable(&self, variable: &str) -> Option<String> {
        let rest = variable.to_ascii_uppercase().strip_prefix("PARLOR_")?.to_ascii_lowercase();
        let joined = |text: &str| text.split(['_', '.']).filter(|part| !part.is_empty()).collect::<String>();
        let wanted = joined(&rest);
        let name = names(&self.0).into_iter().find(|name| joined(name) == wanted);
        match name {
            Some(name) => {
                Some(format!("write {}{}", env::PREFIX, name.replace('.', "__").to_ascii_uppercase()))
            }
            // No other program writes two underscores after this prefix.
            None if rest.trim_start_matches('_').contains("__") => {
                Some(self.suggestion(&rest.trim_start_matches('_').replace("__", ".")))
            }
            None => None,
        }
    }

    /// What an unknown name was probably meant to be.
    pub fn suggestion(&self, path: &str) -> String {
        let settings = names(&self.0);
        let setting = || nearest(path, settings.iter().map(String::as_str)).map(str::to_owned);
        let sections: Vec<_> =
            self.0.keys().map(String::as_str).filter(|name| self.is_section(name)).collect();
        let section = || nearest(path, sections.iter().copied()).map(|section| format!("[{section}]"));
        // A name without a dot is most often a section's.
        let meant = if path.contains('.') { setting() } else { section().or_else(setting) };
        if let Some(meant) = meant {
            return format!("did you mean {meant}?");
        }
        let section = path.split('.').next().unwrap_or(path);
        match self.0.get(section).and_then(Value::as_table) {
            Some(known) => {
                let keys: Vec<_> = known.keys().map(String::as_str).collect();
                format!("the settings of [{section}] are: {}", keys.join(", "))
            }
            None => format!("the sections are: {}", sections.join(", ")),
        }
    }
}

pub(super) fn embedded(text: &str) -> Table {
    text.parse().expect("the built-in configuration files are TOML: a test reads them")
}

/// Sets a dotted name in a table that has its section.
pub(super) fn set(table: &mut Table, path: &str, value: Value) {
    if let Some((section, key)) = path.split_once('.')
        && let Some(Value::Table(settings)) = table.get_mut(section)
    {
        settings.insert(key.to_owned(), value);
    }
}

/// Every dotted name of a setting.
pub(super) fn names(table: &Table) -> Vec<String> {
    let sections = table.iter().filter_map(|(section, content)| Some((section, content.as_table()?)));
    sections
        .flat_map(|(section, settings)| settings.keys().map(move |key| format!("{section}.{key}")))
        .collect()
}

/// The comment above a setting in `default.toml`.
fn comment(path: &str) -> Option<String> {
    let (wanted_section, wanted_key) = path.split_once('.')?;
    let mut section = "";
    let mut comment = Vec::new();
    for line in DEFAULT.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
            continue;
        } else if let Some((key, _)) = line.split_once('=')
            && (section, key.trim()) == (wanted_section, wanted_key)
        {
            return Some(comment.join(" ")).filter(|comment| !comment.is_empty());
        }
        comment.clear();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_default_toml_has_a_comment() {
        for name in names(&embedded(DEFAULT)) {
            assert!(comment(&name).is_some_and(|comment| comment.ends_with(['.', ';'])), "{name}");
        }
    }
}
