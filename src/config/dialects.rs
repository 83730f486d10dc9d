//! `[dialects]`: which wire forms besides the native one are spoken. Speaking them is left to the gateways.
//!
//! A new dialect is a field here, a line in `default.toml` and, when it is *open*, a row in `OPEN`.

use serde::{Deserialize, Serialize};

use super::Mode;
use super::mistake::Findings;
use super::nearest::nearest;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DialectsConfig {
    /// The Angular front end's HTTP routes under `/web`; open.
    pub angular: bool,
    /// The open dialects that production may switch on, by name.
    pub open: Vec<String>,
}

type IsOn = fn(&DialectsConfig) -> bool;

/// The dialects that let people in without a password, and whether each is on.
const OPEN: [(&str, IsOn); 1] = [("angular", |dialects| dialects.angular)];

impl DialectsConfig {
    /// The open dialects that are on, for a warning at start.
    pub fn open_ones(&self) -> Vec<&'static str> {
        OPEN.into_iter().filter(|(_, is_on)| is_on(self)).map(|(name, _)| name).collect()
    }

    pub(super) fn check(&self, mode: Mode, found: &mut Findings<'_>) {
        let names = OPEN.into_iter().map(|(name, _)| name);
        for unknown in self.open.iter().filter(|opened| !names.clone().any(|name| name == *opened)) {
            let right = match nearest(unknown, names.clone()) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("the open dialects are: {}", names.clone().collect::<Vec<_>>().join(", ")),
            };
            found.refuse("open", format!("\"{unknown}\" is not an open dialect"), right);
        }
        if mode == Mode::Production {
            for name in
                self.open_ones().into_iter().filter(|name| !self.open.iter().any(|opened| opened == name))
            {
                found.refuse(
                    name,
                    "is on, and lets people in without a password",
                    format!("switch it off, or add \"{name}\" to dialects.open if that is what you want"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Mode};

    #[test]
    fn production_opens_only_what_was_opted_into() {
        for (angular, open, development, production) in [
            (false, vec![], vec![], vec![]),
            (true, vec!["angular"], vec![], vec![]),
            (true, vec![], vec![], vec!["dialects.angular"]),
            (false, vec!["anglar"], vec!["dialects.open"], vec!["dialects.open"]),
            (true, vec!["lobby"], vec!["dialects.open"], vec!["dialects.open", "dialects.angular"]),
        ] {
            for (mode, expected) in [(Mode::Development, development), (Mode::Production, production)] {
                let mut config = Config::development();
                config.mode = mode;
                config.auth.jwt_secret = "0123456789abcdef0123456789abcdef".into();
                config.dialects.angular = angular;
                config.dialects.open = open.iter().map(|name| (*name).to_owned()).collect();
                let mistakes = config.check();
                let named: Vec<_> = mistakes.iter().map(|mistake| mistake.setting.as_str()).collect();
                assert_eq!(named, expected, "{mode} {open:?}");
                assert_eq!(config.dialects.open_ones(), if angular { vec!["angular"] } else { vec![] });
            }
        }
    }
}
