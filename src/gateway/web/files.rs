//! The files of the client: those of `web/` in the program, or an owner's own in a folder. A debug build reads
//! `web/` anew for every request.

use std::path::PathBuf;

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{folder, headers, pages};
use crate::error::{Entity, Error};

/// What browsers need of `web/`.
#[derive(RustEmbed)]
#[folder = "web/"]
#[include = "*.html"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[exclude = "node_modules/*"]
struct BuiltIn;

/// Where the files come from.
pub enum FileSource {
    BuiltIn,
    Folder(PathBuf),
}

/// Marks an answer that is a file of the client: public, and worth compressing.
#[derive(Clone, Copy)]
pub struct ClientFile;

impl ClientFile {
    pub fn is_one(_: StatusCode, _: http::Version, _: &HeaderMap, extensions: &http::Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}

impl FileSource {
    pub fn of(folder: Option<PathBuf>) -> Self {
        folder.map_or(Self::BuiltIn, Self::Folder)
    }

    /// The page at `/`.
    pub async fn page(&self, method: &Method, asked: &HeaderMap) -> Response {
        match self {
            Self::BuiltIn => match BuiltIn::get("index.html") {
                Some(file) => built_in("index.html", file, method, asked),
                None => Error::NotFound(Entity::Page).into_response(),
            },
            Self::Folder(path) => match folder::index(path).await {
                Ok(text) => {
                    let policy = [(header::CONTENT_SECURITY_POLICY, folder::POLICY)];
                    (policy, [(header::CONTENT_TYPE, "text/html; charset=utf-8"), NO_CACHE], text)
                        .into_response()
                }
                Err(error) => error.into_response(),
            },
        }
    }

    /// The file at another address. The client of an owner may have addresses of its own: its page answers
    /// those, as far as a person opens them.
    pub async fn file(&self, request: Request) -> Option<Response> {
        match self {
            Self::BuiltIn => {
                let path = request.uri().path().strip_prefix('/')?;
                let file = BuiltIn::get(path).filter(|_| path != "index.html")?;
                Some(built_in(path, file, request.method(), request.headers()))
            }
            Self::Folder(path) => {
                let opens_page = pages::is_navigation(&request);
                let (method, asked) = (request.method().clone(), request.headers().clone());
                match folder::file(path, request).await {
                    Some(response) => Some(response),
                    None if opens_page => Some(self.page(&method, &asked).await),
                    None => None,
                }
            }
        }
    }
}

/// Not secret: a browser may store it, but must ask the server whether it has changed.
const NO_CACHE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-cache");

fn built_in(path: &str, file: EmbeddedFile, method: &Method, asked: &HeaderMap) -> Response {
    let hash: String = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let Ok(tag) = HeaderValue::from_str(&format!("\"{hash}\"")) else {
        return Error::internal("a hash is no header").into_response();
    };
    // Also part of a 304: a browser uses them for its stored copy.
    let policy = [(header::CONTENT_SECURITY_POLICY, headers::PAGE_POLICY), NO_CACHE];
    if headers::is_known(asked, &tag) {
        return (StatusCode::NOT_MODIFIED, policy, [(header::ETAG, tag)]).into_response();
    }
    let kind = [(header::CONTENT_TYPE, kind(path))];
    let length = file.data.len();
    let mut response = (policy, kind, [(header::ETAG, tag)], Body::from(file.data)).into_response();
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    } else {
        response.extensions_mut().insert(ClientFile);
    }
    response
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}
