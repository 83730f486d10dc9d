//! Logins and their ends: logout, expiry, deletion, a changed password; and what live sockets see of it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::harness::{A_WHILE, Ended, Person, Server, Socket, Transport, keys_of};

/// Told, and then disconnected, in this order.
async fn is_told_and_ended(socket: &Socket) -> String {
    let told = socket.sees_any("token-expired").await;
    assert_eq!(keys_of(&told), ["response"]);
    assert_eq!(socket.ends().await, Ended::Namespace);
    told["response"].as_str().expect("a sentence").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_am_i_and_until_when() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let answer = ada.get("/api/auth/session").await;
    let session = answer.is(200);
    assert_eq!(keys_of(&session), ["expiresAt", "user"]);
    assert_eq!(session["user"], *ada.user);
    assert!(session["expiresAt"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() > Utc::now());
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_sockets_of_this_login_at_once_and_no_other() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let tab = ada.connect().await;
    let second_tab = ada.connect_by(Transport::Polling).await;
    let third_tab = ada.connect_by(Transport::Upgraded).await;
    let phone = ada.logs_in_again().await.connect().await;
    let bob = server.online("bob").await;

    ada.logs_out().await;

    for socket in [&tab, &second_tab, &third_tab] {
        let reason = is_told_and_ended(socket).await;
        assert!(reason.contains("logged out"), "the reason: {reason}");
    }
    ada.get("/api/auth/session").await.is_refused(401, "token_revoked");
    assert!(ada.connecting().fails().await.starts_with("token_revoked: "));
    phone.is_alive().await;
    bob.is_alive().await;
    bob.sees_nothing("token-expired", A_WHILE).await;
    phone.sees_nothing("token-expired", A_WHILE / 10).await;
    ada.post("/api/auth/logout", json!({})).await.is_refused(401, "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_takes_the_cookie_back() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let answer = ada.post("/api/auth/logout", json!({})).await;
    answer.is(204);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("chatToken=;") && cookie.contains("Max-Age=0"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_token_stays_in_its_login() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let old_socket = ada.connect().await;
    server.clock.advance(TimeDelta::seconds(10));
    let newer = ada.refreshes().await;
    assert_ne!(newer.token, ada.token);
    let new_socket = newer.connect().await;
    ada.get("/api/auth/session").await.is(200);

    newer.logs_out().await;

    is_told_and_ended(&old_socket).await;
    is_told_and_ended(&new_socket).await;
    for person in [&ada, &newer] {
        person.get("/api/auth/session").await.is_refused(401, "token_revoked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ended_cannot_be_refreshed() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let phone = ada.logs_in_again().await;
    ada.logs_out().await;
    ada.post("/api/auth/refresh", json!({})).await.is_refused(401, "token_revoked");
    phone.refreshes().await;
    let socket = phone.connect().await;
    let answer = socket.emit("refreshToken", json!({ "token": &*ada.token })).await;
    assert_eq!(answer["error"]["code"], "token_revoked", "{answer}");
    socket.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_warned_a_minute_before_its_token_ends_and_ended_with_it() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let socket = ada.connect().await;
    let session = ada.get("/api/auth/session").await.is(200);
    let expires: DateTime<Utc> = session["expiresAt"].as_str().unwrap().parse().unwrap();
    let to = |before: i64| expires - TimeDelta::seconds(before) - server.clock.now();

    server.clock.advance(to(70));
    socket.sees_nothing("token-expiring", A_WHILE).await;
    server.clock.advance(to(59));
    assert_eq!(socket.sees_any("token-expiring").await, json!({ "expiresAt": session["expiresAt"] }));
    server.clock.advance(to(3));
    socket.is_alive().await;
    socket.sees_nothing("token-expired", A_WHILE).await;
    server.clock.advance(to(0));
    is_told_and_ended(&socket).await;
    assert_eq!(socket.all("token-expiring").len(), 1);

    server.clock.advance(TimeDelta::seconds(10));
    ada.get("/api/auth/session").await.is_refused(401, "token_expired");
    let told = ada.connecting().fails().await;
    let expected = format!("token_expired: The token expired at {}", session["expiresAt"].as_str().unwrap());
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_with_less_than_a_minute_left_is_warned_at_once() {
    let server = Server::with(|config| config.auth.token_ttl = std::time::Duration::from_secs(30)).await;
    let ada = server.online("ada").await;
    let told = ada.sees_any("token-expiring").await;
    assert_eq!(keys_of(&told), ["expiresAt"]);
    ada.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_with_a_fresh_token_lives_on() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    server.clock.advance(TimeDelta::minutes(59) + TimeDelta::seconds(10));
    ada.sees_any("token-expiring").await;
    let newer = ada.refreshes().await;

    let answer = ada.asks("refreshToken", json!({ "token": &*newer.token })).await;

    assert_eq!(answer, json!({ "expiresAt": newer.get("/api/auth/session").await.is(200)["expiresAt"] }));
    server.clock.advance(TimeDelta::minutes(10));
    ada.sees_nothing("token-expired", A_WHILE * 2).await;
    ada.is_alive().await;
    server.clock.advance(TimeDelta::minutes(51));
    is_told_and_ended(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_token_must_be_a_good_one_of_the_same_user() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    for (token, code) in
        [(json!(&*bob.token), "token_invalid"), (json!("bad"), "token_invalid"), (json!(7), "bad_request")]
    {
        ada.is_refused("refreshToken", json!({ "token": token }), code).await;
    }
    ada.is_refused("refreshToken", json!({}), "bad_request").await;
    ada.posts_to("bob", "still me").await;
    assert_eq!(ada.sees_message("still me").await["sender"], "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_token_of_another_login_moves_the_socket_to_it() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let other = ada.logs_in_again().await;
    ada.asks("refreshToken", json!({ "token": &*other.token })).await;
    other.logs_out().await;
    is_told_and_ended(&ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_users_logins_end_at_once_sockets_too() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let adas_phone = ada.logs_in_again().await.connect().await;
    let bob = server.online("bob").await;

    ada.deletes_the_account().await;

    for socket in [&ada, &adas_phone] {
        let reason = is_told_and_ended(socket).await;
        assert!(reason.contains("deleted"), "the reason: {reason}");
    }
    ada.get("/api/auth/session").await.is_refused(401, "token_revoked");
    Person::tries_to_log_in(&server, "ada", &Person::password_of("ada"))
        .await
        .is_refused(401, "unauthorized");
    bob.is_refused("privateMessage", json!({ "receiver": "ada", "content": "hi" }), "not_found").await;
    bob.get("/api/users/ada").await.is_refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_may_delete_others_and_others_may_not() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let admin = server.admin("admin").await;
    bob.delete("/api/users/ada").await.is_refused(403, "forbidden");
    ada.is_alive().await;
    admin.delete(&format!("/api/users/{}", ada.id())).await.is(204);
    is_told_and_ended(&ada).await;
    bob.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_other_logins_and_the_old_password() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let phone = ada.logs_in_again().await.connect().await;
    let bob = server.online("bob").await;
    let change = json!({ "password": "an other secret", "currentPassword": Person::password_of("ada") });

    ada.patch("/api/users/ada", change).await.is(200);

    is_told_and_ended(&phone).await;
    phone.get("/api/auth/session").await.is_refused(401, "token_revoked");
    ada.is_alive().await;
    ada.get("/api/auth/session").await.is(200);
    bob.is_alive().await;
    Person::tries_to_log_in(&server, "ada", &Person::password_of("ada"))
        .await
        .is_refused(401, "unauthorized");
    Person::tries_to_log_in(&server, "ada", "an other secret").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_after_the_end_is_not_heard() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.logs_out().await;
    ada.sends_only("privateMessage", json!({ "receiver": "bob", "content": "too late" }));
    is_told_and_ended(&ada).await;
    bob.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_their_ends_survive_a_restart() {
    let mut server = Server::start().await;
    let ada = server.person("ada").await;
    let phone = ada.logs_in_again().await;
    ada.logs_out().await;
    server.restart().await;
    ada.get("/api/auth/session").await.is_refused(401, "token_revoked");
    assert!(ada.connecting().fails().await.starts_with("token_revoked: "));
    phone.get("/api/auth/session").await.is(200);
    phone.connect().await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_comes_in_while_its_login_ends_does_not_stay() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for _ in 0..10 {
        let login = ada.logs_in_again().await;
        let (came_in, ()) = tokio::join!(login.connecting().attempt(), login.logs_out());
        match came_in {
            Ok(socket) => {
                socket.ends().await;
            }
            Err(refusal) => assert!(refusal["message"].as_str().unwrap().starts_with("token_revoked: ")),
        }
    }
}
