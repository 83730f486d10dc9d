//! The HTTP API. A request becomes one call of `chat` or `auth`. This file lists the routes. The other files
//! of this folder define what a request means. The core does the work. `gateway::http` has the layers of
//! every request.

mod accounts;
mod changes;
mod first_admin;
mod health;
mod messages;
mod openapi;
mod own_settings;
mod reactions;
mod rooms;
mod sessions;
mod threads;
mod tickets;

use std::ops::Deref;

use axum::{Router, extract::FromRef};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::health::{RenderMetrics, metrics};
use super::http::{Http, answer, extract, headers, refusal, wrong_method};
use crate::limits::SignUps;

/// What the handlers use. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    pub http: Http,
    /// Whether people may create their own accounts.
    pub signup: bool,
    /// The limit on sign-ups of one address.
    pub sign_ups: SignUps,
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

/// The whole API. `render` creates the answer of `/metrics`; without it, the route does not exist here.
pub fn router(rest: Rest, render: Option<RenderMetrics>) -> Router {
    let guard = rest.guard.clone();
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
        .merge(first_admin::pages().method_not_allowed_fallback(wrong_method))
        .layer(guard);
    guarded.merge(open)
}

/// The OpenAPI description, without a running server: for the command line.
pub fn description() -> utoipa::openapi::OpenApi {
    let mut description = routes().into_openapi();
    description.merge(server_routes().into_openapi());
    description
}

/// The method and the pattern of each route of the API.
pub fn declared_routes() -> Vec<(String, String)> {
    let paths = serde_json::to_value(description()).map(|mut document| document["paths"].take());
    let paths = paths.ok().and_then(|paths| paths.as_object().cloned()).unwrap_or_default();
    let methods =
        |item: &serde_json::Value| item.as_object().map(|item| item.keys().cloned().collect::<Vec<_>>());
    let routes = paths.into_iter().flat_map(|(route, item)| {
        let methods = methods(&item).unwrap_or_default();
        methods.into_iter().map(move |method| (method.to_ascii_uppercase(), route.clone()))
    });
    // A path may also have a summary or parameters.
    routes.filter(|(method, _)| ["GET", "PUT", "POST", "DELETE", "PATCH"].contains(&&**method)).collect()
}

/// Every route, in the order of the API page (`/docs`).
fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::with_openapi(openapi::Api::openapi())
        .routes(routes!(accounts::register, accounts::list))
        .routes(routes!(accounts::show, accounts::replace, accounts::change, accounts::delete))
        .routes(routes!(first_admin::create))
        .routes(routes!(sessions::login))
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::show))
        .routes(routes!(sessions::list, sessions::end_others))
        .routes(routes!(sessions::end))
        .routes(routes!(tickets::buy))
        .routes(routes!(rooms::create, rooms::list))
        .routes(routes!(rooms::mine))
        .routes(routes!(rooms::join))
        .routes(routes!(rooms::leave))
        .routes(routes!(rooms::change, rooms::delete))
        .routes(routes!(rooms::members, rooms::add_members))
        .routes(routes!(rooms::set_role, rooms::remove_member))
        .routes(routes!(rooms::set_disappearing))
        .routes(routes!(own_settings::set))
        .routes(routes!(messages::list))
        .routes(routes!(changes::edit, changes::delete))
        .routes(routes!(changes::edits))
        .routes(routes!(changes::delete_several))
        .routes(routes!(changes::pin, changes::unpin))
        .routes(routes!(messages::get, messages::send))
        .routes(routes!(reactions::list))
        .routes(routes!(reactions::add, reactions::withdraw))
        .routes(routes!(changes::list))
        .routes(routes!(threads::list))
        .routes(routes!(threads::follow, threads::unfollow))
        .routes(routes!(threads::read))
        .routes(routes!(threads::forward))
}

/// The routes that every page and every probe may request.
fn server_routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::default().routes(routes!(health::alive)).routes(routes!(health::ready))
}

#[cfg(test)]
mod tests;
