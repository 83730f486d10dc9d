//! `[telemetry]`: logs and metrics. Writing and serving them is left to `telemetry`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Mode;
use super::mistake::Findings;
use super::server::is_loopback;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines look.
    pub format: LogFormat,
    /// An `EnvFilter` directive; `RUST_LOG` wins over it.
    pub level: String,
    /// Where metrics are served.
    pub metrics: Metrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Readable,
    /// One JSON object a line, for machines.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metrics {
    /// Under `/metrics` on the main listener.
    Same,
    /// Nowhere.
    Off,
    /// On a listener of their own.
    Own(SocketAddr),
}

impl FromStr for Metrics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "same" => Ok(Self::Same),
            "off" => Ok(Self::Off),
            address => match address.parse() {
                Ok(address) => Ok(Self::Own(address)),
                Err(_) => Err(format!("\"{text}\" is neither \"same\" nor \"off\" nor an address")),
            },
        }
    }
}

impl TryFrom<String> for Metrics {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("same"),
            Self::Off => f.write_str("off"),
            Self::Own(address) => address.fmt(f),
        }
    }
}

impl From<Metrics> for String {
    fn from(metrics: Metrics) -> Self {
        metrics.to_string()
    }
}

impl TelemetryConfig {
    /// `listen` is where the main server will be.
    pub(super) fn check(&self, mode: Mode, listen: &[SocketAddr], found: &mut Findings<'_>) {
        if self.level.trim().is_empty() {
            found.refuse("level", "is empty", "use a level such as \"info\", or \"off\"");
        }
        if let Some(word) = unknown_level(&self.level) {
            found.refuse(
                "level",
                format!("\"{word}\" is not a level"),
                "use error, warn, info, debug, trace or off, such as \"info,parlor=debug\"",
            );
        }
        if let Metrics::Own(address) = &self.metrics {
            if address.port() != 0 && listen.contains(address) {
                found.refuse(
                    "metrics",
                    format!("{address} is also in server.listen"),
                    "use \"same\" to share it",
                );
            }
            if mode == Mode::Development && !is_loopback(address) {
                found.refuse(
                    "metrics",
                    format!(
                        "{address} can be reached from other machines, and development is not safe to expose"
                    ),
                    "use 127.0.0.1 or [::1], or run in production mode",
                );
            }
        }
    }
}

/// The first word that should be a level and is none: in `target=word`, and alone. `EnvFilter` takes a word alone as
/// a target with everything on, and logs nothing else; only a part of Parlor or a path is meant like that.
/// `[span{field=value}]` has a grammar of its own, and is left to `EnvFilter`.
pub(super) fn unknown_level(directives: &str) -> Option<&str> {
    if directives.contains('[') {
        return None;
    }
    let levels = ["off", "error", "warn", "info", "debug", "trace", "0", "1", "2", "3", "4", "5"];
    directives
        .split(',')
        .map(|directive| directive.split_once('=').map_or(directive, |(_, level)| level).trim())
        .filter(|word| !word.is_empty() && *word != "parlor" && !word.contains("::"))
        .find(|level| !levels.iter().any(|known| known.eq_ignore_ascii_case(level)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn metrics_are_read_as_they_are_written() {
        for text in ["same", "off", "127.0.0.1:9187", "[::1]:9187"] {
            assert_eq!(text.parse::<Metrics>().map(String::from), Ok(text.to_owned()));
        }
        for text in ["", "Same", "on", "9187", "localhost:9187"] {
            assert!(text.parse::<Metrics>().is_err(), "{text}");
        }
    }

    #[test]
    fn levels_and_the_place_of_metrics() {
        for (level, metrics, expected) in [
            ("info", "same", None),
            ("info,parlor=DEBUG,sqlx=off", "off", None),
            ("parlor[span{a=b}]=trace", "127.0.0.1:9187", None),
            (" ", "same", Some("telemetry.level")),
            ("info,parlor::chat", "same", None),
            ("verbose", "same", Some("telemetry.level")),
            ("info,debugg", "same", Some("telemetry.level")),
            ("info,parlor=loud", "same", Some("telemetry.level")),
            ("info", "127.0.0.1:8087", Some("telemetry.metrics")),
            ("info", "0.0.0.0:9187", Some("telemetry.metrics")),
        ] {
            let mut config = Config::development();
            config.telemetry.level = level.to_owned();
            config.telemetry.metrics = metrics.parse().expect("a place for metrics");
            assert_eq!(
                config.check().first().map(|mistake| mistake.setting.as_str()),
                expected,
                "{level} {metrics}"
            );
        }
    }
}
