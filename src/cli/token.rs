//! `parlor token`: issues access tokens for scripts and tests, and inspects tokens.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use humantime_serde::re::humantime::{format_duration, parse_duration};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{
    terminal::{line_of_stdin, print},
    with_app::{NoDatabase, with_app},
};
use crate::{
    app::App,
    auth::{Device, Signature},
    clock::Clock,
    config::Config,
    error::{AuthError, Error},
    identity::Caller,
};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Token {
    /// Log a user in without a password, and print the access token. Only the token goes to standard output,
    /// the rest to standard error.
    ///
    /// The login is like any other: `parlor user passwd`, `parlor user delete`, and a POST to
    /// /api/auth/logout with the token end it.
    Issue {
        /// A username or an id.
        name: String,
        /// How long the token is valid, such as 10m or 7days. [default: auth.token_ttl]
        #[arg(long, value_parser = parse_duration)]
        ttl: Option<Duration>,
    },
    /// Print a token's header and claims, and whether it is valid now. If not, print the reason (exit code
    /// 1).
    ///
    /// By default it reads the token from standard input, so that it does not appear in the shell's history.
    Inspect {
        /// The token; "-" reads standard input.
        #[arg(default_value = "-")]
        token: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  curl -H \"Authorization: Bearer $(parlor token issue ada --ttl 10m)\" http://localhost:8087/api/rooms/mine
  parlor token issue ada | parlor token inspect
  parlor token inspect < token.txt";

pub async fn run(config: Config, command: Token) -> anyhow::Result<()> {
    match command {
        Token::Issue { name, ttl } => issue(config, &name, ttl).await,
        Token::Inspect { token } => {
            let token = if token == "-" { line_of_stdin("the token")? } else { token };
            with_app(config, NoDatabase::Refuse, async |app| inspect(app, token.trim()).await).await
        }
    }
}

async fn issue(mut config: Config, name: &str, ttl: Option<Duration>) -> anyhow::Result<()> {
    if let Some(ttl) = ttl {
        config.auth.token_ttl = ttl;
        if let Some(mistake) = config.check().first() {
            bail!("--ttl as {mistake}");
        }
    }
    let issued = with_app(config, NoDatabase::Refuse, async |app| {
        let user = app.chat.user(&Caller::operator(), name).await?;
        Ok(app.auth.sign_in(&user.row, &here()).await?)
    });
    let sign_in = issued.await.with_context(|| name.to_owned())?;
    let until = time(sign_in.expires_at);
    eprintln!("a token of {}, valid until {until}, login {}", sign_in.user.username, sign_in.session);
    Ok(print(sign_in.token.expose_secret())?)
}

async fn inspect(app: &App, token: &str) -> anyhow::Result<()> {
    let Some(found) = app.auth.inspect(token) else {
        bail!("not valid: it is not a JWT, which is three parts of base64url with dots between them");
    };
    print(format_args!("header   {}", shown(&found.header)))?;
    print(format_args!("claims   {}", shown(&found.claims)))?;
    let now = Clock::real().now();
    for (label, claim) in [("issued ", "iat"), ("starts ", "nbf"), ("expires", "exp")] {
        if let Some(at) =
            found.claims.get(claim).and_then(Value::as_i64).and_then(|at| DateTime::from_timestamp(at, 0))
        {
            print(format_args!("{label}  {} ({})", time(at), distance(at, now)))?;
        }
    }
    if let Some(theirs) = app.auth.inspect_theirs(token).await {
        return match theirs {
            Ok(()) => {
                Ok(print("valid    yes, for its issuer; whether its login here has ended is not looked at")?)
            }
            Err(Error::Unauthenticated(AuthError::TokenInvalid)) => Err(anyhow!(
                "not valid: it names an issuer of auth.issuers, and is not what that signs for us: its signature, \
                 algorithm, type, audience or start is wrong"
            )),
            Err(Error::Unauthenticated(why)) => Err(anyhow!("not valid: {why}")),
            Err(err) => Err(err.into()),
        };
    }
    match app.auth.authenticate(token, &here()).await {
        Ok(caller) => Ok(print(format_args!("valid    yes, it is {}'s", caller.username))?),
        Err(Error::Unauthenticated(why)) => Err(anyhow!("not valid: {}", reason(&why, found.signature))),
        Err(err) => Err(err.into()),
    }
}

/// How the login is shown to its user.
fn here() -> Device {
    Device::new(Ipv4Addr::LOCALHOST.into(), Some("parlor token"))
}

/// The reason in more detail than a client receives.
fn reason(why: &AuthError, signature: Signature) -> String {
    match (why, signature) {
        (AuthError::TokenInvalid, Signature::UnknownKey) => {
            "its signature is not ours: the header's kid names neither auth.jwt_secret nor a previous key \
             that is still accepted (another server's, or another mode's?)"
                .to_owned()
        }
        (AuthError::TokenInvalid, Signature::Bad) => {
            "its signature is wrong: it was altered after it was signed, or is no access token of ours"
                .to_owned()
        }
        (AuthError::TokenInvalid, Signature::Good) => "it is not valid yet: see when it starts".to_owned(),
        (AuthError::TokenRevoked, _) => {
            "its login has ended: logged out, revoked, of a deleted account, or of another database"
                .to_owned()
        }
        (why, _) => why.to_string(),
    }
}

/// As JSON, without characters that could control a terminal: anybody may have written the token.
fn shown(value: &Value) -> String {
    value.to_string().replace(char::is_control, "\u{fffd}")
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn distance(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let length = format_duration(Duration::from_secs((at - now).num_seconds().unsigned_abs()));
    if at <= now { format!("{length} ago") } else { format!("in {length}") }
}
