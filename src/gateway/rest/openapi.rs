//! The description of the API, generated from the handlers, and the page that shows it. This file defines the
//! possible refusals once; handlers list the ones that they use.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{
        self, Content, OpenApi as Description, Ref, RefOr, ResponseBuilder,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_swagger_ui::SwaggerUi;

use super::{headers, refusal::Problem};
use crate::{
    error::{Entity, Error},
    gateway::credential,
};

/// The base of the description, to which the handlers are added.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Parlor",
        description = "The HTTP API of Parlor, a chat backend. Messages are sent over Socket.IO, namespace \
            `/chat`: `/asyncapi.json` describes its events, and `/docs/events` is a page to try them. A request from a web page whose origin is not allowed is refused with 403 `forbidden`."
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "sessions", description = "Sign in and out"),
        (name = "users", description = "Accounts"),
        (name = "rooms", description = "Groups, direct rooms and what was said in them"),
        (name = "server", description = "The server itself")
    ),
    components(schemas(Problem)),
    security(("bearer" = []), ("query" = []), ("cookie" = [])),
    modifiers(&Credentials)
)]
pub struct Api;

/// The places for a credential. The first one found counts, in the order query, header, cookie.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut Description) {
        let components = api.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".to_owned());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let query = ApiKey::Query(ApiKeyValue::new("token"));
        components.add_security_scheme("query", SecurityScheme::ApiKey(query));
        let cookie = ApiKey::Cookie(ApiKeyValue::new(credential::COOKIE));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident { $($status:literal: $codes:literal;)+ })+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
                [$(($status, $codes)),+].map(problem).into()
            }
        }
    )+};
}

refusals! {
    /// For every handler.
    Always {
        500: "`internal`: a fault of the server's";
        503: "`unavailable`: try again later";
    }
    /// For handlers that need a caller.
    NeedsCaller { 401: "`token_missing`, `token_invalid`, `token_expired` or `token_revoked`"; }
    /// For handlers that sign in.
    NeedsLogin { 401: "`unauthorized`: no such user, or not their password"; }
    /// For handlers with a query.
    NeedsQuery { 400: "`bad_request`: `field` says what is wrong"; }
    /// For handlers with a body.
    NeedsBody {
        400: "`bad_request`: `field` says what is wrong";
        413: "`too_large`";
    }
    /// For handlers that not everyone may use.
    NeedsRight { 403: "`forbidden`, `not_a_member` or `wrong_password`"; }
    /// For handlers whose target may not exist.
    NeedsThing { 404: "`not_found`"; }
    /// For handlers that set a name.
    MayClash { 409: "`conflict`: the name is taken"; }
    /// For handlers with a rate limit.
    Throttled { 429: "`rate_limited`: `retryAfterMs` says when to try again"; }
}

fn problem((status, codes): (u16, &str)) -> (String, RefOr<openapi::Response>) {
    let body = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(codes).content("application/problem+json", body);
    (status.to_string(), response.build().into())
}

/// `/openapi.json`, and the page at `/docs`, which loads nothing from other servers.
pub fn pages(description: Description) -> Router {
    let page = SwaggerUi::new("/docs").url("/openapi.json", description);
    Router::from(page).layer(middleware::from_fn(show))
}

/// Allows the page to load its own scripts and styles, and replaces its refusals with this server's.
async fn show(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status().is_client_error() {
        return Error::NotFound(Entity::Page).into_response();
    }
    let csp = HeaderValue::from_static(headers::PAGE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, csp);
    response
}
