//! Builds the parts of the server for one command, without listening. Commands use the same operations as
//! requests.

use crate::{
    app::App,
    clock::Clock,
    config::{Config, Metrics},
    telemetry,
};

/// Builds the app, runs `work` with it, and shuts the app down so that everything is stored.
pub async fn with_app<T>(
    mut config: Config,
    work: impl AsyncFnOnce(&App) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    log_warnings()?;
    // The server may already run on that address.
    config.telemetry.metrics = Metrics::Off;
    let app = App::build(&config, Clock::real()).await?;
    let done = work(&app).await;
    // Serving no address until now means only the graceful shutdown.
    app.serve(Vec::new(), std::future::ready(())).await?;
    done
}

/// Logs only warnings and errors of a command, to standard error, whatever the server's log settings are.
pub fn log_warnings() -> anyhow::Result<()> {
    telemetry::start_logging(telemetry::Format::Readable, "warn")
}
