//! `/auth/login`: the sign-in of front ends that use this address. `auth` checks the password.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    gateway::http::{
        Http, answer,
        extract::{Client, Json, Shown},
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
    Shown(shown): Shown,
    headers: HeaderMap,
    Json(login): Json<PageLogin>,
) -> Result<Response> {
    let device = client.device(&headers);
    let sign_in = http.auth.login(&device, shown, &login.user_id, login.password).await?;
    let response = answer::ok(PageSignedIn { jwt_token: sign_in.token.expose_secret() })?;
    answer::sign_in(response, &sign_in.token, sign_in.lasts, &http.settings, client)
}
