//! Threads: messages that name a root, their counts, who follows them, and how far they are read.

use serde_json::{Value as Json, json};

use crate::harness::{Person, Plain, Server, Socket, Store, at_full_speed, succeeded, until};

fn id(message: &Json) -> &str {
    message["messageId"].as_str().unwrap()
}

fn reply(group: &str, root: &Json, content: &str) -> Json {
    json!({ "receiver": group, "content": content, "thread": root["messageId"] })
}

/// What the list of rooms says of a room's counts: unread, mentions, threads.
async fn counts(person: &Person, room: &str) -> [i64; 3] {
    let room = person.conversation(room).await;
    ["unread", "unreadMentions", "unreadThreads"].map(|field| room[field].as_i64().unwrap_or(0))
}

async fn threads(person: &Socket, group: &str, unread: bool) -> Vec<Json> {
    let list = json!({ "receiver": group, "group": true, "unread": unread });
    person.asks("threads", list).await["threads"].as_array().unwrap().clone()
}

fn seqs(page: &Json) -> Vec<i64> {
    page["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_reach_everyone_in_line_and_are_counted_at_their_root() {
    let mut server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let plain = Plain::connects(&bob, "").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let root = ada.posts_in(&group, "the root").await;
    let first = bob.asks("groupMessage", reply(&group, &root, "one")).await;
    assert_eq!((&first["thread"], &first["seq"]), (&root["messageId"], &json!(2)));
    ada.posts_in(&group, "beside it").await;
    // To name a reply means its root; by every door.
    let second = plain.asks("groupMessage", reply(&group, &first, "two")).await;
    assert_eq!(second["thread"], root["messageId"]);
    let sent = json!({ "receiver": group, "group": true, "content": "three", "thread": first["messageId"], "alsoInRoom": true });
    let third = ada.post("/api/messages", sent).await.is(201);
    assert_eq!((&third["thread"], &third["alsoInRoom"]), (&root["messageId"], &json!(true)));
    assert_eq!(ada.sees_message("two").await["thread"], root["messageId"]);

    let replies = json!({ "count": 3, "lastSeq": 5, "users": ["bob", "ada"] });
    let page = ada.asks("history", json!({ "receiver": group, "group": true })).await;
    assert_eq!(page["messages"][0]["replies"], replies);
    assert!(page["messages"][1].get("replies").is_none());
    let read = bob.asks("getMessages", json!({ "messageIds": [id(&root)] })).await;
    assert_eq!(read[0]["replies"], replies);
    // The thread alone, from its root or from any reply.
    let thread = json!({ "receiver": group, "group": true, "thread": second["messageId"] });
    assert_eq!(seqs(&bob.asks("history", thread).await), [1, 2, 4, 5]);
    let path = format!("/api/rooms/{group}/messages?thread={}&after=1&limit=2", id(&root));
    let page = ada.get(&path).await.is(200);
    assert_eq!((seqs(&page), &page["hasMore"]), (vec![2, 4], &json!(true)));
    let page = json!({ "receiver": group, "group": true, "after": 4, "changes": true });
    assert_eq!(seqs(&json!({ "messages": bob.asks("history", page).await["referenced"] })), [1]);

    // A deleted reply is not counted, and keeps its place; a restart loses nothing of it.
    bob.asks("deleteMessage", json!({ "messageId": first["messageId"] })).await;
    let gone = bob.history(&group).await[1].clone();
    assert_eq!((&gone["content"], &gone["thread"]), (&json!(""), &root["messageId"]));
    let replies = json!({ "count": 2, "lastSeq": 5, "users": ["bob", "ada"] });
    assert_eq!(ada.history(&group).await[0]["replies"], replies);
    server.stop().await;
    server.starts_again().await;
    assert_eq!(ada.history(&group).await[0]["replies"], replies);
    // A root that was deleted still begins its thread.
    ada.connect().await.asks("deleteMessage", json!({ "messageId": root["messageId"] })).await;
    let now = bob.history(&group).await;
    assert_eq!((&now[0]["content"], &now[0]["replies"]), (&json!(""), &replies));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_unread_for_who_follows_it_until_it_is_read() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, cyd) =
        (server.online("ada").await, server.online("bob").await, server.online("cyd").await);
    let group = ada.makes_group("friends", &["bob", "cyd"]).await;
    let root = ada.posts_in(&group, "the root").await;
    let upto = |seq: i64| json!({ "receiver": group, "group": true, "seq": seq });
    for socket in [&bob, &cyd] {
        socket.asks("markRead", upto(1)).await;
    }
    bob.asks("groupMessage", reply(&group, &root, "one")).await;
    ada.sees_message("one").await;
    // Who has begun it and who answers follows it. The replies are not unread messages of the room.
    assert_eq!(counts(&ada, &group).await, [0, 0, 1]);
    assert_eq!(counts(&bob, &group).await, [0, 0, 0]);
    assert_eq!(counts(&cyd, &group).await, [0, 0, 0]);
    let listed = threads(&ada, &group, true).await;
    assert_eq!(listed.len(), 1);
    let of = |thread: &Json| [&thread["read"], &thread["unread"], &thread["following"]].map(Clone::clone);
    assert_eq!(of(&listed[0]), [json!(1), json!(1), json!(true)]);
    assert_eq!(listed[0]["root"]["replies"]["count"], 1);
    assert_eq!(threads(&cyd, &group, true).await, [] as [Json; 0]);
    assert_eq!(of(&threads(&cyd, &group, false).await[0]), [json!(0), json!(1), json!(false)]);

    // Who is mentioned follows, and so does who wants to.
    let mentions = json!({ "receiver": group, "content": "@cyd, look", "thread": root["messageId"] });
    ada.asks("groupMessage", mentions).await;
    assert_eq!(counts(&cyd, &group).await, [0, 0, 1]);
    assert_eq!(counts(&bob, &group).await, [0, 0, 1]);
    let follow = |on: bool| json!({ "messageId": root["messageId"], "on": on });
    assert_eq!(cyd.asks("followThread", follow(false)).await["following"], false);
    assert_eq!(counts(&cyd, &group).await, [0, 0, 0]);
    let path = format!("/api/messages/{}/follow", id(&root));
    assert_eq!(cyd.put(&path, json!({})).await.is(200)["following"], true);
    assert_eq!(counts(&cyd, &group).await, [0, 0, 1]);
    assert_eq!(cyd.delete(&path).await.is(200)["following"], false);
    // A mention does not bring back who has stopped following.
    ada.asks("groupMessage", json!({ "receiver": group, "content": "@cyd!", "thread": root["messageId"] }))
        .await;
    assert_eq!(counts(&cyd, &group).await, [0, 0, 0]);

    // Read: one thread, then all of them; the room's receipt stays.
    let mut read = upto(2);
    read["thread"] = root["messageId"].clone();
    assert_eq!(ada.asks("markRead", read).await["seq"], 2);
    assert_eq!(counts(&ada, &group).await, [0, 0, 0], "one's own replies are read");
    let mut read = upto(3);
    read["threads"] = true.into();
    assert_eq!(bob.asks("markRead", read).await["seq"], 3);
    assert_eq!(counts(&bob, &group).await, [0, 0, 1]);
    let path = format!("/api/rooms/{group}/read");
    assert_eq!(bob.post(&path, json!({ "seq": 99, "threads": true })).await.is(200)["seq"], 4);
    assert_eq!(counts(&bob, &group).await, [0, 0, 0]);
    assert_eq!(bob.conversation(&group).await["read"], 1);

    // A message of a thread that is for the room, too, is unread there.
    let both =
        json!({ "receiver": group, "content": "both", "thread": root["messageId"], "alsoInRoom": true });
    let both = ada.asks("groupMessage", both).await;
    assert_eq!(counts(&bob, &group).await, [1, 0, 1]);
    ada.asks("deleteMessage", json!({ "messageId": both["messageId"] })).await;
    assert_eq!(counts(&bob, &group).await, [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_are_stored_together_are_all_counted_and_let_everyone_follow() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, cyd) =
        (server.online("ada").await, server.online("bob").await, server.online("cyd").await);
    let group = ada.makes_group("friends", &["bob", "cyd"]).await;
    let root = ada.posts_in(&group, "the root").await;
    // Nobody waits for an answer, so commits have several replies of the same user that mention the same users.
    let replies = (1..=30).map(|number| format!("{number} @cyd @ada"));
    let sent: Vec<_> = replies.map(|text| bob.sends("groupMessage", reply(&group, &root, &text))).collect();
    for answer in sent {
        succeeded(answer.await);
    }
    let replies = json!({ "count": 30, "lastSeq": 31, "users": ["bob"] });
    assert_eq!(ada.history(&group).await[0]["replies"], replies);
    for (person, read, unread) in [(&ada, 1, 30), (&bob, 2, 0), (&cyd, 1, 30)] {
        let thread = &threads(person, &group, false).await[0];
        let seen = ["following", "read", "unread"].map(|field| &thread[field]);
        assert_eq!(seen, [&json!(true), &json!(read), &json!(unread)], "{}", person.username);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_s_other_devices_are_told_of_mentions_and_threads() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let laptop = bob.connect().await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let root = bob.posts_in(&group, "the root").await;
    ada.asks("groupMessage", reply(&group, &root, "one")).await;
    let said = ada.posts_in(&group, "@bob").await;
    let told = async |field: &str, value: Json| {
        let is = |told: &Json| told["roomId"] == group && told["set"].get(field) == Some(&value);
        laptop.sees("roomChanged", is).await
    };
    let upto = |seq: i64| json!({ "receiver": group, "group": true, "seq": seq });
    bob.asks("markRead", upto(2)).await;
    assert_eq!(told("unreadMentions", json!(1)).await["set"]["unread"], 1);
    // An edit mentions nobody any more, a deletion takes the message away.
    ada.asks("editMessage", json!({ "messageId": said["messageId"], "content": "nobody" })).await;
    told("unreadMentions", Json::Null).await;
    let mut read = upto(9);
    read["threads"] = true.into();
    bob.asks("markRead", read).await;
    told("unreadThreads", Json::Null).await;
    let two = ada.asks("groupMessage", reply(&group, &root, "two")).await;
    bob.asks("followThread", json!({ "messageId": root["messageId"], "on": true })).await;
    told("unreadThreads", json!(1)).await;
    let before = laptop.all("roomChanged").len();
    ada.asks("deleteMessage", json!({ "messageId": two["messageId"] })).await;
    until("the thread to be read", async || {
        let told = laptop.all("roomChanged");
        told[before..].iter().any(|told| told["set"].get("unreadThreads") == Some(&Json::Null))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_listed_by_their_newest_reply_and_outsiders_get_none() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, eve) =
        (server.online("ada").await, server.online("bob").await, server.online("eve").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut roots = Vec::new();
    for number in 1..=5 {
        roots.push(ada.posts_in(&group, &number.to_string()).await);
    }
    for root in [0, 3, 1, 0] {
        bob.asks("groupMessage", reply(&group, &roots[root], "re")).await;
    }
    let list = |more: Json| {
        let mut list = json!({ "receiver": group, "group": true });
        list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        list
    };
    let of = |page: &Json| -> Vec<i64> {
        let threads = page["threads"].as_array().unwrap();
        threads.iter().map(|thread| thread["root"]["seq"].as_i64().unwrap()).collect()
    };
    let page = ada.asks("threads", list(json!({ "limit": 2 }))).await;
    assert_eq!((of(&page), &page["more"]), (vec![1, 2], &json!(true)));
    let last = page["threads"][1]["root"]["replies"]["lastSeq"].clone();
    let page = ada.asks("threads", list(json!({ "limit": 2, "before": last }))).await;
    assert_eq!((of(&page), &page["more"]), (vec![4], &json!(false)));
    let page = bob.get(&format!("/api/rooms/{group}/threads?limit=3")).await.is(200);
    assert_eq!(of(&page), [1, 2, 4]);

    eve.is_refused("threads", list(json!({})), "not_a_member").await;
    eve.get(&format!("/api/rooms/{group}/threads")).await.is_refused(403, "not_a_member");
    eve.is_refused("followThread", json!({ "messageId": roots[0]["messageId"], "on": true }), "not_a_member")
        .await;
    eve.is_refused("markRead", list(json!({ "seq": 1, "threads": true })), "not_a_member").await;
    // The root of a thread has to be in the room.
    let other = eve.posts_to("ada", "elsewhere").await;
    ada.is_refused("groupMessage", reply(&group, &other, "no"), "not_found").await;
    let mut read = list(json!({ "seq": 1 }));
    read["thread"] = other["messageId"].clone();
    ada.is_refused("markRead", read, "not_found").await;
    ada.is_refused(
        "groupMessage",
        json!({ "receiver": group, "content": "x", "thread": "no id" }),
        "bad_request",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_has_the_thread_as_it_stands() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let device = bob.connect_with(json!({ "changes": {} })).await;
    let root = ada.posts_in(&group, "the root").await;
    device.sees_message("the root").await;
    let mut store = Store::default();
    store.take(&device, &group);
    device.leaves();
    let one = ada.asks("groupMessage", reply(&group, &root, "one")).await;
    ada.asks("groupMessage", reply(&group, &root, "two")).await;
    ada.asks("editMessage", json!({ "messageId": one["messageId"], "content": "one!" })).await;
    let (device, _) = store.reconnects(&bob, &group).await;
    store.take(&device, &group);
    let history = bob.history(&group).await;
    for (seq, message) in &store.messages {
        let stored = &history[*seq as usize - 1];
        for field in ["content", "thread", "replySeq", "edits"] {
            assert_eq!(message.get(field), stored.get(field), "{field} of {seq}");
        }
    }
    assert_eq!(store.contents(), ["the root", "one!", "two"]);
}
