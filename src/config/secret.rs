//! How secrets enter and leave the configuration: read without ever being quoted in an error, written as `<redacted>`.
//! Which settings are secret, and what makes a good one, is left to the sections.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use toml::Value;

pub(super) const REDACTED: &str = "<redacted>";

/// A string, or an error that does not repeat the value as serde's own would.
fn text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    match Value::deserialize(input) {
        Ok(Value::String(text)) => Ok(text),
        _ => Err(de::Error::custom("is not a string (its value is not shown here)")),
    }
}

/// For `#[serde(with = "secret")]`; an unset secret is the empty string.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<SecretString, D::Error> {
    text(input).map(SecretString::from)
}

/// Shows that a secret is set, and nothing else about it.
pub(super) fn serialize<S: Serializer>(secret: &SecretString, output: S) -> Result<S::Ok, S::Error> {
    output.serialize_str(if secret.expose_secret().is_empty() { "" } else { REDACTED })
}

/// For `#[serde(with = "secret::optional")]`: the empty string is none.
pub(super) mod optional {
    use super::*;

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Some(text(input)?).filter(|text| !text.is_empty()).map(SecretString::from))
    }

    pub fn serialize<S: Serializer>(secret: &Option<SecretString>, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(if secret.is_some() { REDACTED } else { "" })
    }
}

/// A database address, which may hold a password: prints and serializes without it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole address with its password, for the driver only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    pub fn is_postgres(&self) -> bool {
        self.0.starts_with("postgres:") || self.0.starts_with("postgresql:")
    }

    /// The address with every password replaced. Where an address is ambiguous (a password with an unescaped `/` or
    /// `@`) it hides too much rather than too little.
    pub fn redacted(&self) -> String {
        let (scheme, rest) = match self.0.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), self.0.as_str()),
        };
        let rest = match rest.rsplit_once('@') {
            Some((login, host)) => match login.split_once(':') {
                Some((user, _password)) => format!("{user}:{REDACTED}@{host}"),
                None => rest.to_owned(),
            },
            None => rest.to_owned(),
        };
        match rest.split_once('?') {
            Some((address, query)) => {
                let query: Vec<_> = query.split('&').map(without_password).collect();
                format!("{scheme}{address}?{}", query.join("&"))
            }
            None => scheme + &rest,
        }
    }
}

/// The drivers also take `?password=` and `?sslpassword=`.
fn without_password(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().ends_with("password") => format!("{name}={REDACTED}"),
        _ => parameter.to_owned(),
    }
}

impl<T: Into<String>> From<T> for DatabaseUrl {
    fn from(url: T) -> Self {
        Self(url.into())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.redacted())
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        text(input).map(Self)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_address_prints_without_its_password() {
        for (url, shown) in [
            ("sqlite://data/parlor.db", "sqlite://data/parlor.db"),
            ("sqlite:parlor.db?mode=rwc", "sqlite:parlor.db?mode=rwc"),
            ("postgres://db.example.com:5432/parlor", "postgres://db.example.com:5432/parlor"),
            ("postgres://ada@db/parlor", "postgres://ada@db/parlor"),
            ("postgres://ada:hunter2@db:5432/parlor", "postgres://ada:<redacted>@db:5432/parlor"),
            ("postgresql://ada:hu@nt/er2?x@db/parlor", "postgresql://ada:<redacted>@db/parlor"),
            (
                "postgres://db/parlor?user=ada&password=hunter2",
                "postgres://db/parlor?user=ada&password=<redacted>",
            ),
            (
                "postgres://db/parlor?SSLPassword=hunter2&a=b",
                "postgres://db/parlor?SSLPassword=<redacted>&a=b",
            ),
            ("ada:hunter2@db", "ada:<redacted>@db"),
        ] {
            let url = DatabaseUrl::from(url);
            assert_eq!(url.redacted(), shown);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("{shown:?}"));
        }
    }
}
