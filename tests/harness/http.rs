//! A thin HTTP client. It returns answers of any status.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value as Json;

/// Sends requests to one server, with or without a token.
#[derive(Clone)]
pub struct Http {
    pub address: SocketAddr,
    client: reqwest::Client,
    token: Option<String>,
}

impl Http {
    pub fn new(address: SocketAddr) -> Self {
        // The client is built without a TLS provider, so one is installed here. Another test may have done so
        // already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Every request uses a new connection, so that none is sent on a connection that a restart has
        // closed.
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

    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// A request to which the caller adds headers or a body.
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

    pub async fn delete_with(&self, path: &str, body: Json) -> Answer {
        Answer::to(self.request(Method::DELETE, path).json(&body)).await
    }

    /// The complete history of a room.
    pub async fn history(&self, room: &str) -> Vec<Json> {
        let mut messages = Vec::new();
        loop {
            let after = messages.last().map_or(0, |message: &Json| message["seq"].as_i64().unwrap());
            let path = format!("/api/rooms/{room}/messages?after={after}&limit=200");
            let page = self.get(&path).await.is(200);
            messages.extend(page["messages"].as_array().unwrap().iter().cloned());
            if page["hasMore"] == false {
                return messages;
            }
        }
    }

    /// The server's metrics, by name and labels.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").await.text;
        let values = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        values.collect()
    }
}

/// The client needs a TLS configuration, although no test uses TLS.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// The answer of a server.
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

    /// Checks the status of an answer, and returns its body.
    #[track_caller]
    pub fn is(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Json::Null } else { self.json() }
    }

    /// Checks that it is a refusal according to RFC 9457, with this code.
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
