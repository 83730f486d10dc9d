//! `/auth/login`: the sign-in of front ends that use this address. `auth` checks the password.

use axum::{extract::State, response::Response};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    gateway::http::{
        Http, answer,
        extract::{Client, Json},
    },
};

#[derive(Deserialize)]
pub struct PageLogin {
    #[serde(rename = "userID")]
    user_id: String,
    password: SecretString,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageSignedIn<'a> {
    jwt_token: &'a str,
}

/// Signs in with a password, within the limits of every other login.
pub async fn login(
    State(http): State<Http>,
    client: Client,
    Json(login): Json<PageLogin>,
) -> Result<Response> {
    let sign_in = http.auth.login(client.address, &login.user_id, login.password).await?;
    let response = answer::ok(PageSignedIn { jwt_token: sign_in.token.expose_secret() })?;
    answer::sign_in(response, &sign_in.token, &http.settings, client)
}
