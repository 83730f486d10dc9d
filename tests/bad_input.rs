//! Whatever nonsense an event brings: a clear error, nothing stored, the socket alive.

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Frame, Raw, Server, Socket, at_full_speed};

struct Scene {
    ada: Socket,
    bob: Socket,
    group: String,
    before: Json,
    /// The last to be dropped.
    server: Server,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::with(at_full_speed).await;
        let ada = server.online("ada").await;
        let bob = server.online("bob").await;
        let group = ada.makes_group("friends", &["bob"]).await;
        ada.posts_to("bob", "1").await;
        ada.posts_in(&group, "1").await;
        bob.sees_message("1").await;
        bob.sees_message("1").await;
        let before = Self::state(&ada).await;
        ada.forgets();
        bob.forgets();
        Self { ada, bob, group, before, server }
    }

    /// All that may be changed, and must not be.
    async fn state(ada: &Socket) -> Json {
        crate::harness::until("receipts to be told", || async {
            ada.get("/api/rooms/mine").await.is(200)[0]["lastMessage"]["deliveredToAll"] == true
        })
        .await;
        json!([
            ada.get("/api/rooms/mine").await.is(200),
            ada.get("/api/rooms").await.is(200),
            ada.get("/api/users/ada").await.is(200),
        ])
    }

    async fn nothing_was_changed(self) {
        self.ada.is_alive().await;
        assert_eq!(Self::state(&self.ada).await, self.before);
        for event in ["response", "newgrp", "roomsChanged", "memberJoined", "memberLeft", "messageRead"] {
            self.bob.sees_nothing(event, A_WHILE / 20).await;
        }
    }
}

