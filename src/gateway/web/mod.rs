//! The web client at `/`: its files, the facts that it asks for, and pages for people who open an address that
//! refuses them. `web/` has the client itself.

mod files;
mod pages;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::Serialize;
use tower_http::compression::CompressionLayer;

use self::files::{ClientFile, FileSource};
pub use self::pages::pages;
use super::{
    client_script, credential,
    http::{answer, folder, headers, wrong_method},
    wire::Refusal,
};
use crate::{config::Config, error::Result};

/// What the client is served from. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<WebSettings>);

struct WebSettings {
    source: FileSource,
    /// Whether `/?jwt=` is the lobby page's.
    lobby: bool,
    /// Where npm installs the Socket.IO client.
    socket_io: PathBuf,
    facts: Facts,
}

/// What the client has to know before anybody signs in.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    version: &'static str,
    /// Whether people may create their own accounts.
    sign_up: bool,
    /// Whether the Socket.IO client can be loaded from here.
    socket_io: bool,
    /// Whether there are plain WebSockets.
    web_socket: bool,
    /// The longest content of a message, in bytes.
    content_bytes: usize,
    /// Whether this request carries the login cookie, which scripts cannot see. It may have ended.
    has_cookie: bool,
}

impl Web {
    /// The client, unless it is switched off.
    pub fn of(config: &Config) -> Option<Self> {
        let settings = WebSettings {
            source: FileSource::of(config.web.folder.clone()),
            lobby: config.dialects.lobby,
            socket_io: config.server.client_folder.clone(),
            facts: Facts {
                version: env!("CARGO_PKG_VERSION"),
                sign_up: config.auth.signup,
                socket_io: false,
                web_socket: config.dialects.websocket,
                content_bytes: config.limits.content_bytes,
                has_cookie: false,
            },
        };
        config.web.enabled.then(|| Self(Arc::new(settings)))
    }

    /// Adds the client to routes that have their fallback already.
    pub fn serve(self, routes: Router) -> Router {
        let facts = Router::new()
            .route("/parlor.json", get(facts))
            .method_not_allowed_fallback(wrong_method)
            .with_state(self.clone());
        routes
            .merge(facts)
            .layer(middleware::from_fn_with_state(self, serve))
            .layer(CompressionLayer::new().compress_when(ClientFile::is_one))
    }
}

async fn facts(State(web): State<Web>, uri: Uri, headers: HeaderMap) -> Result<Response> {
    answer::ok(Facts {
        socket_io: client_script::is_there(&web.0.socket_io).await,
        has_cookie: credential::is_by_cookie(&uri, &headers),
        ..web.0.facts.clone()
    })
}

/// Answers with the client at `/`, and with one of its files at every other address that nobody else answers.
async fn serve(State(web): State<Web>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let web = &*web.0;
    if request.uri().path() == "/" {
        return match web.lobby && names_jwt(request.uri()) {
            true => next.run(request).await,
            false => web.source.page(request.method(), request.headers()).await,
        };
    }
    if folder::is_reserved(request.uri().path()) {
        return next.run(request).await;
    }
    let again = again(&request);
    let response = next.run(request).await;
    if is_nothing_here(&response) {
        return web.source.file(again).await.unwrap_or(response);
    }
    response
}

/// A link with a token opens the lobby page. So does one with an empty token, which the page leaves in its
/// address for a reload.
fn names_jwt(uri: &Uri) -> bool {
    let mut names = uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next());
    names.any(|name| name == Some("jwt"))
}

/// The same request once more, without a body.
fn again(request: &Request) -> Request {
    let mut again = Request::default();
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    again
}

fn is_nothing_here(response: &Response) -> bool {
    response.status() == StatusCode::NOT_FOUND && response.extensions().get::<Refusal>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_with_a_token_is_the_lobbys_even_if_the_token_is_empty() {
        for (uri, expected) in [
            ("/", false),
            ("/?jwt=", true),
            ("/?jwt", true),
            ("/?a=b&jwt=c", true),
            ("/?jwts=a", false),
            ("/?a=jwt", false),
        ] {
            assert_eq!(names_jwt(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
