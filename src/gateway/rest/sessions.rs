//! `/api/auth`: sign in, refresh a token, sign out. `auth` handles passwords and tokens.

use axum::{extract::State, response::Response};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Rest, answer,
    extract::{Client, Json},
    openapi::{Always, NeedsBody, NeedsCaller, NeedsLogin, Throttled},
};
use crate::{
    auth::SignIn,
    error::{Error, Result},
    gateway::wire::{Time, UserView},
    identity::Caller,
};

/// The credentials of a sign-in: `username` (or `userID`, for front ends that use this name) and `password`.
#[derive(Deserialize, ToSchema)]
pub struct Login {
    #[schema(nullable = false)]
    username: Option<String>,
    #[serde(rename = "userID")]
    #[schema(nullable = false)]
    user_id: Option<String>,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A token, under both names that front ends use.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SignIn)]
pub struct SignInView<'a> {
    token: &'a str,
    /// The same value as `token`.
    jwt_token: &'a str,
    expires_at: Time,
    #[schema(value_type = UserView)]
    user: UserView<'a>,
}

/// Sign in.
#[utoipa::path(
    post, path = "/api/auth/login", tag = "sessions", operation_id = "login", security(()),
    request_body = Login,
    responses(
        (
            headers(("auth-token" = String), ("set-cookie" = String)),
            status = 200,
            description = "A token, also in the header `auth-token` and the cookie `chatToken`",
            body = SignInView
        ),
        NeedsBody, NeedsLogin, Throttled, Always
    )
)]
pub async fn login(State(rest): State<Rest>, client: Client, Json(login): Json<Login>) -> Result<Response> {
    let username = login.username.or(login.user_id);
    let username = username.ok_or_else(|| Error::invalid("username", "is missing"))?;
    let sign_in = rest.auth.login(client.address, &username, login.password).await?;
    signed_in(&rest, client, sign_in)
}

/// Get a new token for the same login.
#[utoipa::path(
    post, path = "/api/auth/refresh", tag = "sessions", operation_id = "refresh",
    responses(
        (
            headers(("auth-token" = String), ("set-cookie" = String)),
            status = 200,
            description = "A token, also in the header `auth-token` and the cookie `chatToken`",
            body = SignInView
        ),
        NeedsCaller, Always
    )
)]
pub async fn refresh(State(rest): State<Rest>, caller: Caller, client: Client) -> Result<Response> {
    let sign_in = rest.auth.refresh(&caller).await?;
    signed_in(&rest, client, sign_in)
}

/// Sign out: end this login, its tokens and its connections.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "sessions", operation_id = "logout",
    responses((status = 204, description = "The login has ended"), NeedsCaller, Always)
)]
pub async fn logout(State(rest): State<Rest>, caller: Caller, client: Client) -> Result<Response> {
    rest.auth.logout(&caller).await?;
    answer::clear_cookie(answer::no_content(), &rest.settings, client)
}

/// The current login.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionView<'a> {
    #[schema(value_type = UserView)]
    user: UserView<'a>,
    expires_at: Time,
}

/// Get the current user and the time when the login expires.
#[utoipa::path(
    get, path = "/api/auth/session", tag = "sessions", operation_id = "getSession",
    responses((status = 200, description = "The login", body = SessionView), NeedsCaller, Always)
)]
pub async fn show(State(rest): State<Rest>, caller: Caller) -> Result<Response> {
    let user = rest.chat.user(&caller, &caller.user.to_string()).await?;
    answer::ok(SessionView { user: UserView::own(&user), expires_at: Time(caller.expires_at) })
}

fn signed_in(rest: &Rest, client: Client, sign_in: SignIn) -> Result<Response> {
    let SignIn { token, expires_at, user: row, .. } = sign_in;
    let user = rest.chat.known(row);
    let response = answer::ok(SignInView {
        token: token.expose_secret(),
        jwt_token: token.expose_secret(),
        expires_at: Time(expires_at),
        user: UserView::own(&user),
    })?;
    answer::sign_in(response, &token, &rest.settings, client)
}
