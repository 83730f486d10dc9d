//! The HTTP API: request in, one call of `chat` or `auth`, answer out. Which routes there are stands
//! here; what a request means, in the files beside; what it does, in the core; what every request
//! passes through, in `gateway::http`.

mod accounts;
mod health;
mod messages;
mod openapi;
mod rooms;
mod sessions;
mod tickets;

use std::ops::Deref;

use axum::{Router, extract::FromRef};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::health::{RenderMetrics, metrics};
use super::http::{Guard, Http, answer, extract, headers, refusal, wrong_method};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    pub http: Http,
    /// Whether people may create accounts by themselves.
    pub signup: bool,
}

impl Deref for Rest {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.http
    }
}

impl FromRef<Rest> for Http {
    fn from_ref(rest: &Rest) -> Self {
        rest.http.clone()
    }
}

/// The whole API; `render` is what `/metrics` answers, none switches it off here.
pub fn router(rest: Rest, render: Option<RenderMetrics>) -> Router {
    let guard = Guard::new(&rest.settings.cors);
    let (open, open_description) = server_routes().split_for_parts();
    let (api, mut description) = routes().split_for_parts();
    description.merge(open_description);

    let mut open = open.method_not_allowed_fallback(wrong_method).with_state(rest.clone());
    if let Some(render) = render {
        open = open.merge(metrics(render).method_not_allowed_fallback(wrong_method));
    }
    let guarded = api
        .method_not_allowed_fallback(wrong_method)
        .with_state(rest)
        .merge(openapi::pages(description))
        .layer(guard);
    guarded.merge(open)
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
        .routes(routes!(tickets::buy))
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

#[cfg(test)]
mod tests;
