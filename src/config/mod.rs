//! The configuration: read in layers, checked as a whole, handed out as plain typed fields. What a setting does is left
//! to the module that takes it.
//!
//! Defaults < `development.toml` or `production.toml` < the file of `--config` < environment `PARLOR__SECTION__KEY`.
//! `config/default.toml` lists every setting; a setting is a line there and a field here, and a test holds them equal.

mod auth;
mod cors;
mod database;
mod dialects;
mod env;
mod issuers;
mod layers;
mod limits;
mod mistake;
mod nearest;
mod presence;
mod schema;
mod secret;
mod server;
mod telemetry;
mod writer;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use auth::AuthConfig;
pub use cors::CorsConfig;
pub use database::DatabaseConfig;
pub use dialects::DialectsConfig;
pub use env::environment;
pub use issuers::{IssuerAlgorithm, IssuerConfig};
pub use limits::LimitsConfig;
pub use mistake::{ConfigError, Mistake};
pub use presence::PresenceConfig;
pub use secret::DatabaseUrl;
pub use server::ServerConfig;
pub use telemetry::{LogFormat, Metrics, TelemetryConfig};
pub use writer::WriterConfig;

use layers::Layers;
use mistake::Findings;

/// What the program is run for; chosen on the command line, never by a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// On a developer's machine: convenient, reachable from that machine only.
    Development,
    /// For real people: refuses to start with anything unsafe.
    Production,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Production => "production",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err(format!("\"{text}\" is neither \"development\" nor \"production\"")),
        }
    }
}

/// Every setting, one field per section. Printing it, by `Debug` too, shows no secret.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it is run for; not a setting.
    #[serde(skip_serializing)]
    pub mode: Mode,
    /// Addresses and times of the HTTP server.
    pub server: ServerConfig,
    /// Which web pages may talk to it.
    pub cors: CorsConfig,
    /// Which database, and how many connections to it.
    pub database: DatabaseConfig,
    /// Keys, token times, password hashing.
    pub auth: AuthConfig,
    /// How much one client may ask for.
    pub limits: LimitsConfig,
    /// How messages gather into commits.
    pub writer: WriterConfig,
    /// Who hears of whom coming and going.
    pub presence: PresenceConfig,
    /// Wire forms besides the native one.
    pub dialects: DialectsConfig,
    /// Logs and metrics.
    pub telemetry: TelemetryConfig,
}

impl Config {
    /// Reads all layers and checks the result; fails with every mistake at once. `env` is [`environment()`] in the
    /// program, and whatever a test likes.
    pub fn load(
        mode: Mode,
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::built_in(mode);
        if let Some(path) = file {
            layers.file(path);
        }
        layers.env(env);
        let (config, origins, mut mistakes) = layers.finish();

        let mut of_meaning = config.as_ref().map(Self::check).unwrap_or_default();
        // A value that could not even be read is absent here; that its default is wrong too would only confuse.
        of_meaning.retain(|mistake| mistakes.iter().all(|earlier| earlier.setting != mistake.setting));
        for mut mistake in of_meaning {
            mistake.set_by = origins.of(&mistake.setting);
            mistakes.push(mistake);
        }
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError { mistakes }),
        }
    }

    /// What a developer gets without a file and with an empty environment. For tests.
    pub fn development() -> Self {
        Self::load(Mode::Development, None, [])
            .expect("the built-in development configuration is valid: a test loads it")
    }

    /// Everything that is wrong with the values, for the mode. Empty when Parlor can start.
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        self.server.check(self.mode, &mut Findings::of("server", &mut mistakes));
        self.cors.check(&mut Findings::of("cors", &mut mistakes));
        self.database.check(&mut Findings::of("database", &mut mistakes));
        self.auth.check(self.mode, &mut Findings::of("auth", &mut mistakes));
        self.limits.check(&mut Findings::of("limits", &mut mistakes));
        self.writer.check(&mut Findings::of("writer", &mut mistakes));
        self.presence.check(&mut Findings::of("presence", &mut mistakes));
        self.dialects.check(self.mode, &mut Findings::of("dialects", &mut mistakes));
        self.telemetry.check(self.mode, &self.server.listen, &mut Findings::of("telemetry", &mut mistakes));
        mistakes
    }

    /// The effective configuration as TOML, with secrets as `<redacted>`. For `parlor config show`.
    pub fn to_toml_redacted(&self) -> String {
        match toml::to_string(self) {
            Ok(text) => format!("# The effective configuration in {} mode.\n\n{text}", self.mode),
            // Only numbers beyond TOML's range, which no layer can give.
            Err(error) => format!("# The configuration cannot be shown as TOML: {error}\n"),
        }
    }
}

#[cfg(test)]
mod tests;
