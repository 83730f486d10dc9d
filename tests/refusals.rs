//! One vocabulary of refusal: the same fault has the same code over HTTP and in `/chat`.

use serde_json::{Value as Json, json};

use crate::harness::{Server, keys_of};

const CODES: [&str; 16] = [
    "bad_request",
    "unauthorized",
    "token_missing",
    "token_invalid",
    "token_expired",
    "token_revoked",
    "ticket_used",
    "forbidden",
    "not_a_member",
    "wrong_password",
    "not_found",
    "conflict",
    "too_large",
    "rate_limited",
    "unavailable",
    "internal",
];

/// The code, and what brings it about: the HTTP status and request, the event and payload.
type Row = (&'static str, u16, &'static str, String, Option<Json>, &'static str, Json);

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_has_one_code_through_every_door() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let open = ada.makes_group("open", &[]).await;
    let secret = ada.makes_secret_group("secret", "open sesame").await;
    let shared = ada.makes_group("shared", &["bob"]).await;
    let nowhere = uuid::Uuid::now_v7().to_string();
    let long_name = "x".repeat(101);

    let rows: Vec<Row> = vec![
        ("bad_request", 400, "POST", "/api/rooms".into(), Some(json!({})), "createGroup", json!({})),
        (
            "bad_request",
            400,
            "POST",
            "/api/rooms".into(),
            Some(json!({ "groupName": long_name })),
            "createGroup",
            json!({ "groupName": long_name }),
        ),
        (
            "conflict",
            409,
            "POST",
            "/api/rooms".into(),
            Some(json!({ "groupName": "open" })),
            "createGroup",
            json!({ "groupName": "open" }),
        ),
        (
            "not_found",
            404,
            "POST",
            "/api/rooms".into(),
            Some(json!({ "groupName": "new", "users": ["nobody"] })),
            "createGroup",
            json!({ "groupName": "new", "users": ["nobody"] }),
        ),
        (
            "not_found",
            404,
            "POST",
            format!("/api/rooms/{nowhere}/join"),
            Some(json!({})),
            "joinGroup",
            json!({ "groupId": nowhere }),
        ),
        (
            "wrong_password",
            403,
            "POST",
            format!("/api/rooms/{secret}/join"),
            Some(json!({ "password": "wrong" })),
            "joinGroup",
            json!({ "groupId": secret, "password": "wrong" }),
        ),
        (
            "wrong_password",
            403,
            "POST",
            format!("/api/rooms/{secret}/join"),
            Some(json!({})),
            "joinGroup",
            json!({ "groupId": secret }),
        ),
        (
            "not_a_member",
            403,
            "GET",
            format!("/api/rooms/{open}/messages"),
            None,
            "history",
            json!({ "receiver": open, "group": true }),
        ),
        (
            "not_a_member",
            403,
            "POST",
            format!("/api/rooms/{open}/leave"),
            Some(json!({})),
            "leaveGroup",
            json!({ "groupId": open }),
        ),
        (
            "forbidden",
            403,
            "PATCH",
            format!("/api/rooms/{shared}"),
            Some(json!({ "groupName": "mine" })),
            "updateGroup",
            json!({ "groupId": shared, "groupName": "mine" }),
        ),
        (
            "forbidden",
            403,
            "DELETE",
            format!("/api/rooms/{shared}"),
            None,
            "deleteGroup",
            json!({ "groupId": shared }),
        ),
        (
            "forbidden",
            403,
            "POST",
            format!("/api/rooms/{shared}/members"),
            Some(json!({ "users": ["ada"] })),
            "addMembers",
            json!({ "groupId": shared, "users": ["ada"] }),
        ),
        (
            "forbidden",
            403,
            "DELETE",
            format!("/api/rooms/{shared}/members/ada"),
            None,
            "removeMember",
            json!({ "groupId": shared, "username": "ada" }),
        ),
    ];
    for (code, status, method, path, body, event, payload) in rows {
        let mut request = bob.request(method.parse().unwrap(), &path);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let told = format!("{method} {path} {body:?}");
        let answer = crate::harness::Answer::to(request).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (status, &json!(code)),
            "{told}: {}",
            answer.text
        );
        answer.is_refused(status, code);
        bob.is_refused(event, payload, code).await;
    }
    assert_eq!(
        ada.get("/api/rooms").await.is(200)["groups"].as_array().unwrap().len(),
        3,
        "nothing was changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_has_a_code_of_the_list_and_a_sentence() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    for (event, payload) in [
        ("privateMessage", json!({})),
        ("privateMessage", json!({ "receiver": "nobody", "content": "hi" })),
        ("joinGroup", json!({ "groupName": "no such group" })),
        ("nonsense", json!({})),
    ] {
        let answer = ada.emit(event, payload).await;
        assert_eq!(keys_of(&answer), ["error", "success"]);
        let error = &answer["error"];
        assert!(CODES.contains(&error["code"].as_str().unwrap()), "{answer}");
        for key in keys_of(error) {
            assert!(["code", "field", "message", "retryAfterMs", "requestId"].contains(&key), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_ours_never_says_what_it_was() {
    use sea_orm::ConnectionTrait;
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let _bob = server.person("bob").await;
    // The worst that can happen to a table.
    let database = server.database.as_ref().unwrap().look_inside().await;
    database.execute_unprepared("ALTER TABLE messages RENAME TO no_messages").await.unwrap();
    database.close().await.unwrap();

    let problem = ada.get("/api/rooms/mine").await;
    let told = [
        ada.emit("privateMessage", json!({ "receiver": "bob", "content": "hi" })).await.to_string(),
        ada.emit("history", json!({ "lobby": true })).await.to_string(),
        problem.text,
    ];
    for told in &told {
        let lower = told.to_lowercase();
        for leak in
            ["sql", "table", "relation", "no such", "column", "database error", "panicked", "src/", ".rs"]
        {
            assert!(!lower.contains(leak), "{leak:?} leaks: {told}");
        }
    }
    assert!(
        told[0].contains("\"code\":\"internal\"") || told[0].contains("\"code\":\"unavailable\""),
        "{}",
        told[0]
    );
    assert!(told[1].contains("\"code\":\"internal\""), "{}", told[1]);
    let internal: Json = serde_json::from_str(&told[1]).unwrap();
    assert!(internal["error"]["requestId"].is_string(), "the log is found by it: {internal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_http_answer_bears_the_id_of_its_request() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let first = ada.get("/api/auth/session").await;
    let second = server.http.get("/api/auth/session").await;
    assert!(!first.header("x-request-id").is_empty());
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}
