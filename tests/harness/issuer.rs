//! An issuer of tokens in this process. It implements the parts of an OpenID provider that Parlor uses. Its
//! keys can change, it can misbehave, and it counts the requests.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json as Body, Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::get,
    serve::Listener,
};
use chrono::Utc;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use parking_lot::Mutex;
use parlor::config::{IssuerAlgorithm, IssuerConfig};
use serde_json::{Value as Json, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The audience of tokens, unless a test names another one.
pub const AUDIENCE: &str = "https://chat.example.com";

/// Made for these tests; useless for anything else.
const FIRST: &[u8] = include_bytes!("keys/rsa_1.der");
const OTHER: &[u8] = include_bytes!("keys/rsa_2.der");

/// A private key, and its published form.
#[derive(Clone)]
pub struct SigningKey {
    pub algorithm: Algorithm,
    pub jwk: Json,
    encoding: EncodingKey,
}

impl SigningKey {
    /// The key whose public half is in `keys/rsa_1.public.*`.
    pub fn rsa() -> Self {
        Self::new("rsa-1", Algorithm::RS256, EncodingKey::from_rsa_der(FIRST))
    }

    pub fn other_rsa() -> Self {
        Self::new("rsa-2", Algorithm::RS256, EncodingKey::from_rsa_der(OTHER))
    }

    /// A new key on P-256.
    pub fn es256() -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        Self::new("ec-1", Algorithm::ES256, EncodingKey::from_ec_der(&pair.serialize_der()))
    }

    /// A new key on Ed25519.
    pub fn eddsa() -> Self {
        // PKCS #8 around 32 arbitrary bytes.
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend([uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].iter().flat_map(|half| *half.as_bytes()));
        Self::new("ed-1", Algorithm::EdDSA, EncodingKey::from_ed_der(&der))
    }

    fn new(kid: &str, algorithm: Algorithm, encoding: EncodingKey) -> Self {
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&encoding, algorithm).unwrap()).unwrap();
        Self { algorithm, jwk, encoding }.named(kid)
    }

    pub fn named(mut self, kid: &str) -> Self {
        self.jwk["kid"] = kid.into();
        self
    }

    /// Changes a field of the published form.
    pub fn with(mut self, field: &str, value: Json) -> Self {
        self.jwk[field] = value;
        self
    }

    pub fn header(&self) -> Json {
        let algorithm = serde_json::to_value(self.algorithm).unwrap();
        json!({ "alg": algorithm, "typ": "JWT", "kid": self.jwk["kid"] })
    }

    pub fn token(&self, claims: &Json) -> String {
        self.token_with(&self.header(), claims)
    }

    /// A token with any header, signed with this key.
    pub fn token_with(&self, header: &Json, claims: &Json) -> String {
        signed(header, claims, &self.encoding, self.algorithm)
    }
}

/// A token with any header and claims.
pub fn signed(header: &Json, claims: &Json, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = unsigned(header, claims);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// The first two parts of a token.
pub fn unsigned(header: &Json, claims: &Json) -> String {
    format!("{}.{}", base64url(header), base64url(claims))
}

fn base64url(value: &Json) -> String {
    let key = EncodingKey::from_secret(b"x");
    let token = jsonwebtoken::encode(&Header::default(), value, &key).unwrap();
    token.split('.').nth(1).unwrap().to_owned()
}

/// Wrong answers of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// It is down.
    Unavailable,
    /// It redirects to an address that is not configured.
    Redirect,
    /// Its page names another issuer.
    OtherIssuer,
    /// It answers with a page for people.
    Html,
    /// It sends keys without end.
    Endless,
    /// It does not answer.
    Silence,
}

/// See the module.
pub struct Issuer {
    /// Without a trailing slash.
    pub url: String,
    pub key: SigningKey,
    house: Arc<House>,
    served: JoinHandle<()>,
}

struct House {
    url: String,
    published: Mutex<Vec<Json>>,
    misbehaviour: Mutex<Option<Misbehaviour>>,
    /// How often the keys were requested, and how often their address was.
    fetches: AtomicUsize,
    discoveries: AtomicUsize,
}

impl Issuer {
    /// Starts an issuer with one RSA key.
    pub async fn start() -> Self {
        Self::with(SigningKey::rsa()).await
    }

    pub async fn with(key: SigningKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(key, url, listener)
    }

