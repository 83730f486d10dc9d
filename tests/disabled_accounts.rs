//! Accounts that the operator disables, and admins that the operator makes: by the command line, beside a server.

use serde_json::json;

use crate::{
    harness::{Ended, Issuer, PATIENCE, Person, Server, parlor},
    issuers::trusting,
};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_is_out_everywhere_until_enabled_again() {
    let server = Server::start().await;
    let database = server.database.as_ref().expect("a database");
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (adas, bobs) = (ada.connect().await, bob.connect().await);
    let plain = ada.connect_plain().await;
    let ticket = ada.buys_a_ticket().await;

    let said = parlor(database, &["user", "disable", "ada"]).await.succeeds();
    assert_eq!(said, "disabled ada, and ended all logins\n");
    // Tokens at once, connections with the next look at the logins.
    ada.get("/api/auth/session").await.is_refused(401, "token_revoked");
    ada.post("/api/auth/refresh", json!({})).await.is_refused(401, "token_revoked");
    assert!(ada.connecting().fails().await.starts_with("token_revoked: "));
    assert!(
        ada.connecting().with_only(json!({ "ticket": ticket })).fails().await.starts_with("token_revoked: ")
    );
    assert_eq!(adas.ends_within(PATIENCE).await, Ended::Namespace);
    plain.frames.ends().await;
    bobs.is_alive().await;

    // Only who knows the password learns why.
    let right = Person::tries_to_log_in(&server, "ada", &Person::password_of("ada")).await;
    let refusal = right.is_refused(401, "unauthorized");
    assert_eq!(refusal["message"], "This account is disabled");
    let wrong = Person::tries_to_log_in(&server, "ada", "a wrong password").await;
    assert_eq!(wrong.is_refused(401, "unauthorized")["message"], "Wrong username or password");
    let issued = parlor(database, &["token", "issue", "ada"]).await.refuses();
    assert!(issued.contains("This account is disabled"), "{issued}");
    let list = parlor(database, &["user", "list"]).await.succeeds();
    assert!(list.lines().any(|line| line.starts_with("ada ") && line.contains("user, disabled")), "{list}");
    // Everything else stays: the name, and conversations.
    bobs.posts_to("ada", "are you there?").await;

    let said = parlor(database, &["user", "enable", "ada"]).await.succeeds();
    assert_eq!(said, "enabled ada\n");
    ada.get("/api/auth/session").await.is_refused(401, "token_revoked");
    let again = ada.logs_in_again().await;
    again.connect().await.sees_message("are you there?").await;
    let unknown = parlor(database, &["user", "disable", "nobody"]).await.refuses();
    assert_eq!(unknown, "parlor: nobody: There is no such user\n");
    drop((adas, bobs, plain));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_token_does_not_help_who_is_disabled() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let database = server.database.as_ref().expect("a database");
    let carol = Person::shows(&server, &issuer.token("carol")).await;
    let socket = carol.connect().await;
    parlor(database, &["user", "disable", "carol"]).await.succeeds();
    carol.get("/api/auth/session").await.is_refused(401, "token_revoked");
    // A token that the server has never seen.
    let newer = server.http.with_token(&issuer.token("carol"));
    newer.get("/api/auth/session").await.is_refused(401, "token_revoked");
    assert_eq!(socket.ends_within(PATIENCE).await, Ended::Namespace);
    parlor(database, &["user", "enable", "carol"]).await.succeeds();
    Person::shows(&server, &issuer.token("carol")).await.connect().await.is_alive().await;
    drop(socket);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_is_made_and_unmade() {
    let server = Server::start().await;
    let database = server.database.as_ref().expect("a database");
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let change = || async { ada.patch("/api/users/bob", json!({ "lastName": "Burns" })).await };
    change().await.is_refused(403, "forbidden");
    let said = parlor(database, &["user", "promote", "ada"]).await.succeeds();
    assert!(said.starts_with("ada is an admin"), "{said}");
    change().await.is(200);
    let socket = ada.connect().await;
    let said = parlor(database, &["user", "demote", "ada"]).await.succeeds();
    assert_eq!(said, "ada is no admin, and all logins are ended\n");
    change().await.is_refused(401, "token_revoked");
    assert_eq!(socket.ends_within(PATIENCE).await, Ended::Namespace);
    let ada = ada.logs_in_again().await;
    ada.patch("/api/users/bob", json!({ "lastName": "Barnes" })).await.is_refused(403, "forbidden");
    drop((socket, bob));
}
