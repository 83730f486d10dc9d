//! `/api/auth`: sign in, refresh a token, sign out. `auth` handles passwords and tokens.

use axum::{extract::State, response::Response};
use entity::SessionId;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Rest, answer,
    extract::{Client, Json, PathParameter, Shown},
    openapi::{Always, NeedsBody, NeedsCaller, NeedsLogin, NeedsThing, Throttled},
};
use crate::{
    auth::{Login, SignIn},
    error::{Entity, Error, Result},
    gateway::wire::{Time, UserView},
    identity::Caller,
};

/// The credentials of a sign-in: `username` (or `userID`, for front ends that use this name) and `password`.
#[derive(Deserialize, ToSchema)]
pub struct LoginRequest {
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

/// Sign in. After too many wrong passwords, a live token of the same account, in the usual places, gives it
/// attempts of its own.
#[utoipa::path(
    post, path = "/api/auth/login", tag = "sessions", operation_id = "login", security(()),
    request_body = LoginRequest,
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
pub async fn login(
    State(rest): State<Rest>,
    client: Client,
    Shown(shown): Shown,
    headers: HeaderMap,
    Json(login): Json<LoginRequest>,
) -> Result<Response> {
    let username = login.username.or(login.user_id);
    let username = username.ok_or_else(|| Error::invalid("username", "is missing"))?;
    let device = client.device(&headers);
    let sign_in = rest.auth.login(&device, shown, &username, login.password).await?;
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

/// A login of the caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Login)]
pub struct LoginView {
    #[schema(value_type = String, format = Uuid)]
    id: SessionId,
    /// The address where it was last used.
    #[schema(required)]
    address: Option<String>,
    /// The program that logged in, as it names itself (`User-Agent`).
    #[schema(required)]
    client: Option<String>,
    created_at: Time,
    /// Up to five minutes late, after a restart or on another node.
    last_used_at: Time,
    /// Whether it is the login of this request.
    current: bool,
}

impl From<Login> for LoginView {
    fn from(login: Login) -> Self {
        Self {
            id: login.id,
            address: login.address,
            client: login.client,
            created_at: Time(login.created_at),
            last_used_at: Time(login.last_used_at),
            current: login.is_current,
        }
    }
}

/// The logins of the caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Logins)]
pub struct LoginsView {
    sessions: Vec<LoginView>,
}

/// List your logins that have not ended, the last used one first, at most 1,000.
#[utoipa::path(
    get, path = "/api/auth/sessions", tag = "sessions", operation_id = "listSessions",
    responses((status = 200, description = "The logins", body = LoginsView), NeedsCaller, Always)
)]
pub async fn list(State(rest): State<Rest>, caller: Caller) -> Result<Response> {
    let logins = rest.auth.logins(&caller).await?;
    answer::ok(LoginsView { sessions: logins.into_iter().map(LoginView::from).collect() })
}

/// End one of your logins: its tokens and its connections.
#[utoipa::path(
    delete, path = "/api/auth/sessions/{id}", tag = "sessions", operation_id = "endSession",
    params(("id" = String, Path, description = "The login's id")),
    responses((status = 204, description = "The login has ended"), NeedsCaller, NeedsThing, Always)
)]
pub async fn end(
    State(rest): State<Rest>,
    caller: Caller,
    client: Client,
    PathParameter(id): PathParameter<String>,
) -> Result<Response> {
    let id = id.parse().map_err(|_| Error::NotFound(Entity::Session))?;
    rest.auth.end_login(&caller, id).await?;
    if id == caller.session {
        answer::clear_cookie(answer::no_content(), &rest.settings, client)
    } else {
        Ok(answer::no_content())
    }
}

/// End all your logins but this one.
#[utoipa::path(
    delete, path = "/api/auth/sessions", tag = "sessions", operation_id = "endOtherSessions",
    responses((status = 204, description = "The others have ended"), NeedsCaller, Always)
)]
pub async fn end_others(State(rest): State<Rest>, caller: Caller) -> Result<Response> {
    rest.auth.end_other_logins(&caller).await?;
    Ok(answer::no_content())
}

fn signed_in(rest: &Rest, client: Client, sign_in: SignIn) -> Result<Response> {
    let SignIn { token, expires_at, lasts, user: row, .. } = sign_in;
    let user = rest.chat.known(row);
    let response = answer::ok(SignInView {
        token: token.expose_secret(),
        jwt_token: token.expose_secret(),
        expires_at: Time(expires_at),
        user: UserView::own(&user),
    })?;
    answer::sign_in(response, &token, lasts, &rest.settings, client)
}
