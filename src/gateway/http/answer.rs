//! Good news as HTTP answers: a view as JSON, a token handed over, the login cookie taken back. Refusals
//! are left to `refusal`.

use axum::response::{IntoResponse, Response};
use cookie::{Cookie, CookieBuilder, SameSite, time};
use http::{HeaderName, HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{Settings, extract::Client};
use crate::{
    error::{Error, Result},
    gateway::credential,
};

/// Where a token stands besides the body, for front ends that look there.
pub const AUTH_TOKEN: HeaderName = HeaderName::from_static("auth-token");

/// Renders a view at once, so that it may borrow what the handler holds.
pub fn json(status: StatusCode, view: impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(&view).map_err(Error::internal)?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

pub fn ok(view: impl Serialize) -> Result<Response> {
    json(StatusCode::OK, view)
}

pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Shows a token where front ends look for one besides the body.
pub fn show_token(mut response: Response, token: &SecretString) -> Result<Response> {
    let mut value = HeaderValue::from_str(token.expose_secret()).map_err(Error::internal)?;
    value.set_sensitive(true);
    response.headers_mut().insert(AUTH_TOKEN, value);
    Ok(response)
}

/// Hands over a new token: in the header, and in the login cookie for as long as the token lives.
pub fn sign_in(
    response: Response,
    token: &SecretString,
    settings: &Settings,
    client: Client,
) -> Result<Response> {
    let seconds = i64::try_from(settings.token_ttl.as_secs()).unwrap_or(i64::MAX);
    set_cookie(show_token(response, token)?, token, seconds, settings, client)
}

/// Puts a token into the login cookie, for the seconds that it has left.
pub fn set_cookie(
    mut response: Response,
    token: &SecretString,
    seconds: i64,
    settings: &Settings,
    client: Client,
) -> Result<Response> {
    let cookie = login_cookie(token.expose_secret().to_owned(), seconds, settings, client);
    let mut value = HeaderValue::try_from(cookie).map_err(Error::internal)?;
    value.set_sensitive(true);
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}

/// Takes the login cookie back.
pub fn clear_cookie(mut response: Response, settings: &Settings, client: Client) -> Result<Response> {
    let cookie = login_cookie(String::new(), 0, settings, client);
    let value = HeaderValue::try_from(cookie).map_err(Error::internal)?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}

/// Scripts cannot read it, and pages of other sites cannot send it, except by a link that is followed.
fn login_cookie(token: String, seconds: i64, settings: &Settings, client: Client) -> String {
    let cookie: CookieBuilder<'_> = Cookie::build((credential::COOKIE, token))
        .http_only(true)
        .same_site(SameSite::Lax)
        .path("/")
        .max_age(time::Duration::seconds(seconds))
        .secure(settings.secure_cookie || client.is_https);
    cookie.build().to_string()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_login_cookie_is_closed_to_scripts_and_secure_over_tls() {
        let cookie = |is_https, secure_cookie| {
            let settings = Settings { secure_cookie, ..Settings::for_tests() };
            let client = Client { address: Ipv4Addr::LOCALHOST.into(), is_https };
            let set = sign_in(no_content(), &"a.b-c_d".into(), &settings, client).unwrap();
            assert_eq!(set.headers()[AUTH_TOKEN], "a.b-c_d");
            set.headers()[header::SET_COOKIE].to_str().unwrap().to_owned()
        };
        let plain = "chatToken=a.b-c_d; HttpOnly; SameSite=Lax; Path=/; Max-Age=3600";
        let secure = "chatToken=a.b-c_d; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600";
        assert_eq!(cookie(false, false), plain);
        assert_eq!(cookie(true, false), secure);
        assert_eq!(cookie(false, true), secure);
    }

    #[test]
    fn a_cookie_is_taken_back_by_an_empty_one_that_is_over() {
        let client = Client { address: Ipv4Addr::LOCALHOST.into(), is_https: false };
        let cleared = clear_cookie(no_content(), &Settings::for_tests(), client).unwrap();
        assert_eq!(
            cleared.headers()[header::SET_COOKIE],
            "chatToken=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
    }
}
