//! `/socket.io/socket.io.js` and its kin, out of a `socket.io-client` that npm could have installed.

use std::{fs, path::Path};

use http::{Method, header};
use tempfile::TempDir;

use crate::harness::{Answer, Raw, Server};

const SCRIPTS: [&str; 3] = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"];

/// The folder of a package with every file that the real one has; each says what it is.
fn package(version: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix("parlor-test-").tempdir().unwrap();
    fs::create_dir(folder.path().join("dist")).unwrap();
    for script in SCRIPTS.into_iter().chain(["socket.io.msgpack.min.js"]) {
        write(&folder, &format!("dist/{script}"), &content(script));
        write(&folder, &format!("dist/{script}.map"), &content(&format!("{script}.map")));
    }
    is_of_version(&folder, version);
    folder
}

fn content(file: &str) -> String {
    format!("// the content of {file}, é included")
}

fn write(folder: &TempDir, file: &str, text: &str) {
    fs::write(folder.path().join(file), text).unwrap();
}

fn is_of_version(folder: &TempDir, version: &str) {
    let manifest = serde_json::json!({ "name": "socket.io-client", "version": version, "private": [1] });
    write(folder, "package.json", &manifest.to_string());
}

async fn serving(folder: &Path) -> Server {
    Server::with(|config| config.server.client_folder = folder.to_owned()).await
}

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(server, Method::GET, path, headers).await
}

async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.http.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::to(request).await
}

