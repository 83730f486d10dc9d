//! The OpenAPI description, and the page that shows it.

use std::collections::HashSet;

use axum::{body::Body, extract::Request};
use http::header;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::{
    gateway::http::{Guard, HttpSettings, wrap},
    shutdown::Shutdown,
};

/// The description is complete: it has every route of the table, all schemas that it refers to, and the
/// security schemes.
#[test]
fn the_description_names_every_route_and_every_schema_it_refers_to() {
    let description = serde_json::to_value(description()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let mut routes: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    routes.sort();
    assert_eq!(
        routes,
        [
            "delete /api/auth/sessions",
            "delete /api/auth/sessions/{id}",
            "delete /api/messages/{id}",
            "delete /api/messages/{id}/follow",
            "delete /api/messages/{id}/pin",
            "delete /api/messages/{id}/reactions/{key}",
            "delete /api/rooms/{id}",
            "delete /api/rooms/{id}/members/{username}",
            "delete /api/users/{idOrUsername}",
            "get /api/auth/session",
            "get /api/auth/sessions",
            "get /api/messages",
            "get /api/messages/{id}/edits",
            "get /api/messages/{id}/reactions",
            "get /api/rooms",
            "get /api/rooms/mine",
            "get /api/rooms/{id}/changes",
            "get /api/rooms/{id}/members",
            "get /api/rooms/{id}/messages",
            "get /api/rooms/{id}/threads",
            "get /api/users",
            "get /api/users/{idOrUsername}",
            "get /healthz",
            "get /readyz",
            "patch /api/messages/{id}",
            "patch /api/rooms/{id}",
            "patch /api/rooms/{id}/members/{username}",
            "patch /api/rooms/{id}/settings",
            "patch /api/users/{idOrUsername}",
            "post /api/auth/login",
            "post /api/auth/logout",
            "post /api/auth/refresh",
            "post /api/auth/tickets",
            "post /api/first-admin",
            "post /api/messages",
            "post /api/messages/delete",
            "post /api/messages/{id}/forward",
            "post /api/rooms",
            "post /api/rooms/{id}/join",
            "post /api/rooms/{id}/leave",
            "post /api/rooms/{id}/members",
            "post /api/rooms/{id}/read",
            "post /api/users",
            "put /api/messages/{id}/follow",
            "put /api/messages/{id}/pin",
            "put /api/messages/{id}/reactions/{key}",
            "put /api/rooms/{id}/disappearing",
            "put /api/users/{idOrUsername}",
        ]
    );
    let mut names = HashSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{method} {path} is not the only {name}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(path == "/healthz" || responses.contains_key("503"), "{method} {path}");
            for (status, response) in responses {
                let words = response["description"].as_str().unwrap_or_default();
                assert_ne!(words, "", "{method} {path} {status}");
            }
        }
    }
    let text = description.to_string();
    for refers in text.split("\"#/components/schemas/").skip(1) {
        let name = refers.split('"').next().unwrap();
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }
    for scheme in ["bearer", "query", "cookie"] {
        assert!(description["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
}

#[tokio::test]
async fn the_page_of_the_api_needs_nothing_from_elsewhere() {
    let settings = HttpSettings::for_tests();
    let pages = wrap(openapi::pages(description()), &settings, &Guard::new(&settings), &Shutdown::new());
    let get = async |uri: &'static str| {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = pages.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts, String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned())
    };
    let (parts, page) = get("/docs/").await;
    assert_eq!(parts.status, 200);
    let policy = parts.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("script-src 'self'"), "{policy}");
    assert!(!page.contains("https://") && !page.contains("//cdn"), "{page}");
    for inline in page.split("<script").skip(1) {
        assert!(inline.contains("src="), "the policy forbids inline scripts: {inline}");
    }
    let (_, script) = get("/docs/swagger-initializer.js").await;
    assert!(script.contains("/openapi.json"), "{script}");
    assert_eq!(get("/openapi.json").await.0.status, 200);
    let (parts, _) = get("/docs/nothing.js").await;
    assert_eq!(parts.status, 404);
    assert_eq!(parts.headers[header::CONTENT_TYPE], "application/problem+json");
}
