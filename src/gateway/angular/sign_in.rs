//! The login page and the check at every start of the app: `/web/users`, `/web/login`, `/web/loggedIn`.

use axum::{extract::State, response::Response};
use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};

use super::people;
use crate::{
    auth::Credential,
    chat::{caller::Caller, text::Username},
    error::{Denial, Error, Noun, Result, Why},
    gateway::{
        bounded::{ANSWER_BYTES, Bounded},
        credential,
        http::{
            Http, answer,
            extract::{Client, Json},
        },
        wire::UserView,
    },
};

#[derive(Serialize)]
struct Users {
    users: Bounded,
}

/// Whom one can sign in as.
pub async fn users(State(http): State<Http>, client: Client) -> Result<Response> {
    let push = |users: &mut Bounded, user: &_| users.push(ANSWER_BYTES, UserView::public(user));
    let users =
        people::everyone(&http.chat, &Caller::visitor(client.address), Bounded::default(), push).await?;
    answer::ok(Users { users })
}

#[derive(Deserialize)]
pub struct Login {
    username: String,
}

#[derive(Serialize)]
struct SignedIn {
    response: String,
}

/// A new login for whoever says the name.
pub async fn login(State(http): State<Http>, client: Client, Json(login): Json<Login>) -> Result<Response> {
    // The core would take an id, too. What cannot be a username is nobody's.
    let username = Username::parse(&login.username).map_err(|_| Error::NotFound(Noun::User))?;
    let user = http.chat.user(&Caller::visitor(client.address), username.as_str()).await?;
    if user.row.is_admin {
        // Who may change everybody's account shows a password, here or nowhere.
        return Err(Error::Forbidden(Denial::Role));
    }
    let sign_in = http.auth.sign_in(&user.row).await?;
    let response =
        answer::ok(SignedIn { response: format!("You are signed in as {}.", sign_in.user.username) })?;
    answer::sign_in(response, &sign_in.token, &http.settings, client)
}

#[derive(Serialize)]
struct LoggedIn<'a> {
    username: &'a str,
}

/// Whose the login is that came along, and its token, which the page's scripts cannot read out of the
/// cookie and need for their socket.
pub async fn logged_in(caller: Caller, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let Some(Credential::Token(token)) = credential::from_request(&uri, &headers) else {
        return Err(Error::Unauthenticated(Why::TokenMissing));
    };
    answer::show_token(answer::ok(LoggedIn { username: &caller.username })?, &token)
}
