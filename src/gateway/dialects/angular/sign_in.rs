//! The login page, and the check at every start of the app: `/web/users`, `/web/login`, `/web/loggedIn`.

use axum::{extract::State, response::Response};
use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};

use super::people;
use crate::{
    auth::Credential,
    error::{AuthError, Error, Forbidden, Result},
    gateway::{
        credential,
        http::{
            Http, answer,
            extract::{Client, Json},
        },
        wire::{
            UserView,
            bounded::{ANSWER_BYTES, Bounded},
        },
    },
    identity::Caller,
};

#[derive(Serialize)]
struct Users {
    users: Bounded,
}

/// The users as whom one can sign in.
pub async fn users(State(http): State<Http>, client: Client) -> Result<Response> {
    let push = |users: &mut Bounded, user: &_| users.push(ANSWER_BYTES, UserView::public(user));
    let users =
        people::everyone(&http.chat, &Caller::visitor(client.address), Bounded::default(), push).await?;
    answer::ok(Users { users })
}

#[derive(Deserialize)]
pub struct WebLogin {
    username: String,
}

#[derive(Serialize)]
struct WebSignedIn {
    response: String,
}

/// Signs in as the user with this name, without a password.
pub async fn login(
    State(http): State<Http>,
    client: Client,
    headers: HeaderMap,
    Json(login): Json<WebLogin>,
) -> Result<Response> {
    let user = http.chat.user_of_name(&Caller::visitor(client.address), &login.username).await?;
    if user.row.is_admin {
        // An admin may change every account, so an admin needs a password.
        return Err(Error::Forbidden(Forbidden::Role));
    }
    let sign_in = http.auth.sign_in(&user.row, &client.device(&headers)).await?;
    let response =
        answer::ok(WebSignedIn { response: format!("You are signed in as {}.", sign_in.user.username) })?;
    answer::sign_in(response, &sign_in.token, sign_in.lasts, &http.settings, client)
}

#[derive(Serialize)]
struct LoggedIn<'a> {
    username: &'a str,
}

/// The user of the login, and its token. The page's scripts need the token for their socket, and cannot read
/// it from the cookie.
pub async fn logged_in(caller: Caller, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let Some(Credential::Token(token)) = credential::from_request(&uri, &headers) else {
        return Err(Error::Unauthenticated(AuthError::TokenMissing));
    };
    answer::show_token(answer::ok(LoggedIn { username: &caller.username })?, &token)
}
