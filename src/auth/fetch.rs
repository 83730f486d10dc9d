//! Asks an issuer for its keys. When to ask is left to `jwks`, what they are good for to `key_set`.
//!
//! What an issuer answers is not trusted before its certificate is, nor believed to be short or quick.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use reqwest::{Client, Url, header, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;

use super::{issuer::same_issuer, key_set::KeySet};

/// How long both requests may take together. Somebody waits for it at a login.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read. Key sets with certificate chains have some 20 KB.
const LONGEST: usize = 256 * 1024;

/// Where an issuer's keys are, and how to get there.
pub(super) struct Source {
    client: Client,
    issuer: String,
    keys: Option<Url>,
    allow_http: bool,
}

impl Source {
    /// `ca` is PEM, of authorities that are trusted besides the public ones.
    ///
    /// # Errors
    /// When an address or the PEM cannot be read.
    pub fn new(
        issuer: &str,
        jwks_uri: Option<&str>,
        ca: Option<&[u8]>,
        allow_http: bool,
    ) -> anyhow::Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(ca)?)
            // A redirect would lead where the configuration did not say, and away from HTTPS.
            .redirect(Policy::none())
            .https_only(!allow_http)
            .timeout(PATIENCE)
            .build()?;
        let keys = jwks_uri.map(|uri| Url::parse(uri).with_context(|| uri.to_owned())).transpose()?;
        Ok(Self { client, issuer: issuer.to_owned(), keys, allow_http })
    }

    /// # Errors
    /// When the issuer cannot be reached, takes too long, or answers something else than keys.
    pub async fn fetch(&self) -> anyhow::Result<KeySet> {
        let fetch = async {
            let keys = match &self.keys {
                Some(keys) => keys.clone(),
                None => self.discover().await?,
            };
            let body = self.get(&keys).await?;
            KeySet::parse(&body).with_context(|| keys.to_string())
        };
        tokio::time::timeout(PATIENCE, fetch).await.context("it took too long")?
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
        // Else whoever serves one issuer's page could speak for another (OpenID Connect Discovery, 4.3).
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
