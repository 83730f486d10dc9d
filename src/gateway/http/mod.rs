//! What all gateways over HTTP share: the middleware of every request, the extractors for handlers, and the
//! answers. The gateways define the routes, and `app` decides which of them are served.

pub mod answer;
pub mod extract;
pub mod folder;
pub mod headers;
mod measured;
mod origin;
pub mod refusal;
mod request;
mod request_id;
mod serve;
mod unread;
pub mod websocket_handshake;

use std::sync::Arc;

use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::measured::Accounted;
pub use self::origin::{Guard, Guarded, cors, refuse_preflight};
use self::refusal::Rejection;
pub use self::serve::{ConnectionTimes, serve};
use crate::{
    auth::Auth,
    chat::Chat,
    config::{Config, CorsConfig, LimitsConfig, Mode, ServerConfig},
    error::{Entity, Error},
    rates::RequestRate,
    shutdown::Shutdown,
};

/// What the handlers use. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    pub chat: Chat,
    pub auth: Auth,
    pub shutdown: Shutdown,
    /// Which pages may use the server.
    pub guard: Guard,
    /// The rate limit for each signed-in user.
    pub requests: RequestRate,
    pub settings: Arc<HttpSettings>,
}

/// The parts of the configuration that HTTP uses.
#[derive(Clone)]
pub struct HttpSettings {
    pub cors: CorsConfig,
    pub limits: LimitsConfig,
    pub server: ServerConfig,
    /// Whether the addresses where the server listens are its own, besides `server.public_url`.
    pub is_development: bool,
    /// Whether browsers may send the login cookie over TLS only, even if it was set without TLS.
    pub secure_cookie: bool,
}

impl HttpSettings {
    pub fn of(config: &Config) -> Self {
        Self {
            cors: config.cors.clone(),
            limits: config.limits.clone(),
            server: config.server.clone(),
            is_development: config.mode == Mode::Development,
            secure_cookie: config.has_secure_cookie(),
        }
    }
}

/// Adds the layers that every request passes, so that the router is ready for [`serve`]. The router needs
/// [`nothing_here`] as its fallback. Routes whose requests may carry the login cookie also need a [`Guard`].
pub fn wrap(routes: Router, settings: &HttpSettings, guard: &Guard, shutdown: &Shutdown) -> Router {
    // The last layer is the outermost. A refusal by one layer also passes the layers that follow here.
    routes
        .layer(middleware::from_fn_with_state(shutdown.clone(), request::run_to_end))
        .layer(middleware::from_fn_with_state(settings.server.request_timeout, request::limit_time))
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .layer(cors(&settings.cors, guard))
        .layer(middleware::from_fn_with_state(guard.clone(), refuse_preflight))
        .layer(middleware::from_fn(headers::add))
        .layer(middleware::from_fn_with_state(Arc::new(settings.server.clone()), request::trail))
}

/// For addresses without a route.
pub async fn nothing_here() -> Error {
    Error::NotFound(Entity::Page)
}

/// For routes that exist but do not support the request's method.
pub async fn wrong_method() -> Rejection {
    Rejection::Method
}

#[cfg(test)]
mod tests;
