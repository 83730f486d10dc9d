//! Access tokens in Parlor's form. The peer has the same secret.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::scene::User;

pub const SECRET: &str = "the-secret-of-the-benchmark-which-is-none";
/// Longer than any run.
pub const LIFE: TimeDelta = TimeDelta::hours(6);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'a str,
    uid: Uuid,
    sid: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

pub fn of(user: &User) -> Result<String> {
    let now = Utc::now();
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(Sha256::digest(SECRET).iter().take(4).map(|byte| format!("{byte:02x}")).collect());
    let claims = Claims {
        iss: "parlor",
        sub: &user.username,
        uid: user.id.0,
        sid: user.session.0,
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: (now + LIFE).timestamp(),
        jti: Uuid::now_v7(),
    };
    Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}
