//! A thin HTTP client: answers are looked at whatever their status.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value as Json;

/// Asks one server, with a token or without.
#[derive(Clone)]
pub struct Http {
    pub address: SocketAddr,
    client: reqwest::Client,
    token: Option<String>,
}

impl Http {
    pub fn new(address: SocketAddr) -> Self {
        // The client is built without a TLS library of its own; another test may have named one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Every request on a line of its own: a server that is restarted must not be met half way.
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .tls_backend_preconfigured(no_tls())
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { address, client, token: None }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request to be completed with headers or a body.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Json) -> Answer {
        Answer::to(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Json) -> Answer {
        Answer::to(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Json) -> Answer {
        Answer::to(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path)).await
    }

    /// What the server counts, by name and labels.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").await.text;
        let values = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        values.collect()
    }
}

/// The client wants to know how it would do TLS, though nobody asks it to.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn to(request: RequestBuilder) -> Self {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let text = answer.text().await.expect("a whole answer");
        Self { status, headers, text }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|err| panic!("{} is not JSON ({err}): {:?}", self.status, self.text))
    }

    /// The body of an answer that has this status.
    #[track_caller]
    pub fn is(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Json::Null } else { self.json() }
    }

    /// That it is a refusal as RFC 9457 has it, with our code.
    #[track_caller]
    pub fn is_refused(&self, status: u16, code: &str) -> Json {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        problem
    }
}
