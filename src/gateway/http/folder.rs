//! A folder of the owner's with a page and the files beside it. The files are public. The page itself is left
//! to the caller, because it may need a login.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use crate::error::{Error, Result};

/// The policy of a page that the owner provides. It may contain inline scripts and styles, and name its
/// base, as pages of Angular do. A page with a login must not load scripts from other servers or connect to them.
pub const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; \
    style-src 'self' 'unsafe-inline' https:; font-src 'self' https: data:; img-src 'self' https: data:; \
    media-src 'self' https: data:; connect-src 'self'; object-src 'none'; base-uri 'self'; \
    form-action 'self'; frame-ancestors 'none'";

const INDEX: &str = "index.html";

/// First path segments that belong to the server, even if no route exists there: no file may replace a
/// dialect that is off.
const RESERVED: [&str; 14] = [
    "api",
    "asyncapi.json",
    "auth",
    "chat",
    "docs",
    "first-admin",
    "healthz",
    "metrics",
    "openapi.json",
    "parlor.d.ts",
    "readyz",
    "socket.io",
    "web",
    "ws",
];

/// Whether an address belongs to the server, whatever files there are.
pub fn is_reserved(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let first = path.trim_start_matches('/').split('/').next();
    first.is_some_and(|first| RESERVED.contains(&first))
}

/// The current content of the page, so that an owner who edits it sees each change.
pub async fn index(folder: &Path) -> Result<Vec<u8>> {
    tokio::fs::read(folder.join(INDEX)).await.map_err(Error::internal)
}

/// Answers a GET or HEAD with a file of the folder, if the address is that of one. The page is none of them.
pub async fn file(folder: &Path, request: Request) -> Option<Response> {
    let wanted = wanted(request.uri().path())?;
    let found = match find(folder, &wanted).await {
        Ok(found) => found?,
        Err(err) => {
            tracing::debug!(error = %err, "no file of the owner's folder");
            return None;
        }
    };
    let Ok(response) = ServeFile::new(found).oneshot(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return None;
    }
    let mut response = response.map(Body::new);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Not secret: a browser may store it, but must ask the server whether it has changed.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(response)
}

/// The path in the folder for an address, if the address can have one.
fn wanted(path: &str) -> Option<PathBuf> {
    let path = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    let parts: Vec<&str> = path.split('/').collect();
    let is_plain =
        |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':', '\0']);
    let is_own = parts.first().is_some_and(|first| !RESERVED.contains(first));
    (is_own && parts.iter().all(is_plain)).then(|| parts.iter().collect())
}

/// The real path of a file. `None` if it is not a file, lies outside the folder after links are resolved, is
/// hidden, or is the page itself, which needs a login.
async fn find(folder: &Path, wanted: &Path) -> io::Result<Option<PathBuf>> {
    let folder = tokio::fs::canonicalize(folder).await?;
    let found = tokio::fs::canonicalize(folder.join(wanted)).await?;
    let Ok(inside) = found.strip_prefix(&folder) else { return Ok(None) };
    let is_hidden = inside.components().any(|part| match part {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
        _ => true,
    });
    let is_page = tokio::fs::canonicalize(folder.join(INDEX)).await.is_ok_and(|index| index == found);
    let is_file = tokio::fs::metadata(&found).await?.is_file();
    Ok((is_file && !is_hidden && !is_page).then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_a_plain_path_that_is_not_the_servers_own() {
        for (path, expected) in [
            ("/app.js", Some("app.js")),
            ("/css/the%20page.css", Some("css/the page.css")),
            ("/apis/x", Some("apis/x")),
            ("/chat.js", Some("chat.js")),
            ("/", None),
            ("//etc/passwd", None),
            ("/a//b", None),
            ("/a/", None),
            ("/../a", None),
            ("/a/../b", None),
            ("/%2e%2e/a", None),
            ("/%2E%2E%2Fa", None),
            ("/..%5ca", None),
            ("/C:/a", None),
            ("/.env", None),
            ("/%2eenv", None),
            ("/a/.git/config", None),
            ("/a%00", None),
            ("/a%ff", None),
            ("/api/x", None),
            ("/%61pi/x", None),
            ("/web/login", None),
            ("/socket.io/x.js", None),
            ("/docs/x", None),
            ("/openapi.json", None),
            ("/asyncapi.json", None),
            ("/parlor.d.ts", None),
        ] {
            assert_eq!(wanted(path).as_deref(), expected.map(Path::new), "{path}");
        }
    }
}
