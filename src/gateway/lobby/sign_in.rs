//! `/auth/login`: the login of front ends that call it so. Passwords are left to `auth`.

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
pub struct Login {
    #[serde(rename = "userID")]
    user_id: String,
    password: SecretString,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedIn<'a> {
    jwt_token: &'a str,
}

/// A new login for whoever knows the password, within the limits of every other login.
pub async fn login(State(http): State<Http>, client: Client, Json(login): Json<Login>) -> Result<Response> {
    let sign_in = http.auth.login(client.address, &login.user_id, login.password).await?;
    let response = answer::ok(SignedIn { jwt_token: sign_in.token.expose_secret() })?;
    answer::sign_in(response, &sign_in.token, &http.settings, client)
}
