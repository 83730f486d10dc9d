//! `/api/first-admin`, and the page at `/first-admin` that asks for the name and the password. The secret of the link
//! is in the fragment of its address, which browsers send to no server, so no access log has it.

use axum::{Router, extract::State, response::Response, routing::get};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Rest,
    accounts::created,
    answer,
    extract::Json,
    headers,
    openapi::{Always, MayClash, NeedsBody, NeedsRight},
};
use crate::{chat::NewUser, error::Result, gateway::wire::UserView, values::Username};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

/// The first admin, and the secret of the link that the server has printed.
#[derive(Deserialize, ToSchema)]
pub struct FirstAdmin {
    #[schema(value_type = String, format = Password)]
    link: SecretString,
    #[schema(min_length = 3, max_length = 64)]
    username: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024)]
    password: SecretString,
}

/// Create the first admin. In production, a server without an admin prints a link at its start. It works once, for
/// a day.
#[utoipa::path(
    post, path = "/api/first-admin", tag = "users", operation_id = "createFirstAdmin", security(()),
    request_body = FirstAdmin,
    responses(
        (
            headers(("location" = String, description = "Its address")),
            status = 201, description = "The new account", body = UserView
        ),
        NeedsBody, NeedsRight, MayClash, Always
    )
)]
pub async fn create(State(rest): State<Rest>, Json(first): Json<FirstAdmin>) -> Result<Response> {
    let new = NewUser {
        username: Username::parse(&first.username)?,
        password: Some(first.password),
        first_name: None,
        last_name: None,
        email: None,
        phone: None,
        profile: None,
        is_admin: true,
    };
    let link = rest.auth.use_admin_link(first.link.expose_secret()).await?;
    let user = match rest.chat.register(new).await {
        Ok(user) => user,
        Err(refused) => {
            rest.auth.give_back_admin_link(link).await?;
            return Err(refused);
        }
    };
    tracing::info!(user.id = %user.row.id, "the first admin was made");
    created(&user)
}

/// The page and its script.
pub fn pages() -> Router {
    Router::new()
        .route("/first-admin", get(async || page(PAGE, "text/html; charset=utf-8")))
        .route("/first-admin/page.js", get(async || page(SCRIPT, "text/javascript; charset=utf-8")))
}

fn page(text: &'static str, kind: &'static str) -> Response {
    answer::file(text, kind, headers::PAGE_POLICY)
}
