//! `/socket.io/socket.io.js` and similar files: the browser builds of the `socket.io-client` package, at the
//! addresses of Socket.IO's own server, for pages without an npm build. The files are read from the installed
//! package for each request, so an update needs no restart. Where none is installed, the scripts that the build
//! has put into the program take its place. `gateway::socketio` handles the sockets.

pub mod built_in;

use std::{io, path::Path, sync::Arc};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::fs;

use super::http::{headers, wrong_method};

/// The only files that are read from `dist/`. No part of a request becomes part of a path.
const FILES: [&str; 6] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
];

/// Builds of the client that use a parser that this server does not support.
const OTHER_PARSER: [&str; 2] = ["socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map"];

const NOT_INSTALLED: &str = "This file of socket.io-client is not installed on the server.\n\
    Run `npm install socket.io-client` in the folder that Parlor is started in, or let the setting\n\
    server.client_folder name the folder of that package. The server's log says what is missing.\n";

const NO_MSGPACK: &str = "This server does not speak the msgpack parser, so this build of the client would not \
    understand it.\nUse /socket.io/socket.io.js, /socket.io/socket.io.min.js or /socket.io/socket.io.esm.min.js.\n";

/// The folder of the package.
type Package = Arc<Path>;

/// One route for each file. `folder` is where npm installed the package. The folder may appear and disappear.
pub fn routes(folder: impl Into<Package>) -> Router {
    let mut router = Router::new();
    for file in FILES {
        let answer = move |State(package): State<Package>, headers: HeaderMap| async move {
            script(&package, file, &headers).await
        };
        router = router.route(&format!("/socket.io/{file}"), get(answer));
    }
    for file in OTHER_PARSER {
        router = router.route(&format!("/socket.io/{file}"), get((StatusCode::NOT_FOUND, NO_MSGPACK)));
    }
    router.method_not_allowed_fallback(wrong_method).with_state(folder.into())
}

/// The needed field of a `package.json`.
#[derive(Deserialize)]
struct Manifest {
    version: String,
}

/// Whether pages can load the client from this server.
pub async fn is_there(package: &Path) -> bool {
    const MODULE: &str = "socket.io.esm.min.js";
    built_in::script(MODULE).is_some()
        || (installed(package).await.is_ok() && fs::metadata(package.join("dist").join(MODULE)).await.is_ok())
}

async fn script(package: &Path, file: &str, headers: &HeaderMap) -> Response {
    let error = match find(package, file, headers).await {
        Ok(response) => return response,
        Err(error) => error,
    };
    if let (Some(script), Ok(tag)) = (built_in::script(file), tag(built_in::VERSION))
        && let Ok(response) = answer(file, tag, headers, async || Ok(script)).await
    {
        return response;
    }
    // The client must not learn where the package should be.
    tracing::warn!(folder = %package.display(), file, %error, "socket.io-client cannot be served");
    (StatusCode::NOT_FOUND, NOT_INSTALLED).into_response()
}

async fn find(package: &Path, file: &str, headers: &HeaderMap) -> io::Result<Response> {
    let tag = installed(package).await?;
    answer(file, tag, headers, async || fs::read(package.join("dist").join(file)).await).await
}

/// `read` is called unless the client has this version.
async fn answer<T: IntoResponse>(
    file: &str,
    tag: HeaderValue,
    headers: &HeaderMap,
    read: impl AsyncFnOnce() -> io::Result<T>,
) -> io::Result<Response> {
    let kind = match file.ends_with(".map") {
        true => "application/json; charset=utf-8",
        false => "application/javascript; charset=utf-8",
    };
    let is_known = headers::is_known(headers, &tag);
    // The policy is also part of the 304: a browser uses it for its stored copy.
    let policy =
        [(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"))];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, policy).into_response());
    }
    Ok((policy, [(header::CONTENT_TYPE, kind)], read().await?).into_response())
}

/// The tag of the version in the folder.
async fn installed(package: &Path) -> io::Result<HeaderValue> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(package.join("package.json")).await?)?;
    tag(&manifest.version)
}

/// The version in quotes, as Socket.IO's own server sends it.
fn tag(version: &str) -> io::Result<HeaderValue> {
    let is_version = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
    if version.is_empty() || !version.bytes().all(is_version) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its version is not one"));
    }
    HeaderValue::from_str(&format!("\"{version}\"")).map_err(io::Error::other)
}
