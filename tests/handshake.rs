//! The first request of a session, to the letter.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Raw, Server, Transport, handshake_of};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const ORIGIN: &str = "http://localhost:4200";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_is_what_curl_is_promised() {
    let server = Server::start().await;
    for path in [POLLING, "/socket.io?EIO=4&transport=polling", "/socket.io/?transport=polling&t=abc&EIO=4"] {
        let answer = server.http.get(path).await;
        assert_eq!(answer.status, 200);
        let sid = handshake_of(&answer.text)["sid"].as_str().unwrap().to_owned();
        assert!(sid.len() >= 16, "{sid} can be guessed");
        let promised = format!(
            "0{{\"sid\":\"{sid}\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\
             \"pingTimeout\":20000,\"maxPayload\":1000000}}"
        );
        assert_eq!(answer.text, promised);
        assert_eq!(answer.header("content-type"), "text/plain; charset=UTF-8");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_begins_as_a_websocket_has_nothing_to_upgrade_to() {
    let server = Server::start().await;
    let (_line, open) = Raw::websocket(server.address).await;
    let sid = handshake_of(&open)["sid"].as_str().unwrap().to_owned();
    let promised = format!(
        "0{{\"sid\":\"{sid}\",\"upgrades\":[],\"pingInterval\":25000,\
         \"pingTimeout\":20000,\"maxPayload\":1000000}}"
    );
    assert_eq!(open, promised);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_never_share_an_id() {
    let server = Server::start().await;
    let first = server.http.get(POLLING).await;
    let second = server.http.get(POLLING).await;
    assert_ne!(handshake_of(&first.text)["sid"], handshake_of(&second.text)["sid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_is_refused_in_json() {
    let server = Server::start().await;
    for path in [
        "/socket.io/?EIO=3&transport=polling",
        "/socket.io/?EIO=5&transport=polling",
        "/socket.io/?EIO=abc&transport=polling",
        "/socket.io/?transport=polling",
        "/socket.io/?EIO=4",
        "/socket.io/",
        "/socket.io/?EIO=4&transport=",
        "/socket.io/?EIO=4&transport=carrier-pigeon",
        "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA",
        "/socket.io/?EIO=4&transport=polling&sid=short",
        "/socket.io/?EIO=4&transport=polling&sid=",
        "/socket.io/?EIO=4&transport=polling&sid=%00%ff",
    ] {
        let answer = server.http.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        let told = answer.json();
        assert!(told.get("code").is_some() && told["message"].is_string(), "{path}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_with_a_get() {
    let server = Server::start().await;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let request = server.http.request(method.parse().unwrap(), POLLING);
        let answer = Answer::to(request.body("40")).await;
        assert_eq!(answer.status, 400, "{method}: {}", answer.text);
        assert!(answer.json()["message"].is_string(), "{method}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_without_an_upgrade_is_refused_as_by_socket_ios_own_server() {
    let server = Server::start().await;
    let open = server.http.get("/socket.io/?EIO=4&transport=polling").await;
    let sid = handshake_of(&open.text)["sid"].as_str().unwrap().to_owned();
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let asks = format!("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n{key}");
    for path in [
        "/socket.io/?EIO=4&transport=websocket".to_owned(),
        format!("/socket.io/?transport=websocket&EIO=4&sid={sid}"),
    ] {
        for (headers, version) in [
            (key.to_owned(), "1.1"),
            (format!("Upgrade: websocket\r\n{key}"), "1.1"),
            (format!("Upgrade: websocket\r\nConnection: close\r\n{key}"), "1.1"),
            (format!("Connection: Upgrade\r\n{key}"), "1.1"),
            (format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{key}"), "1.1"),
            (asks.clone(), "1.0"),
            (asks.replace("ZQ==", "ZQ="), "1.1"),
            (asks.replace("dGhl", "dG-l"), "1.1"),
            (format!("{asks}\r\nSec-WebSocket-Protocol: chat, chat"), "1.1"),
        ] {
            let mut line = Raw::connect(server.address).await;
            let request = format!("GET {path} HTTP/{version}\r\nHost: x\r\n{headers}\r\n\r\n");
            line.send(request.as_bytes()).await;
            let (head, body) = line.answer().await;
            assert!(head.split(' ').nth(1) == Some("400"), "{headers}: {head}");
            let refusal: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(refusal["code"], 3, "{headers}: {body}");
        }
    }
    // The session has not suffered, and the right headers are accepted.
    let mut line = Raw::connect(server.address).await;
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    assert!(line.upgrades(&path, &[]).await.starts_with("HTTP/1.1 101 "));
    line.says("2probe").await;
    line.hears("3probe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_subprotocol_is_agreed_on_and_no_extension() {
    let server = Server::start().await;
    for (offer, agreed) in [
        (&["Sec-WebSocket-Protocol: chat, superchat"][..], Some("chat")),
        (&["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"], Some("a")),
        (&["Sec-WebSocket-Extensions: permessage-deflate"], None),
        (&[], None),
    ] {
        let mut line = Raw::connect(server.address).await;
        let head = line.upgrades("/socket.io/?EIO=4&transport=websocket", offer).await.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
        let found = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(found, agreed, "{offer:?}");
        assert!(line.text().await.starts_with("0{"), "frames follow as usual");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_only_begins_alike_is_another() {
    let server = Server::start().await;
    server.http.get("/socket.io-x/?EIO=4&transport=polling").await.is_refused(404, "not_found");
    server.http.get("/socket.iox?EIO=4&transport=polling").await.is_refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_strange_origin_is_refused_by_every_transport() {
    let server = Server::start().await;
    for origin in
        ["http://evil.example", "null", "http://localhost:4200.evil.example", "HTTP://LOCALHOST:4200"]
    {
        let request = server.http.request(http::Method::GET, POLLING).header("origin", origin);
        let answer = Answer::to(request).await;
        answer.is_refused(403, "forbidden");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");

        let mut line = Raw::connect(server.address).await;
        let origin = format!("Origin: {origin}");
        let head = line.upgrades("/socket.io/?EIO=4&transport=websocket", &[&origin]).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{origin}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_vouch_for_a_strange_origin_later() {
    let server = Server::start().await;
    let open = server.http.get(POLLING).await;
    let path = format!("{POLLING}&sid={}", handshake_of(&open.text)["sid"].as_str().unwrap());
    let post = server.http.request(http::Method::POST, &path).header("origin", "http://evil.example");
    Answer::to(post.body("40/chat,{}")).await.is_refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_known_origin_may_read_the_answer() {
    let server = Server::start().await;
    let request = server.http.request(http::Method::GET, POLLING).header("origin", ORIGIN);
    let answer = Answer::to(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert!(answer.header("access-control-expose-headers").contains("auth-token"));

    let mut line = Raw::connect(server.address).await;
    let origin = format!("Origin: {ORIGIN}");
    let head = line.upgrades("/socket.io/?EIO=4&transport=websocket", &[&origin]).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_of_a_known_origin_is_answered() {
    let server = Server::start().await;
    let request = server
        .http
        .request(http::Method::OPTIONS, POLLING)
        .header("origin", ORIGIN)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = Answer::to(request).await;
    assert!(matches!(answer.status, 200 | 204), "{}", answer.status);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert!(answer.header("access-control-allow-methods").contains("POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_engine_can_be_read_by_a_known_origin() {
    let server = Server::start().await;
    let request = server.http.request(http::Method::GET, "/socket.io/?EIO=3&transport=polling");
    let answer = Answer::to(request.header("origin", ORIGIN)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_origin_is_let_in_unless_the_setting_says_no() {
    let server = Server::with(|config| config.cors.allow_missing_origin = false).await;
    server.http.get(POLLING).await.is_refused(403, "forbidden");
    let request = server.http.request(http::Method::GET, POLLING).header("origin", ORIGIN);
    assert_eq!(Answer::to(request).await.status, 200);
    // What is asked by machines is not asked by pages.
    server.http.get("/healthz").await.is(200);
    assert_eq!(server.http.get("/readyz").await.json(), json!({ "status": "ok" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_head_has_a_size_and_a_time() {
    let server = Server::with(|config| {
        config.server.head_timeout = Duration::from_millis(300);
        config.server.keep_alive_timeout = Duration::from_millis(400);
    })
    .await;
    let mut long = Raw::connect(server.address).await;
    let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(400_000));
    long.send(head.as_bytes()).await;
    let refused = long.head().await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");

    // One that says nothing, one that stops half-way, one that has been answered and is idle.
    let mut silent = Raw::connect(server.address).await;
    let mut stuck = Raw::connect(server.address).await;
    stuck.send(b"GET /healthz HTTP/1.1\r\nHo").await;
    let mut idle = Raw::connect(server.address).await;
    idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(idle.head().await.starts_with("HTTP/1.1 200"));
    for line in [&mut silent, &mut stuck, &mut idle] {
        line.closes().await;
    }
    // A websocket is no request any more.
    let ada = server.online("ada").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    ada.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_polling_client_says_has_to_be_there_in_time() {
    let server = Server::with(|config| config.server.request_timeout = Duration::from_secs(3)).await;
    let opened = server.http.get(POLLING).await;
    let sid = handshake_of(&opened.text)["sid"].as_str().unwrap().to_owned();
    let mut slow = Raw::connect(server.address).await;
    let head = format!("POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n40/");
    slow.send(head.as_bytes()).await;
    let refused = slow.head().await;
    assert!(refused.starts_with("HTTP/1.1 408"), "{refused}");
    // Who only waits for what is said may wait for longer.
    let ada = server.person("ada").await.connect_by(Transport::Polling).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    ada.is_alive().await;
}
