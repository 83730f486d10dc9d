//! Errors: one vocabulary for every gateway.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use crate::{
    error::{CODES, Error},
    metrics,
};

/// Why a request was refused: the same fields in every answer, on every transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    #[schema(value_type = ErrorCode)]
    pub code: &'static str,
    /// A sentence for people. It may change.
    pub message: String,
    /// What refines the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<&'static str>,
    /// The part of the request that caused the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    pub field: Option<Cow<'static, str>>,
    /// The same request may succeed after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    pub retry_after_ms: Option<u64>,
    /// The id of this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
}

/// The schema of a code.
pub struct ErrorCode;

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        let about = "Programs decide by the code. docs/events.md explains each one.";
        let object = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(CODES));
        object.description(Some(about)).into()
    }
}

impl ToSchema for ErrorCode {}

impl Refusal {
    /// For a request without an id. An internal error gets a new id, so that it can be found in the log.
    pub fn of(error: &Error) -> Self {
        let id = matches!(error, Error::Internal(_)).then(|| uuid::Uuid::now_v7().to_string());
        Self::under(error, id)
    }

    /// For a request that has an id. This logs the cause of an internal error, and counts the refusal, so render an
    /// error only once.
    pub fn under(error: &Error, request_id: Option<String>) -> Self {
        if let Error::Internal(cause) = error {
            let cause = format_args!("{cause:#}");
            tracing::error!(request.id = request_id.as_deref(), error = %cause, "a request failed");
        }
        Self {
            code: counted(error.code()),
            message: error.to_string(),
            reason: error.reason(),
            field: match error {
                Error::Invalid { field, .. } => Some(Cow::Borrowed(field)),
                _ => None,
            },
            // At least 1: zero would invite the client to retry at once. Rounded up, so that it is never too
            // early.
            retry_after_ms: error
                .retry_after()
                .map(|wait| u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)),
            request_id,
        }
    }

    /// For a payload that could not be decoded. `field` is the path to the invalid part, if any.
    pub fn malformed(field: Option<String>, reason: &str) -> Self {
        Self {
            code: counted("bad_request"),
            message: match &field {
                Some(field) => format!("{field}: {reason}"),
                None => reason.to_owned(),
            },
            reason: None,
            field: field.map(Cow::Owned),
            retry_after_ms: None,
            request_id: None,
        }
    }
}

/// The code of a refusal that is no [`Error`]. It is counted.
pub fn counted(code: &'static str) -> &'static str {
    metrics::REFUSALS.one(code);
    code
}
