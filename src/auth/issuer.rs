//! Tokens of other issuers: which issuer a token names, whether that issuer signed it for us, and what it
//! says about its user. `jwks` has the keys, and `provision` creates the user.
//!
//! The same rules hold as for our own tokens (RFC 8725). Algorithms come from the configuration, keys from
//! the configured address, and times are compared with our clock. The header only chooses among the keys.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use entity::SessionId;
use jsonwebtoken::{Algorithm, Header, Validation, dangerous::insecure_decode_claims};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::{
    access_token,
    fetch::{Source, bare},
    jwks::Jwks,
};
use crate::{
    clock::Clock,
    error::{AuthError, Error, Result},
    shutdown::Shutdown,
};

/// Maximum length of `sub` (OpenID Connect Core, 2).
const LONGEST_SUBJECT: usize = 255;
/// The latest time that fits into a UUID's timestamp, in seconds; it is after the year 10,000.
const LATEST: i64 = (1 << 48) / 1_000 - 1;
/// How often at most the log says that an issuer's clock is ahead.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// The last second of the year 9999. Later times have no RFC 3339 form.
const LAST_SECOND: i64 = 253_402_300_799;

/// The configuration of one issuer.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its URL, with or without one trailing slash.
    pub issuer: String,
    /// The value that the `aud` claim must contain.
    pub audience: String,
    /// The address of its keys; discovered if not given.
    pub jwks_uri: Option<String>,
    /// PEM certificates of authorities that are trusted besides the public ones.
    pub ca: Option<Vec<u8>>,
    /// The accepted signature algorithms: some of RS256, ES256 and EdDSA.
    pub algorithms: Vec<Algorithm>,
    /// The claims with a new user's username, first name and email address.
    pub username_claim: String,
    pub name_claim: String,
    pub email_claim: String,
    /// Whether keys may be fetched without TLS.
    pub allow_http: bool,
}

/// All issuers whose tokens are accepted besides our own.
#[derive(Default)]
pub struct Issuers(Vec<Issuer>);

pub(super) struct Issuer {
    /// Its URL without the trailing slash, under which its users are stored.
    name: String,
    settings: IssuerSettings,
    keys: Arc<Jwks>,
    leeway: TimeDelta,
    /// When the log last said that its clock is ahead.
    clock_noted: Mutex<Option<Instant>>,
}

/// What an issuer says about a user. None of it is validated.
#[derive(Clone, Debug)]
pub(super) struct Introduction {
    pub username: String,
    pub first_name: Option<String>,
    pub email: Option<String>,
}

/// What an issuer states in a valid token.
#[derive(Debug)]
pub(super) struct Vouched {
    pub issuer: String,
    pub subject: String,
    /// The session of the token; it is the same on every node.
    pub session: SessionId,
    pub expires_at: DateTime<Utc>,
    pub introduction: Introduction,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|issuer| &issuer.name)).finish()
    }
}

impl Issuers {
    /// Fetches nothing yet.
    ///
    /// # Errors
    /// An address or a certificate is invalid.
    pub fn new(
        settings: Vec<IssuerSettings>,
        leeway: Duration,
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let issuers = settings.into_iter().map(|settings| {
            let name = bare(&settings.issuer).to_owned();
            let (jwks_uri, ca) = (settings.jwks_uri.as_deref(), settings.ca.as_deref());
            let source = Source::new(&settings.issuer, jwks_uri, ca, settings.allow_http)?;
            let keys = Jwks::new(name.clone(), source, clock.clone(), shutdown.clone());
            let leeway = TimeDelta::from_std(leeway).unwrap_or_default();
            Ok(Issuer { name, settings, keys, leeway, clock_noted: Mutex::default() })
        });
        Ok(Self(issuers.collect::<anyhow::Result<_>>()?))
    }

    /// The configured issuer that a token names, before anything of the token is verified. None if it names
    /// none.
    pub(super) fn named_by(&self, token: &str) -> Option<&Issuer> {
        #[derive(Deserialize)]
        struct IssuerClaim {
            iss: String,
        }
        if self.0.is_empty() || token.len() > access_token::LONGEST {
            return None;
        }
        let IssuerClaim { iss } = insecure_decode_claims(token).ok()?;
        self.0.iter().find(|issuer| issuer.name == bare(&iss))
    }

