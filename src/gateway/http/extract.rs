//! Extractors for the parts of a request. Each refuses a missing or invalid part in this server's error
//! format. The handlers decide what to do with the parts.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    body::{self, Body, HttpBody},
    extract::{
        ConnectInfo, FromRef, FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request,
        path::ErrorKind,
        rejection::{PathRejection, QueryRejection},
    },
};
use bytes::Bytes;
use http::{Extensions, HeaderMap, header, request::Parts};
use http_body_util::LengthLimitError;
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Http, HttpSettings, refusal::Rejection};
use crate::{
    auth::{Credential, Device},
    config::ServerConfig,
    error::{AuthError, Entity, Error, Result, Unavailable},
    gateway::{credential, tcp::TcpHandle},
    identity::Caller,
};

/// The caller, from the credential of the request. A handler without this extractor is open to everybody,
/// even with a bad credential. The request counts in the user's rate limit (`limits.requests_per_second`).
impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Http: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let http = Http::from_ref(state);
        let found = credential::from_request(&parts.uri, &parts.headers);
        let token = match found.ok_or(Error::Unauthenticated(AuthError::TokenMissing))? {
            Credential::Token(token) => token,
            // The ticket stays unused: it may be valid for a connection.
            Credential::Ticket(_) => return Err(Error::Unauthenticated(AuthError::TicketMisplaced)),
        };
        let device = Client::of(parts, &http.settings).device(&parts.headers);
        let caller = http.auth.authenticate(token.expose_secret(), &device).await?;
        tracing::Span::current().record("user.id", tracing::field::display(caller.user));
        http.requests.take(caller.user)?;
        Ok(caller)
    }
}

/// The origin of a request, according to the peer and the trusted proxies.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: IpAddr,
    /// Whether the client connected to a trusted proxy over TLS.
    pub is_https: bool,
}

impl Client {
    /// Where a request comes from.
    pub fn address_of(request: &Request, server: &ServerConfig) -> IpAddr {
        credential::client_address(request.headers(), peer(request.extensions()), server)
    }

    fn of(parts: &Parts, settings: &HttpSettings) -> Self {
        let peer = peer(&parts.extensions);
        Self {
            address: credential::client_address(&parts.headers, peer, &settings.server),
            is_https: credential::is_https(&parts.headers, peer, &settings.server),
        }
    }

    /// With the name of the client's program.
    pub fn device(&self, headers: &HeaderMap) -> Device {
        Device::new(self.address, credential::user_agent(headers))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client
where
    Http: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Ok(Self::of(parts, &Http::from_ref(state).settings))
    }
}

fn peer(extensions: &Extensions) -> SocketAddr {
    match extensions.get::<ConnectInfo<TcpHandle>>() {
        Some(ConnectInfo(line)) => line.peer,
        // Only if the service is called without a socket. All such callers share one address.
        None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    }
}

/// The credential of a request that needs none. It is not checked.
#[derive(Clone, Debug)]
pub struct Shown(pub Option<Credential>);

impl<S: Sync> FromRequestParts<S> for Shown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(credential::from_request(&parts.uri, &parts.headers)))
    }
}

/// Parameters from the path. An invalid id is answered like a room that does not exist.
///
/// Not called `Path`, because utoipa treats a type of that name specially.
#[derive(Debug)]
pub struct PathParameter<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParameter<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(PathRejection::FailedToDeserializePathParams(err)) => Err(match err.kind() {
                ErrorKind::InvalidUtf8InPathParam { .. } => Error::invalid("path", "is not valid UTF-8"),
                ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => {
                    Error::internal(err)
                }
                _ => Error::NotFound(Entity::Room),
            }),
            Err(err) => Err(Error::internal(err)),
        }
    }
}

/// Parameters from the query string. Not called `Query`, for the same reason.
#[derive(Debug)]
pub struct QueryParameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParameters<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(wanted)) => Ok(Self(wanted)),
            Err(QueryRejection::FailedToDeserializeQueryString(err)) => Err(bad_query(&err)),
            Err(err) => Err(Error::internal(err).into()),
        }
    }
}

/// A page of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// Only entries that contain this text.
    pub search: Option<String>,
    /// The maximum number of entries: 100 by default, at most 200.
    pub limit: Option<u64>,
    /// The `next` of the previous page.
    pub after: Option<String>,
}

/// axum's text puts the field first: `limit: invalid digit found in string`.
fn bad_query(err: &dyn std::error::Error) -> Rejection {
    let text = err.source().map_or_else(|| err.to_string(), ToString::to_string);
    match text.split_once(": ") {
        Some((field, reason)) => {
            Rejection::Malformed { field: Some(field.to_owned()), reason: reason.to_owned() }
        }
        None => Rejection::Malformed { field: None, reason: text },
    }
}

/// A JSON object as the body. `Option<Json<T>>` is for handlers whose body is optional.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T>
where
    Http: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        match Option::<Self>::from_request(request, state).await? {
            Some(body) => Ok(body),
            None => Err(malformed("the body is missing: a JSON object is needed")),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Json<T>
where
    Http: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Rejection> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, &Http::from_ref(state)).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if !is_json(&parts.headers) {
            return Err(malformed("the body must be JSON, with the header Content-Type: application/json"));
        }
        decode(&bytes).map(|body| Some(Self(body)))
    }
}

