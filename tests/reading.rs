//! Reading messages in other ways than page by page, and sending them over HTTP.

use serde_json::{Value as Json, json};

use crate::harness::{Plain, Server, at_full_speed};

fn seqs(page: &Json) -> Vec<i64> {
    page["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_around_a_message_has_those_before_and_after_it() {
    let server = Server::with(at_full_speed).await;
    let (ada, eve) = (server.online("ada").await, server.online("eve").await);
    let group = ada.makes_group("friends", &[]).await;
    for number in 1..=20 {
        ada.posts_in(&group, &number.to_string()).await;
    }
    let around = |seq: i64, limit: u32| {
        let wanted = json!({ "receiver": group, "group": true, "around": seq, "limit": limit });
        ada.asks("history", wanted)
    };
    for (seq, limit, expected, has_more) in [
        (10, 5, 8..=12, true),
        (10, 4, 9..=12, true),
        (1, 6, 1..=4, false),
        (20, 6, 18..=20, true),
        (3, 6, 1..=6, false),
        (100, 6, 18..=20, true),
    ] {
        let page = around(seq, limit).await;
        assert_eq!(seqs(&page), expected.collect::<Vec<_>>(), "around {seq}, at most {limit}");
        assert_eq!(page["hasMore"], has_more, "around {seq}, at most {limit}");
    }
    let path = format!("/api/rooms/{group}/messages?around=10&limit=3");
    assert_eq!(seqs(&ada.get(&path).await.is(200)), [9, 10, 11]);
    eve.get(&path).await.is_refused(403, "not_a_member");
    // Long messages end the page on both sides, and the one in the middle is there.
    let long = "x".repeat(16_000);
    for _ in 0..90 {
        ada.posts_in(&group, &long).await;
    }
    let page = around(65, 200).await;
    let seqs = seqs(&page);
    assert!(seqs.contains(&65) && (25..=40).contains(&seqs.len()), "{seqs:?}");
    assert!(seqs.is_sorted_by(|one, next| one + 1 == *next), "{seqs:?}");
    assert!((seqs[0] - 65).abs() - (seqs.last().unwrap() - 65).abs() <= 1, "{seqs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_names_the_messages_that_it_answers_to_who_asks() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let first = ada.posts_in(&group, "question").await;
    let other = ada.posts_in(&group, "another").await;
    for number in 0..3 {
        ada.posts_in(&group, &number.to_string()).await;
    }
    let reply = |to: &Json| json!({ "receiver": group, "content": "answer", "replyTo": to["messageId"] });
    let answer = bob.asks("groupMessage", reply(&first)).await;
    bob.asks("groupMessage", reply(&answer)).await;
    bob.asks("groupMessage", reply(&other)).await;
    ada.asks("deleteMessage", json!({ "messageId": other["messageId"] })).await;
    let page = |more: Json| {
        let mut wanted = json!({ "receiver": group, "group": true, "limit": 3 });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bob.asks("history", wanted)
    };
    assert_eq!(page(json!({})).await["referenced"], Json::Null);
    let page = page(json!({ "changes": true })).await;
    let told: Vec<_> = page["referenced"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["seq"].clone(), message["content"].clone()))
        .collect();
    assert_eq!(told, [(1.into(), "question".into()), (2.into(), "".into())], "the third is on the page");
    let path = format!("/api/rooms/{group}/messages?changes=true&limit=1");
    assert_eq!(bob.get(&path).await.is(200)["referenced"][0]["seq"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_read_by_their_ids_as_far_as_one_may_read_them() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, eve) =
        (server.online("ada").await, server.online("bob").await, server.online("eve").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let in_group = ada.posts_in(&group, "group").await;
    let direct = ada.posts_to("eve", "direct").await;
    let lobby = bob.asks("lobbyMessage", json!({ "content": "lobby" })).await;
    ada.asks("react", json!({ "messageId": in_group["messageId"], "key": "+1", "on": true })).await;
    let ids: Vec<Json> =
        [&lobby, &in_group, &direct, &lobby].iter().map(|message| message["messageId"].clone()).collect();
    let wanted = json!({ "messageIds": [ids[0], ids[1], ids[2], "nonsense", uuid::Uuid::now_v7(), ids[3]] });
    let contents = |messages: &Json| -> Vec<Json> {
        messages.as_array().unwrap().iter().map(|message| message["content"].clone()).collect()
    };
    let seen = ada.asks("getMessages", wanted.clone()).await;
    assert_eq!(contents(&seen), ["lobby", "group", "direct"]);
    assert_eq!(seen[1]["myReactions"], json!(["+1"]));
    assert_eq!(contents(&bob.asks("getMessages", wanted.clone()).await), ["lobby", "group"]);
    // In the order of the ids, whatever their rooms.
    let again = ada.posts_in(&group, "again").await;
    let mixed = json!({ "messageIds": [again["messageId"], direct["messageId"], in_group["messageId"]] });
    assert_eq!(contents(&ada.asks("getMessages", mixed).await), ["again", "direct", "group"]);
    let plain = Plain::connects(&eve, "").await;
    assert_eq!(contents(&plain.asks("getMessages", wanted).await), ["lobby", "direct"]);
    let list = ids.iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>().join(",");
    assert_eq!(contents(&bob.get(&format!("/api/messages?ids={list}")).await.is(200)), ["lobby", "group"]);
    // Who leaves reads nothing more.
    bob.asks("leaveGroup", json!({ "groupId": group })).await;
    assert_eq!(contents(&bob.get(&format!("/api/messages?ids={list}")).await.is(200)), ["lobby"]);
    let many: Vec<Json> = (0..101).map(|_| json!(uuid::Uuid::now_v7())).collect();
    bob.is_refused("getMessages", json!({ "messageIds": many }), "bad_request").await;
    // They end at 512 KB, like a page.
    let mut long = Vec::new();
    for _ in 0..40 {
        long.push(ada.posts_to("eve", &"x".repeat(16_000)).await["messageId"].clone());
    }
    let seen = eve.asks("getMessages", json!({ "messageIds": long })).await;
    assert!((25..35).contains(&seen.as_array().unwrap().len()), "{}", seen.as_array().unwrap().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_sent_over_http_as_over_a_socket() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, eve) =
        (server.person("ada").await, server.online("bob").await, server.online("eve").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let post = async |body: Json| ada.post("/api/messages", body).await;
    let direct = post(json!({ "receiver": "bob", "content": "hi", "clientMessageId": "1" })).await.is(201);
    assert_eq!(bob.sees_message("hi").await["messageId"], direct["messageId"]);
    let again = post(json!({ "receiver": "bob", "content": "hi", "clientMessageId": "1" })).await.is(201);
    assert_eq!(again["messageId"], direct["messageId"], "a retry stores nothing");
    let answer = json!({ "receiver": group, "group": true, "content": { "iv": 1 }, "kind": "encrypted" });
    let sent = post(answer).await.is(201);
    assert_eq!(
        (&sent["kind"], &sent["seq"], &sent["receiver"]),
        (&json!("encrypted"), &json!(1), &json!(group))
    );
    bob.sees("response", |told| told["response"]["messageId"] == sent["messageId"]).await;
    let reply = json!({ "receiver": group, "group": true, "content": "yes", "replyTo": sent["messageId"] });
    assert_eq!(post(reply).await.is(201)["replyTo"], sent["messageId"]);
    post(json!({ "lobby": true, "content": "everyone" })).await.is(201);
    eve.sees("lobby", |told| told["response"]["content"] == "everyone").await;
    for (body, status, code) in [
        (json!({ "content": "hi" }), 400, "bad_request"),
        (json!({ "receiver": "bob" }), 400, "bad_request"),
        (json!({ "receiver": "bob", "content": " " }), 400, "bad_request"),
        (json!({ "receiver": "bob", "content": "x", "kind": "system" }), 400, "bad_request"),
        (json!({ "receiver": "nobody", "content": "x" }), 404, "not_found"),
        (json!({ "receiver": "no-id", "group": true, "content": "x" }), 404, "not_found"),
        (json!({ "receiver": "bob", "content": "x".repeat(16_385) }), 413, "too_large"),
    ] {
        post(body).await.is_refused(status, code);
    }
    let stranger = json!({ "receiver": group, "group": true, "content": "x" });
    eve.post("/api/messages", stranger).await.is_refused(403, "not_a_member");
}
