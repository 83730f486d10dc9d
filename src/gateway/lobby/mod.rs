//! The lobby page's HTTP: which routes there are, and the shape of their refusals. A login gives a token,
//! the token opens the page, the page connects to the namespace `/`; that is left to `gateway::socketio`.

mod folder;
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

pub use self::page::Page;
use super::{
    http::{Http, wrong_method},
    wire::Refusal,
};
use crate::clock::Clock;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Lobby {
    pub http: Http,
    /// Tells how long a token that came along still lives.
    pub clock: Clock,
    pub page: Page,
}

impl FromRef<Lobby> for Http {
    fn from_ref(lobby: &Lobby) -> Self {
        lobby.http.clone()
    }
}

pub fn routes(lobby: Lobby) -> Router {
    let files = match &lobby.page {
        Page::BuiltIn => {
            Router::new().route("/lobby.js", get(page::script)).route("/lobby.css", get(page::styles))
        }
        // Whatever is there already goes before it, and whatever it does not have is nowhere.
        Page::Folder(_) => Router::new().route("/{*path}", any(folder::file)),
    };
    Router::new()
        .route("/", get(page::open))
        .route("/auth/login", post(sign_in::login))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(plainly))
        .merge(files.method_not_allowed_fallback(wrong_method))
        .with_state(lobby)
}

/// This dialect's refusals are `{ code, message }`, with the status and the headers of all refusals.
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
