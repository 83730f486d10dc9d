//! What the program writes, at its most talkative, says nothing that is anybody's secret.

use serde_json::json;

use crate::harness::{AUDIENCE, Answer, Database, Frames, Issuer, Person, Process, Transport};

const ROOM_PASSWORD: &str = "open sesame 8675309";
const CONTENT: &str = "meet me at the fountain 8675309";
const NEW_PASSWORD: &str = "a changed secret 8675309";
const WRONG: &str = "a wrong guess 8675309";

async fn lives_a_life(process: &Process, issuer: &Issuer) -> Vec<String> {
    let ada = process.person("ada").await;
    let bob = process.person("bob").await;
    let mut secrets = vec![
        Person::password_of("ada"),
        Person::password_of("bob"),
        ROOM_PASSWORD.to_owned(),
        CONTENT.to_owned(),
        NEW_PASSWORD.to_owned(),
        WRONG.to_owned(),
        "argon2".to_owned(),
        "8675309".to_owned(),
        crate::harness::SECRET.to_owned(),
    ];
    Person::tries_to_log_in(process, "ada", WRONG).await.is(401);
    let bare = || ada.connecting().with_only(json!({}));
    let by_query = bare().query("token", &ada.token).open().await;
    let by_cookie = bare().header("cookie", &format!("chatToken={}", ada.token)).open().await;
    let by_header =
        bare().header("authorization", &format!("Bearer {}", ada.token)).by(Transport::Polling).open().await;
    let upgraded = bare().query("token", &ada.token).by(Transport::Upgraded).open().await;
    let bobs = bob.connect().await;
    let plain = ada.connect_plain().await;
    plain.posts_to("bob", CONTENT).await;
    plain.frames.says(format!("{{\"event\":\"{CONTENT}"));
    plain.frames.sees_frame("an error", |frame| frame["event"] == "error").await;
    let app = Frames::open(process.http.address, &format!("/chat/{}?token={}", ada.id(), ada.token)).await;
    app.says(json!({ "receiverid": bob.id(), "message": { "body": CONTENT } }).to_string());
    app.sees_frame("the own frame", |frame| frame["messageId"].is_string()).await;
    process.http.get(&format!("/api/auth/session?token={}", ada.token)).await.is(200);
    assert_eq!(process.http.get(&format!("/?jwt={}", ada.token)).await.status, 200);
    assert_eq!(process.http.get(&format!("/?jwt={}x", ada.token)).await.status, 401);
    let wrong = json!({ "userID": "ada", "password": WRONG });
    process.http.post("/auth/login", wrong).await.is(401);
    let page = bare().at_root().header("cookie", &format!("chatToken={}", ada.token)).open().await;
    page.emit("chat message", json!(CONTENT)).await;
    let rooms = ada.connecting().at_root().open().await;
    let room = rooms.emit("create:room", json!({ "roomName": "tea", "roomPwd": ROOM_PASSWORD })).await;
    rooms.emit("create:message", json!({ "roomId": room["id"], "content": CONTENT })).await;
    rooms.emit("joinIfExists:room", json!({ "roomName": "tea", "roomPwd": WRONG })).await;
    for socket in [&by_query, &by_cookie, &by_header, &upgraded] {
        socket.posts_to("bob", CONTENT).await;
        bobs.sees_message(CONTENT).await;
    }
    let sealed = json!({ "receiver": "bob", "content": { "sealed": CONTENT }, "kind": "encrypted" });
    by_query.asks("privateMessage", sealed).await;
    by_query.asks("lobbyMessage", json!({ "content": CONTENT })).await;
    by_query.asks("history", json!({ "receiver": "bob", "group": false })).await;
    let group = ada.makes_secret_group("vault", ROOM_PASSWORD).await;
    bobs.is_refused("joinGroup", json!({ "groupId": group, "password": WRONG }), "wrong_password").await;
    bobs.asks("joinGroup", json!({ "groupId": group, "password": ROOM_PASSWORD })).await;
    by_query.asks("updateGroup", json!({ "groupId": group, "password": NEW_PASSWORD })).await;
    bobs.is_refused("privateMessage", json!({ "receiver": "ada", "content": [CONTENT] }), "bad_request")
        .await;
    bobs.is_refused(
        "privateMessage",
        json!({ "receiver": { CONTENT: 1 }, "content": CONTENT }),
        "bad_request",
    )
    .await;
    bobs.emit(CONTENT, json!({ "content": CONTENT })).await;
    bob.connecting().with(json!({ "token": format!("{}x", bob.token) })).fails().await;
    bob.connecting().with_only(json!({})).query("token", &format!("{}x", bob.token)).fails().await;
    let newer = bob.refreshes().await;
    bobs.asks("refreshToken", json!({ "token": &*newer.token })).await;
    let change = json!({ "password": NEW_PASSWORD, "currentPassword": Person::password_of("bob") });
    newer.patch("/api/users/bob", change).await.is(200);
    let broken = process
        .http
        .request(http::Method::POST, "/api/auth/login")
        .header("content-type", "application/json");
    Answer::to(broken.body(format!("{{\"username\":\"ada\",\"password\":\"{WRONG}\""))).await.is(400);
    let form = process.http.request(http::Method::POST, "/api/auth/login");
    Answer::to(
        form.header("content-type", "application/x-www-form-urlencoded").body(format!("password={WRONG}")),
    )
    .await
    .is(400);
    process.http.get(&format!("/api/nowhere?token={}", ada.token)).await.is(404);
    let carol = Person::shows(process, &issuer.token("carol")).await;
    for _ in 0..2 {
        let (spent, unspent) = (carol.buys_a_ticket().await, carol.buys_a_ticket().await);
        bare().query("ticket", &spent).open().await.is_alive().await;
        bare().with(json!({ "ticket": spent })).fails().await;
        process.http.get(&format!("/api/auth/session?ticket={unspent}")).await.is(401);
        bare().with(json!({ "ticket": unspent })).by(Transport::Polling).open().await.is_alive().await;
        secrets.extend([spent, unspent]);
    }
    process.http.get(&format!("/api/auth/session?token={}x", carol.token)).await.is(401);
    ada.logs_out().await;
    secrets.extend([&ada, &bob, &newer, &carol].into_iter().flat_map(|person| {
        // Nor any part by which the rest could be guessed.
        let parts: Vec<String> = person.token.split('.').skip(1).map(str::to_owned).collect();
        parts
    }));
    secrets.push(by_query.sid.clone());
    secrets.push(by_header.sid.clone());
    secrets
}

