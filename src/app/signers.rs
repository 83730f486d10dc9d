//! Who signs the tokens that are accepted: this server, and external issuers.

use std::path::PathBuf;

use anyhow::Context;
use jsonwebtoken::Algorithm;
use secrecy::ExposeSecret;

use crate::{
    auth::{IssuerSettings, Issuers, Keys, Signers},
    clock::Clock,
    config::{Config, IssuerAlgorithm, Mode},
    shutdown::Shutdown,
};

pub(super) fn of(config: &Config, clock: &Clock, shutdown: &Shutdown) -> anyhow::Result<Signers> {
    Ok(Signers { keys: keys(config)?, issuers: issuers(config, clock, shutdown)? })
}

fn keys(config: &Config) -> anyhow::Result<Keys> {
    let auth = &config.auth;
    // Whoever may sign tokens has made the file by now.
    anyhow::ensure!(!auth.jwt_secret.expose_secret().is_empty(), "there is no key to sign tokens with");
    let previous = auth.previous().map(|(secret, until)| (secret.clone(), until));
    Ok(Keys::new(auth.issuer.clone(), auth.jwt_secret.clone(), previous, auth.leeway))
}

fn issuers(config: &Config, clock: &Clock, shutdown: &Shutdown) -> anyhow::Result<Issuers> {
    let settings = config.auth.issuers.iter().map(|issuer| {
        let read =
            |file: &PathBuf| std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        Ok(IssuerSettings {
            issuer: issuer.issuer.clone(),
            audience: issuer.audience.clone(),
            jwks_uri: issuer.jwks_uri.clone(),
            ca: issuer.ca_file.as_ref().map(read).transpose()?,
            algorithms: issuer.algorithms.iter().map(|algorithm| algorithm_of(*algorithm)).collect(),
            username_claim: issuer.username_claim.clone(),
            name_claim: issuer.name_claim.clone(),
            email_claim: issuer.email_claim.clone(),
            allow_http: config.mode == Mode::Development,
        })
    });
    let settings = settings.collect::<anyhow::Result<_>>()?;
    Issuers::new(settings, config.auth.leeway, clock, shutdown).context("auth.issuers cannot be used")
}

fn algorithm_of(configured: IssuerAlgorithm) -> Algorithm {
    match configured {
        IssuerAlgorithm::RS256 => Algorithm::RS256,
        IssuerAlgorithm::ES256 => Algorithm::ES256,
        IssuerAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}
