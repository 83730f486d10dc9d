//! Pinned messages.

use serde_json::{Value as Json, json};

use crate::harness::{Person, Plain, Server, Store, at_full_speed};

fn pin(message: &Json, on: bool) -> Json {
    json!({ "messageId": message["messageId"], "on": on })
}

fn path(message: &Json) -> String {
    format!("/api/messages/{}/pin", message["messageId"].as_str().unwrap())
}

fn pinned(room: &str) -> Json {
    json!({ "receiver": room, "group": true, "pinned": true })
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_pin_messages_by_every_door_and_everyone_sees_it() {
    let mut server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let plain = Plain::connects(&ada, "").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut messages = Vec::new();
    for number in 1..=4 {
        messages.push(bob.posts_in(&group, &number.to_string()).await);
    }
    for refused in [
        bob.is_refused("pinMessage", pin(&messages[0], true), "forbidden").await,
        bob.put(&path(&messages[0]), json!({})).await.is_refused(403, "forbidden"),
        bob.delete(&path(&messages[0])).await.is_refused(403, "forbidden"),
    ] {
        assert_eq!(refused["reason"], "role");
    }
    let first = ada.asks("pinMessage", pin(&messages[0], true)).await;
    let changed = bob.sees_any("messageChanged").await;
    assert_eq!(
        (&changed["what"], &changed["set"]),
        (&json!(["pinned"]), &json!({ "pinnedAt": first["pinnedAt"], "pinnedBy": "ada" }))
    );
    plain.asks("pinMessage", pin(&messages[2], true)).await;
    ada.put(&path(&messages[3]), json!({})).await.is(200);
    assert_eq!(ada.asks("pinMessage", pin(&messages[0], true)).await["change"], 1, "again changes nothing");
    let seqs = |page: &Json| -> Vec<Json> {
        page["messages"].as_array().unwrap().iter().map(|message| message["seq"].clone()).collect()
    };
    let page = bob.asks("history", pinned(&group)).await;
    assert_eq!(
        (seqs(&page), &page["messages"][0]["pinnedBy"]),
        (vec![1.into(), 3.into(), 4.into()], &json!("ada"))
    );
    let page = bob.get(&format!("/api/rooms/{group}/messages?pinned=true&before=4&limit=1")).await.is(200);
    assert_eq!((seqs(&page), &page["hasMore"]), (vec![3.into()], &json!(true)));
    // Unpinned, and deleted: neither is pinned any more.
    let unpinned = ada.delete(&path(&messages[3])).await.is(200);
    assert_eq!((&unpinned["pinnedAt"], &unpinned["change"]), (&Json::Null, &json!(4)));
    ada.asks("deleteMessage", json!({ "messageId": messages[2]["messageId"] })).await;
    assert_eq!(ada.is_refused("pinMessage", pin(&messages[2], true), "forbidden").await["reason"], "deleted");
    assert_eq!(seqs(&ada.asks("history", pinned(&group)).await), [1]);
    server.restart().await;
    let ada = Person::logs_in(&server, "ada").await.connect().await;
    assert_eq!(seqs(&ada.asks("history", pinned(&group)).await), [1]);
    assert_eq!(ada.asks("pinMessage", pin(&messages[0], true)).await["change"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn either_of_two_users_pins_and_a_room_has_at_most_250_pins() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let first = ada.posts_to("bob", "hi").await;
    let bobs = bob.connect().await;
    bobs.asks("pinMessage", pin(&first, true)).await;
    let mut store = Store::default();
    let room = first["roomId"].as_str().unwrap();
    let (phone, _) = store.reconnects(&bob, room).await;
    store.take(&phone, room);
    phone.leaves();
    let mut answers = Vec::new();
    for number in 0..250 {
        answers
            .push(ada.sends("privateMessage", json!({ "receiver": "bob", "content": number.to_string() })));
    }
    let mut messages = Vec::new();
    for answer in answers {
        messages.push(answer.await["response"].clone());
    }
    let pins: Vec<_> =
        messages.iter().take(249).map(|message| bobs.sends("pinMessage", pin(message, true))).collect();
    for answer in pins {
        assert_eq!(answer.await["success"], true);
    }
    let refused = ada.is_refused("pinMessage", pin(&messages[249], true), "conflict").await;
    assert_eq!(refused["reason"], "limit_reached");
    ada.asks("pinMessage", pin(&first, false)).await;
    ada.asks("pinMessage", pin(&messages[249], true)).await;
    // A device that was away has the same in the end.
    let (phone, _) = store.reconnects(&bob, room).await;
    store.take(&phone, room);
    store.is_as(&ada.history(room).await);
    // Nobody but administrators moderates the lobby.
    let said = ada.asks("lobbyMessage", json!({ "content": "hello" })).await;
    ada.is_refused("pinMessage", pin(&said, true), "forbidden").await;
    let admin = server.admin("root").await.connect().await;
    assert_eq!(admin.asks("pinMessage", pin(&said, true)).await["pinnedBy"], "root");
}
