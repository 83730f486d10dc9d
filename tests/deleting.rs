//! Deleted messages: a place without content, on every device and for every front end.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value as Json, json};

use crate::harness::{ANSWER, Person, Plain, Server, Socket, Store, at_full_speed};

fn named(message: &Json) -> Json {
    json!({ "messageId": message["messageId"] })
}

fn path(message: &Json) -> String {
    format!("/api/messages/{}", message["messageId"].as_str().unwrap())
}

/// A group of ada, bob and carl with this message of bob.
async fn group_of_three(ada: &Socket, bob: &Socket, content: &str) -> (String, Json) {
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let message = bob.posts_in(&group, content).await;
    (group, message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_keeps_its_place_sender_and_time_and_nothing_else() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, carl) =
        (server.online("ada").await, server.online("bob").await, server.person("carl").await);
    let (group, first) = group_of_three(&ada, &bob, "first").await;
    let draft = json!({ "receiver": group, "content": "secret", "clientMessageId": "c-1", "replyTo": first["messageId"] });
    let message = bob.asks("groupMessage", draft.clone()).await;
    bob.asks("editMessage", json!({ "messageId": message["messageId"], "content": "secret!" })).await;
    ada.asks("react", json!({ "messageId": message["messageId"], "key": "+1", "on": true })).await;
    let mut store = Store::default();
    let (phone, _) = store.reconnects(&carl, &group).await;
    store.take(&phone, &group);
    phone.leaves();

    let deleted = bob.asks("deleteMessage", named(&message)).await;
    let story = bob.story();
    let told = story.iter().rposition(|name| name == "messageChanged");
    assert!(told < story.iter().rposition(|name| name == ANSWER), "{story:?}");
    let changed = ada.sees("messageChanged", |changed| changed["what"] == json!(["deleted"])).await;
    let gone = Json::Null;
    let set = json!({
        "content": "", "deletedAt": deleted["deletedAt"], "deletedBy": "bob", "editedAt": gone, "edits": gone,
        "reactions": gone, "replyTo": gone, "clientMessageId": gone, "pinnedAt": gone, "pinnedBy": gone,
        "replySeq": gone, "mentions": gone, "mentionsAll": gone, "data": gone, "forwardedFrom": gone, "expiresAt": gone,
    });
    assert_eq!((&changed["set"], &changed["by"], &changed["change"]), (&set, &json!("bob"), &json!(3)));
    let tombstone = json!({
        "messageId": message["messageId"], "roomId": group, "seq": 2, "sender": "bob", "receiver": group,
        "group": true, "content": "", "kind": "text", "timestamp": message["timestamp"],
        "deletedAt": deleted["deletedAt"], "deletedBy": "bob", "change": 3,
        "deliveredToAll": false, "readByAll": false,
    });
    let shown = |mut message: Json| {
        (message["deliveredToAll"], message["readByAll"]) = (json!(false), json!(false));
        message
    };
    assert_eq!(shown(deleted), tombstone);
    assert_eq!(shown(ada.history(&group).await[1].clone()), tombstone);
    assert_eq!(bob.asks("edits", named(&message)).await["versions"], json!([]));
    assert_eq!(ada.asks("reactions", named(&message)).await["users"], json!([]));
    let refused = bob.is_refused(
        "editMessage",
        json!({ "messageId": message["messageId"], "content": "x" }),
        "forbidden",
    );
    assert_eq!(refused.await["reason"], "deleted");
    let react = json!({ "messageId": message["messageId"], "key": "+1", "on": true });
    assert_eq!(ada.is_refused("react", react, "forbidden").await["reason"], "deleted");
    // A message that is sent again is the same one, and stays deleted.
    let again = bob.asks("groupMessage", draft).await;
    assert_eq!((&again["messageId"], &again["content"]), (&message["messageId"], &json!("")));
    // A device that was away hears of it.
    let (phone, synced) = store.reconnects(&carl, &group).await;
    assert_eq!(synced["change"], 3);
    store.take(&phone, &group);
    store.is_as(&ada.history(&group).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_delete_again_changes_nothing_also_after_a_restart() {
    let mut server = Server::start().await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    server.person("carl").await;
    let (group, message) = group_of_three(&ada, &bob, "hello").await;
    let first = bob.asks("deleteMessage", named(&message)).await;
    assert_eq!(bob.asks("deleteMessage", named(&message)).await, first);
    assert_eq!(ada.delete(&path(&message)).await.is(200)["change"], 1, "nor by somebody else");
    server.restart().await;
    let bob = Person::logs_in(&server, "bob").await.connect().await;
    let again = bob.asks("deleteMessage", named(&message)).await;
    assert_eq!((&again["change"], &again["deletedBy"]), (&json!(1), &json!("bob")));
    assert_eq!(bob.conversation(&group).await["lastChange"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_and_moderators_may_delete_by_every_door_and_nobody_else() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, carl, eve) = (
        server.online("ada").await,
        server.online("bob").await,
        server.online("carl").await,
        server.online("eve").await,
    );
    let (group, _) = group_of_three(&ada, &bob, "hello").await;
    let (adas, carls) = (Plain::connects(&ada, "").await, Plain::connects(&carl, "").await);
    // A member who is neither is refused, at each door, and so is a stranger.
    let message = bob.posts_in(&group, "mine").await;
    for refused in [
        carl.is_refused("deleteMessage", named(&message), "forbidden").await,
        carls.is_refused("deleteMessage", named(&message), "forbidden").await,
        carl.delete(&path(&message)).await.is_refused(403, "forbidden"),
        carl.is_refused("deleteMessage", json!({ "messageIds": [message["messageId"]] }), "forbidden").await,
        carl.post("/api/messages/delete", json!({ "messageIds": [message["messageId"]] }))
            .await
            .is_refused(403, "forbidden"),
    ] {
        assert_eq!(refused["reason"], "not_yours");
    }
    eve.is_refused("deleteMessage", named(&message), "not_a_member").await;
    eve.delete(&path(&message)).await.is_refused(403, "not_a_member");
    eve.is_refused("deleteMessage", json!({ "messageId": uuid::Uuid::now_v7() }), "not_found").await;
    assert_eq!(ada.history(&group).await[1]["content"], "mine");
    // The sender may, and the group's owner.
    for number in 0..6 {
        let message = bob.posts_in(&group, &number.to_string()).await;
        let (deleted, by) = match number {
            0 => (bob.asks("deleteMessage", named(&message)).await, "bob"),
            1 => (bob.delete(&path(&message)).await.is(200), "bob"),
            2 => (ada.asks("deleteMessage", named(&message)).await, "ada"),
            3 => (adas.asks("deleteMessage", named(&message)).await, "ada"),
            4 => (ada.delete(&format!("{}?reason=spam", path(&message))).await.is(200), "ada"),
            _ => {
                let several = json!({ "messageIds": [message["messageId"]], "reason": "spam" });
                assert_eq!(ada.asks("deleteMessage", several).await, json!({ "deleted": 1 }));
                continue;
            }
        };
        assert_eq!((&deleted["deletedBy"], &deleted["content"]), (&json!(by), &json!("")), "{number}");
    }
    // Either of two deletes only their own.
    let direct = bob.posts_to("carl", "hi").await;
    carl.is_refused("deleteMessage", named(&direct), "forbidden").await;
    bob.asks("deleteMessage", named(&direct)).await;
    // The lobby is moderated by administrators.
    let said = bob.asks("lobbyMessage", json!({ "content": "spam" })).await;
    ada.is_refused("deleteMessage", named(&said), "forbidden").await;
    let admin = server.admin("root").await.connect().await;
    assert_eq!(admin.asks("deleteMessage", named(&said)).await["deletedBy"], "root");
    assert_eq!(eve.sees_any("messageChanged").await["messageId"], said["messageId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_holds_for_senders_and_not_for_moderators() {
    let server = Server::with(|config| {
        config.messages.delete_window = Duration::from_secs(60);
        config.messages.deleted_text = "(deleted)".into();
    })
    .await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    server.person("carl").await;
    let (group, message) = group_of_three(&ada, &bob, "hello").await;
    let other = bob.posts_in(&group, "in time").await;
    let deleted = bob.asks("deleteMessage", named(&other)).await;
    assert_eq!(deleted["content"], "(deleted)");
    server.clock.advance(TimeDelta::seconds(61));
    let refused = bob.is_refused("deleteMessage", named(&message), "forbidden").await;
    assert_eq!(refused["reason"], "window_over");
    // A retry is no new request.
    assert_eq!(bob.asks("deleteMessage", named(&other)).await["change"], deleted["change"]);
    ada.asks("deleteMessage", named(&message)).await;
    assert_eq!(ada.history(&group).await[0]["content"], "(deleted)");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_messages_are_deleted_all_or_none() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    server.person("carl").await;
    let (group, _) = group_of_three(&ada, &bob, "first").await;
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(bob.posts_in(&group, &number.to_string()).await["messageId"].clone());
    }
    let elsewhere = bob.posts_to("ada", "elsewhere").await["messageId"].clone();
    let own = ada.posts_in(&group, "ada's").await["messageId"].clone();
    let several = |ids: &[Json]| json!({ "messageIds": ids });
    let with = |other: Json| several(&[&ids[..3], &[other]].concat());
    ada.is_refused("deleteMessage", with(elsewhere), "not_found").await;
    ada.is_refused("deleteMessage", with(json!(uuid::Uuid::now_v7())), "not_found").await;
    bob.is_refused("deleteMessage", with(own), "forbidden").await;
    ada.is_refused("deleteMessage", several(&[]), "bad_request").await;
    ada.is_refused("deleteMessage", several(&vec![json!(uuid::Uuid::now_v7()); 1]), "not_found").await;
    let many: Vec<Json> = (0..101).map(|_| json!(uuid::Uuid::now_v7())).collect();
    ada.is_refused("deleteMessage", several(&many), "bad_request").await;
    let both = json!({ "messageId": ids[0], "messageIds": [ids[0]] });
    ada.is_refused("deleteMessage", both, "bad_request").await;
    let reason = json!({ "messageIds": [ids[0]], "reason": "x".repeat(501) });
    ada.is_refused("deleteMessage", reason, "too_large").await;
    assert!(ada.history(&group).await.iter().all(|message| message["content"] != ""));

    assert_eq!(ada.asks("deleteMessage", several(&ids)).await, json!({ "deleted": 100 }));
    assert_eq!(ada.post("/api/messages/delete", several(&ids)).await.is(200), json!({ "deleted": 100 }));
    let history = ada.history(&group).await;
    assert_eq!(history.iter().filter(|message| message["deletedBy"] == "ada").count(), 100);
    let told = ada.all("messageChanged");
    let numbers: Vec<i64> = told.iter().map(|changed| changed["change"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>(), "each message is one change, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_messages_of_others_are_not_unread() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let carl = server.person("carl").await;
    let (group, first) = group_of_three(&ada, &bob, "first").await;
    let second = bob.posts_in(&group, "second").await;
    let third = ada.posts_in(&group, "third").await;
    let unread = |person: Person| {
        let group = group.clone();
        async move { person.conversation(&group).await["unread"].clone() }
    };
    assert_eq!(unread(carl.logs_in_again().await).await, 3);
    bob.asks("deleteMessage", named(&first)).await;
    assert_eq!(unread(carl.logs_in_again().await).await, 2);
    ada.asks("deleteMessage", named(&third)).await;
    assert_eq!(unread(carl.logs_in_again().await).await, 1);
    // One's own were never unread, and are not counted twice.
    assert_eq!(bob.conversation(&group).await["unread"], 0);
    bob.asks("deleteMessage", named(&second)).await;
    assert_eq!(unread(carl.logs_in_again().await).await, 0);
    assert_eq!(bob.conversation(&group).await["unread"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn front_ends_that_know_no_deleted_messages_do_not_show_them() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    server.person("carl").await;
    let (group, message) = group_of_three(&ada, &bob, "first").await;
    bob.posts_in(&group, "second").await;
    bob.asks("deleteMessage", named(&message)).await;
    let contents = |messages: &Json| -> Vec<Json> {
        messages.as_array().unwrap().iter().map(|message| message["content"].clone()).collect()
    };
    let angular = ada.get(&format!("/web/messages/ada/{group}?group=yes")).await.is(200);
    assert_eq!(contents(&angular), ["second"]);
    let rooms = ada.connecting().at_root().open().await;
    let history = rooms.emit("getForARoom:messages", json!({ "roomId": group })).await;
    assert_eq!(contents(&history), ["second"], "{history}");
    // A native client of yesterday sees an empty message.
    let old = ada.history(&group).await;
    assert_eq!((&old[0]["content"], old[0]["deletedAt"].is_string()), (&json!(""), true));
}
