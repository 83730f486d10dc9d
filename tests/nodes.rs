//! Several nodes on one PostgreSQL: what happens at one of them is soon known at the others, without any bus, and over one
//! that loses, repeats and swaps frames. `buses` has the tests that are about the bus.

use std::time::Duration;

use chrono::TimeDelta;
use parlor::{
    clock::Clock,
    config::{Bus, Config, Switch},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use serde_json::json;

use crate::harness::{Database, Door, Person, Pooler, Process, Server, faulty_bus, until};

/// By what two nodes know what the other one stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Looks,
    FaultyBus,
    Postgres,
}

/// Two nodes that know of each other.
async fn two_nodes(by: By) -> (Server, Server) {
    let one = first_node(by).await;
    let other = one.beside().await;
    know_each_other(&[&one, &other]).await;
    (one, other)
}

async fn know_each_other(nodes: &[&Server]) {
    for node in nodes {
        let others = nodes.len() - 1;
        until("a node to know the others", || async { node.chat().gauges().other_nodes == others }).await;
    }
}

async fn first_node(by: By) -> Server {
    let (bus, url) = match by {
        By::Looks => (Bus::Off, String::new()),
        By::FaultyBus => (Bus::Nats, faulty_bus().await),
        By::Postgres => (Bus::Postgres, String::new()),
    };
    Server::on(Database::postgres().await, |config| {
        config.presence.grace = Duration::from_millis(300);
        config.cluster.bus = bus;
        config.cluster.url = url.into();
    })
    .await
}

/// The same login, at another node.
async fn at(node: &Door, person: &Person) -> Person {
    Person::shows(node, &person.token).await
}

fn numbers(upto: i64) -> Vec<i64> {
    (1..=upto).collect()
}

async fn a_message_reaches_everyone_once_and_in_order_wherever_they_are(by: By) {
    let (one, other) = two_nodes(by).await;
    let (ada, bob) = (one.person("ada").await, one.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let (phone, laptop) = (ada.connect().await, at(&other, &ada).await.connect().await);
    let (here, there) = (bob.connect().await, at(&other, &bob).await.connect().await);

    // Nobody writes at the other node.
    phone.posts_in(&group, "hello").await;
    for socket in [&laptop, &here, &there] {
        socket.sees_message("hello").await;
    }
    // Both write at once.
    let mut answers = Vec::new();
    for round in 0..50 {
        for socket in [&phone, &there] {
            let message = json!({ "receiver": group, "content": format!("{round}") });
            answers.push(socket.sends("groupMessage", message));
        }
    }
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer["success"], true, "{answer}");
    }
    for socket in [&phone, &laptop, &here, &there] {
        assert_eq!(socket.sees_seqs(&json!(group), 101).await, numbers(101));
    }
    drop((phone, laptop, here, there));
    drop((other, one));
}

async fn the_lobby_and_a_first_private_message_reach_the_other_node(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.online("ada").await;
    let bob = other.online("bob").await;
    ada.asks("lobbyMessage", json!({ "content": "hello, all" })).await;
    bob.sees("lobby", |told| told["response"]["content"] == "hello, all").await;
    // The room is made by this message, while bob is connected elsewhere. A device of his that is here has received it
    // before the other node looks.
    let here = at(&one, &bob.person).await.connect().await;
    ada.posts_to("bob", "hello, bob").await;
    here.sees_message("hello, bob").await;
    bob.sees_message("hello, bob").await;
    bob.posts_to("ada", "hello, ada").await;
    ada.sees_message("hello, ada").await;
    // The same in a group that he is put into.
    let group = ada.person.makes_group("friends", &[]).await;
    ada.posts_in(&group, "before him").await;
    ada.asks("addMembers", json!({ "groupId": group, "users": ["bob"] })).await;
    ada.posts_in(&group, "welcome").await;
    here.sees_message("welcome").await;
    bob.sees_message("welcome").await;
    assert_eq!(bob.seqs(&json!(group)), [2], "what was written before is history");
    drop((ada, bob, here));
    drop((other, one));
}

