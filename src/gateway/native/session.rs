//! `refreshToken`: replaces the token of a socket that stays connected.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{NativeAnswer, NativeCall};
use crate::{
    auth::{Credential, Device},
    error::Result,
    gateway::{
        events::{Socket, owned_responses},
        wire::Time,
    },
};

/// A newer token of the same user.
#[derive(Deserialize, ToSchema)]
#[schema(as = RefreshToken)]
pub struct Refresh {
    #[schema(value_type = String)]
    token: SecretString,
}

/// When the token that counts ends.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TokenLife)]
pub struct Refreshed {
    expires_at: Time,
}

owned_responses!(Refreshed);

pub async fn refresh_token(call: NativeCall<'_, Refresh>, answer: NativeAnswer<Refreshed>) {
    let refreshed = refresh(call.socket, call.payload).await;
    answer.give(refreshed.map(|expires_at| Refreshed { expires_at: Time(expires_at) }));
}

async fn refresh(socket: &Socket, Refresh { token }: Refresh) -> Result<DateTime<Utc>> {
    let device = Device::new(socket.address, None);
    let newer = socket.auth.credential(Credential::Token(token), &device).await?;
    socket.chat.refresh(&socket.connection, newer)
}