    /// Fetches the keys of all issuers at the same time. If an issuer does not answer, its old keys stay.
    pub(super) async fn refresh(&self) {
        futures_util::future::join_all(self.0.iter().map(|issuer| issuer.keys.refresh())).await;
    }
}

impl Issuer {
    /// Verifies the token, and returns what the issuer states in it.
    ///
    /// # Errors
    /// `token_invalid` or `token_expired`. `unavailable` if the token's key is unknown and the issuer cannot
    /// be asked for it.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Vouched> {
        let invalid = || Error::Unauthenticated(AuthError::TokenInvalid);
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        if !self.settings.algorithms.contains(&header.alg) || !is_plain(&header) {
            return Err(invalid());
        }
        let key = self.keys.key(header.kid.as_deref(), header.alg).await?.ok_or_else(invalid)?;
        let verified = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &self.validation(header.alg));
        let claims = verified.map_err(|_| invalid())?.claims;
        let expires_at = self.within_its_time(&claims, now)?;
        self.vouched(token, &claims, expires_at).ok_or_else(invalid)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[self.name.clone(), format!("{}/", self.name)]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The library would use the machine's clock. `within_its_time` uses ours.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }

    /// When the token expires, if it is valid now.
    fn within_its_time(&self, claims: &Map<String, Value>, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
        let invalid = Error::Unauthenticated(AuthError::TokenInvalid);
        let time = |claim: &str| match claims.get(claim) {
            None => Ok(None),
            // A time claim that is not a time makes the token invalid.
            Some(value) => seconds(value).map(Some).ok_or(Error::Unauthenticated(AuthError::TokenInvalid)),
        };
        for start in [time("nbf")?, time("iat")?].into_iter().flatten() {
            let Some(start) = DateTime::from_timestamp(start, 0) else { return Err(invalid) };
            let ahead = start.signed_duration_since(now);
            if ahead > self.leeway {
                self.note_clock(ahead);
                return Err(invalid);
            }
        }
        let end = time("exp")?.map(|exp| exp.min(LAST_SECOND));
        let Some(end) = end.and_then(|exp| DateTime::from_timestamp(exp, 0)) else { return Err(invalid) };
        if now.signed_duration_since(end) >= self.leeway {
            return Err(Error::expired(end));
        }
        Ok(end)
    }

    /// The issuer has signed this token, so one of the two clocks is wrong.
    fn note_clock(&self, ahead: TimeDelta) {
        let mut noted = self.clock_noted.lock();
        if noted.is_some_and(|at| at.elapsed() < NOTED_EVERY) {
            return;
        }
        *noted = Some(Instant::now());
        tracing::warn!(
            issuer = self.name,
            seconds_ahead = ahead.num_seconds(),
            seconds_allowed = self.leeway.num_seconds(),
            "a token of this issuer is refused because it begins in the future: the issuer's clock is ahead of this machine's"
        );
    }

    fn vouched(
        &self,
        token: &str,
        claims: &Map<String, Value>,
        expires_at: DateTime<Utc>,
    ) -> Option<Vouched> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty());
        let subject = text("sub").filter(|subject| is_storable(subject))?;
        // Excludes the signature. An ECDSA signature has a second valid form, which would give another
        // session, and that session would survive a logout.
        let (signed, _) = token.rsplit_once('.')?;
        let issued = claims.get("iat").and_then(seconds).unwrap_or(0);
        let names = &self.settings;
        Some(Vouched {
            issuer: self.name.clone(),
            subject: subject.to_owned(),
            session: session_of(&self.name, signed, issued),
            expires_at,
            introduction: Introduction {
                username: text(&names.username_claim).unwrap_or(subject).to_owned(),
                first_name: text(&names.name_claim).map(str::to_owned),
                email: text(&names.email_claim).map(str::to_owned),
            },
        })
    }
}

/// Whether a header names only an algorithm and a key of the issuer.
fn is_plain(header: &Header) -> bool {
    let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    matches!(typ, None | Some("jwt" | "at+jwt"))
        && !access_token::brings_its_own_key(header)
        && header.crit.is_none()
}

