//! The parts of the server for the length of one command, without listening anywhere: commands use the
//! same operations that requests do.

use crate::{
    app::App,
    clock::Clock,
    config::{Config, Metrics},
    telemetry,
};

/// Builds the app, lets `work` have it, and takes it down so that everything is stored.
pub async fn with_app<T>(
    mut config: Config,
    work: impl AsyncFnOnce(&App) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    log_warnings()?;
    // That address belongs to the server that may be running.
    config.telemetry.metrics = Metrics::Off;
    let app = App::build(&config, Clock::real()).await?;
    let done = work(&app).await;
    // Serving at no address until now is nothing but the graceful end.
    app.serve(Vec::new(), std::future::ready(())).await?;
    done
}

/// What a command logs: trouble only, and on standard error, whatever the server is set to log.
pub fn log_warnings() -> anyhow::Result<()> {
    telemetry::start_logging(telemetry::Format::Readable, "warn")
}
