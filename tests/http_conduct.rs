//! HTTP to the letter: what proxies and servers must not understand differently, and how much of a
//! request is waited for.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Raw, Server, handshake_of, in_time};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// All that is answered to these bytes; the server hangs up by itself.
async fn answers_to(server: &Server, request: &str) -> String {
    let mut line = Raw::connect(server.address).await;
    line.send(request.as_bytes()).await;
    line.everything().await
}

fn count(answers: &str) -> usize {
    answers.matches("HTTP/1.1 ").count()
}

/// A request behind a body whose end can be understood in two ways is never answered: nobody gets a
/// request in under another's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_cannot_be_smuggled_in_behind_another() {
    let server = Server::start().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{smuggled}");
    let length = chunked.len();
    for (told, head, body, refused) in [
        (
            "both",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            chunked.clone(),
            false,
        ),
        (
            "both, turned",
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
            chunked.clone(),
            false,
        ),
        (
            "both, short",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            chunked.clone(),
            false,
        ),
        (
            "two lengths",
            format!("Content-Length: 0\r\nContent-Length: {}\r\n", smuggled.len()),
            smuggled.to_owned(),
            true,
        ),
        (
            "a list of lengths",
            format!("Content-Length: 0, {}\r\n", smuggled.len()),
            smuggled.to_owned(),
            true,
        ),
        ("a signed length", "Content-Length: +0\r\n".to_owned(), smuggled.to_owned(), true),
        ("a negative length", "Content-Length: -1\r\n".to_owned(), smuggled.to_owned(), true),
        ("not chunked at last", "Transfer-Encoding: chunked, identity\r\n".to_owned(), chunked.clone(), true),
        ("not chunked", "Transfer-Encoding: xchunked\r\n".to_owned(), chunked.clone(), true),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n".to_owned(), chunked.clone(), true),
        ("a folded line", "X: y\r\n Transfer-Encoding: chunked\r\n".to_owned(), chunked.clone(), true),
        (
            "a chunk of no size",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("g\r\n\r\n{smuggled}"),
            false,
        ),
    ] {
        for path in ["/api/auth/login", POLLING] {
            let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n{body}");
            let answers = answers_to(&server, &request).await;
            assert_eq!(count(&answers), 1, "{told}: {answers}");
            assert!(answers.starts_with("HTTP/1.1 4"), "{told}: {answers}");
            assert!(!refused || answers.starts_with("HTTP/1.1 400 "), "{told}: {answers}");
        }
    }
    let old = format!("POST /api/auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
    let answers = answers_to(&server, &old).await;
    assert_eq!(count(&answers), 1, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_one_go_are_answered_each_and_in_order() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let ask = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    let together = [
        ask("/healthz", ""),
        ask("/api/auth/session", &format!("Authorization: Bearer {}\r\n", ada.token)),
        // Nothing of a request is left for the next one on the line.
        ask("/api/auth/session", ""),
        ask("/api/nowhere", "Connection: close\r\n"),
        ask("/healthz", ""),
    ];
    let answers = answers_to(&server, &together.concat()).await;
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "401", "404"], "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_with_an_upgrade_is_frames_and_no_request() {
    let server = Server::start().await;
    let upgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answers = answers_to(&server, &format!("{upgrade}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(answers.starts_with("HTTP/1.1 101 "), "{answers}");
    assert_eq!(count(&answers), 1, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_spoken_in_version_13() {
    let server = Server::start().await;
    let open = server.http.get(POLLING).await;
    let sid = handshake_of(&open.text)["sid"].as_str().unwrap().to_owned();
    for path in [
        "/socket.io/?EIO=4&transport=websocket".to_owned(),
        format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"),
    ] {
        for version in [
            "Sec-WebSocket-Version: 8\r\n",
            "Sec-WebSocket-Version: 14\r\n",
            "Sec-WebSocket-Version: x\r\n",
            "",
        ] {
            let mut line = Raw::connect(server.address).await;
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{version}\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            line.send(request.as_bytes()).await;
            let head = line.head().await.to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 426 "), "{version:?}: {head}");
            assert!(head.contains("sec-websocket-version: 13\r\n"), "{version:?}: {head}");
            assert!(head.contains("upgrade: websocket\r\n"), "{version:?}: {head}");
        }
    }
    // The session has not suffered.
    let post = server.http.request(http::Method::POST, &format!("{POLLING}&sid={sid}"));
    Answer::to(post.body("1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_of_frames_is_never_agreed_on() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let mut line = Raw::connect(server.address).await;
    let offer =
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame";
    let head = line.upgrades("/socket.io/?EIO=4&transport=websocket", &[offer]).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && !head.contains("sec-websocket-extensions"), "{head}");
    line.text().await;
    line.joins(&ada.token).await;
    // What only looks compressed is against the protocol then.
    line.frame(0xc1, &[0xca, 0x49, 0xcd, 0xc9, 0xc9, 0x07, 0x00]).await;
    line.closes().await;
    // Nor is a compressed body unpacked.
    let body = server.http.request(http::Method::POST, "/api/auth/login");
    let body = body.header("content-type", "application/json").header("content-encoding", "gzip");
    Answer::to(body.body(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])).await.is_refused(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_headers_is_refused() {
    let server = Server::start().await;
    for headers in [
        (0..500).map(|number| format!("X-{number}: y\r\n")).collect::<String>(),
        format!("X: {}\r\n", "y".repeat(400_000)),
        format!("Cookie: {}\r\n", "a=b; ".repeat(80_000)),
    ] {
        for path in ["/healthz", POLLING] {
            let answers =
                answers_to(&server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
            assert!(answers.starts_with("HTTP/1.1 431 "), "{answers}");
        }
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    let answers = answers_to(&server, &long).await;
    assert!(answers.starts_with("HTTP/1.1 414 ") || answers.starts_with("HTTP/1.1 431 "), "{answers}");
    server.http.get("/healthz").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::with(|config| config.server.request_timeout = Duration::from_secs(3)).await;
    let ada = server.online("ada").await;
    let mut lines = Vec::new();
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        for path in ["/api/auth/login", "/api/users", "/auth/login", "/web/login"] {
            let mut line = Raw::connect(server.address).await;
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}\r\n\r\n1\r\n"
            );
            line.send(request.as_bytes()).await;
            lines.push(line);
        }
    }
    // Others are served meanwhile.
    ada.is_alive().await;
    server.http.get("/healthz").await.is(200);
    for line in &mut lines {
        let head = line.head().await;
        assert!(head.starts_with("HTTP/1.1 503 ") || head.starts_with("HTTP/1.1 408 "), "{head}");
        in_time("the end of the line", line.everything()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_its_asker_may_see_is_never_cached() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let login = json!({ "username": "ada", "password": crate::harness::Person::password_of("ada") });
    for answer in [
        server.http.post("/api/auth/login", login.clone()).await,
        server.http.post("/auth/login", json!({ "userID": "ada", "password": "wrong" })).await,
        server.http.post("/web/login", json!({ "username": "ada" })).await,
        ada.get("/web/loggedIn").await,
        ada.post("/api/auth/tickets", json!({})).await,
        ada.post("/api/auth/refresh", json!({})).await,
        ada.get("/api/auth/session").await,
        server.http.get("/api/auth/session").await,
        server.http.get(&format!("/?jwt={}", ada.token)).await,
        server.http.get("/?jwt=bad").await,
        server.http.get(POLLING).await,
        server.http.get(&format!("{POLLING}&sid=AAAAAAAAAAAAAAAA")).await,
        ada.get("/api/rooms/mine").await,
        ada.post("/api/auth/logout", json!({})).await,
    ] {
        assert_eq!(answer.header("cache-control"), "no-store", "{} {}", answer.status, answer.text);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{} {}", answer.status, answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_methods_are_not_answered_with_what_was_asked() {
    let server = Server::start().await;
    for method in ["TRACE", "CONNECT", "BREW", "get"] {
        for path in ["/healthz", "/api/auth/session", "/"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nCookie: chatToken=a-secret\r\nConnection: close\r\n\r\n"
            );
            let answers = answers_to(&server, &request).await;
            assert!(answers.starts_with("HTTP/1.1 4"), "{method} {path}: {answers}");
            assert!(!answers.contains("a-secret"), "{method} {path}: {answers}");
        }
    }
}
