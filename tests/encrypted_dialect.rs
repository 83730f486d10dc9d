//! The end-to-end encrypted app: frames on `/chat/{userId}`, and the two addresses that it asks before.

use chrono::TimeDelta;
use serde_json::{Value as Json, json};

use crate::harness::{Frames, Person, Server, keys_of};

/// An open one, as development has it.
async fn open_server() -> Server {
    Server::start().await
}

async fn closed_server() -> Server {
    Server::with(|config| config.dialects.open = vec!["angular".into()]).await
}

async fn opens(person: &Person) -> Frames {
    Frames::open(person.door.address, &format!("/chat/{}", person.id())).await
}

fn frame(from: &Person, to: &Person, message: Json) -> Json {
    json!({ "senderid": from.id(), "receiverid": to.id(), "message": message })
}

/// Says a frame and waits until it has come back.
async fn says(frames: &Frames, frame: Json) -> Json {
    let message = frame["message"].clone();
    frames.says(frame.to_string());
    frames.sees_frame("the own frame", |seen| seen["message"] == message).await
}

async fn sees(frames: &Frames, message: &Json) -> Json {
    frames.sees_frame("a message", |seen| seen["message"] == *message).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_reaches_all_sockets_of_both_the_senders_too() {
    let server = open_server().await;
    let (ada, bob, cyd) =
        (server.person("ada").await, server.person("bob").await, server.person("cyd").await);
    let (here, there) = (opens(&ada).await, opens(&ada).await);
    let (his, his_other, hers) = (opens(&bob).await, opens(&bob).await, opens(&cyd).await);
    let sent = frame(&ada, &bob, json!("hi"));
    let seen = says(&here, sent).await;
    assert_eq!(keys_of(&seen), ["chatId", "message", "messageId", "receiverid", "senderid"]);
    assert_eq!((&seen["senderid"], &seen["receiverid"]), (&json!(ada.id()), &json!(bob.id())));
    for frames in [&there, &his, &his_other] {
        assert_eq!(sees(frames, &json!("hi")).await, seen);
    }
    hers.sees_nothing_more(|_| true).await;

    // One room for ever, from either side.
    let answer = says(&his, frame(&bob, &ada, json!("hi back"))).await;
    assert_eq!(answer["chatId"], seen["chatId"]);
    assert_ne!(answer["messageId"], seen["messageId"]);
    assert_eq!(sees(&here, &json!("hi back")).await, answer);
    // To oneself: once.
    says(&here, frame(&ada, &ada, json!("a note"))).await;
    sees(&there, &json!("a note")).await;
    for frames in [here, there, his, his_other, hers] {
        frames.sees_nothing_more(|seen| seen["message"] == "a note").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_passed_on_byte_for_byte_and_so_is_what_else_stands_in_the_frame() {
    let server = open_server().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (here, there) = (opens(&ada).await, opens(&bob).await);
    let secret = r#"{ "type" : 3, "body":"\u0003\n\u00e9\u0000", "registrationId": 1.0e3,"type":[ ] }"#;
    // The very first message of a room, too.
    let text = format!(
        r#"{{"own":{{"b":1, "a":2}},"chatId":"","senderid":"{}","receiverid":"{}","message":{secret},"messageId":"mine","deviceId":"\u0041"}}"#,
        ada.id(),
        bob.id()
    );
    here.says(text);
    there.sees_frame("the frame", |seen| seen["message"]["type"] == json!([])).await;
    let written = there.texts().pop().unwrap();
    assert!(written.contains(&format!(r#""message":{secret}"#)), "{written}");
    assert!(
        written.contains(r#""own":{"b":1, "a":2}"#) && written.contains(r#""deviceId":"\u0041""#),
        "{written}"
    );
    let seen: Json = serde_json::from_str(&written).unwrap();
    assert_ne!(seen["messageId"], "mine");
    assert!(seen["chatId"].as_str().is_some_and(|id| id.len() == 36), "{seen}");
    here.sees_frame("the own frame", |seen| seen["own"]["b"] == 1).await;
    assert_eq!(here.texts(), there.texts());

    // Stored as it is, for who reads it with a native client; the rest of the frame is not.
    let history = ada.history(seen["chatId"].as_str().unwrap()).await;
    assert_eq!((history.len(), &history[0]["kind"]), (1, &json!("encrypted")));
    let page = ada.get(&format!("/api/rooms/{}/messages", seen["chatId"].as_str().unwrap())).await.text;
    assert!(page.contains(secret) && !page.contains("deviceId"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_bytes_count_once_each_however_json_writes_them_and_any_text_arrives() {
    let server = open_server().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (here, there) = (opens(&ada).await, opens(&bob).await);
    let sends = |message: &Json| here.says(json!({ "receiverid": bob.id(), "message": message }).to_string());
    // What an encrypting library makes of sixteen thousand bytes: a character for each byte. In JSON, most of
    // them take two bytes or six.
    let body: String = (0..16_000_u32).map(|number| char::from((number % 256) as u8)).collect();
    let secret = json!({ "type": 1, "body": body });
    assert!(secret.to_string().len() > 30_000);
    for message in [secret, json!("Grüße 👋🏽 aus Köln — 日本語"), json!({ "body": "ä\u{1f600}\u{200d}" })]
    {
        sends(&message);
        there.sees_frame("the message", |seen| seen["message"] == message).await;
    }
    let longer = json!({ "type": 1, "body": body.repeat(2) });
    sends(&longer);
    here.sees_frame("the refusal", |seen| seen["error"]["code"] == "too_large").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_id_of_the_clients_comes_back_and_routes_nothing() {
    let server = open_server().await;
    let (ada, bob, cyd) =
        (server.person("ada").await, server.person("bob").await, server.person("cyd").await);
    let (his, hers, own) = (opens(&bob).await, opens(&cyd).await, opens(&ada).await);
    let with_bob = says(&own, frame(&ada, &bob, json!("to bob"))).await["chatId"].clone();
    let mut sent = frame(&ada, &cyd, json!("to cyd"));
    sent["chatId"] = with_bob.clone();
    assert_eq!(says(&own, sent).await["chatId"], with_bob);
    assert_eq!(sees(&hers, &json!("to cyd")).await["chatId"], with_bob);
    for (given, message) in [(json!(17), "17"), (json!({ "a": 1 }), "object")] {
        let mut sent = frame(&ada, &cyd, json!(message));
        sent["chatId"] = given.clone();
        assert_eq!(says(&own, sent).await["chatId"], given);
    }
    let mut sent = frame(&ada, &cyd, json!("null"));
    sent["chatId"] = Json::Null;
    let with_cyd = says(&own, sent).await["chatId"].clone();
    assert!(with_cyd.is_string() && with_cyd != with_bob);
    his.sees_frame("the first", |seen| seen["message"] == "to bob").await;
    his.sees_nothing_more(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_who_the_connection_is() {
    let server = open_server().await;
    let (ada, bob, eve) =
        (server.person("ada").await, server.person("bob").await, server.person("eve").await);
    let (hers, his, adas) = (opens(&eve).await, opens(&bob).await, opens(&ada).await);
    says(&hers, frame(&ada, &bob, json!("give me your key"))).await;
    assert_eq!(sees(&his, &json!("give me your key")).await["senderid"], eve.id());
    hers.says(json!({ "receiverid": "BOB", "message": "no sender, a name" }).to_string());
    let seen = sees(&his, &json!("no sender, a name")).await;
    assert_eq!((&seen["senderid"], &seen["receiverid"]), (&json!(eve.id()), &json!(bob.id())));
    adas.sees_nothing_more(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_id_stays_and_nothing_is_replayed() {
    let mut server = open_server().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let own = opens(&ada).await;
    let first = says(&own, frame(&ada, &bob, json!("while you were away"))).await;
    let his = opens(&bob).await;
    his.sees_nothing_more(|_| true).await;
    his.vanishes();
    server.restart().await;
    assert_eq!(own.ends().await, Some(1001));
    let (own, his) = (opens(&ada).await, opens(&bob).await);
    let second = says(&his, frame(&bob, &ada, json!("here I am"))).await;
    assert_eq!(second["chatId"], first["chatId"]);
    assert_eq!(sees(&own, &json!("here I am")).await, second);
    assert_eq!((own.texts().len(), his.texts().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn native_clients_and_the_app_meet_in_direct_rooms_alone() {
    let server = open_server().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let native = ada.connect().await;
    let his = opens(&bob).await;
    let sent = native.posts_to("bob", "hi").await;
    let seen = sees(&his, &json!("hi")).await;
    assert_eq!(
        seen,
        json!({
            "chatId": sent["roomId"], "messageId": sent["messageId"],
            "senderid": ada.id(), "receiverid": bob.id(), "message": "hi",
        })
    );
    let secret = json!({ "type": 1, "body": "x" });
    let draft = json!({ "receiver": "bob", "kind": "encrypted", "content": secret });
    native.asks("privateMessage", draft).await;
    assert_eq!(sees(&his, &secret).await["senderid"], ada.id());

    says(&his, frame(&bob, &ada, json!("hello"))).await;
    let message = native.sees_message("hello").await;
    assert_eq!((&message["sender"], &message["receiver"]), (&json!("bob"), &json!("ada")));
    assert_eq!(message["kind"], "text");
    says(&his, frame(&bob, &ada, secret.clone())).await;
    let message = native.sees("response", |told| told["response"]["kind"] == "encrypted").await;
    assert_eq!(message["response"]["content"], secret);

    let group = native.makes_group("friends", &["bob"]).await;
    native.posts_in(&group, "all").await;
    native.asks("lobbyMessage", json!({ "content": "everyone" })).await;
    native.asks("typing", json!({ "receiver": "bob", "group": false, "typing": true })).await;
    native.posts_to("bob", "the next that he sees").await;
    sees(&his, &json!("the next that he sees")).await;
    his.sees_nothing_more(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_fails_is_answered_with_what_tells_it_from_others() {
    let server = open_server().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (own, his) = (opens(&ada).await, opens(&bob).await);
    let unknown = "0190a000-0000-7000-8000-00000000ffff";
    let long = "x".repeat(20_000);
    for (text, code, chat) in [
        ("nonsense".to_owned(), "bad_request", Json::Null),
        ("[1]".to_owned(), "bad_request", Json::Null),
        (json!({ "chatId": "a", "message": "x" }).to_string(), "bad_request", json!("a")),
        (json!({ "chatId": "b", "receiverid": 5, "message": "x" }).to_string(), "bad_request", json!("b")),
        (json!({ "chatId": "c", "receiverid": bob.id() }).to_string(), "bad_request", json!("c")),
        (
            json!({ "chatId": "d", "receiverid": unknown, "message": "x" }).to_string(),
            "not_found",
            json!("d"),
        ),
        (
            json!({ "chatId": "e", "receiverid": "nobody", "message": "x" }).to_string(),
            "not_found",
            json!("e"),
        ),
        (
            json!({ "chatId": "f", "receiverid": bob.id(), "message": long }).to_string(),
            "too_large",
            json!("f"),
        ),
        (
            json!({ "chatId": "g", "receiverid": bob.id(), "message": [long] }).to_string(),
            "too_large",
            json!("g"),
        ),
    ] {
        own.says(text.clone());
        let told = own.sees_frame("an error", |seen| seen["error"].is_object()).await;
        let text: String = text.chars().take(100).collect();
        assert_eq!(told["error"]["code"], code, "{text}: {told}");
        assert_eq!(told["chatId"], chat, "{text}: {told}");
        assert!(told.get("message").is_none(), "{told}");
    }
    says(&own, frame(&ada, &bob, json!("still here"))).await;
    sees(&his, &json!("still here")).await;
    assert_eq!(his.texts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_frames_come_in_order_and_too_many_are_refused() {
    let server = Server::with(|config| {
        config.limits.events_per_second = 1;
        config.limits.events_burst = 300;
        config.limits.waiting_events = 100;
    })
    .await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (own, his) = (opens(&ada).await, opens(&bob).await);
    for number in 0..300 {
        own.says(frame(&ada, &bob, json!(number.to_string())).to_string());
        if number % 100 == 99 {
            sees(&his, &json!(number.to_string())).await;
        }
    }
    let numbers: Vec<Json> = his.all().iter().map(|seen| seen["message"].clone()).collect();
    assert_eq!(numbers, (0..300).map(|number| json!(number.to_string())).collect::<Vec<_>>());
    for _ in 0..150 {
        own.says(frame(&ada, &bob, json!("more")).to_string());
    }
    let told = own.sees_frame("an error", |seen| seen["error"].is_object()).await;
    assert_eq!(told["error"]["code"], "rate_limited");
    assert_eq!(told["receiverid"], bob.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_open_anybody_is_who_they_say_but_no_admin() {
    let server = open_server().await;
    let ada = server.person("ada").await;
    let root = server.admin("root").await;
    let at = |user: &str| format!("/chat/{user}");
    let attempt = async |path: String, headers: &[(&str, &str)]| {
        Frames::try_open(server.address, &path, headers, true).await
    };
    // By name as well; and whatever credential comes along.
    let dead = [("cookie", "chatToken=dead")];
    attempt(at("ADA"), &dead).await.unwrap();
    attempt(format!("{}?token=nonsense", at(ada.id())), &[]).await.unwrap();
    for (path, status, code) in [
        (at("nobody"), 404, "not_found"),
        (at("0190a000-0000-7000-8000-00000000ffff"), 404, "not_found"),
        (at(root.id()), 403, "forbidden"),
        (format!("{}?token={}", at("root"), root.token), 403, "forbidden"),
    ] {
        attempt(path, &[]).await.err().expect("a refusal").is(status, code);
    }
    attempt(at("ada"), &[("origin", "https://evil.example.com")]).await.err().unwrap().is(403, "forbidden");
    ada.get(&at("ada")).await.is_refused(426, "bad_request");

    // It ends, a day later at most.
    let own = opens(&ada).await;
    says(&own, frame(&ada, &ada, json!("here"))).await;
    server.clock.advance(TimeDelta::days(1) + TimeDelta::seconds(2));
    assert_eq!(own.ends().await, Some(4401));
    // And with the account.
    let own = opens(&ada).await;
    says(&own, frame(&ada, &ada, json!("here again"))).await;
    let ada = ada.logs_in_again().await;
    ada.deletes_the_account().await;
    assert_eq!(own.ends().await, Some(4401));
    assert_eq!(own.texts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_not_open_it_takes_the_users_own_token() {
    let server = closed_server().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let root = server.admin("root").await;
    let attempt = async |user: &str, query: String, headers: &[(&str, &str)]| {
        Frames::try_open(server.address, &format!("/chat/{user}{query}"), headers, true).await
    };
    let token = |person: &Person| format!("?token={}", person.token);
    attempt(ada.id(), String::new(), &[]).await.err().unwrap().is(401, "token_missing");
    attempt(ada.id(), "?token=bad".into(), &[]).await.err().unwrap().is(401, "token_invalid");
    attempt(ada.id(), token(&bob), &[]).await.err().unwrap().is(403, "forbidden");
    attempt("nobody", token(&bob), &[]).await.err().unwrap().is(403, "forbidden");
    let cookie = format!("chatToken={}", ada.token);
    attempt("Ada", String::new(), &[("cookie", &cookie)]).await.unwrap();
    // With a token an admin is somebody like everybody.
    attempt(root.id(), token(&root), &[]).await.unwrap();
    let own = attempt(ada.id(), token(&ada), &[]).await.unwrap();
    let his = attempt(bob.id(), token(&bob), &[]).await.unwrap();
    says(&own, frame(&ada, &bob, json!("hi"))).await;
    sees(&his, &json!("hi")).await;
    ada.logs_out().await;
    assert_eq!(own.ends().await, Some(4401));
    let http = &server.http;
    http.get("/api/users/login/ada").await.is_refused(401, "token_missing");
    http.get(&format!("/api/users/{}/user", bob.id())).await.is_refused(401, "token_missing");
    bob.get("/api/users/login/ada").await.is(200);
    bob.get(&format!("/api/users/{}/admin", bob.id())).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_have_a_picture_and_a_role_whatever_their_profile_says() {
    let server = open_server().await;
    let ada = server.person("ada").await;
    let http = &server.http;
    let nobody = json!({});
    for (profile, img, role) in [
        (nobody.clone(), None, "user"),
        (json!({ "img": "doctor.png", "role": "advisor" }), Some("doctor.png"), "advisor"),
        // For an app that was changed to show the picture of any address.
        (json!({ "img": "https://example.com/a.png" }), Some("https://example.com/a.png"), "user"),
        (json!({ "img": "", "role": "  " }), None, "user"),
        (json!({ "img": 5, "role": { "a": 1 } }), None, "user"),
        (json!({ "img": null, "role": null, "more": [1] }), None, "user"),
    ] {
        ada.patch("/api/users/ada", json!({ "profile": profile })).await.is(200);
        let user = http.get("/api/users/login/Ada").await.is(200);
        assert_eq!(keys_of(&user), ["_id", "img", "name", "role"]);
        assert_eq!(
            (&user["_id"], &user["name"], &user["role"]),
            (&json!(ada.id()), &json!("ada"), &json!(role))
        );
        let shown = user["img"].as_str().unwrap();
        match img {
            Some(img) => assert_eq!(shown, img),
            // The app shows `/images/<img>` of its own folder, which has these three.
            None => assert!(["user1.png", "user2.png", "user3.png"].contains(&shown), "{shown}"),
        }
    }
    http.get("/api/users/login/nobody").await.is_refused(404, "not_found");
    http.get(&format!("/api/users/login/{}", ada.id())).await.is_refused(404, "not_found");
    server.admin("root").await;
    http.get("/api/users/login/root").await.is_refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_leaves_out_oneself_and_those_of_the_role() {
    let server = open_server().await;
    let http = &server.http;
    let role = async |name: &str, role: Option<&str>| {
        let person = server.person(name).await;
        if let Some(role) = role {
            person.patch(&format!("/api/users/{name}"), json!({ "profile": { "role": role } })).await.is(200);
        }
        person
    };
    let ada = role("ada", Some("client")).await;
    role("bob", Some("advisor")).await;
    role("cyd", Some("client")).await;
    role("dan", None).await;
    let names = async |id: &str, role: &str| {
        let list = http.get(&format!("/api/users/{id}/{role}")).await.is(200);
        assert_eq!(keys_of(&list), ["data"]);
        let data = list["data"].as_array().unwrap().clone();
        assert!(data.iter().all(|user| keys_of(user) == ["_id", "img", "name", "role"]), "{list}");
        data.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(ada.id(), "client").await, ["bob", "dan"]);
    assert_eq!(names("ada", "user").await, ["bob", "cyd"]);
    assert_eq!(names(ada.id(), "nothing").await, ["bob", "cyd", "dan"]);
    assert_eq!(names("0190a000-0000-7000-8000-00000000ffff", "advisor").await, ["ada", "cyd", "dan"]);

    // The API beside it is what it was.
    http.get("/api/users/ada").await.is_refused(401, "token_missing");
    assert_eq!(ada.get("/api/users/ada").await.is(200)["username"], "ada");
    assert_eq!(ada.get("/api/users/login").await.status, 404);
    let origin =
        http.request(http::Method::GET, "/api/users/login/ada").header("origin", "http://localhost:3000");
    let answer = crate::harness::Answer::to(origin).await;
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_is_not_there() {
    let server = Server::with(|config| config.dialects.encrypted = false).await;
    let ada = server.person("ada").await;
    assert_eq!(ada.get(&format!("/chat/{}", ada.id())).await.status, 404);
    assert_eq!(ada.get("/api/users/login/ada").await.status, 404);
}