async fn what_is_changed_at_one_node_is_told_at_the_other(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.online("ada").await;
    let bob = other.online("bob").await;
    let message = ada.posts_to("bob", "helo").await;
    bob.sees_message("helo").await;
    let edit = json!({ "messageId": message["messageId"], "content": "hello" });
    ada.asks("editMessage", edit).await;
    let told = bob.sees("messageChanged", |told| told["messageId"] == message["messageId"]).await;
    assert_eq!(told["set"]["content"], "hello", "{told}");
    let react = json!({ "messageId": message["messageId"], "key": "👍", "on": true });
    bob.asks("react", react).await;
    ada.sees("messageChanged", |told| told["change"] == 2).await;
    // Somebody who comes later reads it as it stands.
    let late = at(&other, &ada.person).await.connect_with(json!({ "since": {} })).await;
    let history = late.emit("history", json!({ "receiver": "bob", "group": false })).await;
    assert_eq!(history["response"]["messages"][0]["content"], "hello", "{history}");
    // What a deletion changes of the number of unread messages.
    ada.posts_to("bob", "oh, and this").await;
    bob.sees_message("oh, and this").await;
    ada.asks("deleteMessage", json!({ "messageId": message["messageId"] })).await;
    let told = bob.sees("roomChanged", |told| !told["set"]["unread"].is_null()).await;
    assert_eq!(told["set"]["unread"], 1, "{told}");
    drop((ada, bob, late));
    drop((other, one));
}

async fn a_group_and_its_members_are_the_same_everywhere(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.online("ada").await;
    let (bob, cyd) = (other.online("bob").await, other.online("cyd").await);
    let group = ada.person.makes_group("friends", &["bob"]).await;
    bob.sees("newgrp", |told| told["response"]["groupId"] == json!(group)).await;
    for socket in [&bob, &cyd] {
        socket.sees("roomsChanged", |told| told["response"]["groupId"] == json!(group)).await;
    }
    ada.posts_in(&group, "one").await;
    bob.sees_message("one").await;

    let members = format!("/api/rooms/{group}/members");
    ada.person.post(&members, json!({ "users": ["cyd"] })).await.is(200);
    cyd.sees("newgrp", |told| told["response"]["groupId"] == json!(group)).await;
    bob.sees("memberJoined", |told| told["username"] == "cyd").await;
    ada.posts_in(&group, "two").await;
    for socket in [&bob, &cyd] {
        socket.sees_message("two").await;
    }

    // Whoever is removed hears nothing that was stored afterwards, and is told at once.
    ada.person.delete(&format!("{members}/bob")).await.is(200);
    ada.posts_in(&group, "three").await;
    for socket in [&bob, &cyd] {
        socket.sees("memberLeft", |told| told["username"] == "bob").await;
    }
    cyd.sees_message("three").await;
    ada.posts_to("bob", "mark").await;
    bob.sees_message("mark").await;
    assert_eq!(bob.seqs(&json!(group)), [1, 2]);
    bob.is_refused("groupMessage", json!({ "receiver": group, "content": "?" }), "not_a_member").await;

    ada.person.patch(&format!("/api/rooms/{group}"), json!({ "groupName": "good friends" })).await.is(200);
    bob.sees("roomsChanged", |told| told["response"]["groupName"] == "good friends").await;
    ada.person.delete(&format!("/api/rooms/{group}")).await.is(204);
    for socket in [&bob, &cyd] {
        socket.sees("roomsChanged", |told| told["change"] == "deleted").await;
    }
    // A change of another group comes after whatever is still told of this one.
    ada.person.makes_group("other friends", &["cyd"]).await;
    for socket in [&bob, &cyd] {
        socket.sees("roomsChanged", |told| told["response"]["groupName"] == "other friends").await;
        let told = socket.all("roomsChanged");
        assert_eq!(told.iter().filter(|told| told["change"] == "deleted").count(), 1, "{told:?}");
    }
    cyd.is_refused("groupMessage", json!({ "receiver": group, "content": "?" }), "not_found").await;
    drop((ada, bob, cyd));
    drop((other, one));
}

