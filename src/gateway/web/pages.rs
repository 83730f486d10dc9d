//! Refusals for people: whoever opens an address in a browser gets a page, and no JSON.

use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};

use super::{Refusal, headers};

/// Addresses whose answers are for programs, whoever opens them: the API, the dialects with HTTP routes, and
/// the documents.
const FOR_PROGRAMS: [&str; 7] =
    ["api", "asyncapi.json", "auth", "docs", "openapi.json", "parlor.d.ts", "web"];

const PAGE: &str = include_str!("refusal.html");

/// Turns a refusal into a page if a person asked for a page. Status and headers stay.
pub async fn pages(request: Request, next: Next) -> Response {
    let is_person = is_navigation(&request);
    let is_head = request.method() == Method::HEAD;
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_json = kind.starts_with(b"application/json") || kind.starts_with(b"application/problem+json");
    if !is_person || !is_json || response.status().is_success() || response.status().is_redirection() {
        return response;
    }
    let page = page(response.status(), response.extensions().get::<Refusal>());
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let page_headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, headers::PAGE_POLICY),
    ];
    for (name, value) in page_headers {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    let body = if is_head { Body::empty() } else { Body::from(page) };
    Response::from_parts(parts, body).into_response()
}

/// Whether a browser opens this address for a person to look at. The page at `/` answers for itself.
pub fn is_navigation(request: &Request) -> bool {
    let path = request.uri().path();
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let mut accepted =
        request.headers().get_all(header::ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    matches!(*request.method(), Method::GET | Method::HEAD)
        && path != "/"
        && !FOR_PROGRAMS.contains(&first)
        && accepted.any(|line| line.contains("text/html"))
}

fn page(status: StatusCode, refusal: Option<&Refusal>) -> String {
    let title = match status {
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::UNAUTHORIZED => "Sign in first",
        StatusCode::FORBIDDEN => "This is not allowed",
        StatusCode::UPGRADE_REQUIRED | StatusCode::METHOD_NOT_ALLOWED => "This address is for programs",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "Try again in a moment",
        status if status.is_server_error() => "Something went wrong",
        _ => "This did not work",
    };
    let told = refusal.map_or("The server does not answer this request.", |refusal| &refusal.message);
    let id = refusal.and_then(|refusal| refusal.request_id.as_deref()).map(|id| format!("Request {id}"));
    PAGE.replace("{{title}}", title)
        .replace("{{message}}", &escaped(told))
        .replace("{{request}}", &escaped(&id.unwrap_or_default()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_page(method: Method, path: &str, accept: &str) -> bool {
        let request = Request::builder().method(method).uri(path).header("accept", accept);
        is_navigation(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn people_open_pages_and_programs_do_not() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for path in ["/nowhere", "/ws", "/chat/1", "/apis", "/socket.io/"] {
            assert!(is_page(Method::GET, path, browser), "{path}");
            assert!(is_page(Method::HEAD, path, browser), "{path}");
            assert!(!is_page(Method::POST, path, browser), "{path}");
            assert!(!is_page(Method::GET, path, "*/*"), "{path}");
        }
        for path in ["/", "/api", "/api/users", "/web/login", "/auth/login", "/docs/x", "/openapi.json"] {
            assert!(!is_page(Method::GET, path, browser), "{path}");
        }
    }

    #[test]
    fn a_refusal_is_text_on_its_page() {
        let refusal = Refusal::malformed(None, "<b>\"&");
        let page = page(StatusCode::BAD_REQUEST, Some(&refusal));
        assert!(
            page.contains("&lt;b&gt;&quot;&amp;") && !page.contains("<b>") && !page.contains("{{"),
            "{page}"
        );
    }
}
