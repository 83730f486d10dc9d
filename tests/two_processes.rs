//! Another process changes the same database: the command line beside a running server, or a second server. What it
//! stored counts at once.

use serde_json::{Value as Json, json};

use crate::harness::{Person, Server};

/// A server, a second one on the same database, and a group of ada and bob.
async fn pair() -> (Server, Server, Person, Person, String) {
    let server = Server::start().await;
    let other = server.beside().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    (server, other, ada, bob, group)
}

/// The same login, at another server.
async fn at(server: &Server, person: &Person) -> Person {
    Person::shows(server, &person.token).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whom_another_process_removed_reads_and_hears_nothing_more() {
    let (server, other, ada, bob, group) = pair().await;
    let (adas, bobs) = (ada.connect().await, bob.connect().await);
    adas.posts_in(&group, "before").await;
    bobs.sees_message("before").await;
    let path = format!("/api/rooms/{group}/members/bob");
    at(&other, &ada).await.delete(&path).await.is(200);

    let rooms = format!("/api/rooms/{group}");
    bob.get(&format!("{rooms}/messages")).await.is_refused(403, "not_a_member");
    bob.get(&format!("{rooms}/members")).await.is_refused(403, "not_a_member");
    bobs.is_refused("history", json!({ "receiver": group, "group": true }), "not_a_member").await;
    adas.posts_in(&group, "after").await;
    adas.posts_to("bob", "mark").await;
    bobs.sees_message("mark").await;
    let heard = bobs.all("response");
    assert!(heard.iter().all(|told| told["response"]["content"] != "after"), "{heard:?}");
    adas.sees("memberLeft", |told| told["username"] == "bob").await;
    drop((adas, bobs));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whom_another_process_added_reads_and_hears() {
    let (server, other, ada, _, group) = pair().await;
    let carl = server.person("carl").await;
    let (adas, carls) = (ada.connect().await, carl.connect().await);
    let add = json!({ "users": ["carl"] });
    at(&other, &ada).await.post(&format!("/api/rooms/{group}/members"), add).await.is(200);

    carl.get(&format!("/api/rooms/{group}/messages")).await.is(200);
    adas.posts_in(&group, "hello").await;
    carls.sees_message("hello").await;
    carls.posts_in(&group, "hello, too").await;
    adas.sees_message("hello, too").await;
    drop((adas, carls));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_another_process_made_delivers_to_members_who_were_connected_before() {
    let (server, other, ada, bob, _) = pair().await;
    let (adas, bobs) = (ada.connect().await, bob.connect().await);
    let group = at(&other, &ada).await.makes_group("more friends", &["bob"]).await;
    // Whoever loads the room attaches everybody.
    adas.posts_in(&group, "hello").await;
    adas.sees_message("hello").await;
    bobs.sees_message("hello").await;
    drop((adas, bobs));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_begins_where_the_database_is() {
    let (server, other, ada, bob, group) = pair().await;
    // Keeps the room in memory.
    let adas = ada.connect().await;
    adas.posts_in(&group, "one").await;
    let there = at(&other, &ada).await.connect().await;
    there.posts_in(&group, "two").await;

    // A device that has both is sent neither.
    let has_all = bob.connect_with(json!({ "since": { group.as_str(): 2 } })).await;
    // A device without a place of its own is sent both.
    let carl = bob.logs_in_again().await;
    let seqs = json!(group);
    has_all.is_alive().await;
    assert_eq!(has_all.seqs(&seqs), [0_i64; 0]);
    assert_eq!(bob.conversation(&group).await["delivered"], 2, "`since` says what has arrived");
    let from_one = carl.connect_with(json!({ "since": { group.as_str(): 1 } })).await;
    from_one.sees_message("two").await;
    assert_eq!(from_one.seqs(&seqs), [2]);
    // And what follows continues there.
    assert_eq!(adas.posts_in(&group, "three").await["seq"], 3);
    has_all.sees_message("three").await;
    assert_eq!(has_all.seqs(&seqs), [3]);
    assert_eq!(adas.sees_seqs(&seqs, 3).await, [1, 2, 3]);
    drop((adas, there, has_all, from_one));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_another_process_shows_in_what_memory_has_once_the_next_edit_is_numbered() {
    let (server, other, ada, bob, group) = pair().await;
    let adas = ada.connect().await;
    let (first, second) = (adas.posts_in(&group, "one").await, adas.posts_in(&group, "two").await);
    // Memory has both messages: those that are recent, and those that were replayed a moment ago.
    bob.connect().await.sees_seqs(&json!(group), 2).await;
    let edit =
        |message: &Json, content: &str| json!({ "messageId": message["messageId"], "content": content });
    let there = at(&other, &ada).await.connect().await;
    there.asks("editMessage", edit(&first, "one, edited there")).await;
    adas.asks("editMessage", edit(&second, "two, edited here")).await;
    // Whoever was connected is told of both, and whoever comes reads both.
    adas.sees("messageChanged", |changed| changed["change"] == 1).await;
    let phone = bob.connect_with(json!({ "since": { &group: 0 } })).await;
    phone.sees_message("one, edited there").await;
    phone.sees_message("two, edited here").await;
    drop((adas, there, phone));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_change_of_another_process_comes_after_that_change() {
    let (server, other, ada, _, group) = pair().await;
    let adas = ada.connect().await;
    let message = adas.posts_in(&group, "helo").await;
    let edit = json!({ "messageId": message["messageId"], "content": "hello" });
    let there = at(&other, &ada).await.connect().await;
    there.asks("editMessage", edit.clone()).await;
    // Nothing is left to change, and the answer shows what the other process has changed.
    let answer = adas.asks("editMessage", edit).await;
    assert_eq!((&answer["content"], &answer["change"]), (&json!("hello"), &json!(1)));
    adas.sees("messageChanged", |changed| changed["change"] == 1).await;
    let story = adas.story();
    let place = |event: &str| story.iter().rposition(|name| name == event);
    assert!(place("messageChanged") < place(crate::harness::ANSWER), "{story:?}");
    drop((adas, there));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_comes_after_its_message_that_another_process_has_stored() {
    let (server, other, ada, bob, group) = pair().await;
    let adas = ada.connect().await;
    let bobs = at(&other, &bob).await.connect().await;
    let message = adas.posts_in(&group, "helo").await;
    let path = format!("/api/messages/{}", message["messageId"].as_str().unwrap());
    at(&other, &ada).await.patch(&path, json!({ "content": "hello" })).await.is(200);
    bobs.sees("messageChanged", |changed| changed["change"] == 1).await;
    let story = bobs.story();
    let place = |event: &str| story.iter().position(|name| name == event);
    assert!(place("response").is_some() && place("response") < place("messageChanged"), "{story:?}");
    drop((adas, bobs));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_kept_for_reconnecting_devices_is_not_older_than_the_room() {
    let (server, other, ada, bob, group) = pair().await;
    let adas = ada.connect().await;
    let message = adas.posts_in(&group, "helo").await;
    // The other process reads the page for bob, and keeps it; then nobody of the room is connected there.
    let all = json!({ "since": { &group: 0 } });
    let there = at(&other, &bob).await;
    let bobs = there.connect_with(all.clone()).await;
    bobs.sees_message("helo").await;
    drop(bobs);
    crate::harness::until("the room to leave memory", || async { other.chat().gauges().rooms_resident <= 1 })
        .await;
    let edit = json!({ "messageId": message["messageId"], "content": "hello" });
    adas.asks("editMessage", edit).await;
    let again = there.connect_with(all).await;
    again
        .sees("response", |told| told["response"]["seq"] == 1 && told["response"]["content"] == "hello")
        .await;
    drop((adas, again));
    drop((other, server));
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_another_process_count_when_a_connection_starts() {
    let (server, other, ada, bob, group) = pair().await;
    let adas = ada.connect().await;
    adas.posts_in(&group, "one").await;
    let there = at(&other, &bob).await.connect().await;
    there.sees_message("one").await;
    crate::harness::until("the receipt to be stored", || async {
        at(&other, &bob).await.conversation(&group).await["delivered"] == 1
    })
    .await;
    // Saved in batches: the database has it when a server that starts now reads it.
    let third = other.beside().await;
    crate::harness::until("the receipt to be saved", || async {
        at(&third, &bob).await.conversation(&group).await["delivered"] == 1
    })
    .await;
    let here = bob.connect().await;
    here.is_alive().await;
    assert_eq!(here.seqs(&json!(group)), [0_i64; 0], "nothing is sent twice");
    drop((adas, there, here));
    drop((third, other, server));
}