async fn a_user_s_connections_are_limited_over_all_nodes_and_the_newest_stays(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.person("ada").await;
    let mut here = Vec::new();
    for _ in 0..20 {
        here.push(ada.connect().await);
    }
    let there = at(&other, &ada).await;
    let newest = [there.connect().await, there.connect().await, there.connect().await];
    until("three to make room", || async {
        let counts = [&one, &other].map(|node| node.chat().gauges().connections);
        counts == [17, 3]
    })
    .await;
    for (number, socket) in here.iter().enumerate() {
        if number < 3 {
            socket.sees_any("displaced").await;
        } else {
            socket.is_alive().await;
        }
    }
    for socket in &newest {
        socket.is_alive().await;
    }
    drop((here, newest));
    drop((other, one));
}

async fn wrong_passwords_count_for_all_nodes_together(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.person("ada").await;
    let logs_in = async |node: &Server, password: &str| {
        let login = json!({ "username": "ada", "password": password });
        node.http.post("/api/auth/login", login).await.status
    };
    let right = Person::password_of("ada");
    // A right one is not counted, and forgets the wrong ones from there, at whichever node.
    for node in [&one, &other, &one] {
        assert_eq!(logs_in(node, "wrong").await, 401);
    }
    assert_eq!(logs_in(&other, &right).await, 200);
    // Five may be wrong, wherever, one by one or at once.
    for node in [&one, &other, &one] {
        assert_eq!(logs_in(node, "wrong").await, 401);
    }
    let at_once = (0..6).map(|number| logs_in(if number % 2 == 0 { &one } else { &other }, "wrong"));
    let statuses = futures_util::future::join_all(at_once).await;
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    // Each node may let in what was free when it looked.
    assert!((2..=4).contains(&looked_at), "two are left: {statuses:?}");
    for node in [&one, &other] {
        assert_eq!(logs_in(node, &right).await, 429);
    }
    drop(ada);
    drop((other, one));
}

async fn a_login_that_ends_at_one_node_ends_at_the_other(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.person("ada").await;
    let (again, third) = (ada.logs_in_again().await, ada.logs_in_again().await);
    let there = at(&other, &ada).await.connect().await;
    let spared = at(&other, &again).await.connect().await;
    let began = std::time::Instant::now();
    ada.logs_out().await;
    there.sees_any("token-expired").await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "the job that looks at all logins found it after {took:?}");
    spared.is_alive().await;
    let change = json!({ "password": "a new one", "currentPassword": Person::password_of("ada") });
    third.patch("/api/users/ada", change).await.is(200);
    spared.sees_any("token-expired").await;
    drop((there, spared));
    drop((other, one));
}

async fn a_node_that_goes_is_not_waited_for_and_a_node_alone_only_beats(by: By) {
    let (one, mut other) = two_nodes(by).await;
    other.stop().await;
    until("the node to be alone", || async { one.chat().gauges().other_nodes == 0 }).await;
    assert_eq!(one.http.metrics().await["parlor_cluster_nodes"], 1.0);
    one.person("ada").await.get("/api/rooms/mine").await.is(200);
    drop((other, one));
}

