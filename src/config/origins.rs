//! Where each value comes from. What the value is, is left to `layers`.

use std::collections::{BTreeMap, BTreeSet};

use super::Mode;
use super::env;

/// The layer of each setting.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins {
    /// Dotted name -> the file or variable that set it.
    set_by: BTreeMap<String, String>,
    /// What the mode has set, and no later layer.
    of_mode: BTreeSet<String>,
}

impl Origins {
    pub fn new(set_by: BTreeMap<String, String>, of_mode: impl Iterator<Item = String>) -> Self {
        Self { set_by, of_mode: of_mode.collect() }
    }

    /// The file or variable that has set it; `None` if the value is built in.
    pub fn of(&self, setting: &str) -> Option<String> {
        self.set_by.get(setting).cloned()
    }

    /// The layer, for people.
    pub fn layer(&self, setting: &str, mode: Mode) -> String {
        match self.set_by.get(setting) {
            Some(variable) if variable.starts_with(env::PREFIX) => format!("environment {variable}"),
            Some(file) => format!("file {file}"),
            None if self.of_mode.contains(setting) => format!("{mode} mode"),
            None => "default".to_owned(),
        }
    }
}
