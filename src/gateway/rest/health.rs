//! What machines ask about the server itself: is it up, is it ready, how is it doing. Open to anyone
//! who reaches the address, from whatever origin: nothing here is anybody's.

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

/// All is well.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// The process is up.
#[utoipa::path(
    get, path = "/healthz", tag = "server", operation_id = "isAlive", security(()),
    responses((status = 200, description = "It is", body = Health))
)]
pub async fn alive() -> Result<Response> {
    answer::ok(Health { status: "ok" })
}

/// What the server needs is there: its database reads and stores.
#[utoipa::path(
    get, path = "/readyz", tag = "server", operation_id = "isReady", security(()),
    responses((status = 200, description = "It is", body = Health), Always)
)]
pub async fn ready(State(rest): State<Rest>) -> Result<Response> {
    rest.chat.is_ready().await?;
    answer::ok(Health { status: "ok" })
}

/// `/metrics` alone, for a listener of its own or for the whole router.
pub fn metrics(render: RenderMetrics) -> Router {
    let answer = move || {
        let text = render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response() }
    };
    Router::new().route("/metrics", get(answer))
}