    /// Over TLS, with a certificate of an unknown authority. The authority's certificate is written to `ca`.
    pub async fn over_tls(ca: &Path) -> Self {
        let authority = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        std::fs::write(ca, params.self_signed(&authority).unwrap().pem()).unwrap();
        let authority = rcgen::Issuer::new(params, authority);

        let own = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&own, &authority).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serve(SigningKey::rsa(), url, TlsListener { listener, acceptor })
    }

    fn serve<L: Listener<Addr = SocketAddr>>(key: SigningKey, url: String, listener: L) -> Self {
        let house = Arc::new(House {
            url: url.clone(),
            published: Mutex::new(vec![key.jwk.clone()]),
            misbehaviour: Mutex::default(),
            fetches: AtomicUsize::new(0),
            discoveries: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/moved", get(moved))
            .with_state(house.clone());
        let served = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { url, key, house, served }
    }

    /// Its entry in Parlor's configuration, with a trailing slash.
    pub fn config(&self) -> IssuerConfig {
        IssuerConfig {
            issuer: format!("{}/", self.url),
            audience: AUDIENCE.to_owned(),
            jwks_uri: None,
            ca_file: None,
            algorithms: vec![IssuerAlgorithm::RS256],
            username_claim: "preferred_username".to_owned(),
            name_claim: "name".to_owned(),
            email_claim: "email".to_owned(),
        }
    }

    /// The claims of a valid token that expires in an hour.
    pub fn claims(&self, username: &str) -> Json {
        let now = Utc::now().timestamp();
        json!({
            "iss": format!("{}/", self.url), "aud": AUDIENCE, "sub": format!("subject of {username}"),
            "iat": now, "exp": now + 3600, "preferred_username": username, "jti": uuid::Uuid::new_v4(),
        })
    }

    /// A valid token.
    pub fn token(&self, username: &str) -> String {
        self.key.token(&self.claims(username))
    }

    /// A token that is valid except for one claim.
    pub fn token_saying(&self, claim: &str, value: Json) -> String {
        let mut claims = self.claims("ada");
        claims[claim] = value;
        self.key.token(&claims)
    }

    /// Publishes only these keys from now on. The first one signs.
    pub fn publishes(&mut self, keys: &[SigningKey]) {
        *self.house.published.lock() = keys.iter().map(|key| key.jwk.clone()).collect();
        if let Some(first) = keys.first() {
            self.key = first.clone();
        }
    }

    pub fn misbehaves(&self, how: Option<Misbehaviour>) {
        *self.house.misbehaviour.lock() = how;
    }

    pub fn goes_down(&self) {
        self.misbehaves(Some(Misbehaviour::Unavailable));
    }

    pub fn comes_back(&self) {
        self.misbehaves(None);
    }

    pub fn fetches(&self) -> usize {
        self.house.fetches.load(Ordering::SeqCst)
    }

    pub fn discoveries(&self) -> usize {
        self.house.discoveries.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn configuration(State(house): State<Arc<House>>) -> Response {
    house.discoveries.fetch_add(1, Ordering::SeqCst);
    let misbehaviour = *house.misbehaviour.lock();
    match misbehaviour {
        Some(Misbehaviour::Unavailable) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Misbehaviour::OtherIssuer) => {
            let issuer = "http://other.example.com";
            Body(json!({ "issuer": issuer, "jwks_uri": format!("{}/keys", house.url) })).into_response()
        }
        _ => Body(json!({ "issuer": house.url, "jwks_uri": format!("{}/keys", house.url) })).into_response(),
    }
}

async fn keys(State(house): State<Arc<House>>) -> Response {
    house.fetches.fetch_add(1, Ordering::SeqCst);
    let misbehaviour = *house.misbehaviour.lock();
    match misbehaviour {
        Some(Misbehaviour::Unavailable) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Misbehaviour::Redirect) => Redirect::temporary("/moved").into_response(),
        Some(Misbehaviour::Html) => "<html>Welcome!</html>".into_response(),
        Some(Misbehaviour::Endless) => {
            let filler = " ".repeat(1_000_000);
            let keys = json!({ "keys": *house.published.lock() });
            format!("{filler}{keys}").into_response()
        }
        Some(Misbehaviour::Silence) => std::future::pending().await,
        _ => moved(State(house)).await,
    }
}

async fn moved(State(house): State<Arc<House>>) -> Response {
    Body(json!({ "keys": *house.published.lock() })).into_response()
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // A client that does not trust the certificate disconnects.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
