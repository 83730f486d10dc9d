//! The configuration: read in layers, checked as a whole, handed out as plain typed fields. What a setting does is left
//! to the module that takes it.
//!
//! Defaults < `development.toml` or `production.toml` < the file of `--config` < environment `PARLOR__SECTION__KEY`.
//! `config/default.toml` lists every setting; a setting is a line there and a field here, and a test holds them equal.

mod auth;
mod cluster;
mod cors;
mod database;
mod dialects;
mod entropy;
mod env;
mod issuers;
mod layers;
mod limits;
mod messages;
mod mistake;
mod nearest;
mod origins;
mod owner;
mod path;
mod presence;
mod proxies;
mod schema;
mod secret;
mod secret_files;
mod server;
mod shown;
mod starting_file;
mod switch;
mod telemetry;
mod web;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

pub use auth::AuthConfig;
pub use cluster::{Bus, ClusterConfig};
pub use cors::CorsConfig;
pub use database::DatabaseConfig;
pub use dialects::DialectsConfig;
pub use env::environment;
pub use issuers::{IssuerAlgorithm, IssuerConfig};
pub use limits::LimitsConfig;
pub use messages::{EditHistory, MessagesConfig};
pub use mistake::{ConfigError, Mistake};
pub use owner::give_to_owner_of_folder;
pub use presence::PresenceConfig;
pub use proxies::ProxyRange;
pub use secret::DatabaseUrl;
pub use server::ServerConfig;
pub use starting_file::starting_file;
pub use switch::Switch;
pub use telemetry::{LogFormat, Metrics, TelemetryConfig};
pub use web::WebConfig;
pub use writer::WriterConfig;

use layers::Layers;
use mistake::Findings;
use origins::Origins;

/// Every setting with its default and its meaning, as a TOML file.
pub const DEFAULT_FILE: &str = schema::DEFAULT;

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
    /// What works, and is most likely not meant; filled by [`Config::load`].
    #[serde(skip)]
    pub warnings: Vec<Mistake>,
    /// Which layer each value comes from; filled by [`Config::load`].
    #[serde(skip)]
    origins: Origins,
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
    /// What may be done to a message after it was sent.
    pub messages: MessagesConfig,
    /// How messages gather into commits.
    pub writer: WriterConfig,
    /// Who hears of whom coming and going.
    pub presence: PresenceConfig,
    /// Several nodes on one PostgreSQL.
    pub cluster: ClusterConfig,
    /// Wire forms besides the native one.
    pub dialects: DialectsConfig,
    /// The web client at `/`.
    pub web: WebConfig,
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
            Some(mut config) if mistakes.is_empty() => {
                for mut warning in config.doubts() {
                    warning.set_by = origins.of(&warning.setting);
                    config.warnings.push(warning);
                }
                config.origins = origins;
                Ok(config)
            }
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
        self.cors.check(self.server.public_origin().is_some(), &mut Findings::of("cors", &mut mistakes));
        self.database.check(&mut Findings::of("database", &mut mistakes));
        self.auth.check(self.mode, &mut Findings::of("auth", &mut mistakes));
        self.limits.check(&mut Findings::of("limits", &mut mistakes));
        self.messages.check(&mut Findings::of("messages", &mut mistakes));
        self.writer.check(&mut Findings::of("writer", &mut mistakes));
        self.presence.check(&mut Findings::of("presence", &mut mistakes));
        self.cluster.check(&mut Findings::of("cluster", &mut mistakes));
        self.dialects.check(self.mode, &mut Findings::of("dialects", &mut mistakes));
        self.web.check(&mut Findings::of("web", &mut mistakes));
        self.telemetry.check(self.mode, &self.server.listen, &mut Findings::of("telemetry", &mut mistakes));
        mistakes
    }

    /// Values that work, and that are most likely not meant.
    fn doubts(&self) -> Vec<Mistake> {
        let mut doubts = Vec::new();
        let has_own = self.server.public_origin().is_some();
        self.cors.warn(self.mode, has_own, &mut Findings::of("cors", &mut doubts));
        self.auth.warn(self.mode, &mut Findings::of("auth", &mut doubts));
        let is_plain = self.auth.secure_cookie == Switch::Auto && !self.has_secure_cookie();
        if self.mode == Mode::Production && is_plain && !self.server.is_public_local() {
            Findings::of("server", &mut doubts).refuse(
                "public_url",
                "begins with http://, so browsers send the login over plain HTTP, where others can read it",
                "put a proxy with TLS in front, and give its address, which begins with https://",
            );
        }
        doubts
    }

    /// Whether browsers may send the login cookie over HTTPS only. If the setting leaves it open, the scheme of
    /// `server.public_url` decides; without an address, only development may use plain HTTP.
    pub fn has_secure_cookie(&self) -> bool {
        match (self.auth.secure_cookie, self.server.public_origin()) {
            (Switch::On, _) => true,
            (Switch::Off, _) => false,
            (Switch::Auto, Some((scheme, _))) => scheme == "https",
            (Switch::Auto, None) => self.mode == Mode::Production,
        }
    }

    /// Makes the key that signs tokens, if it belongs in a file that does not exist yet: for whatever needs it.
    /// Returns the file.
    pub fn make_missing_secret(&mut self) -> io::Result<Option<PathBuf>> {
        let missing =
            self.auth.jwt_secret_file.clone().filter(|_| self.auth.jwt_secret.expose_secret().is_empty());
        if let Some(file) = &missing {
            let made = secret_files::make(file)
                .map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", file.display())))?;
            self.auth.jwt_secret = made.into();
        }
        Ok(missing)
    }
}

#[cfg(test)]
mod tests;
