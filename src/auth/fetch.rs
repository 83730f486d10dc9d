//! Fetches an issuer's keys. `jwks` decides when, and `key_set` interprets them.
//!
//! An issuer's answer is trusted only over TLS with a valid certificate, and its size and time are limited.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use reqwest::{Client, Url, header, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;

use super::key_set::KeySet;

/// Maximum time for both requests together. A login waits for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of an answer, in bytes. Key sets with certificate chains have about 20 KB.
const LONGEST: usize = 256 * 1024;

/// Where an issuer's keys are, and the client that fetches them.
pub(super) struct Source {
    client: Client,
    issuer: String,
    keys: Option<Url>,
    allow_http: bool,
}

impl Source {
    /// `ca` holds PEM certificates of authorities that are trusted besides the public ones.
    ///
    /// # Errors
    /// An address or the PEM is invalid.
    pub fn new(
        issuer: &str,
        jwks_uri: Option<&str>,
        ca: Option<&[u8]>,
        allow_http: bool,
    ) -> anyhow::Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(ca)?)
            // A redirect could lead to an address that is not configured, or away from HTTPS.
            .redirect(Policy::none())
            .https_only(!allow_http)
            .timeout(FETCH_TIMEOUT)
            .build()?;
        let keys = jwks_uri.map(|uri| Url::parse(uri).with_context(|| uri.to_owned())).transpose()?;
        Ok(Self { client, issuer: issuer.to_owned(), keys, allow_http })
    }

    /// # Errors
    /// The issuer is unreachable, takes too long, or answers with something other than keys.
    pub async fn fetch(&self) -> anyhow::Result<KeySet> {
        let fetch = async {
            let keys = match &self.keys {
                Some(keys) => keys.clone(),
                None => self.discover().await?,
            };
            let body = self.get(&keys).await?;
            KeySet::parse(&body).with_context(|| keys.to_string())
        };
        tokio::time::timeout(FETCH_TIMEOUT, fetch).await.context("it took too long")?
    }

    async fn discover(&self) -> anyhow::Result<Url> {
        #[derive(Deserialize)]
        struct Configuration {
            issuer: String,
            jwks_uri: String,
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let body = self.get(&Url::parse(&url)?).await?;
        let found: Configuration =
            serde_json::from_slice(&body).with_context(|| format!("{url} is no OpenID configuration"))?;
        // Otherwise the server of one issuer's page could pose as another issuer (OpenID Connect Discovery,
        // 4.3).
        ensure!(same_issuer(&found.issuer, &self.issuer), "{url} is of the issuer {:?}", found.issuer);
        Url::parse(&found.jwks_uri).context(found.jwks_uri)
    }

    async fn get(&self, url: &Url) -> anyhow::Result<Vec<u8>> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => bail!("{url} is not HTTPS"),
        }
        let request = self.client.get(url.clone()).header(header::ACCEPT, "application/json");
        let mut response = request.send().await?;
        ensure!(response.status().is_success(), "{url} answered {}", response.status());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            ensure!(body.len() + chunk.len() <= LONGEST, "{url} answers more than {LONGEST} bytes");
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn tls(ca: Option<&[u8]>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for certificate in ca.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        roots.add(certificate?)?;
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Compares issuers without one trailing slash: some issuers have it in their tokens and not on their page.
pub(super) fn same_issuer(one: &str, other: &str) -> bool {
    bare(one) == bare(other)
}

pub(super) fn bare(url: &str) -> &str {
    url.strip_suffix('/').unwrap_or(url)
}
