//! `[[auth.issuers]]`: whose tokens are accepted besides our own. Asking for keys and verifying is left to `auth`.

use std::path::{Path, PathBuf};

use reqwest::Url;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use super::Mode;
use super::mistake::Findings;

/// The setting that every mistake here is one of.
const KEY: &str = "issuers";

/// An OpenID Connect provider, or whoever else signs tokens and publishes the keys.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Its URL: the `iss` claim of its tokens, with one slash at the end or without.
    pub issuer: String,
    /// What the `aud` claim of its tokens has to name.
    pub audience: String,
    /// Where its keys are; if not given, what its `/.well-known/openid-configuration` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// A PEM file with certificates of private authorities, trusted for this issuer besides the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// What its tokens may be signed with.
    #[serde(default = "rs256")]
    pub algorithms: Vec<IssuerAlgorithm>,
    /// The claim that a new user's name is taken from; `sub` where a token has none.
    #[serde(default = "preferred_username")]
    pub username_claim: String,
    /// The claim that a new user's first name is taken from.
    #[serde(default = "name")]
    pub name_claim: String,
    /// The claim that a new user's e-mail address is taken from.
    #[serde(default = "email")]
    pub email_claim: String,
}

/// Signatures that can be verified with a public key. An HMAC is none, whoever asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum IssuerAlgorithm {
    RS256,
    ES256,
    EdDSA,
}

fn rs256() -> Vec<IssuerAlgorithm> {
    vec![IssuerAlgorithm::RS256]
}

fn preferred_username() -> String {
    "preferred_username".to_owned()
}

fn name() -> String {
    "name".to_owned()
}

fn email() -> String {
    "email".to_owned()
}

/// `own` is the `iss` of our own tokens.
pub(super) fn check(issuers: &[IssuerConfig], own: &str, mode: Mode, found: &mut Findings<'_>) {
    for (at, issuer) in issuers.iter().enumerate() {
        let name = &issuer.issuer;
        check_url(name, "issuer", mode, found);
        if let Some(uri) = &issuer.jwks_uri {
            check_url(uri, "jwks_uri", mode, found);
        }
        if same(name, own) {
            let wrong = format!("\"{name}\" is auth.issuer, whose tokens are our own");
            found.refuse(KEY, wrong, "give auth.issuer another name, or take this one out");
        }
        if issuers.iter().take(at).any(|earlier| same(&earlier.issuer, name)) {
            found.refuse(KEY, format!("\"{name}\" is there twice"), "write one [[auth.issuers]] for it");
        }
        if issuer.audience.trim().is_empty() {
            let right =
                "write the identifier of this API at the issuer, such as \"https://chat.example.com\"";
            found.refuse(KEY, format!("\"{name}\" has an empty audience"), right);
        }
        if issuer.algorithms.is_empty() {
            let right =
                "use some of \"RS256\", \"ES256\" and \"EdDSA\", or leave algorithms out for [\"RS256\"]";
            found.refuse(KEY, format!("\"{name}\" has no algorithms"), right);
        }
        for (field, claim) in [
            ("username_claim", &issuer.username_claim),
            ("name_claim", &issuer.name_claim),
            ("email_claim", &issuer.email_claim),
        ] {
            if claim.is_empty() {
                found.refuse(
                    KEY,
                    format!("\"{name}\" has an empty {field}"),
                    "name a claim, or leave the line out",
                );
            }
        }
        if let Some(wrong) = issuer.ca_file.as_deref().and_then(unusable) {
            found.refuse(KEY, wrong, "name a PEM file of certificates that this process may read");
        }
    }
}

/// One slash at the end makes no other issuer.
fn same(one: &str, other: &str) -> bool {
    let bare = |url: &str| url.strip_suffix('/').unwrap_or(url).to_owned();
    bare(one) == bare(other)
}

fn check_url(text: &str, field: &str, mode: Mode, found: &mut Findings<'_>) {
    let example = "write an address such as \"https://login.example.com/\"";
    let Ok(url) = Url::parse(text) else {
        return found.refuse(KEY, format!("{field} \"{text}\" is not a URL"), example);
    };
    if url.password().is_some() || !url.username().is_empty() {
        // Not quoted: it may be a password.
        return found.refuse(KEY, format!("{field} has a username or password in it"), example);
    }
    match url.scheme() {
        "https" => {}
        "http" if mode == Mode::Development => {}
        "http" => {
            let wrong = format!("{field} \"{text}\" is not HTTPS, so anybody on the way could give keys");
            found.refuse(KEY, wrong, "use https://; for a private authority there is ca_file");
        }
        _ => found.refuse(KEY, format!("{field} \"{text}\" is not a web address"), example),
    }
    if field == "issuer" && (url.query().is_some() || url.fragment().is_some()) {
        found.refuse(KEY, format!("{field} \"{text}\" has a query or a fragment"), example);
    }
}

