//! `refreshToken`: replaces the token of a socket that stays connected.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::{
    auth::Credential,
    error::Result,
    gateway::{
        events::{Ack, Request, Socket},
        wire::Time,
    },
};

#[derive(Deserialize)]
struct Refresh {
    token: SecretString,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refreshed {
    expires_at: Time,
}

pub async fn refresh_token(socket: &Socket, request: Request<'_>, ack: Ack) {
    match refresh(socket, request).await {
        Ok(expires_at) => ack.succeed(Refreshed { expires_at: Time(expires_at) }),
        Err(err) => ack.fail(&err),
    }
}

async fn refresh(socket: &Socket, request: Request<'_>) -> Result<DateTime<Utc>> {
    let Refresh { token } = request.decode()?;
    let newer = socket.auth.credential(Credential::Token(token), socket.address).await?;
    let expires_at = newer.expires_at;
    socket.chat.refresh(&socket.connection, newer)?;
    Ok(expires_at)
}
