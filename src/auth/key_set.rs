//! An issuer's public keys in their published form (RFC 7517), and the choice of the key that a token names.
//! `fetch` fetches them, and `jwks` caches them.

use std::fmt;

use anyhow::Context;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
    },
};
use serde::Deserialize;
use serde_json::Value;

/// Maximum number of keys that are read. A set with more keys is a mistake, not a rotation.
const MOST: usize = 100;
/// The minimum length of an RSA modulus for RS256 (RFC 7518, 3.3), in base64url characters.
const SHORTEST_MODULUS: usize = characters(2048 / 8);
/// A coordinate on P-256 and a point on Ed25519, in base64url characters.
const COORDINATE: usize = characters(32);

const fn characters(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// The keys that can verify signatures, each with the one algorithm that its type permits.
pub(super) struct KeySet(Vec<IssuerKey>);

struct IssuerKey {
    kid: Option<String>,
    algorithm: Algorithm,
    verifying: DecodingKey,
}

/// Shows the names of the keys.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.kid, key.algorithm))).finish()
    }
}

impl KeySet {
    /// Skips keys for other uses and keys of unknown types: a key of a new type must not hide the others.
    ///
    /// # Errors
    /// The JSON is not a key set.
    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct PublishedKeys {
            keys: Vec<Value>,
        }
        let published: PublishedKeys =
            serde_json::from_slice(json).context("it is not a JSON Web Key Set")?;
        let keys = published.keys.into_iter().take(MOST);
        Ok(Self(keys.filter_map(|key| IssuerKey::usable(&serde_json::from_value(key).ok()?)).collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key with this name and algorithm. A token without a `kid` means the only key.
    pub fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
        let chosen = match kid {
            Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid))?,
            None => fitting.next().filter(|_| fitting.next().is_none())?,
        };
        Some(&chosen.verifying)
    }
}

impl IssuerKey {
    fn usable(jwk: &Jwk) -> Option<Self> {
        // The type of the key decides what it can be used for, not the header of a token.
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) if key.n.len() >= SHORTEST_MODULUS => {
                (Algorithm::RS256, KeyAlgorithm::RS256)
            }
            AlgorithmParameters::EllipticCurve(key)
                if key.curve == EllipticCurve::P256
                    && key.x.len() == COORDINATE
                    && key.y.len() == COORDINATE =>
            {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            // The library splits the point without checking its length.
            AlgorithmParameters::OctetKeyPair(key)
                if key.curve == EllipticCurve::Ed25519 && key.x.len() == COORDINATE =>
            {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        if !is_for_verifying(&jwk.common, named) {
            return None;
        }
        let verifying = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { kid: jwk.common.key_id.clone(), algorithm, verifying })
    }
}