/// For each event: a payload that would do, and the codes that a broken field may be refused with.
fn events(group: &str) -> Vec<(&'static str, Json)> {
    vec![
        ("privateMessage", json!({ "receiver": "bob", "content": "hi" })),
        ("groupMessage", json!({ "receiver": group, "content": "hi" })),
        ("lobbyMessage", json!({ "content": "hi" })),
        ("history", json!({ "receiver": "bob", "group": false })),
        ("createGroup", json!({ "groupName": "new" })),
        ("joinGroup", json!({ "groupId": group })),
        ("leaveGroup", json!({ "groupId": group })),
        ("updateGroup", json!({ "groupId": group })),
        ("deleteGroup", json!({ "groupId": group })),
        ("addMembers", json!({ "groupId": group, "users": ["bob"] })),
        ("removeMember", json!({ "groupId": group, "username": "bob" })),
        ("markRead", json!({ "receiver": "bob", "group": false, "seq": 1 })),
        ("delivered", json!({ "roomId": group, "seq": 1 })),
        ("typing", json!({ "receiver": "bob", "group": false, "typing": true })),
        ("refreshToken", json!({ "token": "x" })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_required_field_is_a_bad_request() {
    let scene = Scene::new().await;
    for (event, whole) in events(&scene.group) {
        for field in whole.as_object().unwrap().keys() {
            let mut payload = whole.clone();
            payload.as_object_mut().unwrap().remove(field);
            scene.ada.is_refused(event, payload, "bad_request").await;
        }
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_required_field_is_a_bad_request() {
    let scene = Scene::new().await;
    for (event, whole) in events(&scene.group) {
        for (field, right) in whole.as_object().unwrap() {
            let wrong = [
                json!(null),
                json!(true),
                json!(7),
                json!(1.5),
                json!("x"),
                json!([]),
                json!([1]),
                json!({}),
                json!({ "username": 7 }),
            ];
            for wrong in wrong {
                let same_type = std::mem::discriminant(&wrong) == std::mem::discriminant(right);
                if same_type && !wrong.is_f64() && wrong != json!([1]) {
                    continue;
                }
                let mut payload = whole.clone();
                payload[field] = wrong;
                scene.ada.is_refused(event, payload, "bad_request").await;
            }
        }
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_optional_field_is_a_bad_request() {
    let scene = Scene::new().await;
    let group = &scene.group;
    for (event, payload) in [
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "kind": 7 })),
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "kind": "video" })),
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "clientMessageId": 7 })),
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "replyTo": 7 })),
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "replyTo": {} })),
        ("history", json!({ "receiver": "bob", "group": false, "limit": "many" })),
        ("history", json!({ "receiver": "bob", "group": false, "limit": -1 })),
        ("history", json!({ "receiver": "bob", "group": false, "limit": 1.5 })),
        ("history", json!({ "receiver": "bob", "group": false, "before": "x" })),
        ("history", json!({ "receiver": "bob", "group": false, "before": -1 })),
        ("history", json!({ "receiver": "bob", "group": false, "after": -1 })),
        ("history", json!({ "receiver": "bob", "group": false, "after": [1] })),
        ("history", json!({ "lobby": "yes" })),
        ("createGroup", json!({ "groupName": "new", "users": "bob" })),
        ("createGroup", json!({ "groupName": "new", "users": [7] })),
        ("createGroup", json!({ "groupName": "new", "users": [{}] })),
        ("createGroup", json!({ "groupName": "new", "users": [["bob"]] })),
        ("createGroup", json!({ "groupName": "new", "users": [null] })),
        ("createGroup", json!({ "groupName": "new", "password": 7 })),
        ("createGroup", json!({ "groupName": "new", "password": {} })),
        ("joinGroup", json!({ "groupId": group, "password": 7 })),
        ("updateGroup", json!({ "groupId": group, "password": 7 })),
        ("updateGroup", json!({ "groupId": group, "groupName": 7 })),
        ("updateGroup", json!({ "groupId": group, "groupName": "" })),
        ("delivered", json!({ "rooms": [] })),
        ("delivered", json!({ "rooms": { group: "1" } })),
        ("delivered", json!({ "rooms": { group: null } })),
    ] {
        scene.ada.is_refused(event, payload, "bad_request").await;
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_no_object_is_a_bad_request() {
    let scene = Scene::new().await;
    for (event, _) in events(&scene.group) {
        for payload in
            [json!("x"), json!(7), json!(true), json!([]), json!(["bob", "hi"]), json!([{}]), json!(1.5)]
        {
            scene.ada.is_refused(event, payload, "bad_request").await;
        }
        for nothing in ["", "null", "{}"] {
            let answer = scene.ada.sends_text(event, nothing).await;
            assert_eq!(answer["error"]["code"], "bad_request", "{event} {nothing:?}: {answer}");
        }
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seqs_are_whole_and_not_negative() {
    let scene = Scene::new().await;
    for seq in [
        "-1",
        "1.5",
        "1e3",
        "NaN",
        "Infinity",
        "-9223372036854775808",
        "9223372036854775808",
        "1e400",
        "\"1\"",
        "0x1",
    ] {
        for (event, payload) in [
            ("markRead", format!("{{\"receiver\":\"bob\",\"group\":false,\"seq\":{seq}}}")),
            ("delivered", format!("{{\"roomId\":\"{}\",\"seq\":{seq}}}", scene.group)),
            ("delivered", format!("{{\"rooms\":{{\"{}\":{seq}}}}}", scene.group)),
        ] {
            let is_json = serde_json::from_str::<Box<serde_json::value::RawValue>>(&payload).is_ok();
            if is_json {
                let answer = scene.ada.sends_text(event, &payload).await;
                assert_eq!(answer["error"]["code"], "bad_request", "{event} {payload}: {answer}");
                continue;
            }
            // What is not JSON may close the connection instead.
            let mut line = Raw::in_chat(scene.server.address, &scene.ada.token).await;
            line.says(&format!("42/chat,7[\"{event}\",{payload}]")).await;
            loop {
                match line.next().await {
                    None | Some(Frame::Close(_)) => break,
                    Some(Frame::Text(text)) if text.starts_with("43/chat,7") => {
                        assert!(text.contains("\"bad_request\""), "{payload}: {text}");
                        break;
                    }
                    Some(_) => {}
                }
            }
        }
    }
    for payload in [
        json!({ "receiver": "bob", "group": false, "before": 4294967296u64, "limit": 5 }),
        json!({ "receiver": "bob", "group": false, "after": i64::MAX, "limit": 5 }),
    ] {
        let answer = scene.ada.emit("history", payload).await;
        assert!(answer["success"] == true || answer["error"]["code"] == "bad_request", "{answer}");
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_is_told_so() {
    let scene = Scene::new().await;
    let long = "x".repeat(10_000);
    for event in [
        "nonsense",
        "PrivateMessage",
        "privateMessage ",
        "connect",
        "disconnect",
        "error",
        "__proto__",
        "",
        &long,
    ] {
        let answer = scene.ada.emit(event, json!({ "receiver": "bob", "content": "hi" })).await;
        assert_eq!(answer["success"], false, "{answer}");
        let code = answer["error"]["code"].as_str().unwrap();
        assert!(["not_found", "bad_request"].contains(&code), "{answer}");
        assert!(answer.to_string().len() < 2_000, "it is not repeated back: {}", answer.to_string().len());
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_none_name_nothing() {
    let scene = Scene::new().await;
    let huge = "x".repeat(100_000);
    let unknown = uuid::Uuid::now_v7().to_string();
    for id in
        ["", "x", "'; DROP TABLE rooms; --", "a\u{0}b", "../../etc/passwd", "%", "*", &huge, &unknown, "ada"]
    {
        for (event, payload) in [
            ("groupMessage", json!({ "receiver": id, "content": "hi" })),
            ("joinGroup", json!({ "groupId": id })),
            ("joinGroup", json!({ "groupName": id })),
            ("leaveGroup", json!({ "groupId": id })),
            ("updateGroup", json!({ "groupId": id, "groupName": "mine" })),
            ("deleteGroup", json!({ "groupId": id })),
            ("addMembers", json!({ "groupId": id, "users": ["bob"] })),
            ("removeMember", json!({ "groupId": id, "username": "bob" })),
            ("removeMember", json!({ "groupId": scene.group, "username": format!("{id}?") })),
            ("history", json!({ "receiver": id, "group": true })),
            ("history", json!({ "receiver": format!("{id}?"), "group": false })),
            ("privateMessage", json!({ "receiver": format!("{id}?"), "content": "hi" })),
            ("delivered", json!({ "roomId": id, "seq": 1 })),
            ("delivered", json!({ "rooms": { id: 1 } })),
            ("markRead", json!({ "receiver": id, "group": true, "seq": 1 })),
            ("typing", json!({ "receiver": id, "group": true, "typing": true })),
            ("createGroup", json!({ "groupId": id })),
            ("createGroup", json!({ "groupName": "new", "users": [format!("{id}?")] })),
            ("addMembers", json!({ "groupId": scene.group, "users": [format!("{id}?")] })),
        ] {
            let answer = scene.ada.emit(event, payload).await;
            let told: String = format!("{event} {id:.40}: {answer}").chars().take(600).collect();
            assert_eq!(answer["success"], false, "{told}");
            let code = answer["error"]["code"].as_str().unwrap();
            assert!(["not_found", "bad_request"].contains(&code), "{told}");
            assert!(answer.to_string().len() < 2_000, "{told}");
        }
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_json_is_refused_and_breaks_nothing() {
    let scene = Scene::new().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    for (event, payload) in [
        ("privateMessage", format!("{{\"receiver\":\"bob\",\"content\":{deep}}}")),
        ("privateMessage", format!("{{\"receiver\":{deep},\"content\":\"hi\"}}")),
        ("privateMessage", format!("{{\"receiver\":\"bob\",\"content\":\"hi\",\"replyTo\":{deep}}}")),
        ("privateMessage", format!("{{\"receiver\":\"bob\",\"content\":\"hi\",\"replyTo\":{deep_object}}}")),
        ("createGroup", format!("{{\"groupName\":\"new\",\"users\":{deep}}}")),
        ("createGroup", format!("{{\"groupName\":{deep_object}}}")),
        ("delivered", format!("{{\"rooms\":{deep_object}}}")),
        ("history", deep.clone()),
    ] {
        let answer = scene.ada.sends_text(event, &payload).await;
        assert_eq!(answer["success"], false, "{event}: {answer}");
        let code = answer["error"]["code"].as_str().unwrap();
        assert!(["bad_request", "too_large"].contains(&code), "{event}: {answer}");
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_encrypted_content_is_refused_or_comes_back_unchanged() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
    let payload = format!("{{\"receiver\":\"bob\",\"kind\":\"encrypted\",\"content\":{deep}}}");
    let mut line = Raw::in_chat(server.address, &ada.token).await;
    line.says(&format!("42/chat,7[\"privateMessage\",{payload}]")).await;
    let answer = line.hears("43/chat,7").await;
    if answer.contains("\"success\":true") {
        assert!(answer.contains(&deep), "passed on untouched");
    } else {
        assert!(answer.contains("bad_request") || answer.contains("too_large"), "{answer:.300}");
    }
    // And whoever reads it lives on.
    let mut reader = Raw::in_chat(server.address, &bob.token).await;
    for ask in ["[\"history\",{\"receiver\":\"ada\",\"group\":false}]", "[\"listRooms\",{}]"] {
        reader.says(&format!("42/chat,8{ask}")).await;
        reader.hears("43/chat,8[{\"success\":true").await;
    }
    assert_eq!(bob.get("/api/rooms/mine").await.status, 200);
    server.online("carl").await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_fields_are_refused() {
    let scene = Scene::new().await;
    let huge = "x".repeat(400_000);
    for (event, payload) in [
        ("privateMessage", json!({ "receiver": huge, "content": "hi" })),
        ("privateMessage", json!({ "receiver": "bob", "content": huge })),
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "clientMessageId": huge })),
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "replyTo": huge })),
        ("privateMessage", json!({ "receiver": "bob", "content": "hi", "kind": huge })),
        ("privateMessage", json!({ "receiver": "bob", "content": { "x": huge }, "kind": "encrypted" })),
        ("createGroup", json!({ "groupName": huge })),
        ("createGroup", json!({ "groupName": "new", "password": huge })),
        ("createGroup", json!({ "groupName": "new", "users": [huge] })),
        ("createGroup", json!({ "groupName": "new", "users": vec!["bob?"; 50_000] })),
        ("joinGroup", json!({ "groupId": scene.group, "groupName": huge, "password": huge, "x": [1] })),
        ("refreshToken", json!({ "token": huge })),
    ] {
        let answer = scene.ada.emit(event, payload).await;
        if event == "joinGroup" {
            // She is in already, so nobody looks.
            continue;
        }
        assert_eq!(answer["success"], false, "{event}: {answer}");
        assert!(answer.to_string().len() < 2_000, "{event}");
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_checked() {
    let scene = Scene::new().await;
    for name in ["", " ", " x", "x ", "a\u{0}b", "a\nb", &"x".repeat(101)] {
        let answer = scene.ada.emit("createGroup", json!({ "groupName": name })).await;
        assert_eq!(answer["error"]["code"], "bad_request", "{name:?}: {answer}");
    }
    scene.nothing_was_changed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_nobody_asked_for_are_let_be() {
    let scene = Scene::new().await;
    let payload = json!({
        "receiver": "bob", "content": "hi", "sender": "carl", "seq": 99, "roomId": scene.group, "timestamp": 0,
        "deliveredToAll": true, "messageId": "mine", "__proto__": { "admin": true }, "constructor": null,
    });
    let stored = scene.ada.asks("privateMessage", payload).await;
    assert_eq!((&stored["seq"], &stored["sender"]), (&json!(2), &json!("ada")));
    assert_eq!(stored["deliveredToAll"], false);
    scene.bob.sees_message("hi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_quotes_no_more_than_the_beginning_of_what_was_sent() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    // Characters that a quotation shows in a longer form.
    let long = "\u{e000}".repeat(200_000);
    let answer = ada.emit("markRead", json!({ "receiver": "ada", "group": false, "seq": long })).await;
    assert_eq!(answer["error"]["code"], "bad_request");
    assert!(answer.to_string().len() < 1_000, "{} bytes", answer.to_string().len());
    let answer = ada.person.post("/api/rooms", json!({ "groupName": "crowd", "users": long })).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.len() < 1_500, "{} bytes", answer.text.len());
}
