//! The HTTP routes of the lobby page, and the form of their refusals. A login returns a token, the token
//! opens the page, and the page connects to the namespace `/`, which `events` serves.

pub mod events;
mod files;
mod page;
mod sign_in;

use axum::{
    Router,
    body::Body,
    extract::FromRef,
    middleware,
    response::Response,
    routing::{any, get, post},
};
use http::{HeaderValue, header};

pub use self::page::LobbyPage;
use crate::{
    clock::Clock,
    gateway::{
        http::{Http, wrong_method},
        wire::Refusal,
    },
};

/// What the handlers use. Cheap to clone.
#[derive(Clone)]
pub struct Lobby {
    pub http: Http,
    /// Used to calculate the remaining lifetime of a given token.
    pub clock: Clock,
    pub page: LobbyPage,
}

impl FromRef<Lobby> for Http {
    fn from_ref(lobby: &Lobby) -> Self {
        lobby.http.clone()
    }
}

pub fn routes(lobby: Lobby) -> Router {
    let files = match &lobby.page {
        LobbyPage::BuiltIn => {
            Router::new().route("/lobby.js", get(page::script)).route("/lobby.css", get(page::styles))
        }
        // Every other route takes precedence. A path without a file is answered with 404.
        LobbyPage::Folder(_) => Router::new().route("/{*path}", any(files::file)),
    };
    Router::new()
        .route("/", get(page::open))
        .route("/auth/login", post(sign_in::login))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(plainly))
        .merge(files.method_not_allowed_fallback(wrong_method))
        .with_state(lobby)
}

/// Converts refusals to this dialect's form, `{ code, message }`, with the same status and headers.
async fn plainly(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let refusal = parts.extensions.remove::<Refusal>();
    match refusal.map(|refusal| serde_json::to_vec(&refusal)) {
        Some(Ok(json)) => {
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Response::from_parts(parts, Body::from(json))
        }
        _ => Response::from_parts(parts, body),
    }
}
