//! Looking into a token for the operator, who may know why it is refused; a client may not. It lets
//! nobody in: whether a token is valid now is [`Auth::authenticate`]'s to say.

use jsonwebtoken::dangerous::insecure_decode_claims;
use serde_json::Value;

use super::Auth;
use crate::error::Result;

/// What a token says of itself, whoever made it.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub header: Value,
    pub claims: Value,
    pub signature: Signature,
}

/// What our keys make of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// One of our keys signed exactly this, and it is an access token of our issuer.
    Good,
    /// It names one of our keys, and is not what that key signed, or no access token.
    Bad,
    /// It names none of our keys.
    UnknownKey,
}

impl Auth {
    /// None for what is not a JWT at all.
    pub fn inspect(&self, token: &str) -> Option<Inspection> {
        let mut parts = token.split('.');
        let (header, claims) = (parts.next()?, parts.next()?);
        let (header, claims) = (decoded(header)?, decoded(claims)?);
        let (keys, now) = (&self.0.keys, self.0.clock.now());
        let names_ours =
            header.get("kid").and_then(Value::as_str).is_some_and(|kid| keys.key(kid, now).is_some());
        let signature = match keys.verify_signed(token, now) {
            Some(_) => Signature::Good,
            None if names_ours => Signature::Bad,
            None => Signature::UnknownKey,
        };
        Some(Inspection { header, claims, signature })
    }

    /// Whether the configured issuer that a token names signed it for us, and it is good now; none where it
    /// names none. No user is made by it, and no session opened or looked at.
    pub async fn inspect_theirs(&self, token: &str) -> Option<Result<()>> {
        let issuer = self.0.issuers.named_by(token)?;
        Some(issuer.verify(token, self.0.clock.now()).await.map(drop))
    }
}

/// A part of a token as JSON. The library decodes the middle part without looking at the others, and
/// headers are written like claims; its own function for headers refuses an algorithm it does not know.
fn decoded(part: &str) -> Option<Value> {
    insecure_decode_claims::<Value>(format!(".{part}.")).ok().filter(Value::is_object)
}
