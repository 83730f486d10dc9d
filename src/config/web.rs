//! `[web]`: the web client at `/`. Serving it is left to the gateways.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::mistake::Findings;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebConfig {
    /// Whether `/` is the web client.
    pub enabled: bool,
    /// The folder of another client; none for the built-in one.
    #[serde(with = "super::path")]
    pub folder: Option<PathBuf>,
}

impl WebConfig {
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        found.page_folder("folder", self.folder.as_deref(), "client");
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_client_of_ones_own_is_a_folder_with_an_index() {
        let mut config = Config::development();
        assert!(config.web.enabled && config.web.folder.is_none());
        config.web.folder = Some("src".into());
        let mistakes = config.check();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].setting, "web.folder");
        config.web.folder = Some("web".into());
        assert!(config.check().is_empty());
    }
}
