//! The state of the server for other machines: is it running, is it ready, and its metrics. Everyone who
//! reaches the address may ask, from any origin, because no answer contains a user's data.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Rest, answer, openapi::Always};
use crate::error::Result;

/// Renders the metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The server works.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Check that the process is running.
#[utoipa::path(
    get, path = "/healthz", tag = "server", operation_id = "isAlive", security(()),
    responses((status = 200, description = "It is", body = Health))
)]
pub async fn alive() -> Result<Response> {
    answer::ok(Health { status: "ok" })
}

/// Check that the server is ready: its database can be read and written.
#[utoipa::path(
    get, path = "/readyz", tag = "server", operation_id = "isReady", security(()),
    responses((status = 200, description = "It is", body = Health), Always)
)]
pub async fn ready(State(rest): State<Rest>) -> Result<Response> {
    rest.chat.is_ready().await?;
    answer::ok(Health { status: "ok" })
}

/// The route `/metrics` alone, for a separate listener or as a part of the whole router.
pub fn metrics(render: RenderMetrics) -> Router {
    let answer = move || {
        let text = render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response() }
    };
    Router::new().route("/metrics", get(answer))
}