/// How `/readyz` answers.
async fn readiness(node: &Door) -> u16 {
    node.http.get("/readyz").await.status
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_node_whose_clock_is_wrong_is_not_ready() {
    let one = first_node(By::Looks).await;
    let wrong = one.beside_with(Clock::movable(), |_| {}).await;
    know_each_other(&[&one, &wrong]).await;
    assert_eq!((readiness(&one).await, readiness(&wrong).await), (200, 200));
    wrong.clock.advance(TimeDelta::seconds(5));
    until("the node to see it", || async { readiness(&wrong).await == 503 }).await;
    wrong.http.get("/readyz").await.is_refused(503, "unavailable");
    let skew = wrong.http.metrics().await["parlor_cluster_clock_skew_seconds"];
    assert!(skew > 2.0 && skew <= 5.0, "{skew}");
    assert_eq!(readiness(&one).await, 200);
    // It goes on at half the speed until it is right.
    wrong.clock.advance(TimeDelta::seconds(-5));
    until("it to be ready again", || async { readiness(&wrong).await == 200 }).await;
    drop((wrong, one));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_node_that_alone_does_not_hear_the_bus_is_not_ready() {
    let one = first_node(By::Postgres).await;
    let other = one.beside().await;
    // It is at the same database, and at a bus where nobody else is.
    let deaf = one.beside_with(one.clock.clone(), |config| config.cluster.name = "elsewhere".into()).await;
    know_each_other(&[&one, &other, &deaf]).await;
    until("the node to see it", || async { readiness(&deaf).await == 503 }).await;
    assert_eq!((readiness(&one).await, readiness(&other).await), (200, 200));
    // Where no node hears more than another one, all are as good.
    drop(other);
    until("it to be ready again", || async { readiness(&deaf).await == 200 }).await;
    drop((deaf, one));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_node_that_is_stopped_says_so_and_hands_its_clients_over() {
    let other = first_node(By::Looks).await;
    let patient = |config: &mut Config| config.cluster.drain_delay = Duration::from_secs(2);
    let mut one = other.beside_with(other.clock.clone(), patient).await;
    know_each_other(&[&one, &other]).await;
    let ada = one.person("ada").await;
    one.acquaintance("bob").await;
    let (phone, laptop) = (ada.connect().await, at(&other, &ada).await.connect().await);
    one.begins_to_stop();
    until("the node to say so", || async { readiness(&one).await == 503 }).await;
    assert_eq!(readiness(&other).await, 200);
    // It serves everyone until the proxy has noticed.
    at(&one, &ada).await.connect().await.posts_to("bob", "still here").await;
    laptop.sees_message("still here").await;
    phone.ends().await;
    laptop.is_alive().await;
    drop((laptop, one, other));
}

async fn receipts_and_own_settings_count_wherever_they_are_given(by: By) {
    let (one, other) = two_nodes(by).await;
    let (ada, bob) = (one.person("ada").await, one.person("bob").await);
    let (phone, laptop) = (ada.connect().await, at(&other, &ada).await.connect().await);
    let (here, there) = (bob.connect().await, at(&other, &bob).await.connect().await);
    // The only socket that acknowledges is at the other node, and so is one of the two that are told.
    drop(here);
    let message = phone.posts_to("bob", "hello").await;
    there.sees_message("hello").await;
    for socket in [&phone, &laptop] {
        socket.sees_delivered(&message).await;
    }
    let here = bob.connect().await;
    there.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 1 })).await;
    for socket in [&phone, &laptop] {
        socket.sees("messageRead", |told| told["username"] == "bob" && told["seq"] == 1).await;
    }
    here.sees("roomChanged", |told| told["set"]["read"] == 1).await;
    // And so do a user's own settings.
    there.asks("setRoom", json!({ "receiver": "ada", "group": false, "archived": true })).await;
    here.sees("roomChanged", |told| told["set"]["archived"] == true).await;
    // Once each.
    phone.posts_to("bob", "mark").await;
    for socket in [&phone, &laptop] {
        socket.sees("updateDeliveryStatusOnConnection", |told| told["response"]["content"] == "mark").await;
        let told = socket.all("updateDeliveryStatusOnConnection");
        assert_eq!(told.len(), 2, "{told:?}");
    }
    drop((phone, laptop, here, there));
    drop((other, one));
}

