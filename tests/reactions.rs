//! Reactions: counted exactly, however many react at once, and seen on every device.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::harness::{Person, Plain, Server, Socket, Store, at_full_speed, until};

fn react(message: &Json, key: &str, on: bool) -> Json {
    json!({ "messageId": message["messageId"], "key": key, "on": on })
}

fn named(message: &Json) -> Json {
    json!({ "messageId": message["messageId"] })
}

async fn pair(ada: &Socket) -> (String, Json) {
    let group = ada.makes_group("friends", &["bob"]).await;
    let message = ada.posts_in(&group, "hello").await;
    (group, message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_reaches_everyone_and_only_one_s_own_answers_say_which_are_mine() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let plain = Plain::connects(&bob, "").await;
    let (group, message) = pair(&ada).await;
    let answer = bob.asks("react", react(&message, "👍", true)).await;
    let thumbs = |users: &[&str]| json!([{ "key": "👍", "count": users.len(), "users": users }]);
    assert_eq!((&answer["reactions"], &answer["myReactions"]), (&thumbs(&["bob"]), &json!(["👍"])));
    for changed in [ada.sees_any("messageChanged").await, plain.sees("messageChanged", |_| true).await] {
        assert_eq!(
            (&changed["what"], &changed["set"], &changed["reacted"]),
            (
                &json!(["reactions"]),
                &json!({ "reactions": thumbs(&["bob"]) }),
                &json!([{ "username": "bob", "key": "👍", "on": true }])
            )
        );
    }
    let path = format!("/api/messages/{}/reactions", message["messageId"].as_str().unwrap());
    let answer = ada.put(&format!("{path}/%F0%9F%91%8D"), json!({})).await.is(200);
    assert_eq!(answer["reactions"], thumbs(&["bob", "ada"]));
    plain.asks("react", react(&message, "heart", true)).await;
    let page = |person: &Socket| {
        let wanted = json!({ "receiver": group, "group": true });
        person.asks("history", wanted)
    };
    let (adas, bobs) = (page(&ada).await["messages"][0].clone(), page(&bob).await["messages"][0].clone());
    assert_eq!((&adas["myReactions"], &bobs["myReactions"]), (&json!(["👍"]), &json!(["👍", "heart"])));
    assert_eq!(adas["reactions"], bobs["reactions"]);
    assert_eq!(adas["reactions"].as_array().unwrap().len(), 2);
    assert_eq!(ada.history(&group).await[0]["myReactions"], json!(["👍"]), "over HTTP, too");
    // A message that comes later has them, without saying whose they are.
    let back = bob.connect_with(json!({ "since": { &group: 0 } })).await;
    let seen = back.sees_message("hello").await;
    assert_eq!((&seen["reactions"], &seen["myReactions"]), (&adas["reactions"], &Json::Null));
    let answer = ada.delete(&format!("{path}/%F0%9F%91%8D")).await.is(200);
    assert_eq!((&answer["reactions"][0]["users"], &answer["myReactions"]), (&json!(["bob"]), &Json::Null));
    // The last one takes the key with it, and the last key the field.
    bob.asks("react", react(&message, "👍", false)).await;
    let answer = bob.asks("react", react(&message, "heart", false)).await;
    assert_eq!((&answer["reactions"], &answer["change"]), (&Json::Null, &json!(6)));
    let last = ada.sees("messageChanged", |changed| changed["change"] == 6).await;
    assert_eq!(last["set"], json!({ "reactions": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_reaction_again_changes_nothing() {
    let mut server = Server::start().await;
    let ada = server.online("ada").await;
    server.person("bob").await;
    let (_, message) = pair(&ada).await;
    for _ in 0..2 {
        assert_eq!(ada.asks("react", react(&message, "+1", true)).await["change"], 1);
    }
    server.restart().await;
    let ada = Person::logs_in(&server, "ada").await.connect().await;
    assert_eq!(ada.asks("react", react(&message, "+1", true)).await["change"], 1);
    for _ in 0..2 {
        assert_eq!(ada.asks("react", react(&message, "+1", false)).await["change"], 2);
    }
    assert_eq!(ada.asks("react", react(&message, "other", false)).await["change"], 2);
    assert_eq!(ada.asks("reactions", named(&message)).await, json!({ "users": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_limited_and_strangers_do_not_react() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, eve) =
        (server.online("ada").await, server.online("bob").await, server.online("eve").await);
    let (_, message) = pair(&ada).await;
    for number in 0..20 {
        ada.asks("react", react(&message, &format!("k{number}"), true)).await;
    }
    let refused = bob.is_refused("react", react(&message, "k20", true), "conflict").await;
    assert_eq!(refused["reason"], "limit_reached");
    bob.asks("react", react(&message, "k7", true)).await;
    for key in ["", &"x".repeat(65), "a\u{0}b"] {
        bob.is_refused("react", react(&message, key, true), "bad_request").await;
    }
    bob.asks("react", react(&message, "k7", false)).await;
    eve.is_refused("react", react(&message, "k7", true), "not_a_member").await;
    eve.is_refused("reactions", named(&message), "not_a_member").await;
    let path = format!("/api/messages/{}/reactions", message["messageId"].as_str().unwrap());
    eve.get(&path).await.is_refused(403, "not_a_member");
    eve.put(&format!("{path}/k7"), json!({})).await.is_refused(403, "not_a_member");
    ada.get(&format!("{path}?after=nonsense")).await.is_refused(400, "bad_request");
    ada.is_refused("react", react(&json!({ "messageId": uuid::Uuid::now_v7() }), "x", true), "not_found")
        .await;
}

/// Sockets of so many users in one group, whose first is ada.
async fn crowd(server: &Server, users: usize) -> (Socket, Vec<Socket>, Json) {
    let ada = server.online("ada").await;
    let mut sockets = Vec::new();
    let mut names = Vec::new();
    for number in 0..users {
        let user = server.online(&format!("user{number:02}")).await;
        names.push(format!("user{number:02}"));
        sockets.push(user);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let group = ada.makes_group("crowd", &names).await;
    let message = ada.posts_in(&group, "vote").await;
    (ada, sockets, message)
}

/// All reactions of the list, part by part.
async fn all_reactions(ada: &Socket, message: &Json, key: Option<&str>) -> Vec<Json> {
    let mut users = Vec::new();
    let mut after = Json::Null;
    loop {
        let mut wanted = json!({ "messageId": message["messageId"], "limit": 7 });
        if let Some(key) = key {
            wanted["key"] = key.into();
        }
        if !after.is_null() {
            wanted["after"] = after;
        }
        let part = ada.asks("reactions", wanted).await;
        users.extend(part["users"].as_array().unwrap().iter().cloned());
        after = part["after"].clone();
        if after.is_null() {
            return users;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_reactions_is_counted_exactly_in_few_changes() {
    let server = Server::with(at_full_speed).await;
    let (ada, users, message) = crowd(&server, 30).await;
    // Each reacts with all keys, several times to and fro.
    let mut answers = Vec::new();
    for round in [true, false, true] {
        for user in &users {
            for key in ["a", "b", "c", "d"] {
                answers.push(user.sends("react", react(&message, key, round || key == "a")));
            }
        }
    }
    for answer in answers {
        let answer = answer.await;
        assert_eq!(answer["success"], true, "{answer}");
    }
    let now = ada.history(message["roomId"].as_str().unwrap()).await[0].clone();
    for reactions in now["reactions"].as_array().unwrap() {
        assert_eq!(reactions["count"], 30, "{now}");
        let named: BTreeSet<&str> =
            reactions["users"].as_array().unwrap().iter().map(|user| user.as_str().unwrap()).collect();
        assert_eq!(named.len(), 20, "{now}");
        let listed = all_reactions(&ada, &message, reactions["key"].as_str()).await;
        assert_eq!(listed.len(), 30);
        let named = &named;
        let at = |is_named: bool| {
            let those = listed
                .iter()
                .filter(move |user| named.contains(user["username"].as_str().unwrap()) == is_named);
            those.map(|user| user["at"].as_str().unwrap())
        };
        assert!(at(true).max() <= at(false).min(), "the first are named: {listed:?}");
    }
    assert_eq!(all_reactions(&ada, &message, None).await.len(), 120);
    let last = now["change"].as_i64().unwrap();
    until("all changes", || async {
        ada.all("messageChanged").last().is_some_and(|changed| changed["change"] == last)
    })
    .await;
    let told = ada.all("messageChanged");
    assert_eq!(told.len() as i64, last, "without a hole");
    assert!(last < 360, "what one commit does is one change: {last}");
    // What the changes say sums up to what is so.
    let mut sum: BTreeSet<(String, String)> = BTreeSet::new();
    for reacted in told.iter().flat_map(|changed| changed["reacted"].as_array().unwrap()) {
        let entry = (reacted["username"].to_string(), reacted["key"].to_string());
        let was_news = if reacted["on"] == true { sum.insert(entry) } else { sum.remove(&entry) };
        assert!(was_news, "{reacted} was so already");
    }
    assert_eq!(sum.len(), 120);
}

/// `PARLOR_CROWD=1000` takes another number of people, who all react at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn when_a_whole_room_reacts_at_once_there_are_no_more_events_than_commits() {
    let people = std::env::var("PARLOR_CROWD").map_or(60, |people| people.parse().unwrap());
    let server = Server::with(at_full_speed).await;
    let (ada, users, message) = crowd(&server, people).await;
    let commits = async || ada.metrics().await["parlor_commit_duration_seconds_count"];
    let before = commits().await;
    let began = std::time::Instant::now();
    let answers: Vec<_> = users.iter().map(|user| user.sends("react", react(&message, "+1", true))).collect();
    for answer in answers {
        let answer = answer.await;
        assert_eq!(answer["success"], true, "{answer}");
    }
    let took = began.elapsed();
    let made = commits().await - before;
    let now = ada.history(message["roomId"].as_str().unwrap()).await[0].clone();
    let last = now["change"].as_i64().unwrap();
    assert_eq!((&now["reactions"][0]["count"], &now["reactions"][1]), (&json!(people), &Json::Null));
    println!("{people} reactions in a room of {}: {took:?}, {made} commits, {last} changes", people + 1);
    assert!(last as f64 <= made, "{last} changes in {made} commits");
    for socket in users.iter().chain([&ada]) {
        socket.sees("messageChanged", |changed| changed["change"] == last).await;
        let told = socket.all("messageChanged");
        assert_eq!(told.len() as i64, last, "each change once");
        let counted = told.iter().map(|changed| changed["reacted"].as_array().unwrap().len());
        assert_eq!(counted.sum::<usize>(), people, "everyone is named once");
        assert_eq!(told.last().unwrap()["set"]["reactions"][0]["count"], people);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_of_the_first_users_withdraws_the_next_is_named() {
    let server = Server::with(at_full_speed).await;
    let (_ada, users, message) = crowd(&server, 22).await;
    for user in &users {
        user.asks("react", react(&message, "+1", true)).await;
    }
    let answer = users[3].asks("react", react(&message, "+1", false)).await;
    let named = |numbers: &[usize]| -> Json {
        numbers.iter().map(|number| json!(format!("user{number:02}"))).collect()
    };
    let shown =
        |numbers: &[usize], count: usize| json!([{ "key": "+1", "count": count, "users": named(numbers) }]);
    let twenty: Vec<usize> = (0..=20).filter(|number| *number != 3).collect();
    assert_eq!(answer["reactions"], shown(&twenty, 21));
    let answer = users[0].asks("react", react(&message, "+1", false)).await;
    let next: Vec<usize> = (1..=21).filter(|number| *number != 3).collect();
    assert_eq!(answer["reactions"], shown(&next, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_gets_the_reactions_as_they_stand() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let (group, message) = pair(&ada).await;
    let mut store = Store::default();
    let (phone, _) = store.reconnects(&bob, &group).await;
    store.take(&phone, &group);
    phone.leaves();
    for key in ["a", "b", "c"] {
        ada.asks("react", react(&message, key, true)).await;
    }
    ada.asks("react", react(&message, "b", false)).await;
    ada.asks("editMessage", json!({ "messageId": message["messageId"], "content": "hello!" })).await;
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!((&synced["change"], phone.all("messageChanged").len()), (&json!(5), 1));
    store.take(&phone, &group);
    store.is_as(&ada.history(&group).await);
    assert_eq!(store.messages[&1]["reactions"].as_array().unwrap().len(), 2);
}
