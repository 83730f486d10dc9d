//! Errors as HTTP answers. Only this module maps an error to a status. Bodies are RFC 9457
//! `application/problem+json`; `wire::Refusal` defines their text.

use std::{any::Any, borrow::Cow, fmt};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id;
use crate::{
    error::{AuthError, Error, shortened},
    gateway::wire::{ErrorCode, Refusal, counted},
};

/// The body of every refusal: RFC 9457, with the fields of every other refusal beside it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Always `about:blank`. `code` identifies the problem.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the status.
    title: &'static str,
    status: u16,
    /// A sentence for people. It may change.
    detail: String,
    /// The same sentence, under the name that it has in every other answer of this server.
    message: String,
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    /// What refines the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    /// The part of the request that caused the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    field: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    retry_after_ms: Option<u64>,
    /// The answer's `x-request-id`, which is also in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<String>,
}

/// Every [`Error`], and refusals that exist only in HTTP.
#[derive(Debug)]
pub enum Rejection {
    Error(Error),
    /// The request could not be decoded. `field` is the path to the invalid part, if any.
    Malformed {
        field: Option<String>,
        reason: String,
    },
    /// The address exists, but does not support this method.
    Method,
    /// The address is a websocket's, and the request does not ask for a websocket.
    NotAWebSocket,
    /// A websocket version other than 13.
    WebSocketVersion,
    /// A page of this origin may not use the server; see [`super::Guard`].
    Origin(RefusedOrigin),
    /// The request exceeded its time limit. It may or may not have been carried out.
    TookTooLong,
}

/// Why a page, or a client that names an origin, is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedOrigin {
    /// The origin is neither listed nor the server's own.
    Unknown(String),
    /// The request names no origin.
    Missing,
    /// The request changes something, and its only credential is the cookie, which a browser adds to requests
    /// from any page. The origin is empty if the request names none.
    ByCookie(String),
}

impl fmt::Display for RefusedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(origin) => write!(
                f,
                "The origin {origin:?} is not allowed. If it is a front end of yours, add it to cors.origins; if it \
                 is this server's own address, set server.public_url."
            ),
            Self::Missing => f.write_str(
                "A request without an Origin header is not allowed (cors.allow_missing_origin = false). Send one that \
                 cors.origins lists.",
            ),
            Self::ByCookie(origin) => write!(
                f,
                "A page of the origin {origin:?} may not use the login cookie. Add the origin to cors.origins, or send \
                 the token in the header Authorization."
            ),
        }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = answer(status(&self), Refusal::under(&self, request_id::current()));
        if let Self::Unauthenticated(why) = &self {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge(why));
        }
        response
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let malformed = |status, field, reason: &str| {
            answer(status, Refusal { request_id: request_id::current(), ..Refusal::malformed(field, reason) })
        };
        match self {
            Self::Error(error) => error.into_response(),
            Self::Malformed { field, reason } => {
                malformed(StatusCode::BAD_REQUEST, field.map(shortened), &shortened(reason))
            }
            Self::Method => {
                malformed(StatusCode::METHOD_NOT_ALLOWED, None, "This address does not answer that method")
            }
            Self::NotAWebSocket => {
                let reason = "This address is for WebSockets: ask for an upgrade";
                upgrade_needed(malformed(StatusCode::UPGRADE_REQUIRED, None, reason))
            }
            Self::WebSocketVersion => {
                let reason = "The server supports WebSocket version 13 only";
                let mut response = upgrade_needed(malformed(StatusCode::UPGRADE_REQUIRED, None, reason));
                response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                response
            }
            Self::Origin(refused) => {
                let refusal = Refusal {
                    code: counted("forbidden"),
                    message: refused.to_string(),
                    reason: None,
                    field: None,
                    retry_after_ms: None,
                    request_id: request_id::current(),
                };
                answer(StatusCode::FORBIDDEN, refusal)
            }
            Self::TookTooLong => {
                let refusal = Refusal {
                    code: counted("unavailable"),
                    message: "The request took too long; it may have been carried out, or not".to_owned(),
                    reason: None,
                    field: None,
                    retry_after_ms: Some(1000),
                    request_id: request_id::current(),
                };
                answer(StatusCode::SERVICE_UNAVAILABLE, refusal)
            }
        }
    }
}

/// RFC 9110, section 15.5.22: a 426 names the protocol to upgrade to.
fn upgrade_needed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// The answer after a handler panicked. The panic's message goes to the log.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something");
    Error::internal(format_args!("a handler panicked: {said}")).into_response()
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid { .. } => StatusCode::BAD_REQUEST,
        Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Error::Forbidden(_) => StatusCode::FORBIDDEN,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::Conflict(_) => StatusCode::CONFLICT,
        Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// RFC 6750, section 3: a 401 names the authentication scheme, and says whether the given token was invalid.
