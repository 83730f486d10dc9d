//! Parlor's own access tokens: JWTs, signed and verified according to RFC 8725 and RFC 9068. The caller
//! checks whether the token's session still exists.
//!
//! There is one algorithm, whatever a header says. The tokens have their own `typ`, so that no other JWT made
//! with the same key is accepted. Only `kid` chooses the key. Times are compared with our
//! [`crate::clock::Clock`].

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use entity::{SessionId, UserId, user};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};

const ALGORITHM: Algorithm = Algorithm::HS256;
const TYPE: &str = "at+jwt";
/// Maximum length of a token, in bytes; a longer one is refused unread. Our tokens have about 500 bytes,
/// those of other issuers about 2,000.
pub(super) const LONGEST: usize = 8 * 1024;

/// How far in the future our own tokens may begin, if `auth.leeway` is shorter.
const SET_BACK: TimeDelta = TimeDelta::minutes(5);

/// The keys that sign and verify tokens.
#[derive(Clone)]
pub struct Keys {
    issuer: String,
    signing: EncodingKey,
    current: TokenKey,
    /// The previous key, accepted until this time.
    previous: Option<(TokenKey, DateTime<Utc>)>,
    leeway: TimeDelta,
    validation: Validation,
}

#[derive(Clone)]
struct TokenKey {
    /// Identifies the key without revealing it.
    kid: String,
    verifying: DecodingKey,
}

/// Does not show the keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("issuer", &self.issuer)
            .field("current", &self.current.kid)
            .field("previous", &self.previous.as_ref().map(|(key, until)| (&key.kid, until)))
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    /// The username, for people who inspect a token. The server uses `uid`.
    sub: String,
    pub(super) uid: UserId,
    pub(super) sid: SessionId,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

impl Claims {
    pub(super) fn new(
        keys: &Keys,
        user: &user::Model,
        session: SessionId,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self {
            iss: keys.issuer.clone(),
            sub: user.username.clone(),
            uid: user.id,
            sid: session,
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: expires_at.timestamp(),
            jti: Uuid::now_v7(),
        }
    }

    pub(super) fn expires_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.exp, 0)
    }
}

/// The result of verifying a token. Clients do not learn why a token is invalid.
#[derive(Debug)]
pub(super) enum Verdict {
    Valid(Claims),
    /// Our token, expired at this time.
    Expired(DateTime<Utc>),
    Invalid,
}

impl Keys {
    /// `previous` is the key before the last change, and the time until which it is accepted. Secrets need 32
    /// random bytes, which the configuration checks.
    pub fn new(
        issuer: String,
        current: SecretString,
        previous: Option<(SecretString, DateTime<Utc>)>,
        leeway: Duration,
    ) -> Self {
        let mut validation = Validation::new(ALGORITHM);
        validation.set_issuer(&[&issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "exp", "nbf"]);
        // The library would use the machine's clock. `verify` uses ours.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            issuer,
            signing: EncodingKey::from_secret(current.expose_secret().as_bytes()),
            current: TokenKey::new(&current),
            previous: previous.map(|(secret, until)| (TokenKey::new(&secret), until)),
            leeway: TimeDelta::from_std(leeway).unwrap_or_default(),
            validation,
        }
    }

    pub(super) fn sign(&self, claims: &Claims) -> Result<SecretString> {
        let mut header = Header::new(ALGORITHM);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.current.kid.clone());
        let token = jsonwebtoken::encode(&header, claims, &self.signing).map_err(Error::internal)?;
        Ok(token.into())
    }

    pub(super) fn verify(&self, token: &str, now: DateTime<Utc>) -> Verdict {
        let Some(claims) = self.verify_signed(token, now) else {
            return Verdict::Invalid;
        };
        let (Some(exp), Some(nbf)) = (claims.expires_at(), DateTime::from_timestamp(claims.nbf, 0)) else {
            return Verdict::Invalid;
        };
        // One of our keys has signed it, so the clock was set back, or another node's clock is ahead.
        if nbf.signed_duration_since(now) > self.leeway.max(SET_BACK) {
            return Verdict::Invalid;
        }
        if self.is_over(exp, now) {
            return Verdict::Expired(exp);
        }
        Verdict::Valid(claims)
    }

    /// Whether this time has passed, with the difference that clocks may have.
    pub(super) fn is_over(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now.signed_duration_since(at) >= self.leeway
    }

    /// The claims, if one of our keys signed them. Does not check the times.
    pub(super) fn verify_signed(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        let ours = header.alg == ALGORITHM
            && header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE))
            && !brings_its_own_key(&header)
            // Extensions that a verifier must understand. We support none.
            && header.crit.is_none();
        if !ours {
            return None;
        }
        let key = self.key(header.kid.as_deref()?, now)?;
        let verified = jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok()?;
        Some(verified.claims)
    }

    pub(super) fn key(&self, kid: &str, now: DateTime<Utc>) -> Option<&DecodingKey> {
        if kid == self.current.kid {
            return Some(&self.current.verifying);
        }
        let (previous, until) = self.previous.as_ref()?;
        (kid == previous.kid && now < *until).then_some(&previous.verifying)
    }
}

