//! Builds the parts of the server for one command, without listening. Commands use the same operations as
//! requests.

use anyhow::{Context, bail};

use crate::{
    app::{self, App},
    clock::Clock,
    config::{Config, Metrics},
    db::missing_file,
    telemetry,
};

/// What a command does where no database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDatabase {
    /// It makes one, because it puts something into it, and says where.
    Make,
    /// It says so. It would find nothing in a new one.
    Refuse,
}

/// Builds the app, runs `work` with it, and shuts the app down so that everything is stored.
pub async fn with_app<T>(
    mut config: Config,
    none: NoDatabase,
    work: impl AsyncFnOnce(&App) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    log_warnings()?;
    match none {
        NoDatabase::Refuse => has_tables(&config).await?,
        NoDatabase::Make => {
            if let Some(file) = missing_file(&config.database) {
                eprintln!("Making a new database: {}", file.display());
            }
        }
    }
    config.make_missing_secret().context("auth.jwt_secret_file cannot be made")?;
    // The server may already run on that address.
    config.telemetry.metrics = Metrics::Off;
    let app = App::build(&config, Clock::real()).await?;
    let done = work(&app).await;
    // Serving no address until now means only the graceful shutdown.
    app.serve(Vec::new(), std::future::ready(())).await?;
    done
}

/// Refuses if the file of the database does not exist, and makes nothing.
pub fn has_file(config: &Config) -> anyhow::Result<()> {
    match missing_file(&config.database) {
        None => Ok(()),
        Some(file) => bail!(
            "there is no database {}: start the server or run `parlor migrate up` to make it, or say with --config \
             or PARLOR__DATABASE__URL where it is",
            file.display()
        ),
    }
}

async fn has_tables(config: &Config) -> anyhow::Result<()> {
    has_file(config)?;
    let db = app::connect(config).await?;
    let status = db.migration_status().await;
    db.close().await;
    if !status?.iter().any(|(_, applied)| *applied) {
        bail!(
            "the database {} is empty: start the server or run `parlor migrate up` first, or say with --config or \
             PARLOR__DATABASE__URL where yours is",
            config.database.url
        );
    }
    Ok(())
}

/// Logs only warnings and errors of a command, to standard error, whatever the server's log settings are.
pub fn log_warnings() -> anyhow::Result<()> {
    telemetry::start_command_log("warn")
}