async fn says_no_secrets(format: &str, level: &str) {
    let database = Database::fresh().await;
    let issuer = Issuer::start().await;
    let issuers = format!("[{{ issuer = \"{}\", audience = \"{AUDIENCE}\" }}]", issuer.url);
    let env = [
        ("PARLOR__AUTH__ISSUERS", issuers.as_str()),
        ("RUST_LOG", level),
        ("PARLOR__TELEMETRY__FORMAT", format),
        ("PARLOR__AUTH__JWT_SECRET", crate::harness::SECRET),
        ("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000"),
        ("PARLOR__LIMITS__EVENTS_BURST", "1000"),
    ];
    let mut process = Process::with(&database, &env).await;
    let secrets = lives_a_life(&process, &issuer).await;
    process.signal("TERM").await;
    process.exits().await;
    let written = process.written();
    assert!(written.lines().count() > 50, "it talks at {level}:\n{written}");
    for secret in secrets {
        let line = written.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret:?} is in the log: {}", line.unwrap_or_default());
    }
    if format == "json" {
        let lines = written.lines().filter(|line| line.starts_with('{'));
        assert!(lines.clone().count() > 50);
        for line in lines {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|err| panic!("{err}: {line}"));
        }
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readable_logs_keep_secrets() {
    says_no_secrets("readable", "trace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_keep_secrets() {
    says_no_secrets("json", "trace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_talk_the_libraries_into_telling() {
    says_no_secrets(
        "readable",
        "trace,socketioxide=trace,engineioxide=trace,sqlx=trace,tungstenite=trace,hyper=trace",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_and_who_is_refused_is_written_down() {
    let database = Database::fresh().await;
    let mut process = Process::with(&database, &[]).await;
    let ada = process.person("ada").await;
    ada.connect().await.is_alive().await;
    ada.connecting().with(json!({ "token": "bad" })).fails().await;
    for _ in 0..6 {
        Person::tries_to_log_in(&process, "ada", WRONG).await;
    }
    let strange = format!("http://evil.example/\u{e9}{}", "x".repeat(5_000));
    let request = process.http.request(http::Method::GET, "/socket.io/?EIO=4&transport=polling");
    let request = request.header("origin", http::HeaderValue::from_bytes(strange.as_bytes()).unwrap());
    assert_eq!(Answer::to(request).await.status, 403);
    process.signal("TERM").await;
    process.exits().await;
    let written = process.written();
    let line = |says: &str| {
        let mut lines = written.lines().filter(|line| line.contains(says));
        lines.next().unwrap_or_else(|| panic!("no line says {says:?}:\n{written}")).to_owned()
    };
    let connected = line("connected");
    assert!(connected.contains(ada.id()) && connected.contains("127.0.0.1"), "{connected}");
    let refused = line("refused a connection");
    assert!(refused.contains("token_invalid") && refused.contains("127.0.0.1"), "{refused}");
    assert!(line("refused to look at another guess").contains("127.0.0.1"));
    let page = line("Refused a page");
    assert!(page.contains("http://evil.example/") && page.len() < 1_000, "{page}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_has_one_span_numbers_and_the_address_of_the_client() {
    let database = Database::fresh().await;
    let env = [("PARLOR__TELEMETRY__FORMAT", "json"), ("PARLOR__SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let mut process = Process::with(&database, &env).await;
    let ada = process.person("ada").await;
    ada.get("/api/auth/session").await.is(200);
    let request = process.http.request(http::Method::GET, "/api/users");
    let request =
        request.header("x-forwarded-for", "198.51.100.7").header("x-request-id", "a-request-of-mine");
    Answer::to(request).await.is(401);
    process.signal("TERM").await;
    process.exits().await;
    let written = process.written();
    let entries = written.lines().filter(|line| line.starts_with('{'));
    let entries: Vec<serde_json::Value> = entries.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(entries.iter().all(|entry| entry.get("spans").is_none()), "{written}");
    let answered: Vec<_> = entries.iter().filter(|entry| entry.get("http.status").is_some()).collect();
    assert!(answered.len() >= 4, "{written}");
    for entry in answered {
        assert!(entry["http.status"].is_u64() && entry["latency_ms"].is_number(), "{entry}");
        let span = &entry["span"];
        assert_eq!(span["name"], "request", "{entry}");
        assert!(span["http.route"].is_string() && span["request.id"].is_string(), "{entry}");
        let expected = if span["request.id"] == "a-request-of-mine" { "198.51.100.7" } else { "127.0.0.1" };
        assert_eq!(span["client"], expected, "{entry}");
    }
    assert!(written.contains("a-request-of-mine"), "{written}");
    database.remove().await;
}