async fn who_is_online_anywhere_is_online(by: By) {
    let (one, other) = two_nodes(by).await;
    let (ada, bob) = (one.online("ada").await, one.person("bob").await);
    let there = at(&other, &bob).await.connect().await;
    ada.sees_online("bob", true).await;
    assert_eq!(ada.get("/api/users/bob").await.is(200)["isOnline"], true);
    // Who is online at two nodes comes once, and has gone when the last connection has.
    let here = bob.connect().await;
    here.is_alive().await;
    here.leaves();
    until("the node to forget bob", || async { one.chat().gauges().users_online == 1 }).await;
    assert_eq!(ada.get("/api/users/bob").await.is(200)["isOnline"], true);
    there.leaves();
    ada.sees_online("bob", false).await;
    assert_eq!(ada.get("/api/users/bob").await.is(200)["isOnline"], false);
    let told = ada.all("onlineStatus");
    assert_eq!(told.iter().filter(|told| told["username"] == "bob").count(), 2, "{told:?}");
    drop(ada);
    drop((other, one));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn the_users_of_a_node_that_was_killed_go_offline_when_its_lease_is_over() {
    let database = Database::postgres().await;
    let settings = [("PARLOR__CLUSTER__LOOK_EVERY", "200ms"), ("PARLOR__CLUSTER__LEASE", "2s")];
    let one = Process::with(&database, &settings).await;
    let mut other = Process::with(&database, &settings).await;
    let ada = one.online("ada").await;
    let bob = other.online("bob").await;
    ada.sees_online("bob", true).await;
    let cyd = one.person("cyd").await;
    let moving = at(&other, &cyd).await.connect().await;
    ada.sees_online("cyd", true).await;
    other.dies().await;
    // Who comes back at another node has never been away.
    let back = cyd.connect().await;
    back.is_alive().await;
    ada.sees_online("bob", false).await;
    assert_eq!(one.http.metrics().await["parlor_cluster_nodes"], 1.0);
    let told = ada.all("onlineStatus");
    assert!(told.iter().all(|told| told["username"] != "cyd" || told["online"] == true), "{told:?}");
    drop((ada, bob, moving, back));
    drop((one, other));
    database.remove().await;
}

async fn what_a_node_stores_while_it_goes_down_is_delivered_by_the_other(by: By) {
    let (one, mut other) = two_nodes(by).await;
    let bob = one.online("bob").await;
    let ada = other.online("ada").await;
    let message = ada.posts_to("bob", "0").await;
    let mut answers = Vec::new();
    for number in 1..=100 {
        let told = json!({ "receiver": "bob", "content": number.to_string() });
        answers.push(ada.answer_if_any("privateMessage", told));
    }
    let (answers, ()) = tokio::join!(futures_util::future::join_all(answers), other.stop());
    let answered = answers.iter().flatten().filter(|answer| answer["success"] == true).count();
    let room = message["roomId"].as_str().unwrap();
    let stored = at(&one, &ada.person).await.conversation(room).await["lastSeq"].as_i64().unwrap();
    assert!(stored > answered as i64, "{stored} are stored, and {answered} and one were answered");
    assert_eq!(bob.sees_seqs(&message["roomId"], stored as usize).await, numbers(stored));
    drop((ada, bob));
    drop((other, one));
}

async fn a_new_first_name_is_soon_shown_at_every_node(by: By) {
    let (one, other) = two_nodes(by).await;
    let (ada, bob) = (one.person("ada").await, one.person("bob").await);
    let [hears, says] = [ada.connecting().at_root().open().await, bob.connecting().at_root().open().await];
    let named = json!({ "roomName": "tea", "roomPwd": "secret" });
    let room = hears.emit("create:room", named.clone()).await;
    for socket in [&hears, &says] {
        socket.emit("joinIfExists:room", named.clone()).await;
    }
    at(&other, &bob).await.patch("/api/users/bob", json!({ "firstName": "Robert" })).await.is(200);
    until("the new name", || async {
        let message = json!({ "roomId": room["id"], "content": "it is me" });
        says.emit("create:message", message).await["user"]["name"] == "Robert"
    })
    .await;
    drop((hears, says));
    drop((other, one));
}

/// A client may have a message from the history, or from another node.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn what_was_read_counts_though_the_node_does_not_know_it_yet() {
    let one = Server::on(Database::postgres().await, |config| {
        config.cluster.bus = Bus::Off;
        // It must hold whenever a look comes, and without one a fault shows.
        config.cluster.look_every = Duration::from_secs(2);
    })
    .await;
    let bob = one.online("bob").await;
    let ada = one.person("ada").await;
    let group = bob.makes_group("friends", &["ada"]).await;
    let root = bob.posts_in(&group, "first").await;
    let other = one.beside().await;
    know_each_other(&[&one, &other]).await;
    let there = at(&other, &ada).await.connect().await;
    there.sees_message("first").await;
    let seqs = |upto: i64| json!({ "receiver": group, "group": true, "seq": upto });

    bob.posts_in(&group, "second").await;
    assert_eq!(there.history(&group).await.len(), 2);
    let read = there.emit("markRead", seqs(2)).await;
    assert_eq!(read["response"]["seq"], 2, "{read}");
    assert_eq!(there.conversation(&group).await["unread"], 0);

    bob.posts_in(&group, "third").await;
    let delivered = there.emit("delivered", json!({ "rooms": { &group: 3 } })).await;
    assert_eq!(delivered["response"]["rooms"][&group], 3, "{delivered}");

    let reply = json!({ "receiver": group, "content": "fourth", "thread": root["messageId"] });
    bob.asks("groupMessage", reply).await;
    there.asks("followThread", json!({ "messageId": root["messageId"], "on": true })).await;
    let mut threads = seqs(4);
    threads["threads"] = true.into();
    there.asks("markRead", threads).await;
    assert_eq!(there.conversation(&group).await["unreadThreads"], json!(null));
    // There is no more than there is.
    assert_eq!(there.emit("markRead", seqs(99)).await["response"]["seq"], 4);
    drop((bob, there));
    drop((other, one));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn who_types_is_told_at_the_other_node() {
    let (one, other) = two_nodes(By::Postgres).await;
    let ada = one.online("ada").await;
    let bob = other.online("bob").await;
    let group = ada.person.makes_group("friends", &["bob"]).await;
    bob.sees("newgrp", |_| true).await;
    until("a node to hear itself", || async { other.chat().gauges().bus_works }).await;
    for (receiver, in_group) in [(group.as_str(), true), ("bob", false)] {
        ada.asks("typing", json!({ "receiver": receiver, "group": in_group, "typing": true })).await;
        let told = bob.sees("typing", |told| told["group"] == in_group && told["typing"] == true).await;
        assert_eq!((&told["sender"], &told["receiver"]), (&json!("ada"), &json!(receiver)), "{told}");
    }
    // Who goes has stopped.
    drop(ada);
    for in_group in [true, false] {
        bob.sees("typing", |told| told["group"] == in_group && told["typing"] == false).await;
    }
    drop(bob);
    drop((other, one));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(all(with_postgres, with_pgbouncer)), ignore = "PostgreSQL or pgbouncer is not there")]
