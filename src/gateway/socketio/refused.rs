//! The answers that refuse a request to the engine, over HTTP.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// Seconds to wait before the client may retry, when there are too many connections.
const RETRY_AFTER: &str = "5";

/// A refusal in the form of Socket.IO's own server: its codes are numbers.
pub fn refused(code: u8, message: &str) -> Response {
    let mut answer = Response::new(format!(r#"{{"code":{code},"message":"{message}"}}"#).into());
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The client speaks another version of the WebSocket protocol.
pub fn version_needed() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    answer
}

/// The request did not arrive in time.
pub fn too_late() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// There are too many connections, or the server shuts down.
pub fn too_many() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    answer
}

/// The position of the client's first websocket frame is not known.
pub fn early_bytes() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
