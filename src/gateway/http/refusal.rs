//! Errors as HTTP answers. Only this module maps an error to a status. Bodies are RFC 9457
//! `application/problem+json`; `wire::Refusal` defines their text.

use std::{any::Any, borrow::Cow};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id;
use crate::{
    error::{AuthError, Error},
    gateway::wire::{Refusal, code_schema},
};

/// The body of every refusal: RFC 9457, with an additional `code`.
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
    #[schema(schema_with = code_schema)]
    code: &'static str,
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
    /// The request exceeded its time limit. It may or may not have been carried out.
    TookTooLong,
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
            Self::Malformed { field, reason } => malformed(StatusCode::BAD_REQUEST, field, &reason),
            Self::Method => {
                malformed(StatusCode::METHOD_NOT_ALLOWED, None, "This address does not answer that method")
            }
            Self::NotAWebSocket => {
                let told = "This address is for WebSockets: ask for an upgrade";
                upgrade_needed(malformed(StatusCode::UPGRADE_REQUIRED, None, told))
            }
            Self::WebSocketVersion => {
                let told = "The server supports WebSocket version 13 only";
                let mut response = upgrade_needed(malformed(StatusCode::UPGRADE_REQUIRED, None, told));
                response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                response
            }
            Self::TookTooLong => {
                let refusal = Refusal {
                    code: "unavailable",
                    message: "The request took too long; it may have been carried out, or not".to_owned(),
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
        AuthError::WrongLogin | AuthError::TokenMissing => "Bearer",
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
        code: refusal.code,
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
            (Error::Forbidden(Forbidden::SignupOff), 403),
            (Error::Forbidden(Forbidden::Origin), 403),
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
            r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests; try again in 2 s","code":"rate_limited","retryAfterMs":1500}"#
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
            (malformed, 400, r#""detail":"users[0]: is missing","code":"bad_request","field":"users[0]""#),
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