/// A token's time (RFC 7519, 2: seconds, possibly with a fraction) in whole seconds.
fn seconds(value: &Value) -> Option<i64> {
    // A float outside the range of i64 becomes its limit, which is refused later as an invalid time.
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))
}

/// PostgreSQL cannot store U+0000, and no subject needs other control characters.
fn is_storable(subject: &str) -> bool {
    subject.chars().count() <= LONGEST_SUBJECT && !subject.chars().any(char::is_control)
}

/// Every node derives the same id from the same token: a UUID of version 7, with the time when the token was
/// issued, and with a digest in place of the random bits.
fn session_of(issuer: &str, signed: &str, issued: i64) -> SessionId {
    let mut digest = Sha256::new();
    digest.update(issuer);
    digest.update([0]);
    digest.update(signed);
    let digest = digest.finalize();
    let mut bits = [0; 10];
    bits.copy_from_slice(&digest[..10]);
    let millis = u64::try_from(issued.clamp(0, LATEST)).unwrap_or(0) * 1_000;
    SessionId(Builder::from_unix_timestamp_millis(millis, &bits).into_uuid())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://login.example.com";
    const LEEWAY: i64 = 5;
    const NOW: i64 = 1_800_000_000;

    fn issuers() -> Issuers {
        let settings = |issuer: &str| IssuerSettings {
            issuer: issuer.to_owned(),
            audience: "chat".to_owned(),
            jwks_uri: None,
            ca: None,
            algorithms: vec![Algorithm::RS256],
            username_claim: "preferred_username".to_owned(),
            name_claim: "name".to_owned(),
            email_claim: "email".to_owned(),
            allow_http: false,
        };
        let settings = vec![settings("https://login.example.com/"), settings("https://other.example.com")];
        let leeway = Duration::from_secs(LEEWAY as u64);
        Issuers::new(settings, leeway, &Clock::movable(), &Shutdown::new()).unwrap()
    }

    fn token(claims: &Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(b"anybody");
        jsonwebtoken::encode(&Header::default(), claims, &key).unwrap()
    }

    #[test]
    fn a_token_names_an_issuer_with_a_slash_or_without() {
        let issuers = issuers();
        let named =
            |iss: Value| issuers.named_by(&token(&json!({ "iss": iss }))).map(|issuer| issuer.name.as_str());
        for iss in ["https://login.example.com", "https://login.example.com/"] {
            assert_eq!(named(iss.into()), Some(URL));
        }
        assert_eq!(named("https://other.example.com/".into()), Some("https://other.example.com"));
        for iss in [
            json!("https://login.example.com//"),
            json!("https://LOGIN.example.com"),
            json!("https://login.example.com/realm"),
            json!("http://login.example.com"),
            json!("parlor"),
            json!(""),
            json!("/"),
            json!(["https://login.example.com"]),
            json!(null),
        ] {
            assert_eq!(named(iss.clone()), None, "{iss}");
        }
        for garbage in ["", "..", "a.b.c", "e30.e30.e30"] {
            assert!(issuers.named_by(garbage).is_none());
        }
        let long = token(&json!({ "iss": URL, "padding": "x".repeat(access_token::LONGEST) }));
        assert!(issuers.named_by(&long).is_none());
        assert!(Issuers::default().named_by(&token(&json!({ "iss": URL }))).is_none());
    }

    #[test]
    fn times_are_judged_to_the_second() {
        let issuers = issuers();
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let judged = |claims: Value| issuers.0[0].within_its_time(claims.as_object().unwrap(), now);
        let at = |seconds: i64| NOW + seconds;
        for good in [
            json!({ "exp": at(1) }),
            json!({ "exp": at(1 - LEEWAY) }),
            json!({ "exp": at(1), "nbf": at(LEEWAY), "iat": at(LEEWAY) }),
            json!({ "exp": at(1) as f64 + 0.9, "iat": at(-1) as f64 - 0.1 }),
        ] {
            let end = judged(good.clone()).unwrap();
            assert_eq!(end.timestamp(), seconds(&good["exp"]).unwrap(), "{good}");
        }
        for (late, end) in [(-LEEWAY, -LEEWAY), (-LEEWAY - 1, -LEEWAY - 1), (-1_000_000, -1_000_000)] {
            let Err(Error::Unauthenticated(why)) = judged(json!({ "exp": at(late) })) else {
                panic!("{late}")
            };
            let end = DateTime::from_timestamp(at(end), 0).unwrap();
            assert_eq!(
                why.to_string(),
                format!("The token expired at {}", end.format("%Y-%m-%dT%H:%M:%S.000Z"))
            );
        }
        for bad in [
            json!({ "exp": at(10), "nbf": at(LEEWAY + 1) }),
            json!({ "exp": at(10), "iat": at(LEEWAY + 1) }),
            json!({ "exp": at(10), "nbf": null }),
            json!({ "exp": at(10), "nbf": "1800000000" }),
            json!({ "exp": at(10), "nbf": i64::MAX }),
            json!({ "exp": i64::MIN }),
            json!({}),
        ] {
            let judged = judged(bad.clone());
            assert!(
                matches!(judged, Err(Error::Unauthenticated(AuthError::TokenInvalid))),
                "{bad}: {judged:?}"
            );
        }
        assert_eq!(judged(json!({ "exp": i64::MAX })).unwrap().timestamp(), LAST_SECOND);
    }

    #[test]
    fn a_session_is_made_of_the_token_alone() {
        let session = session_of(URL, "header.claims", NOW);
        assert_eq!(session, session_of(URL, "header.claims", NOW), "the same on every node");
        assert_eq!(session.0.get_version_num(), 7);
        assert_eq!(session.0.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(session.0.get_timestamp().unwrap().to_unix(), (NOW.unsigned_abs(), 0));
        assert_ne!(session, session_of("https://other.example.com", "header.claims", NOW));
        assert_ne!(session, session_of(URL, "header.other", NOW));
        assert_ne!(session, session_of(&format!("{URL}h"), "eader.claims", NOW));
        for (issued, expected) in [(0, 0), (-5, 0), (i64::MIN, 0), (i64::MAX, LATEST.unsigned_abs())] {
            let session = session_of(URL, "a.b", issued);
            assert_eq!(session.0.get_version_num(), 7);
            assert_eq!(session.0.get_timestamp().unwrap().to_unix().0, expected, "{issued}");
        }
    }

    #[test]
    fn the_signature_does_not_make_the_session_and_the_subject_is_needed() {
        let issuers = issuers();
        let end = DateTime::from_timestamp(NOW, 0).unwrap();
        let vouched =
            |token: &str, claims: Value| issuers.0[0].vouched(token, claims.as_object().unwrap(), end);
        let claims = json!({ "sub": "ada", "iat": NOW });
        let one = vouched("a.b.c", claims.clone()).unwrap();
        assert_eq!(one.session, vouched("a.b.d", claims.clone()).unwrap().session);
        assert_ne!(one.session, vouched("a.c.c", claims).unwrap().session);
        assert_eq!((&*one.issuer, &*one.introduction.username), (URL, "ada"));
        for sub in [json!(""), json!(5), json!(null), json!("a\u{0}"), json!("x".repeat(256))] {
            assert!(vouched("a.b.c", json!({ "sub": sub })).is_none(), "{sub}");
        }
        assert!(vouched("a.b.c", json!({ "sub": "é".repeat(255) })).is_some());
    }

    #[test]
    fn only_types_of_tokens_that_say_who_somebody_is() {
        for (typ, plain) in [
            (None, true),
            (Some("JWT"), true),
            (Some("jwt"), true),
            (Some("at+jwt"), true),
            (Some("application/at+JWT"), true),
            (Some("application/jwt"), true),
            (Some("application/application/jwt"), false),
            (Some("dpop+jwt"), false),
            (Some("logout+jwt"), false),
            (Some(""), false),
            (Some("application/"), false),
        ] {
            let mut header = Header::new(Algorithm::RS256);
            header.typ = typ.map(str::to_owned);
            assert_eq!(is_plain(&header), plain, "{typ:?}");
            header.crit = Some(Vec::new());
            assert!(!is_plain(&header));
        }
    }
}
