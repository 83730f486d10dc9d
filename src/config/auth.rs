//! `[auth]`: keys, token times and password hashing. Issuing and verifying is left to `auth`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use humantime_serde::re::humantime::format_duration;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Mode;
use super::entropy;
use super::issuers::{self, IssuerConfig};
use super::mistake::Findings;
use super::secret;
use super::switch::Switch;

/// What HS256 needs to be as strong as its name: a key as long as its digest (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;
/// Less than half of what the shortest random secret has, in bits.
const LEAST_ENTROPY: f64 = 64.0;
/// A token that was stolen is good for this long, unless its login is ended.
const LONG_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// In development.toml, hence known to everyone who has the source.
const DEVELOPMENT_SECRET: &str = "parlor-development-secret-known-to-everyone";
const MOST_LEEWAY: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The key that signs access tokens; at least 32 bytes in production, never empty.
    #[serde(with = "secret")]
    pub jwt_secret: SecretString,
    /// The file that `jwt_secret` was read from. While it does not exist, `jwt_secret` is empty, and
    /// [`Config::make_missing_secret`](super::Config::make_missing_secret) makes it.
    #[serde(with = "super::path")]
    pub jwt_secret_file: Option<PathBuf>,
    /// The key before the last change; set exactly when `previous_jwt_secret_until` is.
    #[serde(with = "secret::optional")]
    pub previous_jwt_secret: Option<SecretString>,
    /// The file that `previous_jwt_secret` was read from.
    #[serde(with = "super::path")]
    pub previous_jwt_secret_file: Option<PathBuf>,
    /// Until when tokens of the previous key are accepted.
    #[serde(with = "instant")]
    pub previous_jwt_secret_until: Option<DateTime<Utc>>,
    /// The `iss` claim written and required.
    pub issuer: String,
    /// How long an access token is valid.
    #[serde(with = "humantime_serde")]
    pub token_ttl: Duration,
    /// How long a login lasts at most, however often its token is renewed; at least `token_ttl`.
    #[serde(with = "humantime_serde")]
    pub session_ttl: Duration,
    /// How long before its token's end a client is sent `token-expiring`.
    #[serde(with = "humantime_serde")]
    pub expiring_notice: Duration,
    /// How far clocks may differ when a token's times are checked.
    #[serde(with = "humantime_serde")]
    pub leeway: Duration,
    /// Whether people may sign up by themselves.
    pub signup: bool,
    /// Whether login cookies are sent over HTTPS only; see
    /// [`Config::has_secure_cookie`](super::Config::has_secure_cookie).
    pub secure_cookie: Switch,
    /// Passwords hashed at the same time.
    pub hashing_at_once: usize,
    /// Passwords that may wait to be hashed; one more is `unavailable`.
    pub hashing_queue: usize,
    /// Who else's tokens are accepted. The last field, because TOML writes tables last.
    pub issuers: Vec<IssuerConfig>,
}

impl AuthConfig {
    /// The previous key and until when it is accepted.
    pub fn previous(&self) -> Option<(&SecretString, DateTime<Utc>)> {
        self.previous_jwt_secret.as_ref().zip(self.previous_jwt_secret_until)
    }

