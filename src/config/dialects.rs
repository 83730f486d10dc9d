//! `[dialects]`: which wire forms besides the native one are spoken. Speaking them is left to the gateways.
//!
//! A new dialect is a field here, a line in `default.toml` and, when it can be *open*, a row in `OPEN`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Mode;
use super::mistake::Findings;
use super::nearest::nearest;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DialectsConfig {
    /// The Angular front end's HTTP routes under `/web`; open.
    pub angular: bool,
    /// The React rooms front end's events in the namespace `/`.
    pub rooms: bool,
    /// The lobby page and its events in the namespace `/`.
    pub lobby: bool,
    /// The folder of the lobby page; none for the built-in page.
    #[serde(with = "super::path")]
    pub lobby_page: Option<PathBuf>,
    /// Plain WebSockets under `/ws`: the native form, and no dialect; its switch stands here all the same.
    pub websocket: bool,
    /// The end-to-end encrypted front end's plain WebSockets under `/chat/{userId}`; open if listed so.
    pub encrypted: bool,
    /// The pictures of the encrypted front end for users whose profile has none; at least one.
    pub encrypted_pictures: Vec<String>,
    /// The dialects that may let people in without a password, by name.
    pub open: Vec<String>,
}

/// What a dialect is that can let people in without a password.
struct OpenDialect {
    name: &'static str,
    is_on: fn(&DialectsConfig) -> bool,
    /// Whether it works for people with a token, too, and is open only where it is listed.
    takes_tokens: bool,
}

const OPEN: [OpenDialect; 2] = [
    OpenDialect { name: "angular", is_on: |dialects| dialects.angular, takes_tokens: false },
    OpenDialect { name: "encrypted", is_on: |dialects| dialects.encrypted, takes_tokens: true },
];

impl DialectsConfig {
    /// The dialects that are on and let people in without a password, for a warning at start.
    pub fn open_ones(&self) -> Vec<&'static str> {
        let open = OPEN.iter().filter(|open| (open.is_on)(self));
        open.filter(|open| !open.takes_tokens || self.is_listed(open.name)).map(|open| open.name).collect()
    }

    /// Whether the end-to-end encrypted front end gets in without a token.
    pub fn encrypted_is_open(&self) -> bool {
        self.encrypted && self.is_listed("encrypted")
    }

    fn is_listed(&self, name: &str) -> bool {
        self.open.iter().any(|listed| listed == name)
    }

    pub(super) fn check(&self, mode: Mode, found: &mut Findings<'_>) {
        let names = OPEN.iter().map(|open| open.name);
        for unknown in self.open.iter().filter(|listed| !names.clone().any(|name| name == *listed)) {
            let right = match nearest(unknown, names.clone()) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("the open dialects are: {}", names.clone().collect::<Vec<_>>().join(", ")),
            };
            found.refuse("open", format!("\"{unknown}\" is not an open dialect"), right);
        }
        if mode == Mode::Production {
            for name in self.open_ones().into_iter().filter(|name| !self.is_listed(name)) {
                found.refuse(
                    name,
                    "is on, and lets people in without a password",
                    format!("switch it off, or add \"{name}\" to dialects.open if that is what you want"),
                );
            }
        }
        if self.encrypted_pictures.is_empty()
            || self.encrypted_pictures.iter().any(|name| name.trim().is_empty())
        {
            found.refuse(
                "encrypted_pictures",
                "has no picture, or one without a name",
                "name pictures of the app, such as [\"user1.png\"]",
            );
        }
        found.page_folder("lobby_page", self.lobby_page.as_deref(), "page");
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Mode};

    #[test]
    fn the_encrypted_app_has_a_picture_for_everybody() {
        for (pictures, wrong) in
            [(vec![], true), (vec![" "], true), (vec!["a.png", ""], true), (vec!["a.png"], false)]
        {
            let mut config = Config::development();
            config.dialects.encrypted_pictures = pictures.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(!config.check().is_empty(), wrong, "{pictures:?}");
        }
    }

    #[test]
    fn production_opens_only_what_was_opted_into() {
        type Case = (bool, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
        let table: [Case; 6] = [
            (false, &[], &[], &[]),
            (true, &["angular"], &["angular"], &[]),
            (true, &[], &["angular"], &["dialects.angular"]),
            (false, &["encrypted"], &["encrypted"], &[]),
            (false, &["anglar"], &[], &["dialects.open"]),
            (true, &["lobby"], &["angular"], &["dialects.open", "dialects.angular"]),
        ];
        for (angular, open, open_ones, production) in table {
            let development: Vec<_> = production.iter().filter(|name| **name == "dialects.open").collect();
            for mode in [Mode::Development, Mode::Production] {
                let mut config = Config::development();
                config.mode = mode;
                config.auth.jwt_secret = "k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd".into();
                config.dialects.angular = angular;
                config.dialects.open = open.iter().map(|name| (*name).to_owned()).collect();
                let mistakes = config.check();
                let named: Vec<_> = mistakes.iter().map(|mistake| mistake.setting.as_str()).collect();
                match mode {
                    Mode::Development => assert_eq!(named.len(), development.len(), "{open:?} {named:?}"),
                    Mode::Production => assert_eq!(named, production, "{open:?}"),
                }
                assert_eq!(config.dialects.open_ones(), open_ones);
            }
        }
    }

    #[test]
    fn the_encrypted_front_end_is_open_only_where_it_is_on_and_listed() {
        let mut config = Config::development();
        assert!(config.dialects.encrypted_is_open());
        config.dialects.open.retain(|name| name != "encrypted");
        assert!(config.dialects.encrypted && !config.dialects.encrypted_is_open());
        config.dialects.open.push("encrypted".into());
        config.dialects.encrypted = false;
        assert!(!config.dialects.encrypted_is_open());
        assert_eq!(config.dialects.open_ones(), ["angular"]);
    }

    #[test]
    fn a_lobby_page_is_a_folder_with_an_index() {
        let mut config = Config::development();
        assert_eq!(config.dialects.lobby_page, None);
        config.dialects.lobby_page = Some("src".into());
        let mistakes = config.check();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].setting, "dialects.lobby_page");
    }
}
