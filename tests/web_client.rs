//! The web client at `/`: its files, what it asks for first, and pages where people would see a refusal.

use std::{collections::BTreeSet, fs};

use http::Method;
use serde_json::json;

use crate::harness::{Answer, Http, Server};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The most that a first visit may load, compressed, without the Socket.IO client.
const FIRST_VISIT: usize = 60 * 1024;

async fn with(http: &Http, path: &str, name: &str, value: &str) -> Answer {
    Answer::to(http.request(Method::GET, path).header(name, value)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_the_client_whoever_asks() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let cookie = format!("chatToken={}", ada.token);
    let plain = server.http.get("/").await;
    for answer in [
        &plain,
        &with(&server.http, "/?a=b", "accept", BROWSER).await,
        &with(&server.http, "/", "cookie", &cookie).await,
        &with(&server.http, "/", "cookie", "chatToken=bad").await,
        &ada.get("/").await,
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert!(answer.header("content-security-policy").contains("script-src 'self';"));
        assert!(answer.headers.get("set-cookie").is_none());
        assert_eq!(answer.text, plain.text);
    }
    let tag = plain.header("etag");
    let again = with(&server.http, "/", "if-none-match", tag).await;
    assert_eq!((again.status, &*again.text, again.header("etag")), (304, "", tag));
    let head = Answer::to(server.http.request(Method::HEAD, "/")).await;
    assert_eq!((head.status, &*head.text), (200, ""));
    assert_eq!(head.header("content-length"), plain.text.len().to_string());
    server.http.post("/app.js", json!({})).await.is_refused(404, "not_found");
    // A link with a token is the lobby page's.
    assert_eq!(server.http.get("/?jwt=bad").await.is(401)["code"], "token_invalid");
    let refused = with(&server.http, "/?jwt=bad", "accept", BROWSER).await;
    assert_eq!(refused.is(401)["code"], "token_invalid");
}

/// What a text names between these two, in its order.
fn named<'a>(text: &'a str, before: &str, after: char) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// The address that a module names, seen from the module.
fn resolved(from: &str, name: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_visit_loads_little_and_names_all_its_modules_at_once() {
    let server = Server::start().await;
    let page = server.http.get("/").await.text;
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("http"), "{page}");
    for script in named(&page, "<script", '/') {
        assert!(script.contains("src=\""), "no script stands in the page: {script}");
    }
    let mut wanted = vec!["/app.js".to_owned()];
    let mut modules = BTreeSet::new();
    while let Some(module) = wanted.pop() {
        let answer = server.http.get(&module).await;
        assert_eq!(answer.status, 200, "{module}");
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8", "{module}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.text.lines().count() <= 230, "{module} is long");
        for unsafe_word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write"] {
            assert!(!answer.text.contains(unsafe_word), "{module} has {unsafe_word}");
        }
        for line in answer.text.lines().filter(|line| line.starts_with("import ")) {
            let name = named(line, " from '", '\'')[0];
            wanted.push(resolved(&module, name));
        }
        modules.insert(module);
        wanted.retain(|module| !modules.contains(module));
    }
    let preloaded: BTreeSet<String> =
        named(&page, "rel=\"modulepreload\" href=\"", '"').into_iter().map(str::to_owned).collect();
    let expected: BTreeSet<String> = modules.iter().filter(|name| *name != "/app.js").cloned().collect();
    assert_eq!(preloaded, expected, "the page names the modules of the first visit");
    let mut files: Vec<String> = modules.into_iter().collect();
    files.extend(["/", "/parlor.json", "/connect/plain.js", "/worker.js"].map(str::to_owned));
    files.extend(named(&page, "rel=\"stylesheet\" href=\"", '"').into_iter().map(str::to_owned));
    files.extend(named(&page, "rel=\"icon\" href=\"", '"').into_iter().map(str::to_owned));
    let mut bytes = 0;
    for file in &files {
        let request = server.http.request(Method::GET, file).header("accept-encoding", "gzip");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{file}");
        let is_compressed = answer.headers().get("content-encoding").is_some_and(|coding| coding == "gzip");
        assert!(is_compressed || file == "/parlor.json", "{file}");
        bytes += answer.bytes().await.unwrap().len();
    }
    assert!(bytes <= FIRST_VISIT, "{bytes} bytes in {} files", files.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_browsers_need_can_be_had() {
    let server = Server::start().await;
    for path in [
        "/index.html",
        "/types.d.ts",
        "/jsconfig.json",
        "/package.json",
        "/node_modules/socket.io-client/package.json",
        "/node_modules/socket.io-client/build/esm/index.js",
        "/%2e%2e/Cargo.toml",
        "/..%2fsrc%2fmain.rs",
        "/view/",
        "/view",
        "/app.js/",
        "//app.js",
    ] {
        server.http.get(path).await.is_refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_learns_what_the_server_offers() {
    let package = tempfile::tempdir().unwrap();
    let folder = package.path().to_owned();
    let server = Server::with(|config| {
        config.auth.signup = false;
        config.dialects.websocket = false;
        config.server.client_folder = folder;
    })
    .await;
    let facts = server.http.get("/parlor.json").await;
    assert_eq!(facts.header("cache-control"), "no-store");
    let facts = facts.is(200);
    assert_eq!(facts["signUp"], false);
    assert_eq!(facts["webSocket"], false);
    assert_eq!(facts["hasCookie"], false);
    assert_eq!(facts["contentBytes"], 16384);
    assert_eq!(facts["version"], env!("CARGO_PKG_VERSION"));
    // As npm installs it, while the server runs.
    fs::create_dir(package.path().join("dist")).unwrap();
    fs::write(package.path().join("dist/socket.io.esm.min.js"), "").unwrap();
    fs::write(package.path().join("package.json"), json!({ "version": "4.8.4" }).to_string()).unwrap();
    let facts = with(&server.http, "/parlor.json", "cookie", "chatToken=x").await.is(200);
    assert_eq!((&facts["socketIo"], &facts["hasCookie"]), (&json!(true), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_refused_gets_a_page_and_a_program_gets_json() {
    let server = Server::start().await;
    for (path, status) in
        [("/nowhere", 404), ("/view/nowhere.js", 404), ("/ws", 426), ("/chat/ada", 426), ("/socket.io/", 400)]
    {
        for method in [Method::GET, Method::HEAD] {
            let request = server.http.request(method.clone(), path).header("accept", BROWSER);
            let page = Answer::to(request).await;
            assert_eq!(page.status, status, "{path}");
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
            assert!(page.header("content-security-policy").contains("script-src 'self'"), "{path}");
            assert_eq!(page.header("cache-control"), "no-store", "{path}");
            assert!(!page.text.contains("{\"") && !page.text.contains("{{"), "{path}: {}", page.text);
            assert_eq!(page.text.contains("<h1>"), method == Method::GET, "{path}");
        }
        let json = server.http.get(path).await;
        assert_eq!(json.status, status, "{path}");
        assert!(json.header("content-type").contains("json"), "{path}");
    }
    for (path, status) in
        [("/api/users", 401), ("/api/nowhere", 404), ("/web/nowhere", 404), ("/auth/nowhere", 404)]
    {
        let answer = with(&server.http, path, "accept", BROWSER).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "application/problem+json"),
            "{path}"
        );
    }
    let documents = with(&server.http, "/openapi.json", "accept", BROWSER).await;
    assert!(documents.is(200)["paths"].is_object());
    let posted = server.http.request(Method::POST, "/nowhere").header("accept", BROWSER);
    Answer::to(posted).await.is_refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_ones_own_takes_the_place_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "<title>mine</title>").unwrap();
    fs::create_dir(folder.path().join("assets")).unwrap();
    fs::write(folder.path().join("assets/app.js"), "// mine").unwrap();
    fs::write(folder.path().join(".env"), "secret").unwrap();
    let path = folder.path().to_owned();
    let server = Server::with(|config| config.web.folder = Some(path)).await;
    let page = server.http.get("/").await;
    assert_eq!((page.status, &*page.text), (200, "<title>mine</title>"));
    assert!(page.header("content-security-policy").contains("script-src 'self' 'unsafe-inline'"));
    // Pages of Angular name their base.
    assert!(page.header("content-security-policy").contains("base-uri 'self'"));
    let script = server.http.get("/assets/app.js").await;
    assert_eq!((script.status, &*script.text), (200, "// mine"));
    // Addresses that only the client knows.
    let inner = with(&server.http, "/rooms/7", "accept", BROWSER).await;
    assert_eq!((inner.status, &*inner.text), (200, "<title>mine</title>"));
    for path in ["/rooms/7", "/.env", "/%2e%2e/Cargo.toml", "/app.js", "/api/nowhere"] {
        server.http.get(path).await.is_refused(404, "not_found");
    }
    assert_eq!(server.http.get("/healthz").await.status, 200);
    assert_eq!(server.http.get("/parlor.json").await.is(200)["signUp"], true);
}
