//! Which pages may ask: the list of origins holds at every door, and a cookie alone changes nothing for a
//! page of another site.

use serde_json::json;

use crate::harness::{Person, Raw, Server, handshake_of};

const LISTED: &str = "http://localhost:4200";

/// What only looks like a listed origin.
const STRANGE: [&str; 12] = [
    "http://evil.example",
    "null",
    "",
    "*",
    "http://localhost:4200.evil.example",
    "http://evil.example/http://localhost:4200",
    "http://localhost:42000",
    "http://localhost",
    "https://localhost:4200",
    "HTTP://LOCALHOST:4200",
    "http://localhost:4200/",
    "http://sub.localhost:4200",
];

/// A request that opens or uses something, by method and path; as a websocket's handshake or not.
struct Door {
    method: &'static str,
    path: String,
    upgrades: bool,
}

/// Every handshake of every gateway, and routes of each family.
async fn doors(server: &Server, ada: &Person) -> Vec<Door> {
    let open = server.http.get("/socket.io/?EIO=4&transport=polling").await;
    let sid = handshake_of(&open.text)["sid"].as_str().unwrap().to_owned();
    let door = |method, path: String, upgrades| Door { method, path, upgrades };
    let token = &ada.token;
    vec![
        door("GET", "/socket.io/?EIO=4&transport=polling".into(), false),
        door("GET", "/socket.io?EIO=4&transport=polling".into(), false),
        door("POST", format!("/socket.io/?EIO=4&transport=polling&sid={sid}"), false),
        door("GET", "/socket.io/?EIO=4&transport=websocket".into(), true),
        door("GET", format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"), true),
        door("GET", format!("/?jwt={token}"), false),
        door("POST", "/auth/login".into(), false),
        door("POST", "/api/auth/login".into(), false),
        door("POST", "/api/users".into(), false),
        door("GET", format!("/api/auth/session?token={token}"), false),
        door("POST", format!("/api/auth/tickets?token={token}"), false),
        door("POST", format!("/api/auth/logout?token={token}x"), false),
        door("DELETE", format!("/api/users/ada?token={token}x"), false),
        door("GET", "/web/users".into(), false),
        door("POST", "/web/login".into(), false),
        door("GET", format!("/web/all/ada?token={token}"), false),
        door("GET", format!("/ws?token={token}"), true),
        door("GET", format!("/ws?ticket={}", ada.buys_a_ticket().await), true),
        door("GET", "/ws".into(), false),
        door("GET", format!("/chat/{}", ada.id()), true),
        door("GET", "/api/users/login/ada".into(), false),
        door("GET", format!("/api/users/{}/user", ada.id()), false),
    ]
}

/// The head of the answer.
async fn asks(server: &Server, door: &Door, headers: &[String]) -> String {
    let mut line = Raw::connect(server.address).await;
    if door.upgrades {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        return line.upgrades(&door.path, &headers).await;
    }
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!(
        "{} {} HTTP/1.1\r\nHost: localhost:4200\r\n{headers}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        door.method, door.path
    );
    line.send(request.as_bytes()).await;
    line.head().await
}

fn is_forbidden(head: &str) -> bool {
    head.starts_with("HTTP/1.1 403 ")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_is_closed_to_pages_of_other_origins() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for door in doors(&server, &ada).await {
        for origin in STRANGE {
            let head = asks(&server, &door, &[format!("Origin: {origin}")]).await;
            assert!(is_forbidden(&head), "{} {} for {origin:?}: {head}", door.method, door.path);
            let head = head.to_ascii_lowercase();
            assert!(!head.contains("access-control-allow-origin"), "{} for {origin:?}: {head}", door.path);
            assert!(head.contains("cache-control: no-store"), "{}: {head}", door.path);
        }
        // Two of them are as good as a strange one.
        let two = [format!("Origin: {LISTED}"), "Origin: http://evil.example".to_owned()];
        assert!(is_forbidden(&asks(&server, &door, &two).await), "{}", door.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_is_open_to_listed_origins_and_the_same_page_of_no_browser() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for door in doors(&server, &ada).await {
        for headers in [vec![format!("Origin: {LISTED}")], vec![]] {
            let head = asks(&server, &door, &headers).await;
            assert!(!is_forbidden(&head), "{} {} {headers:?}: {head}", door.method, door.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_door_is_open_without_an_origin_where_the_setting_says_so() {
    let server = Server::with(|config| config.cors.allow_missing_origin = false).await;
    let door = |method, path: &str, upgrades| Door { method, path: path.into(), upgrades };
    for door in [
        door("GET", "/socket.io/?EIO=4&transport=polling", false),
        door("GET", "/socket.io/?EIO=4&transport=websocket", true),
        door("POST", "/api/auth/login", false),
        door("GET", "/?jwt=x", false),
        door("POST", "/auth/login", false),
        door("POST", "/web/login", false),
        door("GET", "/ws?token=x", true),
        door("GET", "/chat/ada", true),
    ] {
        assert!(is_forbidden(&asks(&server, &door, &[]).await), "{}", door.path);
        // The server's own address is one, and what `Host` says does not make it one.
        let own = [format!("Origin: http://{}", server.address)];
        assert!(!is_forbidden(&asks(&server, &door, &own).await), "{}", door.path);
        let host =
            ["Origin: http://rebound.example".to_owned(), "X-Forwarded-Host: rebound.example".to_owned()];
        assert!(is_forbidden(&asks(&server, &door, &host).await), "{}", door.path);
        let listed = [format!("Origin: {LISTED}")];
        assert!(!is_forbidden(&asks(&server, &door, &listed).await), "{}", door.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_alone_changes_nothing_for_a_page_of_another_site() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let group = ada.makes_group("friends", &[]).await;
    let cookie = format!("Cookie: chatToken={}", ada.token);
    let by_cookie = |method: http::Method, path: &str| {
        server.http.request(method, path).header("cookie", format!("chatToken={}", ada.token))
    };
    // Its polling session was opened by the cookie alone.
    let open = by_cookie(http::Method::GET, "/socket.io/?EIO=4&transport=polling").send().await.unwrap();
    let sid = handshake_of(&open.text().await.unwrap())["sid"].as_str().unwrap().to_owned();
    let door = |method, path: String, upgrades| Door { method, path, upgrades };
    let doors = [
        door("POST", "/api/auth/logout".into(), false),
        door("POST", "/api/auth/refresh".into(), false),
        door("POST", "/api/auth/tickets".into(), false),
        door("POST", "/api/rooms".into(), false),
        door("POST", format!("/api/rooms/{group}/leave"), false),
        door("DELETE", format!("/api/rooms/{group}"), false),
        door("PATCH", "/api/users/ada".into(), false),
        door("PUT", "/api/users/ada".into(), false),
        door("DELETE", "/api/users/ada".into(), false),
        door("POST", "/web/group".into(), false),
        door("POST", format!("/socket.io/?EIO=4&transport=polling&sid={sid}"), false),
        door("GET", "/socket.io/?EIO=4&transport=websocket".into(), true),
        door("GET", "/ws".into(), true),
        door("GET", format!("/chat/{}", ada.id()), true),
    ];
    for door in &doors {
        // Some requests of pages bear no Origin, but no browser leaves this one out.
        for site in ["cross-site", "same-site", "nonsense"] {
            let headers = [cookie.clone(), format!("Sec-Fetch-Site: {site}")];
            let head = asks(&server, door, &headers).await;
            assert!(is_forbidden(&head), "{} {} {site}: {head}", door.method, door.path);
        }
    }
    ada.get("/api/auth/session").await.is(200);
    assert_eq!(ada.conversation(&group).await["roomId"], json!(group));
    // Our own page and a listed one may, and so may who shows the token besides.
    for headers in [
        vec![cookie.clone(), "Sec-Fetch-Site: same-origin".to_owned()],
        vec![cookie.clone(), "Sec-Fetch-Site: cross-site".to_owned(), format!("Origin: {LISTED}")],
        vec![
            cookie.clone(),
            format!("Authorization: Bearer {}", ada.token),
            "Sec-Fetch-Site: cross-site".to_owned(),
        ],
    ] {
        let head = asks(&server, &doors[2], &headers).await;
        assert!(head.starts_with("HTTP/1.1 201 "), "{headers:?}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_clients_and_own_pages_name_the_servers_own_address() {
    let public =
        |config: &mut parlor::config::Config| config.server.public_url = "https://chat.example.com".into();
    for server in [Server::start().await, Server::with(public).await] {
        let ada = server.person("ada").await;
        let port = server.address.port();
        let mut own = vec![
            format!("http://127.0.0.1:{port}"),
            format!("http://localhost:{port}"),
            format!("ws://127.0.0.1:{port}"),
        ];
        if !server.config.server.public_url.is_empty() {
            own.extend(["https://chat.example.com", "wss://chat.example.com"].map(str::to_owned));
        }
        for door in doors(&server, &ada).await {
            for origin in &own {
                let head = asks(&server, &door, &[format!("Origin: {origin}")]).await;
                assert!(!is_forbidden(&head), "{} {} for {origin}: {head}", door.method, door.path);
            }
        }
        let page = [format!("Origin: http://localhost:{port}"), format!("Cookie: chatToken={}", ada.token)];
        let ws = Door { method: "GET", path: "/ws".into(), upgrades: true };
        assert!(asks(&server, &ws, &page).await.starts_with("HTTP/1.1 101 "), "with the cookie");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_origin_and_the_setting_and_a_preflight_is_refused_alike() {
    let server = Server::start().await;
    for path in ["/api/rooms", "/socket.io/?EIO=4&transport=polling", "/web/users"] {
        for preflight in [false, true] {
            let method = if preflight { http::Method::OPTIONS } else { http::Method::POST };
            let mut request = server.http.request(method, path).header("origin", "https://my-app.example");
            if preflight {
                request = request.header("access-control-request-method", "POST");
            }
            let answer = crate::harness::Answer::to(request).await;
            let refusal = answer.is_refused(403, "forbidden");
            let told = refusal["detail"].as_str().unwrap();
            for named in ["https://my-app.example", "cors.origins", "server.public_url"] {
                assert!(told.contains(named), "{path}: {told}");
            }
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{answer:?}");
        }
    }
    let listed = server.http.request(http::Method::OPTIONS, "/api/rooms").header("origin", LISTED);
    let allowed = crate::harness::Answer::to(listed.header("access-control-request-method", "POST")).await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), LISTED);
}
