//! What messages are sent with beyond their content: mentions, data, an end, and where they were forwarded from.

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value as Json, json};

use crate::harness::{Person, Plain, Server, at_full_speed, until};

/// What a statement counts in the server's database.
async fn stored(server: &Server, statement: &str) -> i64 {
    let inside = server.database.as_ref().unwrap().look_inside().await;
    let asked = Statement::from_string(inside.get_database_backend(), statement);
    let count = inside.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    inside.close().await.unwrap();
    count
}

async fn counts(person: &Person, room: &str) -> [i64; 2] {
    let room = person.conversation(room).await;
    ["unread", "unreadMentions"].map(|field| room[field].as_i64().unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn mentions_are_counted_until_they_are_read_edited_or_deleted() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let cyd = server.online("cyd").await;
    let group = ada.makes_group("friends", &["bob", "cyd"]).await;
    let upto = |seq: i64| json!({ "receiver": group, "group": true, "seq": seq });
    // In the text: counted, and not echoed.
    let said = ada.posts_in(&group, "hi @BOB, and @nobody").await;
    assert!(said.get("mentions").is_none(), "{said}");
    assert_eq!((counts(&bob, &group).await, counts(&cyd, &group).await), ([1, 1], [1, 0]));
    // Given: echoed as far as they are members, and the text does not count.
    let given = json!({ "receiver": group, "content": "hi @bob", "mentions": ["CYD", "nobody"] });
    let given = ada.asks("groupMessage", given).await;
    assert_eq!(given["mentions"], json!(["cyd"]));
    assert_eq!(cyd.sees_message("hi @bob").await["mentions"], json!(["cyd"]));
    assert_eq!((counts(&bob, &group).await, counts(&cyd, &group).await), ([2, 1], [2, 1]));
    let all = json!({ "receiver": group, "group": true, "content": "hear, @bob", "mentionsAll": true });
    let all = ada.post("/api/messages", all).await.is(201);
    assert_eq!(all["mentionsAll"], true);
    assert_eq!((counts(&bob, &group).await, counts(&cyd, &group).await), ([3, 2], [3, 2]));
    assert_eq!(counts(&ada, &group).await[1], 0, "nobody's own");
    // An edit mentions whom it adds, and takes back.
    let edit = json!({ "messageId": said["messageId"], "content": "hi @cyd" });
    ada.asks("editMessage", edit).await;
    assert_eq!(bob.sees_any("messageChanged").await["mentioned"], json!(["cyd"]));
    assert_eq!((counts(&bob, &group).await, counts(&cyd, &group).await), ([3, 1], [3, 3]));
    let edit = json!({ "mentions": ["bob", "cyd"] });
    let path = format!("/api/messages/{}", given["messageId"].as_str().unwrap());
    let edited = ada.patch(&path, edit.clone()).await.is(200);
    assert_eq!((&edited["mentions"], &edited["content"]), (&json!(["bob", "cyd"]), &given["content"]));
    assert_eq!(ada.patch(&path, edit).await.is(200)["change"], edited["change"], "again changes nothing");
    let told = bob.sees("messageChanged", |told| told["change"] == edited["change"]).await;
    assert_eq!((&told["mentioned"], &told["set"]["mentions"]), (&json!(["bob"]), &json!(["bob", "cyd"])));
    assert_eq!(counts(&bob, &group).await, [3, 2]);
    ada.asks("deleteMessage", json!({ "messageId": all["messageId"] })).await;
    assert_eq!((counts(&bob, &group).await, counts(&cyd, &group).await), ([2, 1], [2, 2]));
    bob.asks("markRead", upto(1)).await;
    assert_eq!(counts(&bob, &group).await, [1, 1]);
    bob.asks("markRead", upto(3)).await;
    assert_eq!(counts(&bob, &group).await, [0, 0]);
    let many: Vec<String> = (0..51).map(|number| format!("user{number}")).collect();
    let many = json!({ "receiver": group, "content": "x", "mentions": many });
    ada.is_refused("groupMessage", many, "bad_request").await;
    // Between two users, too.
    ada.posts_to("bob", "are you there, @bob?").await;
    let room = ada.posts_to("bob", "?").await["roomId"].as_str().unwrap().to_owned();
    assert_eq!(counts(&bob, &room).await, [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_of_a_large_group_is_mentioned_by_moderators_alone() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let mut names = vec!["bob".to_owned()];
    for number in 0..99 {
        names.push(format!("user{number}"));
        server.person(&format!("user{number}")).await;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let group = ada.makes_group("crowd", &names).await;
    let all = json!({ "receiver": group, "content": "hear!", "mentionsAll": true });
    assert_eq!(bob.is_refused("groupMessage", all.clone(), "forbidden").await["reason"], "role");
    ada.asks("groupMessage", all.clone()).await;
    ada.asks("removeMember", json!({ "groupId": group, "username": "user0" })).await;
    bob.asks("groupMessage", all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_back_as_it_was_sent_and_is_replaced_by_an_edit() {
    let mut server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let plain = Plain::connects(&bob, "").await;
    let data = json!({ "type": "poll", "options": ["a", "b"], "n": 1.50, "z": null, "text": "\u{0}ü" });
    let sent = ada.asks("privateMessage", json!({ "receiver": "bob", "content": "x", "data": data })).await;
    assert_eq!(sent["data"], data);
    assert_eq!(bob.sees_message("x").await["data"], data);
    assert_eq!(plain.sees_message("x").await["data"], data);
    let now = json!({ "type": "poll", "closed": true });
    ada.asks("editMessage", json!({ "messageId": sent["messageId"], "data": now })).await;
    let told = plain.sees("messageChanged", |_| true).await;
    assert_eq!((&told["set"]["data"], &told["set"]["content"]), (&now, &json!("x")));
    assert!(told["set"]["edits"].is_null(), "its content is the same: {told}");
    let room = sent["roomId"].as_str().unwrap();
    assert_eq!(bob.history(room).await[0]["data"], now);
    server.stop().await;
    server.starts_again().await;
    assert_eq!(bob.history(room).await[0]["data"], now);
    let ada = ada.connect().await;
    // The same message again is the stored one.
    let twice = json!({ "receiver": "bob", "content": "y", "clientMessageId": "1", "data": { "a": 1 } });
    let first = ada.asks("privateMessage", twice.clone()).await;
    assert_eq!(ada.asks("privateMessage", twice).await["messageId"], first["messageId"]);
    for (bad, code) in [
        (json!([1]), "bad_request"),
        (json!("text"), "bad_request"),
        (json!({ "a": "x".repeat(4_096) }), "too_large"),
    ] {
        let bad = json!({ "receiver": "bob", "content": "x", "data": bad });
        ada.is_refused("privateMessage", bad, code).await;
    }
    ada.asks("deleteMessage", json!({ "messageId": sent["messageId"] })).await;
    assert!(bob.history(room).await[0].get("data").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_says_the_seq_of_what_it_answers() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let first = ada.posts_to("bob", "first").await;
    ada.posts_to("bob", "second").await;
    let answer = json!({ "receiver": "ada", "content": "re", "replyTo": first["messageId"] });
    assert_eq!(bob.asks("privateMessage", answer).await["replySeq"], 1);
    assert_eq!(ada.sees_message("re").await["replySeq"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_message_says_who_wrote_it_and_carries_no_more_than_it_should() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, cyd) =
        (server.online("ada").await, server.online("bob").await, server.online("cyd").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let root = ada.posts_in(&group, "root").await;
    let said = json!({
        "receiver": group, "content": "hi @bob", "mentions": ["bob"], "thread": root["messageId"], "data": { "a": 1 },
    });
    let said = ada.asks("groupMessage", said).await;
    let forward = json!({
        "messageId": said["messageId"], "receiver": "cyd", "group": false, "comment": "look", "clientMessageId": "f",
    });
    let copy = bob.asks("forwardMessage", forward.clone()).await;
    let from = json!({ "sender": "ada", "timestamp": said["timestamp"] });
    assert_eq!(
        (&copy["forwardedFrom"], &copy["content"], &copy["data"]),
        (&from, &json!("hi @bob"), &json!({ "a": 1 }))
    );
    assert!(copy.get("mentions").is_none() && copy.get("thread").is_none(), "{copy}");
    assert_eq!(cyd.sees_message("hi @bob").await["forwardedFrom"], from);
    let room = copy["roomId"].as_str().unwrap();
    let contents =
        async || -> Vec<Json> { cyd.history(room).await.iter().map(|it| it["content"].clone()).collect() };
    assert_eq!(contents().await, ["look", "hi @bob"]);
    // Again it is the same, and forwarded once more it says who wrote it first.
    assert_eq!(bob.asks("forwardMessage", forward).await["messageId"], copy["messageId"]);
    assert_eq!(contents().await.len(), 2);
    let path = format!("/api/messages/{}/forward", copy["messageId"].as_str().unwrap());
    let again = cyd.post(&path, json!({ "receiver": "ada" })).await.is(201);
    assert_eq!((&again["forwardedFrom"], &again["sender"]), (&from, &json!("cyd")));

    let forward =
        |message: &Json| json!({ "messageId": message["messageId"], "receiver": "bob", "group": false });
    cyd.is_refused("forwardMessage", forward(&said), "not_a_member").await;
    let secret = json!({ "receiver": "bob", "content": { "a": 1 }, "kind": "encrypted" });
    let secret = ada.asks("privateMessage", secret).await;
    ada.is_refused("forwardMessage", forward(&secret), "bad_request").await;
    ada.asks("deleteMessage", json!({ "messageId": said["messageId"] })).await;
    bob.is_refused("forwardMessage", forward(&said), "not_found").await;
    assert_eq!(cyd.history(room).await[1]["content"], "hi @bob", "the copy stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_an_end_is_a_tombstone_from_then_on_by_every_door() {
    let mut server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let short = json!({ "receiver": group, "content": "gone soon", "expiresIn": 60, "data": { "a": 1 } });
    let short = ada.asks("groupMessage", short).await;
    let sent = short["timestamp"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let ends = short["expiresAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!((ends - sent).num_seconds(), 60);
    assert_eq!(bob.sees_message("gone soon").await["expiresAt"], short["expiresAt"]);
    bob.asks("react", json!({ "messageId": short["messageId"], "key": "+1", "on": true })).await;
    ada.posts_in(&group, "stays").await;
    for wrong in [4, 7_776_001] {
        let wrong = json!({ "receiver": group, "content": "x", "expiresIn": wrong });
        ada.is_refused("groupMessage", wrong, "bad_request").await;
    }
    // Nothing is announced when its time is over; who reads it finds a tombstone.
    server.clock.advance(TimeDelta::seconds(59));
    assert_eq!(bob.history(&group).await[0]["content"], "gone soon");
    server.clock.advance(TimeDelta::seconds(2));
    let is_tombstone = |message: &Json| {
        assert_eq!(
            (&message["content"], &message["seq"], &message["sender"]),
            (&json!(""), &json!(1), &json!("ada"))
        );
        assert_eq!(message["deletedAt"], short["expiresAt"]);
        assert!(message.get("data").is_none() && message.get("reactions").is_none(), "{message}");
    };
    is_tombstone(&bob.history(&group).await[0]);
    is_tombstone(&bob.asks("getMessages", json!({ "messageIds": [short["messageId"]] })).await[0]);
    let late = bob.connect_with(json!({ "since": { group.as_str(): 0 } })).await;
    is_tombstone(&late.sees("response", |told| told["response"]["seq"] == 1).await["response"]);
    assert_eq!(
        ada.is_refused(
            "editMessage",
            json!({ "messageId": short["messageId"], "content": "no" }),
            "forbidden"
        )
        .await["reason"],
        "deleted"
    );
    // Its row becomes one, and nothing of its content is left in the database.
    let left =
        async || stored(&server, "SELECT COUNT(*) FROM messages WHERE content LIKE '%gone soon%'").await;
    until("the row to be a tombstone", async || left().await == 0).await;
    assert_eq!(stored(&server, "SELECT COUNT(*) FROM reactions").await, 0);
    is_tombstone(&bob.history(&group).await[0]);
    assert!(bob.all("messageChanged").iter().all(|told| told["what"] == json!(["reactions"])));
    server.stop().await;
    server.starts_again().await;
    is_tombstone(&bob.history(&group).await[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_s_messages_disappear_after_what_its_members_have_set() {
    let mut server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.posts_in(&group, "stays").await;
    let set = |seconds: Json| json!({ "receiver": group, "group": true, "seconds": seconds });
    assert_eq!(bob.is_refused("setDisappearing", set(json!(60)), "forbidden").await["reason"], "role");
    for wrong in [json!(4), json!("soon")] {
        ada.is_refused("setDisappearing", set(wrong), "bad_request").await;
    }
    assert_eq!(ada.asks("setDisappearing", set(json!(60))).await["disappearAfter"], 60);
    assert_eq!(
        bob.sees_any("roomChanged").await,
        json!({ "roomId": group, "set": { "disappearAfter": 60 } })
    );
    let lifetime = |message: &Json| {
        let at = |field: &str| message[field].as_str()?.parse::<chrono::DateTime<chrono::Utc>>().ok();
        Some((at("expiresAt")? - at("timestamp")?).num_seconds())
    };
    assert_eq!(lifetime(&bob.posts_in(&group, "short").await), Some(60));
    let own = json!({ "receiver": group, "content": "shorter", "expiresIn": 10 });
    assert_eq!(lifetime(&bob.asks("groupMessage", own).await), Some(10));
    // Either of two users, over HTTP, too; and it is still so after a restart.
    let room = ada.posts_to("bob", "hi").await["roomId"].as_str().unwrap().to_owned();
    let path = format!("/api/rooms/{room}/disappearing");
    assert_eq!(bob.put(&path, json!({ "seconds": 300 })).await.is(200)["disappearAfter"], 300);
    server.stop().await;
    server.starts_again().await;
    let (ada, bob) = (ada.connect().await, bob.connect().await);
    assert_eq!(lifetime(&ada.posts_to("bob", "in time").await), Some(300));
    assert_eq!(lifetime(&ada.posts_in(&group, "in time").await), Some(60));
    assert_eq!(bob.conversation(&group).await["disappearAfter"], 60);
    assert!(ada.asks("setDisappearing", set(Json::Null)).await.get("disappearAfter").is_none());
    assert_eq!(bob.sees_any("roomChanged").await["set"], json!({ "disappearAfter": null }));
    assert_eq!(lifetime(&bob.posts_in(&group, "for ever").await), None);
    let lobby =
        ada.asks("lobbyMessage", json!({ "content": "hi" })).await["roomId"].as_str().unwrap().to_owned();
    ada.put(&format!("/api/rooms/{lobby}/disappearing"), json!({ "seconds": 60 }))
        .await
        .is_refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_wants_it_is_told_of_its_members_and_its_name() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, cyd) =
        (server.online("ada").await, server.online("bob").await, server.online("cyd").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.asks("addMembers", json!({ "groupId": group, "users": ["cyd"] })).await;
    bob.is_refused("updateGroup", json!({ "groupId": group, "systemMessages": true }), "forbidden").await;
    let updated = ada.asks("updateGroup", json!({ "groupId": group, "systemMessages": true })).await;
    assert_eq!(
        (&updated["systemMessages"], &updated["lastSeq"]),
        (&json!(true), &json!(0)),
        "not told before"
    );
    ada.posts_in(&group, "now").await;
    cyd.asks("leaveGroup", json!({ "groupId": group })).await;
    cyd.asks("joinGroup", json!({ "groupId": group })).await;
    ada.asks("removeMember", json!({ "groupId": group, "username": "cyd" })).await;
    ada.asks("addMembers", json!({ "groupId": group, "users": ["cyd"] })).await;
    ada.asks("setRole", json!({ "groupId": group, "username": "bob", "role": "admin" })).await;
    ada.asks("updateGroup", json!({ "groupId": group, "groupName": "best friends" })).await;
    ada.asks("setRole", json!({ "groupId": group, "username": "bob", "role": "owner" })).await;
    bob.posts_in(&group, "after").await;
    bob.asks("leaveGroup", json!({ "groupId": group })).await;
    let told = ada.sees("response", |told| told["response"]["seq"] == 11).await["response"].clone();
    assert_eq!((&told["kind"], &told["sender"]), (&json!("system"), &json!("bob")));
    let history = ada.history(&group).await;
    let said: Vec<(String, Json)> = history
        .iter()
        .filter(|message| message["kind"] == "system")
        .map(|message| {
            let content = serde_json::from_str(message["content"].as_str().unwrap()).unwrap();
            (message["sender"].as_str().unwrap().to_owned(), content)
        })
        .collect();
    let expected = [
        ("cyd", json!({ "what": "left" })),
        ("cyd", json!({ "what": "joined" })),
        ("ada", json!({ "what": "removed", "usernames": ["cyd"] })),
        ("ada", json!({ "what": "added", "usernames": ["cyd"] })),
        ("ada", json!({ "what": "role", "usernames": ["bob"], "role": "admin" })),
        ("ada", json!({ "what": "renamed", "name": "best friends" })),
        ("ada", json!({ "what": "owner", "usernames": ["bob"] })),
        ("bob", json!({ "what": "left" })),
        ("bob", json!({ "what": "owner", "usernames": ["ada"] })),
    ];
    assert_eq!(said, expected.map(|(sender, content)| (sender.to_owned(), content)));
    let seqs: Vec<i64> = ada.seqs(&json!(group));
    assert_eq!(seqs, (1..=11).collect::<Vec<i64>>(), "in order, each once");
    // Never unread, and nobody edits or deletes them as their sender.
    assert_eq!(counts(&cyd, &group).await, [1, 0], "only what bob said after cyd was added");
    let system = &history[1];
    ada.is_refused("editMessage", json!({ "messageId": system["messageId"], "content": "no" }), "forbidden")
        .await;
    ada.asks("updateGroup", json!({ "groupId": group, "systemMessages": false })).await;
    ada.asks("removeMember", json!({ "groupId": group, "username": "cyd" })).await;
    assert_eq!(ada.posts_in(&group, "quiet").await["seq"], 12);
}