/// Whether its publisher permits verifying signatures of this algorithm. What is not stated is permitted.
fn is_for_verifying(key: &CommonParameters, algorithm: KeyAlgorithm) -> bool {
    key.key_algorithm.is_none_or(|named| named == algorithm)
        && key.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && key.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa() -> Value {
        // The last character has unused bits, which must be zero.
        let n = format!("{}A", "u".repeat(SHORTEST_MODULUS - 1));
        json!({ "kty": "RSA", "kid": "r", "n": n, "e": "AQAB" })
    }

    fn ec() -> Value {
        let (x, y) = ("A".repeat(COORDINATE), "A".repeat(COORDINATE));
        json!({ "kty": "EC", "kid": "e", "crv": "P-256", "x": x, "y": y })
    }

    fn ed() -> Value {
        json!({ "kty": "OKP", "kid": "d", "crv": "Ed25519", "x": "A".repeat(COORDINATE) })
    }

    fn with(mut key: Value, field: &str, value: Value) -> Value {
        key[field] = value;
        key
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(&serde_json::to_vec(&json!({ "keys": keys })).unwrap()).unwrap()
    }

    #[test]
    fn the_kind_of_a_key_decides_what_it_verifies() {
        let keys = set(&[rsa(), ec(), ed()]);
        for (kid, fitting) in [("r", Algorithm::RS256), ("e", Algorithm::ES256), ("d", Algorithm::EdDSA)] {
            for algorithm in [
                Algorithm::RS256,
                Algorithm::ES256,
                Algorithm::EdDSA,
                Algorithm::HS256,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::ES384,
            ] {
                assert_eq!(
                    keys.choose(Some(kid), algorithm).is_some(),
                    algorithm == fitting,
                    "{kid} {algorithm:?}"
                );
            }
        }
        assert!(keys.choose(Some("x"), Algorithm::RS256).is_none());
        assert!(keys.choose(Some(""), Algorithm::RS256).is_none());
    }

    #[test]
    fn a_token_without_a_kid_means_the_only_key_that_fits() {
        assert!(set(&[rsa(), ec()]).choose(None, Algorithm::RS256).is_some());
        assert!(set(&[with(rsa(), "kid", Value::Null)]).choose(None, Algorithm::RS256).is_some());
        assert!(set(&[rsa(), with(rsa(), "kid", "s".into())]).choose(None, Algorithm::RS256).is_none());
        assert!(set(&[]).choose(None, Algorithm::RS256).is_none());
    }

    #[test]
    fn a_key_for_something_else_or_of_a_strange_kind_is_passed_over() {
        for unusable in [
            with(rsa(), "alg", "RS512".into()),
            with(rsa(), "alg", "HS256".into()),
            with(rsa(), "alg", "ES256".into()),
            with(rsa(), "alg", "RSA-OAEP".into()),
            with(rsa(), "use", "enc".into()),
            with(rsa(), "key_ops", json!(["sign", "encrypt"])),
            with(rsa(), "key_ops", json!([])),
            with(rsa(), "n", "u".repeat(SHORTEST_MODULUS - 2).into()),
            with(rsa(), "n", "ü".repeat(SHORTEST_MODULUS).into()),
            with(rsa(), "n", 5.into()),
            with(ec(), "crv", "P-384".into()),
            with(ec(), "x", "AA".into()),
            with(ed(), "crv", "P-256".into()),
            with(ed(), "x", "AA".into()),
            with(ed(), "x", "".into()),
            with(ed(), "crv", "X25519".into()),
            json!({ "kty": "oct", "kid": "r", "k": "c2VjcmV0" }),
            json!({ "kty": "PQC", "kid": "r" }),
            json!("r"),
            json!(null),
        ] {
            let keys = set(&[unusable.clone(), with(rsa(), "kid", "good".into())]);
            assert_eq!(keys.0.len(), 1, "{unusable}");
            assert!(keys.choose(Some("good"), Algorithm::RS256).is_some(), "{unusable}");
        }
        for usable in [
            with(rsa(), "alg", "RS256".into()),
            with(rsa(), "use", "sig".into()),
            with(rsa(), "key_ops", json!(["verify"])),
            with(rsa(), "x5c", json!(["MIIB"])),
            with(ec(), "alg", "ES256".into()),
            with(ed(), "alg", "EdDSA".into()),
        ] {
            assert!(!set(std::slice::from_ref(&usable)).is_empty(), "{usable}");
        }
    }

    #[test]
    fn what_is_no_key_set_is_an_error() {
        for text in ["", "[]", "{}", "null", "{\"keys\":{}}", "<html>", "{\"keys\":[]} x"] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(set(&[]).is_empty());
        assert_eq!(set(&vec![rsa(); MOST + 1]).0.len(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn any_key_set_is_read_or_refused(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
            kind in proptest::sample::select(vec!["RSA", "EC", "OKP", "oct", "x"]),
            curve in proptest::sample::select(vec!["P-256", "P-384", "Ed25519", "X25519", "x"]),
            x in "[A-Za-z0-9_-]{0,60}",
            y in "[A-Za-z0-9_=+/-]{43}",
        ) {
            let _ = KeySet::parse(&bytes);
            let key = json!({ "kty": kind, "crv": curve, "x": x, "y": y, "n": format!("{x}{y}").repeat(8), "e": x, "k": y });
            for key in [key.clone(), { let mut key = key; key["x"] = json!(y); key }] {
                let set = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
                // Using the parsed keys must not panic either.
                for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
                    if let Some(key) = set.choose(None, algorithm) {
                        let signature = "A".repeat(86);
                        let _ = jsonwebtoken::crypto::verify(&signature, b"signed", key, algorithm);
                    }
                }
                assert!(set.choose(None, Algorithm::HS256).is_none());
            }
        }
    }
}
