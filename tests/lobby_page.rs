//! The lobby page: a token in its address opens it, a cookie keeps it open, and an owner's own page can
//! take its place.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use http::Method;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::harness::{Answer, Http, Person, Server, keys_of};

/// A request with a cookie and nothing else.
async fn with_cookie(http: &Http, path: &str, cookie: &str) -> Answer {
    Answer::to(http.request(Method::GET, path).header("cookie", cookie)).await
}

/// That it is this dialect's refusal, and shows nothing of the page.
#[track_caller]
fn is_refused(answer: &Answer, status: u16, code: &str) -> Json {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let refusal = answer.json();
    assert_eq!(refusal["code"], code, "{refusal}");
    assert!(refusal["message"].as_str().is_some_and(|message| message.contains(' ')), "{refusal}");
    assert!(refusal.get("type").is_none() && refusal.get("detail").is_none(), "{refusal}");
    assert!(answer.headers.get("set-cookie").is_none());
    refusal
}

#[track_caller]
fn is_page(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
}

/// The seconds that a login cookie lives, after its value and attributes were checked.
#[track_caller]
fn lives(answer: &Answer, token: &str) -> i64 {
    let cookie = answer.header("set-cookie");
    let attributes = format!("chatToken={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age=");
    let seconds = cookie.strip_prefix(&attributes).unwrap_or_else(|| panic!("{cookie}"));
    seconds.parse().unwrap()
}

