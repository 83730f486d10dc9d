//! The documents over HTTP, and the page at `/docs/events`, where people try the events. Everyone may read them.

use std::sync::LazyLock;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;

use super::Document;
use crate::{
    error::Error,
    gateway::http::{answer, headers, wrong_method},
};

const INDEX: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/events.js");
const SAMPLE: &str = include_str!("page/events-sample.js");
const STYLES: &str = include_str!("page/events.css");

/// A document, which is made at the first request for it.
type DocumentText = LazyLock<serde_json::Result<String>>;

static ASYNC_API: DocumentText = LazyLock::new(|| Document::AsyncApi.text());
static TYPES: DocumentText = LazyLock::new(|| Document::TypeScript.text());

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// `/asyncapi.json`, `/parlor.d.ts` and the page. `rest` has `/openapi.json`, whose page has a policy of its own.
pub fn routes() -> Router {
    Router::new()
        .route("/asyncapi.json", get(async || document(&ASYNC_API, "application/json")))
        .route("/parlor.d.ts", get(async || document(&TYPES, "application/typescript; charset=utf-8")))
        .route("/docs/events", get(async || file(INDEX, HTML)))
        .route("/docs/events.js", get(async || file(SCRIPT, JAVASCRIPT)))
        .route("/docs/events-sample.js", get(async || file(SAMPLE, JAVASCRIPT)))
        .route("/docs/events.css", get(async || file(STYLES, "text/css; charset=utf-8")))
        .method_not_allowed_fallback(wrong_method)
}

fn document(text: &'static DocumentText, kind: &'static str) -> Response {
    match &**text {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text.as_str()).into_response(),
        Err(error) => Error::internal(error).into_response(),
    }
}

fn file(text: &'static str, kind: &'static str) -> Response {
    answer::file(text, kind, headers::PAGE_POLICY)
}
