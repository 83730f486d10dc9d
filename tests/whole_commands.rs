//! A command is whole or did not happen, whatever its client does meanwhile: hang up, lose patience, or ask while the
//! server shuts down.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, TransactionTrait};
use serde_json::{Value as Json, json};

use crate::harness::{Person, Raw, Server, Socket, until};

/// Sends a request and hangs up after a moment, without waiting for the answer: the server reads the end of the
/// connection. The other direction stays open for [`are_over`].
async fn hangs_up(person: &Person, method: &str, path: &str, body: Json, after: Duration) -> Raw {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        person.token,
        body.len()
    );
    let mut line = Raw::connect(person.door.address).await;
    line.send(request.as_bytes()).await;
    tokio::time::sleep(after).await;
    line.hangs_up().await;
    line
}

/// Moments within and around the time that a command takes.
fn moments(count: u64) -> impl Iterator<Item = (u64, Duration)> {
    (0..count).map(|number| (number, Duration::from_micros((number * 700) % 20_000)))
}

/// Waits until the server has dropped the connections of clients that hung up, and every command that began has ended.
async fn are_over(server: &Server, lines: Vec<Raw>) {
    for mut line in lines {
        line.everything().await;
    }
    until("commands to end", async || server.chat().gauges().commands == 0).await;
}

/// The ids of the groups that somebody is in, by name.
async fn groups_of(person: &Person) -> Vec<(String, String)> {
    let mine = person.get("/api/rooms/mine").await.is(200);
    let groups = mine.as_array().unwrap().iter().filter(|room| room["kind"] == "group");
    let named = |room: &Json| {
        let group = &room["group"];
        (group["groupName"].as_str().unwrap().to_owned(), group["groupId"].as_str().unwrap().to_owned())
    };
    groups.map(named).collect()
}

/// The usernames of a group's members, as the database has them.
async fn members_of(person: &Person, group: &str) -> Vec<String> {
    let page = person.get(&format!("/api/rooms/{group}/members?limit=200")).await.is(200);
    let members = page["members"].as_array().unwrap().iter();
    members.map(|member| member["username"].as_str().unwrap().to_owned()).collect()
}

