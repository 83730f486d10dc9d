//! Successful HTTP answers: a view as JSON, a new token, and setting or clearing the login cookie. `refusal`
//! creates the refusals.

use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use cookie::{Cookie, CookieBuilder, SameSite, time};
use http::{HeaderName, HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{HttpSettings, extract::Client};
use crate::{
    error::{Error, Result},
    gateway::credential,
};

/// The header that carries a token besides the body, for front ends that read it there.
pub const AUTH_TOKEN: HeaderName = HeaderName::from_static("auth-token");

/// Renders a view at once, so that it may borrow the handler's data.
pub fn json(status: StatusCode, view: impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(&view).map_err(Error::internal)?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

pub fn ok(view: impl Serialize) -> Result<Response> {
    json(StatusCode::OK, view)
}

/// A file that is part of this program, with its content type and its content security policy.
pub fn file(body: impl IntoResponse, kind: &'static str, policy: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)];
    (headers, body).into_response()
}

pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Adds a token in the header that some front ends read.
pub fn show_token(mut response: Response, token: &SecretString) -> Result<Response> {
    let mut value = HeaderValue::from_str(token.expose_secret()).map_err(Error::internal)?;
    value.set_sensitive(true);
    response.headers_mut().insert(AUTH_TOKEN, value);
    Ok(response)
}

/// Adds a new token: in the header, and in the login cookie for the lifetime of the token.
pub fn sign_in(
    response: Response,
    token: &SecretString,
    lasts: TimeDelta,
    settings: &HttpSettings,
    client: Client,
) -> Result<Response> {
    set_cookie(show_token(response, token)?, token, lasts.num_seconds(), settings, client)
}

/// Sets the login cookie to a token, for the seconds that the token is still valid.
pub fn set_cookie(
    mut response: Response,
    token: &SecretString,
    seconds: i64,
    settings: &HttpSettings,
    client: Client,
) -> Result<Response> {
    let cookie = login_cookie(token.expose_secret().to_owned(), seconds, settings, client);
    let mut value = HeaderValue::try_from(cookie).map_err(Error::internal)?;
    value.set_sensitive(true);
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}

/// Clears the login cookie.
pub fn clear_cookie(mut response: Response, settings: &HttpSettings, client: Client) -> Result<Response> {
    let cookie = login_cookie(String::new(), 0, settings, client);
    let value = HeaderValue::try_from(cookie).map_err(Error::internal)?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}

/// Scripts cannot read the cookie. Pages of other sites cannot send it, except by a link that the user
/// follows.
fn login_cookie(token: String, seconds: i64, settings: &HttpSettings, client: Client) -> String {
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
            let settings = HttpSettings { secure_cookie, ..HttpSettings::for_tests() };
            let client = Client { address: Ipv4Addr::LOCALHOST.into(), is_https };
            let set =
                sign_in(no_content(), &"a.b-c_d".into(), TimeDelta::hours(1), &settings, client).unwrap();
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
        let cleared = clear_cookie(no_content(), &HttpSettings::for_tests(), client).unwrap();
        assert_eq!(
            cleared.headers()[header::SET_COOKIE],
            "chatToken=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
    }
}