    pub(super) fn check(&self, mode: Mode, found: &mut Findings<'_>) {
        // A file that does not exist yet will be made; one that could not be read is a mistake of its own.
        if !(self.jwt_secret.expose_secret().is_empty() && self.jwt_secret_file.is_some()) {
            check_secret("jwt_secret", &self.jwt_secret, mode, found);
        }
        if self.previous_jwt_secret.is_some() || self.previous_jwt_secret_file.is_none() {
            self.check_previous(mode, found);
        }
        if self.issuer.trim().is_empty() {
            found.refuse("issuer", "is empty", "give it a name, such as \"parlor\"");
        }
        // Claims are in whole seconds, so a shorter token would be born expired.
        if self.token_ttl < Duration::from_secs(1) || self.token_ttl <= self.leeway {
            found.refuse(
                "token_ttl",
                format!("is {}", format_duration(self.token_ttl)),
                format!("use at least \"1s\", and more than auth.leeway ({})", format_duration(self.leeway)),
            );
        }
        if self.leeway > MOST_LEEWAY {
            let wrong = format!("is {}, so expired tokens would live on", format_duration(self.leeway));
            found.refuse("leeway", wrong, "use at most \"60s\"");
        }
        if self.session_ttl < self.token_ttl {
            found.refuse(
                "session_ttl",
                format!("is {}, less than auth.token_ttl", format_duration(self.session_ttl)),
                format!("use at least \"{}\"", format_duration(self.token_ttl)),
            );
        }
        found.duration_or_zero("token_ttl", self.token_ttl);
        found.duration_or_zero("session_ttl", self.session_ttl);
        found.duration_or_zero("expiring_notice", self.expiring_notice);
        found.count("hashing_at_once", self.hashing_at_once);
        found.count("hashing_queue", self.hashing_queue);
        issuers::check(&self.issuers, &self.issuer, mode, found);
    }

    pub(super) fn warn(&self, mode: Mode, found: &mut Findings<'_>) {
        if mode == Mode::Production && self.secure_cookie == Switch::Off {
            found.refuse(
                "secure_cookie",
                "is off, so browsers send the login also over plain HTTP, where others can read it",
                "set it to true, unless nobody uses the server over HTTPS",
            );
        }
        if self.token_ttl > LONG_TTL {
            found.refuse(
                "token_ttl",
                format!("is {}, and a stolen token is good for as long", format_duration(self.token_ttl)),
                "use at most \"1day\": clients renew their tokens while they are in use",
            );
        }
    }

    fn check_previous(&self, mode: Mode, found: &mut Findings<'_>) {
        match (&self.previous_jwt_secret, self.previous_jwt_secret_until) {
            (None, None) => {}
            (None, Some(_)) => found.refuse(
                "previous_jwt_secret",
                "is empty although auth.previous_jwt_secret_until is set",
                "set both or neither",
            ),
            (Some(_), None) => found.refuse(
                "previous_jwt_secret_until",
                "is empty although auth.previous_jwt_secret is set",
                "set both or neither, so that the old key ends some day",
            ),
            (Some(previous), Some(_)) => {
                check_secret("previous_jwt_secret", previous, mode, found);
                if previous.expose_secret() == self.jwt_secret.expose_secret() {
                    found.refuse(
                        "previous_jwt_secret",
                        "is the same as auth.jwt_secret",
                        "give the key before it",
                    );
                }
            }
        }
    }
}

/// A previous key is held to the same rules: whoever knows it can make tokens until it ends.
fn check_secret(key: &str, secret: &SecretString, mode: Mode, found: &mut Findings<'_>) {
    let right = "use at least 32 random bytes, e.g. from `openssl rand -base64 48`";
    let secret = secret.expose_secret();
    if secret.is_empty() {
        found.refuse(key, "is missing", right);
    } else if mode == Mode::Production && secret == DEVELOPMENT_SECRET {
        found.refuse(key, "is the development secret, which everyone knows", right);
    } else if mode == Mode::Production && secret.len() < SHORTEST_SECRET {
        found.refuse(key, format!("is only {} bytes long", secret.len()), right);
    } else if mode == Mode::Production && key == "jwt_secret" && entropy::bits(secret) < LEAST_ENTROPY {
        // A previous one may be: it is on its way out, and it ends at a set time.
        found.refuse(
            key,
            "is easy to guess: it repeats itself, or follows the alphabet or the keyboard",
            right,
        );
    }
}

