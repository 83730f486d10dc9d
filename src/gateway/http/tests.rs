//! The layers of every request, around handlers that fail.

use axum::{body::Body, extract::Request, response::Response, routing::get};
use http::{Method, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use std::time::Duration;

use super::*;

const ORIGIN: &str = "https://chat.example.com";

impl HttpSettings {
    pub fn for_tests() -> Self {
        let mut config = Config::development();
        config.cors.origins = vec![ORIGIN.to_owned()];
        config.cors.max_age = Duration::from_secs(60);
        config.server.request_timeout = Duration::from_millis(50);
        config.limits.packet_bytes = 1000;
        Self::of(&config)
    }
}

fn wrapped(settings: &HttpSettings) -> Router {
    async fn panics() {
        panic!("a secret")
    }
    let router = Router::new()
        .route("/fine", get(async || "fine"))
        .route("/panics", get(panics))
        .route("/hangs", get(std::future::pending::<()>))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .layer(Guard::new(settings));
    wrap(router, settings, &Guard::new(settings), &Shutdown::new())
}

async fn ask(method: Method, uri: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    wrapped(&HttpSettings::for_tests()).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_the_id_of_the_request() {
    let strange: &[_] = &[("origin", "https://evil.example.com")];
    for (method, uri, headers, status, code) in [
        (Method::GET, "/nowhere", &[][..], 404, "not_found"),
        (Method::PUT, "/fine", &[], 405, "bad_request"),
        (Method::GET, "/panics", &[], 500, "internal"),
        (Method::GET, "/hangs", &[], 503, "unavailable"),
        (Method::GET, "/fine", strange, 403, "forbidden"),
    ] {
        let response = ask(method, uri, headers).await;
        assert_eq!(response.status(), status, "{uri}");
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers[header::CONTENT_TYPE], "application/problem+json", "{uri}");
        assert_eq!(parts.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{uri}");
        let body = body.collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], code, "{uri}: {problem}");
        assert_eq!(problem["status"], status, "{uri}: {problem}");
        assert_eq!(
            problem["requestId"],
            parts.headers[request_id::HEADER].to_str().unwrap(),
            "{uri}: {problem}"
        );
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    assert_eq!(ask(Method::PUT, "/fine", &[]).await.headers()[header::ALLOW], "GET,HEAD");
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    let id = async |given: &'static str| {
        let response = ask(Method::GET, "/fine", &[("x-request-id", given)]).await;
        response.headers()[request_id::HEADER].to_str().unwrap().to_owned()
    };
    assert_eq!(id("abc-1").await, "abc-1");
    let made = id("a b").await;
    assert_eq!(made.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn answers_are_data_and_not_kept() {
    let response = ask(Method::GET, "/fine", &[]).await;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
}

#[tokio::test]
async fn allowed_pages_may_read_answers_and_refusals() {
    for uri in ["/fine", "/nowhere", "/panics", "/hangs"] {
        let response = ask(Method::GET, uri, &[("origin", ORIGIN)]).await;
        let headers = response.headers();
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN, "{uri}");
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true", "{uri}");
        let exposed = headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        assert!(exposed.contains("auth-token") && exposed.contains("x-request-id"), "{exposed}");
        assert!(headers.get_all(header::VARY).iter().any(|vary| vary.to_str().unwrap().contains("origin")));
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_listed_origins_alone() {
    let preflight = async |origin: &'static str| {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "content-type,authorization"),
        ];
        ask(Method::OPTIONS, "/fine", &asked).await
    };
    let good = preflight(ORIGIN).await;
    assert_eq!(good.status(), 200);
    assert_eq!(good.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], ORIGIN);
    assert_eq!(good.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS], "content-type,authorization");
    assert_eq!(good.headers()[header::ACCESS_CONTROL_MAX_AGE], "60");
    let methods = good.headers()[header::ACCESS_CONTROL_ALLOW_METHODS].to_str().unwrap();
    assert!(methods.contains("PATCH"), "{methods}");
    let bad = preflight("https://evil.example.com").await;
    assert!(!bad.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn everyone_is_never_let_in_with_cookies() {
    let mut settings = HttpSettings::for_tests();
    settings.cors.origins = vec!["*".to_owned(), ORIGIN.to_owned()];
    let request = Request::get("/fine").header("origin", ORIGIN).body(Body::empty()).unwrap();
    let response = wrapped(&settings).oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
}