fn seconds_until(expires_at: &Json, now: DateTime<Utc>) -> i64 {
    let expires_at: DateTime<Utc> = expires_at.as_str().unwrap().parse().unwrap();
    (expires_at - now).num_seconds()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_page_and_becomes_the_cookie() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let answer = server.http.get(&format!("/?jwt={}", ada.token)).await;
    is_page(&answer);
    lives(&answer, &ada.token);
    assert!(!answer.text.contains(&*ada.token));
    assert!(answer.header("content-security-policy").contains("script-src 'self';"));
    assert_eq!(answer.header("auth-token"), "", "the page needs none that it could read");

    let cookie = format!("chatToken={}", ada.token);
    let again = with_cookie(&server.http, "/?jwt=", &cookie).await;
    is_page(&again);
    assert_eq!(again.text, answer.text);
    assert!(again.headers.get("set-cookie").is_none());
    // What the cookie is for.
    let session = with_cookie(&server.http, "/api/auth/session", &cookie).await.is(200);
    assert_eq!(session["user"]["username"], "ada");

    let head = Answer::to(server.http.request(Method::HEAD, &format!("/?jwt={}", ada.token))).await;
    is_page(&head);
    assert_eq!(head.text, "");
    lives(&head, &ada.token);
    let head = Answer::to(server.http.request(Method::HEAD, "/?jwt=")).await;
    assert_eq!((head.status, &*head.text), (401, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_lives_as_long_as_the_token_has_left() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    server.clock.advance(chrono::TimeDelta::minutes(45));
    let session = ada.get("/api/auth/session").await.is(200);
    let left = lives(&server.http.get(&format!("/?jwt={}", ada.token)).await, &ada.token);
    let expected = seconds_until(&session["expiresAt"], server.clock.now());
    assert!((left - expected).abs() <= 1 && left < 15 * 60, "{left} s, and not {expected} s");
    // Past its end, but within what clocks may differ, a token is good, and must not be taken back.
    server.clock.advance(chrono::TimeDelta::seconds(expected + 2));
    let answer = server.http.get(&format!("/?jwt={}", ada.token)).await;
    assert_eq!(lives(&answer, &ada.token), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_there_is_no_page() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let cookie = format!("chatToken={}", ada.token);
    for path in ["/?jwt=", "/?jwt", "/?other=x&jwt="] {
        is_refused(&server.http.get(path).await, 401, "token_missing");
    }
    for path in ["/?jwt=undefined", "/?jwt=a.b.c", "/?jwt=%ff", "/?jwt=bad&jwt=bad"] {
        is_refused(&server.http.get(path).await, 401, "token_invalid");
        // A good cookie does not help a bad token.
        is_refused(&with_cookie(&server.http, path, &cookie).await, 401, "token_invalid");
    }
    is_refused(&with_cookie(&server.http, "/?jwt=", "chatToken=bad").await, 401, "token_invalid");
    bob.logs_out().await;
    let opened = format!("/?jwt={}", bob.token);
    is_refused(&server.http.get(&opened).await, 401, "token_revoked");
    is_refused(&with_cookie(&server.http, &opened, &cookie).await, 401, "token_revoked");
    is_refused(
        &with_cookie(&server.http, "/?jwt=", &format!("chatToken={}", bob.token)).await,
        401,
        "token_revoked",
    );
    // The token of the link wins over another's cookie.
    let carl = server.person("carl").await;
    let answer = with_cookie(&server.http, &format!("/?jwt={}", carl.token), &cookie).await;
    is_page(&answer);
    lives(&answer, &carl.token);

    server.clock.advance(chrono::TimeDelta::hours(2));
    is_refused(&server.http.get(&format!("/?jwt={}", ada.token)).await, 401, "token_expired");
    is_refused(&with_cookie(&server.http, "/?jwt=", &cookie).await, 401, "token_expired");
    let answer = server.http.post("/", json!({})).await;
    is_refused(&answer, 405, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_brings_its_script_and_styles_and_needs_nothing_from_elsewhere() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let page = server.http.get(&format!("/?jwt={}", ada.token)).await;
    let addresses = page.text.split("src=\"").chain(page.text.split("href=\"")).skip(1);
    let mut found = Vec::new();
    for address in addresses.filter_map(|rest| rest.split('"').next()).filter(|text| text.starts_with('/')) {
        found.push(address);
    }
    for needed in ["/socket.io/socket.io.js", "/lobby.js", "/lobby.css"] {
        assert!(found.contains(&needed), "{needed} is not among {found:?}");
    }
    for (path, kind) in [("/lobby.js", "text/javascript"), ("/lobby.css", "text/css")] {
        let file = server.http.get(path).await;
        assert_eq!(file.status, 200);
        assert!(file.header("content-type").starts_with(kind), "{}", file.header("content-type"));
        assert_eq!(file.header("x-content-type-options"), "nosniff");
    }
    let script = server.http.get("/lobby.js").await.text;
    assert!(script.contains("history.replaceState") && script.contains("textContent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_gives_a_token_to_open_the_page_with() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let login = |name: &str, password: &str| json!({ "userID": name, "password": password });
    let password = Person::password_of("ada");
    let answer = server.http.post("/auth/login", login("ada", &password)).await;
    let body = answer.is(200);
    assert_eq!(keys_of(&body), ["jwtToken"]);
    let token = body["jwtToken"].as_str().unwrap();
    assert_eq!(answer.header("auth-token"), token);
    assert_eq!(lives(&answer, token), 3600);
    assert_ne!(token, &*ada.token, "a login of its own");
    is_page(&server.http.get(&format!("/?jwt={token}")).await);

    for wrong in [login("ada", "wrong"), login("nobody", &password), login("", ""), login("a\0b", "x")] {
        let refusal = is_refused(&server.http.post("/auth/login", wrong).await, 401, "unauthorized");
        assert_eq!(refusal["message"], "Wrong username or password");
    }
    for (wrong, field) in [
        (json!({ "password": password }), "userID"),
        (json!({ "userID": "ada" }), "password"),
        (json!({ "userID": 7, "password": password }), "userID"),
        (json!({ "userID": null, "password": password }), "userID"),
    ] {
        let refusal = is_refused(&server.http.post("/auth/login", wrong).await, 400, "bad_request");
        assert_eq!(refusal["field"], field, "{refusal}");
    }
    let request = server.http.request(Method::POST, "/auth/login");
    is_refused(
        &Answer::to(request.header("content-type", "application/json").body("{")).await,
        400,
        "bad_request",
    );
    is_refused(&server.http.get("/auth/login").await, 405, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_counted_together_with_those_of_the_other_login() {
    let server = Server::start().await;
    server.person("ada").await;
    let wrong = json!({ "userID": "ada", "password": "wrong" });
    for _ in 0..3 {
        is_refused(&server.http.post("/auth/login", wrong.clone()).await, 401, "unauthorized");
        // The same login by another name.
        Person::tries_to_log_in(&server, "ada", "wrong").await;
    }
    let answer = server.http.post("/auth/login", wrong).await;
    let refusal = is_refused(&answer, 429, "rate_limited");
    assert!(refusal["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0), "{refusal}");
    assert!(!answer.header("retry-after").is_empty());
    let right = json!({ "userID": "ada", "password": Person::password_of("ada") });
    is_refused(&server.http.post("/auth/login", right).await, 429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_are_kept_out_and_listed_ones_may_read() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let from = |method: Method, path: &str, origin: &str| {
        let request = server.http.request(method, path).header("origin", origin);
        request.json(&json!({ "userID": "ada", "password": Person::password_of("ada") }))
    };
    let opened = format!("/?jwt={}", ada.token);
    for (method, path) in [(Method::GET, &*opened), (Method::POST, "/auth/login")] {
        let evil = Answer::to(from(method.clone(), path, "https://evil.example.com")).await;
        evil.is_refused(403, "forbidden");
        assert!(evil.headers.get("set-cookie").is_none());
        let listed = Answer::to(from(method, path, "http://localhost:3000")).await;
        assert_eq!(listed.status, 200);
        assert_eq!(listed.header("access-control-allow-origin"), "http://localhost:3000");
        assert_eq!(listed.header("access-control-allow-credentials"), "true");
    }
    let refused = server.http.request(Method::POST, "/auth/login").header("origin", "http://localhost:3000");
    let refused = Answer::to(refused.json(&json!({ "userID": "ada", "password": "wrong" }))).await;
    is_refused(&refused, 401, "unauthorized");
    assert_eq!(refused.header("access-control-allow-origin"), "http://localhost:3000", "pages may read it");
}

/// A folder with a page, and a file outside that nobody may see.
struct Site {
    around: TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { around: TempDir::new().unwrap() };
        for (name, text) in [
            ("secret.txt", "outside"),
            ("page/index.html", "<title>mine</title><script>io()</script>"),
            ("page/app.js", "// app"),
            ("page/css/the page.css", "/* styles */"),
            ("page/css/index.html", "a page below"),
            ("page/.env", "hidden"),
            ("page/.git/config", "hidden"),
            ("page/api/users", "shadow"),
            ("page/api/mine.json", "shadow"),
            ("page/web/login", "shadow"),
            ("page/docs/index.html", "shadow"),
            ("page/openapi.json", "shadow"),
            ("page/socket.io/x.js", "shadow"),
            ("page/auth/login", "shadow"),
            ("page/metrics", "shadow"),
        ] {
            let file = site.around.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        site
    }

    fn page(&self) -> &Path {
        self.around.path()
    }

    async fn served(&self) -> Server {
        let folder = self.page().join("page");
        Server::with(|config| config.dialects.lobby_page = Some(folder)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owners_page_takes_the_place_of_ours_with_the_files_beside_it() {
    let site = Site::new();
    let server = site.served().await;
    let ada = server.person("ada").await;
    is_refused(&server.http.get("/?jwt=").await, 401, "token_missing");
    is_refused(&server.http.get("/?jwt=bad").await, 401, "token_invalid");
    let answer = server.http.get(&format!("/?jwt={}", ada.token)).await;
    is_page(&answer);
    lives(&answer, &ada.token);
    assert_eq!(answer.text, "<title>mine</title><script>io()</script>");
    let policy = answer.header("content-security-policy");
    for needed in
        ["script-src 'self' 'unsafe-inline'", "style-src 'self' 'unsafe-inline'", "connect-src 'self'"]
    {
        assert!(policy.contains(needed), "{needed} is not in {policy}");
    }
    // Changed while the server runs.
    fs::write(site.page().join("page/index.html"), "new").unwrap();
    let again = with_cookie(&server.http, "/?jwt=", &format!("chatToken={}", ada.token)).await;
    is_page(&again);
    assert_eq!(again.text, "new");

    for (path, kind, text) in [
        ("/app.js", "text/javascript", "// app"),
        ("/css/the%20page.css", "text/css", "/* styles */"),
        ("/css/index.html", "text/html", "a page below"),
    ] {
        let file = server.http.get(path).await;
        assert_eq!((file.status, &*file.text), (200, text), "{path}");
        assert!(file.header("content-type").starts_with(kind), "{path}: {}", file.header("content-type"));
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        let head = Answer::to(server.http.request(Method::HEAD, path)).await;
        assert_eq!((head.status, &*head.text), (200, ""), "{path}");
    }
    server.http.get("/lobby.js").await.is_refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owners_page_shows_no_more_than_was_put_there_to_be_shown() {
    let site = Site::new();
    let page = site.page().join("page");
    #[cfg(unix)]
    for (link, target) in [
        ("linked.txt", "../secret.txt"),
        ("around", ".."),
        ("plain.txt", ".env"),
        ("other.html", "index.html"),
        ("nowhere.txt", "not there"),
    ] {
        std::os::unix::fs::symlink(target, page.join(link)).unwrap();
    }
    let server = site.served().await;
    for path in [
        "/index.html",
        "/%69ndex.html",
        "/other.html",
        "/css",
        "/css/",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/plain.txt",
        "/linked.txt",
        "/around/secret.txt",
        "/nowhere.txt",
        "/not-there.txt",
        "/app.js/x",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/css%2f..%2f..%2fsecret.txt",
        "/%00",
    ] {
        let answer = Answer::to(server.http.request(Method::GET, path)).await;
        answer.is_refused(404, "not_found");
    }
    let written = server.http.post("/app.js", json!({})).await;
    written.is_refused(404, "not_found");
    // A client would tidy this address up before it asks.
    let raw = raw_get(&server, "/../secret.txt").await;
    assert!(raw.starts_with("HTTP/1.1 404 ") && !raw.contains("outside"), "{raw}");
    let raw = raw_get(&server, "//etc/passwd").await;
    assert!(raw.starts_with("HTTP/1.1 404 "), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owners_page_is_in_nobodys_way() {
    let site = Site::new();
    let folder = site.page().join("page");
    let server = Server::with(|config| {
        config.dialects.lobby_page = Some(folder);
        config.dialects.angular = false;
    })
    .await;
    let ada = server.person("ada").await;
    assert!(ada.get("/api/users").await.is(200).to_string().contains("\"ada\""));
    assert!(ada.get("/openapi.json").await.is(200)["paths"].is_object());
    assert_eq!(server.http.get("/healthz").await.status, 200);
    for path in ["/api/mine.json", "/web/login", "/socket.io/x.js", "/docs/x"] {
        let answer = server.http.get(path).await;
        assert!(answer.status == 404 && !answer.text.contains("shadow"), "{path}: {}", answer.text);
    }
    for path in ["/docs/index.html", "/docs/", "/metrics", "/auth/login"] {
        assert!(!server.http.get(path).await.text.contains("shadow"), "{path}");
    }
    server.http.get("/api/nowhere").await.is_refused(404, "not_found");
    server.http.post("/nowhere", json!({})).await.is_refused(404, "not_found");
    ada.connect().await.asks("lobbyMessage", json!({ "content": "hi" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_none_of_it_is_there() {
    let server = Server::with(|config| {
        config.dialects.lobby = false;
        config.web.enabled = false;
    })
    .await;
    let ada = server.person("ada").await;
    for path in ["/", &format!("/?jwt={}", ada.token), "/lobby.js", "/lobby.css", "/auth/login"] {
        ada.get(path).await.is_refused(404, "not_found");
    }
    let login = json!({ "userID": "ada", "password": Person::password_of("ada") });
    server.http.post("/auth/login", login).await.is_refused(404, "not_found");
    ada.connect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_web_client_the_page_has_the_address_to_itself() {
    let server = Server::with(|config| config.web.enabled = false).await;
    let ada = server.person("ada").await;
    for path in ["/", "/?other=x"] {
        is_refused(&server.http.get(path).await, 401, "token_missing");
        let page = with_cookie(&server.http, path, &format!("chatToken={}", ada.token)).await;
        is_page(&page);
        assert!(page.text.contains("lobby.js"));
    }
}

/// The whole answer to an address exactly as it stands here.
async fn raw_get(server: &Server, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut line = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address);
    line.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.unwrap();
    answer
}