/// That everything which was written to a socket has arrived: a later message by another way has.
async fn has_heard_everything(sender: &Socket, socket: &Socket, number: usize) {
    let mark = format!("mark {number} for {}", socket.username);
    sender.posts_to(&socket.username, &mark).await;
    socket.sees_message(&mark).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_maker_hangs_up_delivers_to_all_its_members_or_is_not_there() {
    let server = Server::with(crate::harness::at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let mut lines = Vec::new();
    for (number, after) in moments(60) {
        let group = json!({ "groupName": format!("group {number}"), "users": ["bob"] });
        lines.push(hangs_up(&ada, "POST", "/api/rooms", group, after).await);
    }
    are_over(&server, lines).await;
    let groups = groups_of(&ada).await;
    assert!(!groups.is_empty(), "some commands had begun");
    for (name, group) in groups {
        ada.posts_in(&group, &name).await;
        for socket in [&ada, &bob] {
            socket.sees_message(&name).await;
            socket.sees("newgrp", |told| told["response"]["groupId"] == group).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_hears_and_reads_nothing_though_the_remover_hung_up() {
    let server = Server::with(crate::harness::at_full_speed).await;
    let ada = server.online("ada").await;
    let mut others = Vec::new();
    for number in 0..24 {
        others.push(server.online(&format!("member{number}")).await);
    }
    let names: Vec<String> = others.iter().map(|other| other.username.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let group = ada.makes_group("friends", &names).await;
    let mut lines = Vec::new();
    for (other, (_, after)) in others.iter().zip(moments(24)) {
        let path = format!("/api/rooms/{group}/members/{}", other.username);
        lines.push(hangs_up(&ada, "DELETE", &path, Json::Null, after).await);
    }
    are_over(&server, lines).await;
    let inside = members_of(&ada, &group).await;
    assert!(inside.len() < 25, "some commands had begun");
    ada.posts_in(&group, "hello").await;
    for (number, other) in others.iter().enumerate() {
        if inside.contains(&other.username.to_string()) {
            other.sees_message("hello").await;
            continue;
        }
        has_heard_everything(&ada, other, number).await;
        let heard = other.all("response");
        assert!(heard.iter().all(|told| told["response"]["content"] != "hello"), "{}", other.username);
        other.get(&format!("/api/rooms/{group}/messages")).await.is_refused(403, "not_a_member");
        let history = json!({ "receiver": group, "group": true });
        other.is_refused("history", history, "not_a_member").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_leaves_all_its_rooms_though_its_owner_hung_up() {
    let server = Server::with(crate::harness::at_full_speed).await;
    let ada = server.person("ada").await;
    let mut deleted = 0;
    for number in 0..8_u64 {
        let leaver = server.person(&format!("leaver{number}")).await;
        let mut groups = Vec::new();
        for group in 0..5 {
            groups.push(ada.makes_group(&format!("{number} {group}"), &[&leaver.username]).await);
        }
        let path = format!("/api/users/{}", leaver.username);
        let body = json!({ "currentPassword": Person::password_of(&leaver.username) });
        // The password is hashed first, which takes most of the time.
        let line = hangs_up(&leaver, "DELETE", &path, body, Duration::from_millis(10 << number)).await;
        are_over(&server, vec![line]).await;
        if ada.get(&path).await.status != 404 {
            continue;
        }
        deleted += 1;
        assert_eq!(leaver.get("/api/auth/session").await.status, 401, "its login has ended with it");
        for group in &groups {
            until("the deleted user to have left", || async {
                !members_of(&ada, group).await.contains(&leaver.username.to_string())
            })
            .await;
        }
    }
    assert!(deleted > 0, "some commands had begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_logins_though_its_owner_hung_up() {
    let server = Server::start().await;
    let mut changed = 0;
    for number in 0..8_u64 {
        let name = format!("user{number}");
        let ada = server.person(&name).await;
        let phone = ada.logs_in_again().await;
        let change = json!({ "password": "an other secret", "currentPassword": Person::password_of(&name) });
        // Both passwords are hashed first, which takes most of the time.
        let after = Duration::from_millis(10 << number);
        let line = hangs_up(&ada, "PATCH", &format!("/api/users/{name}"), change, after).await;
        are_over(&server, vec![line]).await;
        let now = Person::tries_to_log_in(&server, &name, "an other secret").await;
        if now.status == 200 {
            changed += 1;
            phone.get("/api/auth/session").await.is_refused(401, "token_revoked");
        }
    }
    assert!(changed > 0, "some commands had begun");
}

/// Somebody else's lock on everything that is written.
async fn lock(server: &Server) -> (DatabaseConnection, sea_orm::DatabaseTransaction) {
    let outsider = server.database.as_ref().unwrap().look_inside().await;
    let options = sea_orm::TransactionOptions {
        sqlite_transaction_mode: (outsider.get_database_backend() == sea_orm::DbBackend::Sqlite)
            .then_some(sea_orm::SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let held = outsider.begin_with_options(options).await.unwrap();
    if outsider.get_database_backend() == sea_orm::DbBackend::Postgres {
        held.execute_unprepared("LOCK TABLE rooms, members IN EXCLUSIVE MODE").await.unwrap();
    }
    (outsider, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_took_too_long_for_its_answer_is_carried_out() {
    let server = Server::with(|config| config.server.request_timeout = Duration::from_secs(3)).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let (outsider, held) = lock(&server).await;
    let answer = ada.post("/api/rooms", json!({ "groupName": "friends", "users": ["bob"] })).await;
    answer.is_refused(503, "unavailable");
    assert!(groups_of(&ada).await.is_empty(), "it waits");
    held.rollback().await.unwrap();
    outsider.close().await.unwrap();
    let told = bob.sees_any("newgrp").await;
    let group = told["response"]["groupId"].as_str().unwrap();
    ada.posts_in(group, "hello").await;
    ada.sees_message("hello").await;
    bob.sees_message("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_waits_for_commands_that_came_over_http() {
    let patient =
        |config: &mut parlor::config::Config| config.database.busy_timeout = Duration::from_secs(30);
    let mut server = Server::with(patient).await;
    let ada = server.person("ada").await;
    server.person("bob").await;
    let (outsider, held) = lock(&server).await;
    let asked = {
        let ada = ada.clone();
        tokio::spawn(async move {
            ada.post("/api/rooms", json!({ "groupName": "friends", "users": ["bob"] })).await
        })
    };
    until("the command to begin", || async { server.chat().gauges().commands > 0 }).await;
    let release = tokio::spawn(async move {
        // Longer than connections get to close once everything is stored.
        tokio::time::sleep(Duration::from_secs(3)).await;
        held.rollback().await.unwrap();
        outsider.close().await.unwrap();
    });
    server.stop().await;
    release.await.unwrap();
    asked.await.unwrap().is(201);
    server.starts_again().await;
    let ada = Person::logs_in(&server, "ada").await;
    let groups = groups_of(&ada).await;
    assert_eq!(groups.len(), 1);
    assert_eq!(members_of(&ada, &groups[0].1).await, ["ada", "bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let mut server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let older = ada.makes_group("old friends", &["bob"]).await;
    server.stop().await;
    // As a crash leaves it between the transaction and the rooms, and as a version without `deletions` left it.
    let database = server.database.as_ref().unwrap().look_inside().await;
    let now = "2026-11-27 00:00:00+00:00";
    for sql in [
        format!("UPDATE users SET deleted_at = '{now}', password_hash = NULL WHERE username = 'bob'"),
        format!(
            "UPDATE sessions SET revoked_at = '{now}' WHERE user_id IN (SELECT id FROM users WHERE username = 'bob')"
        ),
        "DROP TABLE deletions".to_owned(),
        "DELETE FROM seaql_migrations WHERE version LIKE '%remember_deletions'".to_owned(),
    ] {
        database.execute_unprepared(&sql).await.unwrap();
    }
    database.close().await.unwrap();
    server.starts_again().await;
    let ada = Person::logs_in(&server, "ada").await;
    for group in [&group, &older] {
        until("bob to be taken out", || async { members_of(&ada, group).await == ["ada"] }).await;
    }
    bob.get("/api/auth/session").await.is_refused(401, "token_revoked");
    let database = server.database.as_ref().unwrap().look_inside().await;
    until("the deletion to be over", || async {
        entity::deletion::Entity::find().all(&database).await.unwrap().is_empty()
    })
    .await;
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_cannot_be_finished_does_not_stop_the_others() {
    let mut server = Server::start().await;
    let ada = server.person("ada").await;
    server.person("bob").await;
    server.person("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    server.stop().await;
    let database = server.database.as_ref().unwrap().look_inside().await;
    let now = "2026-11-27 00:00:00+00:00";
    for sql in [
        format!("UPDATE users SET deleted_at = '{now}', password_hash = NULL WHERE username IN ('bob', 'carl')"),
        "INSERT INTO deletions (user_id, begun_at) SELECT id, deleted_at FROM users WHERE deleted_at IS NOT NULL \
         ORDER BY username"
            .to_owned(),
        // The database refuses to take bob out.
        "CREATE TABLE ties (room_id uuid, user_id uuid, \
         FOREIGN KEY (room_id, user_id) REFERENCES members (room_id, user_id))"
            .to_owned(),
        "INSERT INTO ties SELECT room_id, user_id FROM members WHERE user_id IN \
         (SELECT id FROM users WHERE username = 'bob')"
            .to_owned(),
    ] {
        database.execute_unprepared(&sql).await.unwrap();
    }
    database.close().await.unwrap();
    server.starts_again().await;
    let ada = Person::logs_in(&server, "ada").await;
    until("carl to be taken out", || async { members_of(&ada, &group).await == ["ada", "bob"] }).await;
}