async fn behind_a_pooler_a_node_hears_at_an_address_of_its_own() {
    let pooler = Pooler::start().await;
    let listens = |listen_url: String| {
        Server::on(pooler.database(), move |config| {
            config.database.pooler = Switch::On;
            config.cluster.listen_url = listen_url.into();
        })
    };
    let one = listens(pooler.behind()).await;
    let deaf = listens(String::new()).await;
    until("a node to hear itself", || async { one.chat().gauges().bus_works }).await;
    assert_eq!((one.chat().gauges().other_nodes, deaf.chat().gauges().bus_works), (1, false));
    drop((deaf, one));
    pooler.remove().await;
}

async fn a_member_who_asks_for_a_new_group_before_the_notice_is_told_of_it_all_the_same(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.online("ada").await;
    let bob = other.online("bob").await;
    // Usually one of them is asked for before the other node looks.
    for name in ["first", "second", "third"] {
        let group = ada.person.makes_group(name, &["bob"]).await;
        bob.posts_in(&group, "I am here already").await;
        bob.sees("newgrp", |told| told["response"]["groupId"] == json!(group)).await;
    }
    drop((ada, bob));
    drop((other, one));
}

/// Has PostgreSQL run this for each new notice that the condition is true for, before it is stored.
async fn before_notices(node: &Server, when: &str, body: &str) {
    let database = node.database.as_ref().unwrap().look_inside().await;
    let function =
        format!("CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$");
    database.execute_unprepared(&function).await.unwrap();
    let trigger = format!(
        "CREATE TRIGGER meddles BEFORE INSERT ON notices FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION meddle()"
    );
    database.execute_unprepared(&trigger).await.unwrap();
}

