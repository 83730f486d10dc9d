//! What one user may ask for: HTTP requests a second, groups, and people added to groups without their asking.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use crate::harness::{Person, Server};

fn group(name: &str) -> Json {
    json!({ "groupName": name, "users": [] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_requests_are_counted_together_whatever_the_token() {
    let server = Server::with(|config| {
        (config.limits.requests_per_second, config.limits.requests_burst) = (1, 20);
        config.auth.token_ttl = std::time::Duration::from_secs(86_400);
    })
    .await;
    let ada = server.person("ada").await;
    let (tablet, bob) = (ada.logs_in_again().await, server.person("bob").await);
    // A machine would have to take 100 s for all of them to pass.
    let both = (0..120).map(|at| if at % 2 == 0 { &ada } else { &tablet });
    let answers = join_all(both.map(|device| device.get("/api/rooms/mine"))).await;
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(passed.len() >= 20, "the burst passes: {}", passed.len());
    assert!(!refused.is_empty());
    for answer in refused {
        answer.is_refused(429, "rate_limited");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    bob.get("/api/rooms/mine").await.is(200);
    // Who is not signed in is not counted here.
    server.http.get("/healthz").await.is(200);
    server.clock.advance(TimeDelta::seconds(120));
    for path in ["/api/users", "/api/rooms", "/api/auth/session", "/api/rooms/mine"] {
        ada.get(path).await.is(200);
    }
}

/// Makes a group by each door in turn; the code of a refusal.
async fn makes_one(person: &Person, door: usize, name: &str) -> Result<(), String> {
    let code = |error: &Json| error["code"].as_str().unwrap_or_default().to_owned();
    match door {
        0 => {
            let answer = person.post("/api/rooms", group(name)).await;
            if answer.status == 201 { Ok(()) } else { Err(code(&answer.json())) }
        }
        1 => {
            let answer = person.connect().await.emit("createGroup", group(name)).await;
            if answer["success"] == true { Ok(()) } else { Err(code(&answer["error"])) }
        }
        2 => {
            let app = person.connecting().at_root().open().await;
            let answer = app.emit("create:room", json!({ "roomName": name, "roomPwd": "secret" })).await;
            if answer["id"].is_string() { Ok(()) } else { Err(code(&answer["error"])) }
        }
        _ => {
            let answer = person.post("/web/group", group(name)).await;
            if answer.status == 200 { Ok(()) } else { Err(code(&answer.json())) }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_makes_so_many_groups_an_hour_by_all_doors_together() {
    let server = Server::with(|config| {
        config.limits.groups_per_hour = 4;
        config.dialects.angular = true;
        config.auth.token_ttl = std::time::Duration::from_secs(86_400);
    })
    .await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    for door in 0..4 {
        makes_one(&ada, door, &format!("group {door}")).await.unwrap();
        // What comes to nothing does not count.
        let taken = ada.post("/api/rooms", group("group 0")).await;
        assert!(matches!(taken.status, 409 | 429), "{}", taken.text);
    }
    for door in 0..4 {
        assert_eq!(makes_one(&ada, door, "one more").await, Err("rate_limited".to_owned()), "door {door}");
    }
    assert!(
        ada.post("/api/rooms", group("one more")).await.header("retry-after").parse::<u64>().unwrap() > 1
    );
    makes_one(&bob, 0, "bobs").await.unwrap();
    server.clock.advance(TimeDelta::minutes(61));
    makes_one(&ada, 1, "one more").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_owns_so_many_groups_and_another_one_when_one_is_gone() {
    let server = Server::with(|config| config.limits.groups_owned = 3).await;
    let ada = server.person("ada").await;
    let names: Vec<String> = (0..12).map(|number| format!("group {number}")).collect();
    let made = join_all(names.iter().map(|name| ada.post("/api/rooms", group(name)))).await;
    let ids: Vec<String> = made
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.json()["groupId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3, "those that are made at the same time count, too");
    for answer in made.iter().filter(|answer| answer.status != 201) {
        answer.is_refused(403, "forbidden");
    }
    ada.delete(&format!("/api/rooms/{}", ids[0])).await.is(204);
    ada.makes_group("another", &[]).await;
    ada.post("/api/rooms", group("too many")).await.is_refused(403, "forbidden");
    // Groups of others that one is in are not one's own.
    server.person("bob").await.makes_group("bobs", &["ada"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_adds_so_many_people_an_hour_and_those_who_join_do_not_count() {
    let server = Server::with(|config| {
        config.limits.members_added_per_hour = 5;
        config.auth.token_ttl = std::time::Duration::from_secs(86_400);
    })
    .await;
    let (ada, dan) = (server.online("ada").await, server.person("dan").await);
    for name in ["bob", "cyd", "eve", "fay", "gil", "hal"] {
        server.acquaintance(name).await;
    }
    // Herself does not count, nor does who is in already.
    let first = ada.makes_group("first", &["ada", "bob", "cyd", "eve"]).await;
    let add = |users: &[&str]| json!({ "groupId": first, "users": users });
    ada.asks("addMembers", add(&["bob", "fay"])).await;
    dan.post(&format!("/api/rooms/{first}/join"), json!({})).await.is(200);
    ada.is_refused("addMembers", add(&["gil", "hal"]), "rate_limited").await;
    ada.is_refused("createGroup", json!({ "groupName": "second", "users": ["bob", "cyd"] }), "rate_limited")
        .await;
    let path = format!("/api/rooms/{first}/members");
    ada.post(&path, json!({ "users": ["gil", "hal"] })).await.is_refused(429, "rate_limited");
    ada.post(&path, json!({ "users": ["gil"] })).await.is(200);
    ada.post(&path, json!({ "users": ["hal"] })).await.is_refused(429, "rate_limited");
    // More than one may ever add at a time is no matter of waiting.
    let all = json!({ "groupName": "all", "users": ["bob", "cyd", "eve", "fay", "gil", "hal"] });
    ada.is_refused("createGroup", all, "bad_request").await;
    server.clock.advance(TimeDelta::minutes(61));
    ada.post(&path, json!({ "users": ["hal"] })).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_begins_so_many_conversations_an_hour_and_goes_on_with_those_that_exist() {
    let server = Server::with(|config| config.limits.members_added_per_hour = 2).await;
    for name in ["bob", "carl", "dora"] {
        server.acquaintance(name).await;
    }
    let ada = server.online("ada").await;
    ada.posts_to("bob", "one").await;
    // With oneself, and once more with the same.
    ada.posts_to("ada", "none").await;
    ada.posts_to("bob", "the same").await;
    ada.posts_to("carl", "two").await;
    let refused = ada.emit("privateMessage", json!({ "receiver": "dora", "content": "three" })).await;
    assert_eq!(refused["error"]["code"], "rate_limited", "{refused}");
    ada.posts_to("carl", "goes on").await;
    // Each user has a quota of their own.
    server.online("erin").await.posts_to("dora", "one").await;
}