/// Reads a whole body. The handler's task continues after the time limit of its request. So this function has
/// its own time limit, for a body that arrives slowly.
async fn read(body: Body, http: &Http) -> Result<Bytes, Rejection> {
    let limit = http.settings.limits.packet_bytes;
    let too_large = || Error::TooLarge { what: "the body", limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large().into());
    }
    let whole = tokio::time::timeout(http.settings.server.request_timeout, body::to_bytes(body, limit));
    let read = tokio::select! {
        biased;
        read = whole => read.map_err(|_| Rejection::TookTooLong)?,
        // Nothing has begun yet that the shutdown would have to wait for.
        () = http.shutdown.begun() => return Err(Error::Unavailable(Unavailable::Draining).into()),
    };
    read.map_err(|err| {
        if err.into_inner().is::<LengthLimitError>() {
            too_large().into()
        } else {
            malformed("the body could not be read to its end")
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Decodes a JSON object. An error names the invalid field.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Rejection> {
    // Serde would accept an array as an object, with its items in the order of the fields.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed("the body must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let decoded: Result<T, _> = serde_path_to_error::deserialize(&mut json);
    let value = decoded.map_err(|err| blame(&err.path().to_string(), err.inner()))?;
    json.end().map_err(|err| blame(".", &err))?;
    Ok(value)
}

fn blame(path: &str, err: &serde_json::Error) -> Rejection {
    let text = err.to_string();
    if !err.is_data() {
        return malformed(format!("the body is not valid JSON: {text}"));
    }
    // The position in the text does not help a client that knows the field.
    let reason = text.split(" at line ").next().unwrap_or(&text);
    let inside = |field: &str| {
        if path == "." { field.to_owned() } else { format!("{path}.{field}") }
    };
    let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match missing {
        Some(field) => Rejection::Malformed { field: Some(inside(field)), reason: "is missing".to_owned() },
        None if path == "." => malformed(reason),
        None => Rejection::Malformed { field: Some(path.to_owned()), reason: reason.to_owned() },
    }
}

fn malformed(reason: impl Into<String>) -> Rejection {
    Rejection::Malformed { field: None, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::value::RawValue;

    use super::*;
    use crate::gateway::wire::UserRef;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wish {
        group_name: String,
        #[serde(default)]
        users: Vec<UserRef>,
        profile: Option<Box<RawValue>>,
    }

    #[test]
    fn a_body_that_cannot_be_decoded_names_the_field() {
        let deep = format!("{{\"groupName\":{}", "[".repeat(100_000));
        for (json, field, text) in [
            (r#"{}"#, Some("groupName"), "is missing"),
            (r#"{"groupName":5}"#, Some("groupName"), "invalid type: integer `5`, expected a string"),
            (r#"{"groupName":null}"#, Some("groupName"), "invalid type: null, expected a string"),
            (r#"{"groupName":"a","users":["b",{}]}"#, Some("users[1].username"), "is missing"),
            (r#"{"groupName":"a","users":["b",5]}"#, Some("users[1]"), "expected a username or an object"),
            (r#"{"groupName":"a","users":{}}"#, Some("users"), "expected a sequence"),
            (r#"["a"]"#, None, "must be a JSON object"),
            (r#""a""#, None, "must be a JSON object"),
            (r#"{"groupName":NaN}"#, None, "not valid JSON"),
            (r#"{"groupName":"a"} x"#, None, "not valid JSON"),
            (r#"{"groupName":"\ud800"}"#, None, "not valid JSON"),
            (r#"{"#, None, "not valid JSON"),
            (&deep, None, ""),
        ] {
            let refused = decode::<Wish>(json.as_bytes()).unwrap_err();
            let Rejection::Malformed { field: blamed, reason } = refused else { panic!("{refused:?}") };
            let start = &json[..json.len().min(60)];
            if json.len() < 1000 {
                assert_eq!(blamed.as_deref(), field, "{start}: {reason}");
            }
            assert!(reason.contains(text), "{start}: {reason}");
        }
        assert!(decode::<Wish>(b"{\"groupName\":\"\xff\"}").is_err());
    }

    #[test]
    fn raw_json_comes_through_as_written() {
        let wish: Wish =
            decode(br#" {"groupName":"a","users":["b",{"username":"c"}],"profile":{"n": 1e400}} "#).unwrap();
        assert_eq!(wish.group_name, "a");
        assert_eq!(UserRef::usernames(wish.users), ["b", "c"]);
        assert_eq!(wish.profile.unwrap().get(), r#"{"n": 1e400}"#);
        let wish: Wish = decode(br#"{"groupName":"a","profile":null}"#).unwrap();
        assert!(wish.profile.is_none() && wish.users.is_empty());
    }

    #[test]
    fn json_is_what_says_so() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_decoded_or_refused(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
            name in ".{0,10}",
            users in proptest::collection::vec(".{0,4}", 0..4),
        ) {
            let refused = decode::<Wish>(&bytes);
            assert!(refused.is_err() || bytes.trim_ascii_start().starts_with(b"{"));
            let text = serde_json::json!({ "groupName": name, "users": users }).to_string();
            assert_eq!(decode::<Wish>(text.as_bytes()).unwrap().group_name, name);
            // Nothing may follow the object, and nothing may be missing from it.
            assert!(decode::<Wish>(format!("{text}x").as_bytes()).is_err());
            assert!(decode::<Wish>(&text.as_bytes()[..text.len() - 1]).is_err());
        }
    }
}
