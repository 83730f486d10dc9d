//! Inspects a token for the operator, who may learn why it is refused; a client may not. It authenticates
//! nobody: only [`Auth::authenticate`] decides whether a token is valid now.

use jsonwebtoken::dangerous::insecure_decode_claims;
use serde_json::Value;

use super::Auth;
use crate::error::Result;

/// The content of a token, whoever made it.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub header: Value,
    pub claims: Value,
    pub signature: Signature,
}

/// The result of checking a token against our keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// One of our keys signed it, and it is an access token of our issuer.
    Good,
    /// It names one of our keys, but that key did not sign it, or it is not an access token.
    Bad,
    /// It names none of our keys.
    UnknownKey,
}

impl Auth {
    /// None if the text is not a JWT.
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

    /// Whether the token is valid now and signed for us by the configured issuer that it names. None if it
    /// names no configured issuer. Creates no user, and neither opens nor reads a session.
    pub async fn inspect_theirs(&self, token: &str) -> Option<Result<()>> {
        let issuer = self.0.issuers.named_by(token)?;
        Some(issuer.verify(token, self.0.clock.now()).await.map(drop))
    }
}

/// Decodes one part of a token as JSON. The library's claims decoder does not look at the other parts, so it
/// works for headers, too. Its header decoder refuses algorithms that it does not know.
fn decoded(part: &str) -> Option<Value> {
    insecure_decode_claims::<Value>(format!(".{part}.")).ok().filter(Value::is_object)
}