async fn a_group_whose_notice_a_crash_of_postgresql_has_lost_is_found(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.online("ada").await;
    let bob = other.online("bob").await;
    before_notices(&one, "NEW.kind = 'membership'", "RETURN NULL;").await;
    let group = ada.person.makes_group("friends", &["bob"]).await;
    // So it comes back: tables that are not logged are empty.
    let database = one.database.as_ref().unwrap().look_inside().await;
    database.execute_unprepared("TRUNCATE nodes, notices, presences").await.unwrap();
    bob.sees("newgrp", |told| told["response"]["groupId"] == json!(group)).await;
    ada.posts_in(&group, "hello").await;
    bob.sees_message("hello").await;
    drop((ada, bob));
    drop((other, one));
}

async fn a_notice_is_read_however_long_its_transaction_takes(by: By) {
    let (one, other) = two_nodes(by).await;
    let ada = one.online("ada").await;
    let bob = other.online("bob").await;
    // Every notice is an old one when it appears, and the transaction of the first group waits after its notice.
    let wait = "IF NEW.kind = 'group_created' THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;";
    let old = "NEW.told_at = now() - interval '1 minute'; RETURN NEW;";
    before_notices(&one, "true", &format!("{wait} {old}")).await;
    let database = one.database.as_ref().unwrap().look_inside().await;
    let held = database.begin().await.unwrap();
    held.execute_unprepared("SELECT pg_advisory_xact_lock(1)").await.unwrap();
    let slow = async {
        let group = ada.person.makes_group("slow", &["bob"]).await;
        ada.posts_in(&group, "hello").await;
    };
    let meanwhile = async {
        let waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        until("the transaction to wait", || async {
            let asked = Statement::from_string(DbBackend::Postgres, waiting);
            database.query_one_raw(asked).await.unwrap().is_some()
        })
        .await;
        // Its notice has a higher id, and is read before.
        let cyd = one.online("cyd").await;
        cyd.posts_to("bob", "a new room").await;
        bob.sees_message("a new room").await;
        held.commit().await.unwrap();
    };
    tokio::join!(slow, meanwhile);
    bob.sees_message("hello").await;
    drop((ada, bob));
    drop((other, one));
}

macro_rules! each_by {
    ($way:ident, $by:expr, $($name:ident),* $(,)?) => {
        mod $way {
            use super::By;

            $(
                #[tokio::test(flavor = "multi_thread")]
                #[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
                async fn $name() {
                    super::$name($by).await;
                }
            )*
        }
    };
}

macro_rules! without_a_bus_and_over_a_faulty_one {
    ($($name:ident),* $(,)?) => {
        each_by!(without_a_bus, By::Looks, $($name),*);
        each_by!(over_a_faulty_bus, By::FaultyBus, $($name),*);
    };
}

without_a_bus_and_over_a_faulty_one!(
    a_message_reaches_everyone_once_and_in_order_wherever_they_are,
    the_lobby_and_a_first_private_message_reach_the_other_node,
    what_is_changed_at_one_node_is_told_at_the_other,
    a_group_and_its_members_are_the_same_everywhere,
    wrong_passwords_count_for_all_nodes_together,
    a_login_that_ends_at_one_node_ends_at_the_other,
    a_user_s_connections_are_limited_over_all_nodes_and_the_newest_stays,
    a_node_that_goes_is_not_waited_for_and_a_node_alone_only_beats,
    receipts_and_own_settings_count_wherever_they_are_given,
    who_is_online_anywhere_is_online,
    what_a_node_stores_while_it_goes_down_is_delivered_by_the_other,
    a_new_first_name_is_soon_shown_at_every_node,
    a_member_who_asks_for_a_new_group_before_the_notice_is_told_of_it_all_the_same,
    a_group_whose_notice_a_crash_of_postgresql_has_lost_is_found,
    a_notice_is_read_however_long_its_transaction_takes,
);