fn unusable(path: &Path) -> Option<String> {
    let shown = path.display();
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => return Some(format!("ca_file \"{shown}\" cannot be read ({error})")),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Some(format!("ca_file \"{shown}\" has no certificate in it"))
        }
        Ok(_) => None,
        Err(error) => Some(format!("ca_file \"{shown}\" is not PEM ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::config::Config;

    const LOGIN: &str = "https://login.example.com/";

    fn issuer(change: impl FnOnce(&mut IssuerConfig)) -> IssuerConfig {
        let minimal = format!("issuer = \"{LOGIN}\"\naudience = \"chat\"");
        let mut issuer: IssuerConfig = toml::from_str(&minimal).unwrap();
        change(&mut issuer);
        issuer
    }

    fn mistakes(mode: Mode, issuers: Vec<IssuerConfig>) -> Vec<String> {
        let mut config = Config::development();
        config.mode = mode;
        config.auth.jwt_secret = "k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd".into();
        config.dialects.angular = false;
        config.auth.issuers = issuers;
        config.check().into_iter().map(|mistake| format!("{} {}", mistake.setting, mistake.wrong)).collect()
    }

    #[test]
    fn only_the_issuer_and_the_audience_have_to_be_written() {
        let issuer = issuer(|_| {});
        assert_eq!((issuer.jwks_uri, issuer.ca_file), (None, None));
        assert_eq!(issuer.algorithms, [IssuerAlgorithm::RS256]);
        let claims = [issuer.username_claim, issuer.name_claim, issuer.email_claim];
        assert_eq!(claims, ["preferred_username", "name", "email"]);
    }

    #[test]
    fn http_is_for_development() {
        for change in [
            (|issuer| issuer.issuer = "http://login.example.com".into()) as fn(&mut IssuerConfig),
            |issuer| issuer.jwks_uri = Some("http://login.example.com/keys".into()),
        ] {
            assert_eq!(mistakes(Mode::Development, vec![issuer(change)]), Vec::<String>::new());
            let found = mistakes(Mode::Production, vec![issuer(change)]);
            assert!(matches!(&found[..], [one] if one.contains("is not HTTPS")), "{found:?}");
        }
        assert_eq!(mistakes(Mode::Production, vec![issuer(|_| {})]), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_work_is_told() {
        type IssuerChange = fn(&mut IssuerConfig);
        let table: [(IssuerChange, &str); 14] = [
            (
                |issuer| issuer.issuer = "login.example.com".into(),
                "issuer \"login.example.com\" is not a URL",
            ),
            (|issuer| issuer.issuer = String::new(), "issuer \"\" is not a URL"),
            (|issuer| issuer.issuer = "ftp://login".into(), "issuer \"ftp://login\" is not a web address"),
            (|issuer| issuer.issuer += "?a", "issuer \"https://login.example.com/?a\" has a query"),
            (|issuer| issuer.issuer += "#a", "issuer \"https://login.example.com/#a\" has a query"),
            (|issuer| issuer.jwks_uri = Some("keys".into()), "jwks_uri \"keys\" is not a URL"),
            (|issuer| issuer.jwks_uri = Some("https://a:hunter2@b/".into()), "jwks_uri has a username or"),
            (|issuer| issuer.audience = " ".into(), "\"https://login.example.com/\" has an empty audience"),
            (|issuer| issuer.algorithms.clear(), "\"https://login.example.com/\" has no algorithms"),
            (
                |issuer| issuer.username_claim.clear(),
                "\"https://login.example.com/\" has an empty username_claim",
            ),
            (|issuer| issuer.name_claim.clear(), "\"https://login.example.com/\" has an empty name_claim"),
            (|issuer| issuer.email_claim.clear(), "\"https://login.example.com/\" has an empty email_claim"),
            (
                |issuer| issuer.ca_file = Some("/nowhere/ca.pem".into()),
                "ca_file \"/nowhere/ca.pem\" cannot be read",
            ),
            (
                |issuer| issuer.ca_file = Some("Cargo.toml".into()),
                "ca_file \"Cargo.toml\" has no certificate",
            ),
        ];
        for mode in [Mode::Development, Mode::Production] {
            for (change, expected) in &table {
                let found = mistakes(mode, vec![issuer(change)]);
                let expected = format!("auth.issuers {expected}");
                assert!(matches!(&found[..], [one] if one.starts_with(&expected)), "{expected}: {found:?}");
                assert!(!found[0].contains("hunter2"));
            }
        }
        let mut broken = tempfile::NamedTempFile::new().unwrap();
        broken.write_all(b"-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n").unwrap();
        let path = broken.path().to_owned();
        let found = mistakes(Mode::Development, vec![issuer(|issuer| issuer.ca_file = Some(path))]);
        assert!(matches!(&found[..], [one] if one.contains("is not PEM")), "{found:?}");
    }

    #[test]
    fn an_issuer_is_there_once_and_is_not_ourselves() {
        let bare = || issuer(|issuer| issuer.issuer = "https://login.example.com".into());
        let other = issuer(|issuer| issuer.issuer = "https://other.example.com".into());
        let found = mistakes(Mode::Production, vec![issuer(|_| {}), other.clone(), bare()]);
        assert_eq!(found, ["auth.issuers \"https://login.example.com\" is there twice"]);
        assert_eq!(mistakes(Mode::Production, vec![other, bare()]), Vec::<String>::new());

        let mut config = Config::development();
        config.auth.issuer = "https://login.example.com".into();
        config.auth.issuers = vec![issuer(|_| {})];
        let found = config.check();
        assert!(matches!(&found[..], [one] if one.wrong.ends_with("whose tokens are our own")), "{found:?}");
    }
}