/// An RFC 3339 instant, as a string or as TOML's own date-time; the empty string is none.
mod instant {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de};
    use toml::Value;

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        let text = match Value::deserialize(input)? {
            Value::String(text) if text.is_empty() => return Ok(None),
            Value::String(text) => text,
            Value::Datetime(instant) => instant.to_string(),
            other => return Err(de::Error::custom(format!("{other} is not an instant"))),
        };
        match DateTime::parse_from_rfc3339(&text) {
            Ok(instant) => Ok(Some(instant.to_utc())),
            Err(error) => Err(de::Error::custom(format!("\"{text}\" is not an RFC 3339 instant ({error})"))),
        }
    }

    pub fn serialize<S: Serializer>(instant: &Option<DateTime<Utc>>, output: S) -> Result<S::Ok, S::Error> {
        let text = instant.map(|instant| instant.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        output.serialize_str(&text.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const GOOD: &str = "k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd";
    const OTHER: &str = "another-good-secret-of-enough-bytes";

    fn config(mode: Mode, secret: &str) -> Config {
        let mut config = Config::development();
        config.mode = mode;
        config.auth.jwt_secret = secret.into();
        config.dialects.angular = false;
        config
    }

    fn mistakes(config: &Config) -> Vec<String> {
        config.check().into_iter().map(|mistake| format!("{} {}", mistake.setting, mistake.wrong)).collect()
    }

    #[test]
    fn the_development_secret_is_the_one_in_the_file() {
        assert_eq!(Config::development().auth.jwt_secret.expose_secret(), DEVELOPMENT_SECRET);
    }

    #[test]
    fn production_wants_a_secret_of_its_own() {
        for (secret, development, production) in [
            (GOOD, vec![], vec![]),
            ("", vec!["auth.jwt_secret is missing"], vec!["auth.jwt_secret is missing"]),
            ("31 bytes are not quite as long.", vec![], vec!["auth.jwt_secret is only 31 bytes long"]),
            (
                DEVELOPMENT_SECRET,
                vec![],
                vec!["auth.jwt_secret is the development secret, which everyone knows"],
            ),
            (
                "change-me-change-me-change-me-change-me",
                vec![],
                vec![
                    "auth.jwt_secret is easy to guess: it repeats itself, or follows the alphabet or the keyboard",
                ],
            ),
        ] {
            assert_eq!(mistakes(&config(Mode::Development, secret)), development);
            assert_eq!(mistakes(&config(Mode::Production, secret)), production);
        }
    }

    #[test]
    fn a_previous_secret_has_an_end_and_is_as_good_as_the_current_one() {
        let until = Some(DateTime::UNIX_EPOCH);
        for (previous, until, expected) in [
            (None, None, None),
            (Some(OTHER), until, None),
            (Some(OTHER), None, Some("auth.previous_jwt_secret_until is empty")),
            (None, until, Some("auth.previous_jwt_secret is empty")),
            (Some(GOOD), until, Some("auth.previous_jwt_secret is the same")),
            (Some("short"), until, Some("auth.previous_jwt_secret is only 5 bytes")),
            (Some(DEVELOPMENT_SECRET), until, Some("auth.previous_jwt_secret is the development secret")),
        ] {
            let mut config = config(Mode::Production, GOOD);
            config.auth.previous_jwt_secret = previous.map(SecretString::from);
            config.auth.previous_jwt_secret_until = until;
            let found = mistakes(&config);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
            assert!(
                found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)),
                "{found:?}"
            );
            assert_eq!(config.auth.previous().is_some(), previous.is_some() && until.is_some());
        }
    }

    #[test]
    fn token_times() {
        for (ttl, leeway, expected) in [
            (Duration::from_secs(6), Duration::from_secs(5), vec![]),
            (Duration::from_secs(1), Duration::ZERO, vec![]),
            (Duration::from_secs(5), Duration::from_secs(5), vec!["auth.token_ttl is 5s"]),
            (Duration::from_millis(999), Duration::ZERO, vec!["auth.token_ttl is 999ms"]),
            (
                Duration::from_secs(3600),
                Duration::from_secs(61),
                vec!["auth.leeway is 1m 1s, so expired tokens would live on"],
            ),
        ] {
            let mut config = config(Mode::Production, GOOD);
            config.auth.token_ttl = ttl;
            config.auth.leeway = leeway;
            assert_eq!(mistakes(&config), expected);
        }
        let mut config = config(Mode::Production, GOOD);
        config.auth.session_ttl = Duration::from_secs(3599);
        assert_eq!(mistakes(&config), ["auth.session_ttl is 59m 59s, less than auth.token_ttl"]);
    }
}
