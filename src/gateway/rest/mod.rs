//! The HTTP API: request in, one call of `chat` or `auth`, answer out. Which routes there are and what
//! every request passes through stands here; what a request means, in the files beside; what it does,
//! in the core.

mod accounts;
mod answer;
mod extract;
mod headers;
mod health;
mod messages;
mod openapi;
mod origin;
mod refusal;
mod request;
mod rooms;
mod sessions;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::{
    extract::Client,
    health::{RenderMetrics, metrics},
    origin::{CorsSettings, Guard, Guarded, cors},
    refusal::Rejection,
};
use crate::{
    auth::Auth,
    chat::Chat,
    error::{Error, Noun},
};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    pub chat: Chat,
    pub auth: Auth,
    pub settings: Arc<RestSettings>,
}

/// What of the configuration the API goes by.
#[derive(Clone)]
pub struct RestSettings {
    pub cors: CorsSettings,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Most bytes of a request's body.
    pub body_bytes: usize,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Whether people may create accounts by themselves.
    pub signup: bool,
    /// Whether the login cookie goes over TLS only, however it was asked for.
    pub secure_cookie: bool,
    /// How long a token, and the cookie it stands in, lives.
    pub token_ttl: Duration,
    /// What `/metrics` answers; none switches it off here.
    pub metrics: Option<RenderMetrics>,
}

/// The whole API, ready to be served with `into_make_service_with_connect_info::<Line>()`: the
/// peer's address is what wrong passwords are counted by.
pub fn router(rest: Rest) -> Router {
    let settings = rest.settings.clone();
    let (open, open_description) = server_routes().split_for_parts();
    let (api, mut description) = routes().split_for_parts();
    description.merge(open_description);

    let mut open = open.method_not_allowed_fallback(wrong_method).with_state(rest.clone());
    if let Some(render) = settings.metrics.clone() {
        open = open.merge(metrics(render).method_not_allowed_fallback(wrong_method));
    }
    let guarded = api
        .method_not_allowed_fallback(wrong_method)
        .with_state(rest)
        .merge(openapi::pages(description))
        .layer(Guard::new(&settings.cors));

    wrap(guarded.merge(open), &settings)
}

/// What every request passes through.
fn wrap(router: Router, settings: &RestSettings) -> Router {
    // The last layer is the outermost: a refusal of any of them gets what the later ones add.
    router
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(settings.request_timeout, request::limit_time))
        .layer(CatchPanicLayer::custom(refusal::panicked))
        .layer(cors(&settings.cors))
        .layer(middleware::from_fn(headers::add))
        .layer(middleware::from_fn(request::trail))
}

/// The description of the API, without a server: for the command line.
pub fn description() -> utoipa::openapi::OpenApi {
    let mut description = routes().into_openapi();
    description.merge(server_routes().into_openapi());
    description
}

/// Every route, in the order of protocol.md part 2.
fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::with_openapi(openapi::Api::openapi())
        .routes(routes!(accounts::register, accounts::list))
        .routes(routes!(accounts::show, accounts::replace, accounts::change, accounts::delete))
        .routes(routes!(sessions::login))
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::show))
        .routes(routes!(rooms::create, rooms::list))
        .routes(routes!(rooms::mine))
        .routes(routes!(rooms::join))
        .routes(routes!(rooms::leave))
        .routes(routes!(rooms::change, rooms::delete))
        .routes(routes!(rooms::members, rooms::add_members))
        .routes(routes!(rooms::remove_member))
        .routes(routes!(messages::list))
}

/// The routes that any page and any probe may ask.
fn server_routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::default().routes(routes!(health::alive)).routes(routes!(health::ready))
}

async fn nothing_here() -> Error {
    Error::NotFound(Noun::Page)
}

async fn wrong_method() -> Rejection {
    Rejection::Method
}

#[cfg(test)]
mod tests;
