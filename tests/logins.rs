//! The list of one's logins, ending one or all others, and how long a login lasts at most.

use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use sea_orm::EntityTrait;
use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Answer, Ended, Http, Issuer, Person, Server, keys_of, until};

const SESSIONS: &str = "/api/auth/sessions";

async fn logins(of: &Http) -> Vec<Json> {
    let list = of.get(SESSIONS).await.is(200);
    assert_eq!(keys_of(&list), ["sessions"]);
    list["sessions"].as_array().unwrap().clone()
}

fn current(logins: &[Json]) -> &Json {
    let mut current = logins.iter().filter(|login| login["current"] == true);
    let found = current.next().expect("the current one");
    assert!(current.next().is_none(), "{logins:?}");
    found
}

fn time(value: &Json) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// A login from an address, with a program.
async fn logs_in(server: &Server, name: &str, from: &str, client: &str) -> Person {
    let body = json!({ "username": name, "password": Person::password_of(name) });
    let request = server.http.request(Method::POST, "/api/auth/login");
    let request = request.header("x-forwarded-for", from).header("user-agent", client);
    Person::from_login(server, &Answer::to(request.json(&body)).await.is(200))
}

async fn behind_a_proxy() -> Server {
    Server::with(|config| config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_login_says_where_it_was_used_with_what_and_when() {
    let server = behind_a_proxy().await;
    let ada = server.person("ada").await;
    server.person("bob").await;
    server.clock.advance(TimeDelta::minutes(1));
    let began = server.clock.now() - TimeDelta::seconds(1);
    let phone = logs_in(&server, "ada", "192.0.2.7", "Phone/1.0 (\"tiny\")").await;
    let laptop = logs_in(&server, "ada", "2001:db8::7", &"x".repeat(500)).await;

    let list = logins(&phone).await;
    assert_eq!(list.len(), 3);
    let own = current(&list);
    assert_eq!(keys_of(own), ["address", "client", "createdAt", "current", "id", "lastUsedAt"]);
    assert_eq!(own["client"], "Phone/1.0 (\"tiny\")");
    // It was used just now, by a request without a proxy.
    assert_eq!(own["address"], "127.0.0.1");
    assert!(time(&own["createdAt"]) >= began && time(&own["lastUsedAt"]) >= time(&own["createdAt"]));
    let other = list.iter().find(|login| login["address"] == "2001:db8::7").expect("the laptop's");
    assert_eq!(other["client"], "x".repeat(200));
    assert_eq!(other["lastUsedAt"], other["createdAt"], "not used yet");
    assert_eq!(current(&logins(&laptop).await)["id"], other["id"]);

    // The last used one comes first.
    server.clock.advance(TimeDelta::minutes(1));
    ada.get("/api/auth/session").await.is(200);
    let list = logins(&laptop).await;
    assert_eq!(list[0]["current"], true);
    assert!(time(&list[0]["lastUsedAt"]) >= time(&list[1]["lastUsedAt"]));
    assert_eq!(list[2]["id"], own["id"]);
    server.http.get(SESSIONS).await.is_refused(401, "token_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_is_ended_and_only_by_its_user() {
    let server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let phone = ada.logs_in_again().await;
    let (here, there) = (ada.connect().await, phone.connect().await);
    let id = current(&logins(&phone).await)["id"].as_str().unwrap().to_owned();
    let path = format!("{SESSIONS}/{id}");
    bob.delete(&path).await.is_refused(404, "not_found");
    for nothing in ["x", &uuid::Uuid::now_v7().to_string()] {
        ada.delete(&format!("{SESSIONS}/{nothing}")).await.is_refused(404, "not_found");
    }
    there.is_alive().await;

    ada.delete(&path).await.is(204);

    there.sees_any("token-expired").await;
    assert_eq!(there.ends().await, Ended::Namespace);
    phone.get("/api/auth/session").await.is_refused(401, "token_revoked");
    here.is_alive().await;
    assert_eq!(logins(&ada).await.len(), 1);
    // Once more is no mistake.
    ada.delete(&path).await.is(204);

    // One's own is a logout.
    let own = current(&logins(&ada).await)["id"].as_str().unwrap().to_owned();
    let answer = ada.delete(&format!("{SESSIONS}/{own}")).await;
    answer.is(204);
    assert!(answer.header("set-cookie").starts_with("chatToken=;"), "{}", answer.header("set-cookie"));
    assert_eq!(here.ends().await, Ended::Namespace);
    ada.get("/api/auth/session").await.is_refused(401, "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_others_are_ended_and_this_one_stays() {
    let server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.online("bob").await);
    let (phone, laptop) = (ada.logs_in_again().await, ada.logs_in_again().await);
    let (here, there) = (ada.connect().await, phone.connect().await);

    ada.delete(SESSIONS).await.is(204);

    there.sees_any("token-expired").await;
    assert_eq!(there.ends().await, Ended::Namespace);
    for ended in [&phone, &laptop] {
        ended.get("/api/auth/session").await.is_refused(401, "token_revoked");
    }
    here.is_alive().await;
    bob.is_alive().await;
    here.sees_nothing("token-expired", A_WHILE / 10).await;
    assert_eq!(logins(&ada).await.len(), 1);
    ada.logs_in_again().await.connect().await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_at_its_age_however_often_its_token_is_renewed() {
    let server = Server::with(|config| config.auth.session_ttl = std::time::Duration::from_secs(9_000)).await;
    let mut ada = server.person("ada").await;
    let began = time(&ada.get("/api/auth/session").await.is(200)["expiresAt"]) - TimeDelta::hours(1);
    for _ in 0..2 {
        server.clock.advance(TimeDelta::minutes(50));
        ada = ada.refreshes().await;
    }
    let socket = ada.connect().await;
    let answer = ada.post("/api/auth/refresh", json!({})).await;
    let body = answer.is(200);
    let end = time(&body["expiresAt"]);
    assert_eq!(end - began, TimeDelta::seconds(9_000), "less than an hour from now");
    let cookie = answer.header("set-cookie");
    let seconds: i64 = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!((2_900..=3_000).contains(&seconds), "{cookie}");
    let last = Person::from_login(&server, &body);
    server.clock.advance(end - server.clock.now() + TimeDelta::seconds(6));
    socket.ends().await;
    for path in ["/api/auth/refresh", "/api/auth/tickets"] {
        last.post(path, json!({})).await.is_refused(401, "token_expired");
    }
    Person::logs_in(&server, "ada").await.connect().await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_age_counts_for_tokens_that_were_issued_before() {
    let mut server = Server::start().await;
    let ada = server.person("ada").await;
    server.stop().await;
    server.config.auth.session_ttl = std::time::Duration::from_secs(600);
    server.config.auth.token_ttl = std::time::Duration::from_secs(600);
    server.starts_again().await;
    let session = ada.get("/api/auth/session").await.is(200);
    assert!(time(&session["expiresAt"]) - server.clock.now() <= TimeDelta::minutes(10));
    let socket = ada.connect().await;
    server.clock.advance(TimeDelta::seconds(606));
    socket.ends().await;
    ada.get("/api/auth/session").await.is_refused(401, "token_expired");
    ada.post("/api/auth/refresh", json!({})).await.is_refused(401, "token_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_token_does_not_shorten_the_life_of_a_socket() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    server.clock.advance(TimeDelta::minutes(30));
    let newer = ada.refreshes().await;
    let socket = newer.connect().await;
    let until_when = newer.get("/api/auth/session").await.is(200)["expiresAt"].clone();
    let answer = socket.asks("refreshToken", json!({ "token": &*ada.token })).await;
    assert_eq!(answer, json!({ "expiresAt": until_when }));
    server.clock.advance(TimeDelta::minutes(31));
    socket.is_alive().await;
    // Nor does one of another login, and the socket stays in its own.
    let other = ada.logs_in_again().await;
    let answer = socket.asks("refreshToken", json!({ "token": &*newer.token })).await;
    assert_eq!(answer, json!({ "expiresAt": until_when }));
    let by_plain = other.connect_plain().await;
    let later = by_plain.asks("refreshToken", json!({ "token": &*newer.token })).await;
    assert!(time(&later["expiresAt"]) > time(&until_when));
    socket.sees_nothing("token-expired", A_WHILE / 10).await;
    newer.logs_out().await;
    socket.ends().await;
    other.get("/api/auth/session").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_login_was_used_for_is_saved_now_and_then() {
    let mut server = behind_a_proxy().await;
    let ada = server.person("ada").await;
    server.clock.advance(TimeDelta::minutes(10));
    let now = server.clock.now();
    let from = ada.request(Method::GET, "/api/auth/session").header("x-forwarded-for", "192.0.2.9");
    Answer::to(from).await.is(200);
    let seen = async |server: &Server| {
        let database = server.database.as_ref().unwrap().look_inside().await;
        let row = entity::session::Entity::find().one(&database).await.unwrap().unwrap();
        database.close().await.unwrap();
        row
    };
    server.auth().save_uses().await.unwrap();
    let row = seen(&server).await;
    assert_eq!(row.address.as_deref(), Some("192.0.2.9"));
    assert!(row.last_used_at.unwrap() >= now);
    // So an address is known after a restart, too.
    server.restart().await;
    let list = logins(&ada).await;
    assert!(time(&list[0]["lastUsedAt"]) >= now);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_an_account_is_known_survives_a_restart() {
    let mut server = Server::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.limits.failed_attempts_per_account = 5;
    })
    .await;
    let ada = server.person("ada").await;
    logs_in(&server, "ada", "2001:db8:7::1", "a browser").await;
    // A login without a password makes no address known.
    let web = server.http.request(Method::POST, "/web/login").header("x-forwarded-for", "203.0.113.9");
    Answer::to(web.json(&json!({ "username": "ada" }))).await.is(200);
    ada.logs_out().await;
    server.restart().await;
    let tries = async |server: &Server, from: &str, password: &str| {
        let request = server.http.request(Method::POST, "/api/auth/login").header("x-forwarded-for", from);
        Answer::to(request.json(&json!({ "username": "ada", "password": password }))).await
    };
    for number in 0..5 {
        tries(&server, &format!("2001:db8:{number:x}::1"), "a wrong guess").await.is(401);
    }
    let right = Person::password_of("ada");
    for unknown in ["203.0.113.9", "192.0.2.1", "2001:db8:9::1"] {
        tries(&server, unknown, &right).await.is_refused(429, "rate_limited");
    }
    tries(&server, "2001:db8:7:0:ffff::1", &right).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_an_issuer_see_their_logins_and_need_no_password() {
    let issuer = Issuer::start().await;
    let server = crate::issuers::trusting(&[&issuer]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    server.clock.advance(TimeDelta::seconds(2));
    let phone = Person::shows(&server, &issuer.token("ada")).await;
    let list = logins(&ada).await;
    assert_eq!(list.len(), 2, "each token is a login");
    let id = current(&logins(&phone).await)["id"].as_str().unwrap().to_owned();
    ada.delete(&format!("{SESSIONS}/{id}")).await.is(204);
    phone.get("/api/auth/session").await.is_refused(401, "token_revoked");
    ada.patch("/api/users/ada", json!({ "email": "ada@example.com" })).await.is(200);
    ada.delete("/api/users/ada").await.is(204);
    until("the account to be gone", || async { ada.get("/api/auth/session").await.status == 401 }).await;
}