/// A refusal that a person reads in the address bar or the network panel.
#[track_caller]
fn explains(answer: &Answer, words: &[&str]) {
    assert_eq!(answer.status, 404, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store", "the next request may find it");
    assert!(answer.headers.get(header::ETAG).is_none());
    for word in words {
        assert!(answer.text.contains(word), "{word} is not in {:?}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_build_and_map_is_served_as_socket_ios_own_server_does_it() {
    let folder = package("4.8.4");
    let server = serving(folder.path()).await;
    for script in SCRIPTS {
        for (file, kind) in
            [(script.to_owned(), "application/javascript"), (format!("{script}.map"), "application/json")]
        {
            let path = format!("/socket.io/{file}?v=1");
            let answer = get(&server, &path, &[]).await;
            assert_eq!((answer.status, &answer.text), (200, &content(&file)), "{file}");
            assert_eq!(answer.header("content-type"), format!("{kind}; charset=utf-8"), "{file}");
            assert_eq!(answer.header("etag"), "\"4.8.4\"", "{file}");
            assert_eq!(answer.header("cache-control"), "public, max-age=0", "{file}");

            let head = ask(&server, Method::HEAD, &path, &[]).await;
            assert_eq!((head.status, head.text.as_str()), (200, ""), "{file}");
            for name in ["content-type", "content-length", "etag", "cache-control"] {
                assert_eq!(head.header(name), answer.header(name), "{name} of {file}");
            }
            ask(&server, Method::POST, &path, &[]).await.is_refused(405, "bad_request");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_has_the_version_is_not_sent_it_again() {
    let folder = package("4.8.4");
    let server = serving(folder.path()).await;
    let ask_with = async |method, tag: &str| {
        ask(&server, method, "/socket.io/socket.io.js", &[("if-none-match", tag)]).await
    };
    for tag in ["\"4.8.4\"", "W/\"4.8.4\"", "\"4.8.3\", W/\"4.8.4\""] {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask_with(method, tag).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{tag}");
            assert_eq!(answer.header("etag"), "\"4.8.4\"");
            assert_eq!(answer.header("cache-control"), "public, max-age=0", "it may still be kept");
        }
    }
    for tag in ["\"4.8.3\"", "4.8.4", "\"4.8.4", "\"\"", "w/\"4.8.4\"", ""] {
        assert_eq!(ask_with(Method::GET, tag).await.status, 200, "{tag}");
    }

    // As `npm update` does it, under the running server.
    is_of_version(&folder, "4.9.0-rc.1+build");
    write(&folder, "dist/socket.io.js", "new");
    let answer = ask_with(Method::GET, "\"4.8.4\"").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "new"));
    assert_eq!(answer.header("etag"), "\"4.9.0-rc.1+build\"");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(with_client, ignore = "this build has the client in it")]
async fn a_missing_client_is_a_hint_and_an_installed_one_is_found_at_once() {
    let folder = package("4.8.4");
    let place = folder.path().to_str().unwrap();
    let server = serving(folder.path()).await;
    let script = async || get(&server, "/socket.io/socket.io.js", &[]).await;
    let is_not_there = async || {
        let answer = script().await;
        explains(&answer, &["npm install socket.io-client", "server.client_folder"]);
        assert!(!answer.text.contains(place), "where it would be is the server's own business");
    };

    let no_versions =
        ["", "{}", "[]", "{\"version\":4}", "{\"version\":\"\"}", "{\"version\":\"4\\\"\\r\\nx: y\"}"];
    for manifest in no_versions {
        write(&folder, "package.json", manifest);
        is_not_there().await;
    }
    fs::remove_file(folder.path().join("package.json")).unwrap();
    is_not_there().await;
    is_of_version(&folder, "4.8.4");
    assert_eq!(script().await.status, 200);

    fs::remove_file(folder.path().join("dist/socket.io.js")).unwrap();
    is_not_there().await;
    fs::create_dir(folder.path().join("dist/socket.io.js")).unwrap();
    is_not_there().await;
    assert_eq!(get(&server, "/socket.io/socket.io.min.js", &[]).await.status, 200, "the others are there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_build_for_a_parser_that_is_not_spoken_is_refused_with_the_reason() {
    let folder = package("4.8.4");
    let server = serving(folder.path()).await;
    for file in ["socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map"] {
        explains(&get(&server, &format!("/socket.io/{file}"), &[]).await, &["msgpack", "socket.io.min.js"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_listed_files_can_be_had() {
    let folder = package("4.8.4");
    write(&folder, "dist/secret.js", "a secret");
    let server = serving(folder.path()).await;
    for path in [
        "/socket.io/secret.js",
        "/socket.io/package.json",
        "/socket.io/dist/socket.io.js",
        "/socket.io/../package.json",
        "/socket.io/%2e%2e/package.json",
        "/socket.io/..%2fpackage.json",
        "/socket.io/.%2fsocket.io.js",
        "/socket.io//socket.io.js",
        "/socket.io/socket.io.js/",
        "/socket.io/socket.io.js/../../package.json",
        "/socket.io/socket.io.js%00.map",
        "/socket.io/SOCKET.IO.JS",
    ] {
        // By hand: a client would tidy the path up.
        let mut raw = Raw::connect(server.address).await;
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
        assert!(head.contains("application/problem+json"), "{path}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_may_load_a_script_and_listed_ones_a_module() {
    let folder = package("4.8.4");
    let server = Server::with(|config| {
        config.server.client_folder = folder.path().to_owned();
        config.cors.origins = vec!["https://chat.example.com".to_owned()];
        config.cors.allow_missing_origin = false;
    })
    .await;
    let path = "/socket.io/socket.io.esm.min.js";
    // `<script src>` says no origin; `<script type="module">` does.
    let script = get(&server, path, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]).await;
    assert_eq!(script.status, 200, "{}", script.text);
    for (origin, allowed) in
        [("https://chat.example.com", "https://chat.example.com"), ("https://evil.example.com", "")]
    {
        for tag in ["", "\"4.8.4\""] {
            let module = get(&server, path, &[("origin", origin), ("if-none-match", tag)]).await;
            assert_eq!(module.status, if tag.is_empty() { 200 } else { 304 });
            assert_eq!(module.header("access-control-allow-origin"), allowed, "{origin}");
            assert!(module.header("vary").contains("origin"), "{:?}", module.headers);
        }
    }
}