impl TokenKey {
    fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let digest = Sha256::digest(secret);
        let kid = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { kid, verifying: DecodingKey::from_secret(secret) }
    }
}

/// No code here follows such a header. Still, a token that has one is not ours.
pub(super) fn brings_its_own_key(header: &Header) -> bool {
    header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CURRENT: &str = "a-current-secret-of-more-than-32-bytes";
    const PREVIOUS: &str = "the-previous-secret-of-more-than-32-bytes";
    const LEEWAY: i64 = 5;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn after(seconds: i64) -> DateTime<Utc> {
        now() + TimeDelta::seconds(seconds)
    }

    fn keys_of(current: &str, previous: Option<(&str, DateTime<Utc>)>) -> Keys {
        let previous = previous.map(|(secret, until)| (secret.into(), until));
        Keys::new("parlor".into(), current.into(), previous, Duration::from_secs(LEEWAY as u64))
    }

    fn keys() -> Keys {
        keys_of(CURRENT, None)
    }

    fn header() -> Value {
        json!({ "alg": "HS256", "typ": "at+jwt", "kid": keys().current.kid })
    }

    fn claims() -> Value {
        json!({
            "iss": "parlor", "sub": "ada", "uid": UserId::new(), "sid": SessionId::new(), "jti": Uuid::now_v7(),
            "iat": now().timestamp(), "nbf": now().timestamp(), "exp": now().timestamp() + 3600,
        })
    }

    fn with(mut object: Value, key: &str, value: Value) -> Value {
        object[key] = value;
        object
    }

    fn base64url(value: &Value) -> String {
        let token =
            jsonwebtoken::encode(&Header::new(ALGORITHM), value, &EncodingKey::from_secret(b"x")).unwrap();
        token.split('.').nth(1).unwrap().to_owned()
    }

    /// A token with any header, signed with `algorithm`.
    fn forge_as(algorithm: Algorithm, header: &Value, claims: &Value, secret: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let secret = EncodingKey::from_secret(secret.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn forge(header: &Value, claims: &Value) -> String {
        forge_as(ALGORITHM, header, claims, CURRENT)
    }

    #[track_caller]
    fn invalid(token: &str) {
        let verdict = keys().verify(token, now());
        assert!(matches!(verdict, Verdict::Invalid), "{verdict:?}");
    }

    #[track_caller]
    fn valid(keys: &Keys, token: &str, at: DateTime<Utc>) {
        let verdict = keys.verify(token, at);
        assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
    }

    fn issue(keys: &Keys) -> String {
        let claims: Claims = serde_json::from_value(claims()).unwrap();
        keys.sign(&claims).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn what_we_sign_we_accept_and_so_is_what_the_tests_forge() {
        valid(&keys(), &issue(&keys()), now());
        valid(&keys(), &forge(&header(), &claims()), now());
        let signed = jsonwebtoken::decode_header(issue(&keys())).unwrap();
        assert_eq!((signed.alg, signed.typ.as_deref()), (Algorithm::HS256, Some("at+jwt")));
        assert_eq!(signed.kid.unwrap().len(), 8);
    }

    #[test]
    fn no_algorithm_but_ours() {
        for none in ["none", "None", "NONE", ""] {
            let header = with(header(), "alg", none.into());
            let unsigned = format!("{}.{}.", base64url(&header), base64url(&claims()));
            invalid(&unsigned);
            invalid(&forge(&header, &claims()));
        }
        // The right secret with another hash: a key has exactly one algorithm.
        for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
            invalid(&forge_as(algorithm, &with(header(), "alg", name.into()), &claims(), CURRENT));
        }
        // A header with the algorithm of a public key over an HMAC, and an HMAC made with a public key.
        for name in ["RS256", "ES256", "PS256", "EdDSA"] {
            invalid(&forge(&with(header(), "alg", name.into()), &claims()));
        }
        let public =
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
        invalid(&forge_as(ALGORITHM, &header(), &claims(), public));
    }

    #[test]
    fn another_type_of_token_is_not_an_access_token() {
        for typ in ["JWT", "ticket+jwt", "at+jwt ", ""] {
            invalid(&forge(&with(header(), "typ", typ.into()), &claims()));
        }
        invalid(&forge(&with(header(), "typ", Value::Null), &claims()));
        valid(&keys(), &forge(&with(header(), "typ", "AT+JWT".into()), &claims()), now());
    }

    #[test]
    fn another_issuer_or_an_audience_is_not_ours() {
        for issuer in [json!("parlour"), json!(""), json!(["parlor"]), Value::Null] {
            invalid(&forge(&header(), &with(claims(), "iss", issuer)));
        }
        invalid(&forge(&header(), &with(claims(), "aud", "someone".into())));
    }

    #[test]
    fn only_our_key_signs() {
        invalid(&issue(&keys_of(PREVIOUS, None)));
        // Another secret under our kid; our secret under another kid, and under none.
        invalid(&forge_as(ALGORITHM, &header(), &claims(), PREVIOUS));
        invalid(&forge(&with(header(), "kid", "00000000".into()), &claims()));
        invalid(&forge(&with(header(), "kid", Value::Null), &claims()));
        invalid(&forge(&with(header(), "kid", "../../dev/null".into()), &claims()));
    }

    #[test]
    fn the_previous_key_is_accepted_until_its_end() {
        let old = issue(&keys_of(PREVIOUS, None));
        let rotated = keys_of(CURRENT, Some((PREVIOUS, after(60))));
        valid(&rotated, &old, after(59));
        assert!(matches!(rotated.verify(&old, after(60)), Verdict::Invalid));
        valid(&rotated, &issue(&rotated), after(61));
    }

    #[test]
    fn a_token_ends_with_its_leeway_and_is_still_told_apart() {
        let token = issue(&keys());
        let end = 3600;
        valid(&keys(), &token, after(end + LEEWAY - 1));
        for late in [end + LEEWAY, end + LEEWAY + 1, end + 1_000_000] {
            let verdict = keys().verify(&token, after(late));
            assert!(matches!(verdict, Verdict::Expired(at) if at == after(end)), "{verdict:?}");
        }
    }

    #[test]
    fn a_token_from_the_future_waits() {
        let nbf = |ahead: i64| forge(&header(), &with(claims(), "nbf", (now().timestamp() + ahead).into()));
        let most = SET_BACK.num_seconds();
        valid(&keys(), &nbf(LEEWAY), now());
        valid(&keys(), &nbf(most), now());
        invalid(&nbf(most + 1));
        valid(&keys(), &nbf(most + 1), after(1));
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for time in [json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!("1800003600"), json!(1e300)] {
            invalid(&forge(&header(), &with(claims(), "exp", time.clone())));
            if time != json!(i64::MIN) {
                invalid(&forge(&header(), &with(claims(), "nbf", time)));
            }
        }
    }

    #[test]
    fn every_claim_is_needed() {
        for claim in ["iss", "sub", "uid", "sid", "iat", "nbf", "exp", "jti"] {
            let mut lacking = claims();
            lacking.as_object_mut().unwrap().remove(claim);
            invalid(&forge(&header(), &lacking));
        }
        invalid(&forge(&header(), &with(claims(), "uid", "ada".into())));
        invalid(&forge(&header(), &json!([])));
    }

    #[test]
    fn a_header_that_brings_a_key_or_wants_more_is_refused() {
        let oct = json!({ "kty": "oct", "k": "eA" });
        for (name, value) in [
            ("jku", json!("https://evil.example/keys")),
            ("x5u", json!("https://evil.example/cert")),
            ("x5c", json!(["MIIB"])),
            ("jwk", oct),
            ("crit", json!(["exp"])),
        ] {
            invalid(&forge(&with(header(), name, value), &claims()));
        }
    }

    #[test]
    fn garbage_and_a_megabyte_are_refused() {
        for garbage in
            ["", ".", "..", "...", "a.b.c", "Bearer", "\0", "ä.ö.ü", "e30.e30.e30", &"a".repeat(1 << 20)]
        {
            invalid(garbage);
        }
        let good = issue(&keys());
        invalid(&format!("{good} "));
        invalid(&format!(" {good}"));
        invalid(&good[..good.len() - 1]);
        invalid(&format!("{good}.{good}"));
        // Correctly signed, but too long.
        let long = forge(&header(), &with(claims(), "sub", "a".repeat(1 << 20).into()));
        invalid(&long);
        // Changing any character makes the token invalid.
        for at in (0..good.len()).step_by(7) {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            invalid(&String::from_utf8(changed).unwrap());
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let shown = format!("{:?}", keys_of(CURRENT, Some((PREVIOUS, now()))));
        assert!(!shown.contains(CURRENT) && !shown.contains(PREVIOUS), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_and_any_change_of_a_token_is_no_token(
            text in ".{0,60}",
            parts in "[A-Za-z0-9_=-]{0,40}\\.[A-Za-z0-9_=-]{0,40}\\.[A-Za-z0-9_=-]{0,40}",
            at: proptest::sample::Index,
            other in "[ -~]",
        ) {
            for text in [&text, &parts] {
                assert!(matches!(keys().verify(text, now()), Verdict::Invalid), "{text}");
            }
            let token = issue(&keys());
            assert!(matches!(keys().verify(&token, now()), Verdict::Valid(_)));
            let mut changed = token.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = other.as_bytes()[0];
            let changed = String::from_utf8(changed).unwrap();
            if changed != token {
                assert!(matches!(keys().verify(&changed, now()), Verdict::Invalid), "{changed}");
            }
        }
    }
}