fn challenge(why: &AuthError) -> HeaderValue {
    HeaderValue::from_static(match why {
        AuthError::WrongLogin | AuthError::Disabled | AuthError::TokenMissing => "Bearer",
        AuthError::TokenInvalid
        | AuthError::TokenExpired(_)
        | AuthError::TokenRevoked
        | AuthError::TicketUsed
        | AuthError::TicketMisplaced => "Bearer error=\"invalid_token\"",
    })
}

fn answer(status: StatusCode, refusal: Refusal) -> Response {
    let retry_after_ms = refusal.retry_after_ms;
    let problem = Problem {
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: refusal.message.clone(),
        message: refusal.message.clone(),
        code: refusal.code,
        reason: refusal.reason,
        field: refusal.field.clone(),
        retry_after_ms,
        request_id: refusal.request_id.clone(),
    };
    let mut response = Response::new(match serde_json::to_vec(&problem) {
        Ok(body) => Body::from(body),
        Err(_) => Body::empty(),
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(wait) = retry_after_ms {
        // The header counts in seconds; rounded up, so that it is never too early.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
    }
    // For a dialect whose refusals have a different body.
    response.extensions_mut().insert(refusal);
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;
    use crate::error::{Conflict, Entity, Forbidden, Unavailable};

    async fn body(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn every_error_has_the_status_of_its_code() {
        for (error, expected) in [
            (Error::invalid("x", "y"), 400),
            (Error::Unauthenticated(AuthError::WrongLogin), 401),
            (Error::Unauthenticated(AuthError::TokenMissing), 401),
            (Error::Unauthenticated(AuthError::TokenInvalid), 401),
            (Error::Unauthenticated(AuthError::TokenExpired("then".into())), 401),
            (Error::Unauthenticated(AuthError::TokenRevoked), 401),
            (Error::Unauthenticated(AuthError::TicketUsed), 401),
            (Error::Unauthenticated(AuthError::TicketMisplaced), 401),
            (Error::Forbidden(Forbidden::Role), 403),
            (Error::Forbidden(Forbidden::NotYours), 403),
            (Error::Forbidden(Forbidden::NotAMember), 403),
            (Error::Forbidden(Forbidden::WrongPassword), 403),
            (Error::Forbidden(Forbidden::CurrentPassword), 403),
            (Error::Forbidden(Forbidden::SignupOff), 403),
            (Error::NotFound(Entity::Room), 404),
            (Error::Conflict(Conflict::UsernameTaken), 409),
            (Error::TooLarge { what: "x", limit: 1 }, 413),
            (Error::RateLimited { retry_after: Duration::ZERO }, 429),
            (Error::Unavailable(Unavailable::Database), 503),
            (Error::internal("secret"), 500),
        ] {
            assert_eq!(status(&error).as_u16(), expected, "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_problem_is_rfc_9457_with_a_code() {
        let response = Error::RateLimited { retry_after: Duration::from_millis(1500) }.into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(
            body(response).await,
            r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests; try again in 2 s","message":"Too many requests; try again in 2 s","code":"rate_limited","retryAfterMs":1500}"#
        );
    }

    #[tokio::test]
    async fn a_fault_or_a_panic_keeps_its_cause_to_itself() {
        for response in [Error::internal("secret").into_response(), panicked(Box::new("secret"))] {
            assert_eq!(response.status(), 500);
            let body = body(response).await;
            assert!(body.contains(r#""code":"internal""#) && !body.contains("secret"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_bad_token_is_told_from_none() {
        let challenge =
            |why| Error::Unauthenticated(why).into_response().headers()[header::WWW_AUTHENTICATE].clone();
        assert_eq!(challenge(AuthError::TokenMissing), "Bearer");
        assert_eq!(challenge(AuthError::TokenRevoked), "Bearer error=\"invalid_token\"");
    }

    #[tokio::test]
    async fn what_only_http_knows_is_a_problem_too() {
        let malformed = Rejection::Malformed { field: Some("users[0]".into()), reason: "is missing".into() };
        for (rejection, status, code) in [
            (malformed, 400, r#""message":"users[0]: is missing","code":"bad_request","field":"users[0]""#),
            (Rejection::Method, 405, r#""title":"Method Not Allowed","status":405"#),
            (Rejection::TookTooLong, 503, r#""code":"unavailable","retryAfterMs":1000"#),
        ] {
            let response = rejection.into_response();
            assert_eq!(response.status(), status);
            let body = body(response).await;
            assert!(body.contains(code), "{body}");
        }
    }
}
