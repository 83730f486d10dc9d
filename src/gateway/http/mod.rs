//! What every gateway that speaks HTTP shares: what a request passes through on its way in, what
//! handlers take out of it, and how they answer. Which routes there are is left to the gateways, which
//! of them are served to `app`.

pub mod answer;
pub mod extract;
pub mod headers;
mod measured;
mod origin;
pub mod refusal;
mod request;
mod serve;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::measured::Accounted;
pub use self::origin::{CorsSettings, Guard, Guarded, cors};
use self::refusal::Rejection;
pub use self::serve::serve;
use crate::{
    auth::Auth,
    chat::Chat,
    error::{Error, Noun},
    rates::RequestRate,
    shutdown::Shutdown,
};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    pub chat: Chat,
    pub auth: Auth,
    pub shutdown: Shutdown,
    /// What each user who is signed in may ask for.
    pub requests: RequestRate,
    pub settings: Arc<Settings>,
}

/// What of the configuration HTTP goes by.
#[derive(Clone)]
pub struct Settings {
    pub cors: CorsSettings,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Most bytes of a request's body.
    pub body_bytes: usize,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Whether the login cookie goes over TLS only, however it was asked for.
    pub secure_cookie: bool,
    /// How long a token, and the cookie it stands in, lives.
    pub token_ttl: Duration,
}

/// Puts around all routes what every request passes through, ready to be given to [`serve`]. Routes whose
/// requests may carry the login cookie stand behind a [`Guard`] besides.
pub fn wrap(routes: Router, settings: &Settings, shutdown: &Shutdown) -> Router {
    // The last layer is the outermost: a refusal of any of them gets what the later ones add.
    routes
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(shutdown.clone(), request::run_to_end))
        .layer(middleware::from_fn_with_state(settings.request_timeout, request::limit_time))
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .layer(cors(&settings.cors))
        .layer(middleware::from_fn(headers::add))
        .layer(middleware::from_fn(request::trail))
}

async fn nothing_here() -> Error {
    Error::NotFound(Noun::Page)
}

/// For routes that are there, but do not answer the method asked with.
pub async fn wrong_method() -> Rejection {
    Rejection::Method
}

#[cfg(test)]
mod tests;
