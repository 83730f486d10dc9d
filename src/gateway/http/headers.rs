//! Headers that every answer carries, so that browsers do no more with it than they must.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderName, HeaderValue, header};

/// An answer of the API is data: nothing in it is to be run, shown or framed.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// For a page of ours: what it needs comes from this server; its styles stand in the page.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const USUAL: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // A token may stand in the query.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(API_POLICY)),
    // Answers hold tokens and what only the asker may see.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds them where a handler has not said otherwise.
pub async fn add(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in USUAL {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
