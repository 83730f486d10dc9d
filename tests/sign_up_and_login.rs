//! Accounts and passwords, tokens and the places where they may stand.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, dangerous::insecure_decode, encode};
use serde_json::{Value as Json, json};

use crate::harness::{Answer, Person, SECRET, Server, forge, keys_of};

const USER: [&str; 7] = ["firstName", "id", "isOnline", "lastName", "lastSeen", "profile", "username"];

fn account(username: &str) -> Json {
    json!({ "username": username, "password": Person::password_of(username) })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_up_gets_an_account() {
    let server = Server::start().await;
    let answer = server.http.post("/api/users", account("ada")).await;
    let user = answer.is(201);
    assert_eq!(keys_of(&user), USER);
    assert_eq!(user["username"], "ada");
    assert_eq!(user["firstName"], "ada", "it falls back to the username");
    assert_eq!(user["lastName"], Json::Null);
    assert_eq!(user["isOnline"], false);
    assert_eq!(user["lastSeen"], Json::Null);
    assert_eq!(user["profile"], json!({}));
    let id: uuid::Uuid = user["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn details_are_kept_and_email_is_for_oneself_and_admins() {
    let server = Server::start().await;
    let details = json!({
        "username": "ada", "password": Person::password_of("ada"), "firstName": "Ada", "lastName": "Lovelace",
        "email": "ada@example.com", "phone": "+44 1", "profile": { "img": "a.png", "deep": { "x": [1, null] } },
    });
    let user = server.http.post("/api/users", details).await.is(201);
    assert_eq!(user["firstName"], "Ada");
    assert_eq!(user["lastName"], "Lovelace");
    assert_eq!(user["profile"], json!({ "img": "a.png", "deep": { "x": [1, null] } }));
    assert_eq!(user["email"], "ada@example.com");
    let ada = Person::logs_in(&server, "ada").await;
    let bob = server.person("bob").await;
    let admin = server.admin("admin").await;
    assert_eq!(ada.get("/api/users/ada").await.is(200)["email"], "ada@example.com");
    assert_eq!(admin.get("/api/users/ada").await.is(200)["email"], "ada@example.com");
    let seen = bob.get("/api/users/ada").await.is(200);
    assert_eq!(keys_of(&seen), USER, "neither email nor phone: {seen}");
    let list = bob.get("/api/users").await;
    assert!(!list.text.contains("ada@example.com") && !list.text.contains("+44 1"), "{}", list.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_username_is_taken_once_in_whatever_capitals() {
    let server = Server::start().await;
    server.person("ada").await;
    for username in ["ada", "ADA", "Ada"] {
        server.http.post("/api/users", account(username)).await.is_refused(409, "conflict");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_who_want_one_name_at_once_make_one_account() {
    let server = Server::with(|config| config.auth.hashing_queue = 64).await;
    let attempts = (0..20).map(|_| server.http.post("/api/users", account("ada")));
    let answers = futures_util::future::join_all(attempts).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.is_refused(409, "conflict");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_username_has_3_to_64_characters() {
    let server = Server::start().await;
    for username in ["abc", &"x".repeat(64), &"é".repeat(64), "with space", "日本語", "a/b?c#d%"] {
        server.http.post("/api/users", account(username)).await.is(201);
        Person::logs_in(&server, username).await;
    }
    for username in [
        "",
        "a",
        "ab",
        &"x".repeat(65),
        &"é".repeat(65),
        &"x".repeat(100_000),
        "a\u{0}b",
        "a\nb",
        "   ",
        "👩‍👩‍👧‍👦",
    ] {
        server.http.post("/api/users", account(username)).await.is_refused(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_neither_short_nor_endless() {
    let server = Server::start().await;
    let sign_up = |name: &str, password: String| {
        server_post(&server, json!({ "username": name, "password": password }))
    };
    sign_up("eight", "12345678".to_owned()).await.is(201);
    sign_up("long", "x".repeat(500)).await.is(201);
    sign_up("unicode", "pässwörd 👩‍👩‍👧‍👦".to_owned()).await.is(201);
    for password in [String::new(), "1234567".to_owned(), "x".repeat(100_000)] {
        sign_up("other", password).await.is_refused(400, "bad_request");
    }
    for password in [json!(null), json!(12345678), json!(["12345678"]), json!({})] {
        let told = server_post(&server, json!({ "username": "other", "password": password })).await;
        told.is_refused(400, "bad_request");
    }
}

fn server_post(server: &Server, body: Json) -> impl Future<Output = Answer> + use<> {
    let http = server.http.clone();
    async move { http.post("/api/users", body).await }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_up_can_be_switched_off() {
    let server = Server::with(|config| config.auth.signup = false).await;
    server.http.post("/api/users", account("ada")).await.is_refused(403, "forbidden");
    assert_eq!(Person::tries_to_log_in(&server, "ada", &Person::password_of("ada")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_gives_a_token_three_times_and_says_until_when() {
    let server = Server::start().await;
    server.person("ada").await;
    let before = Utc::now();
    let answer = Person::tries_to_log_in(&server, "ada", &Person::password_of("ada")).await;
    let login = answer.is(200);
    assert_eq!(keys_of(&login), ["expiresAt", "jwtToken", "token", "user"]);
    let token = login["token"].as_str().unwrap();
    assert_eq!(login["jwtToken"], token);
    assert_eq!(answer.header("auth-token"), token);
    assert_eq!(answer.header("cache-control"), "no-store");
    let cookie = answer.header("set-cookie");
    let mut parts = cookie.split("; ");
    assert_eq!(parts.next(), Some(&*format!("chatToken={token}")));
    let flags: Vec<&str> = parts.collect();
    assert!(
        flags.contains(&"HttpOnly") && flags.contains(&"SameSite=Lax") && flags.contains(&"Path=/"),
        "{cookie}"
    );
    assert!(!flags.contains(&"Secure"), "not without TLS: {cookie}");
    assert_eq!(login["user"]["username"], "ada");
    let expires: DateTime<Utc> = login["expiresAt"].as_str().unwrap().parse().unwrap();
    let life = (expires - before).num_seconds();
    assert!((3595..=3605).contains(&life), "an hour: {life} s");
    let claims = insecure_decode::<Json>(token).unwrap();
    assert_eq!(claims.header.alg, Algorithm::HS256);
    assert_eq!(claims.claims["exp"].as_i64(), Some(expires.timestamp()));
    assert!(!claims.claims.to_string().contains("argon2"), "{}", claims.claims);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_secure_behind_a_proxy_with_tls() {
    let server =
        Server::with(|config| config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    server.person("ada").await;
    for (proto, secure) in [("https", true), ("http", false)] {
        let request =
            server.http.request(http::Method::POST, "/api/auth/login").header("x-forwarded-proto", proto);
        let answer = Answer::to(request.json(&account("ada"))).await;
        answer.is(200);
        assert_eq!(answer.header("set-cookie").split("; ").any(|flag| flag == "Secure"), secure);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_trusted_proxy_cannot_say_where_a_request_comes_from() {
    let server = Server::start().await;
    server.person("ada").await;
    let request =
        server.http.request(http::Method::POST, "/api/auth/login").header("x-forwarded-proto", "https");
    let answer = Answer::to(request.json(&account("ada"))).await;
    assert!(!answer.header("set-cookie").contains("Secure"));
    // Nor get around the count of wrong passwords.
    for number in 0..6 {
        let wrong = json!({ "username": "ada", "password": "wrong password" });
        let request = server.http.request(http::Method::POST, "/api/auth/login");
        let request = request.header("x-forwarded-for", format!("10.0.0.{number}"));
        let answer = Answer::to(request.json(&wrong)).await;
        assert_eq!(answer.status, if number < 5 { 401 } else { 429 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_may_log_in_by_user_id_too() {
    let server = Server::start().await;
    server.person("ada").await;
    let body = json!({ "userID": "ada", "password": Person::password_of("ada") });
    server.http.post("/api/auth/login", body).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_what_it_takes_is_a_bad_request() {
    let server = Server::start().await;
    for body in [
        json!({}),
        json!({ "username": "ada" }),
        json!({ "password": "12345678" }),
        json!({ "username": null, "password": "12345678" }),
        json!({ "username": 7, "password": "12345678" }),
        json!({ "username": "ada", "password": null }),
        json!({ "username": "ada", "password": 12345678 }),
        json!([]),
        json!("ada"),
        json!(null),
    ] {
        server.http.post("/api/auth/login", body).await.is_refused(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_are_told_alike() {
    let server = Server::start().await;
    server.person("ada").await;
    let mut told = Vec::new();
    for username in ["ada", "nobody", "", "a\u{0}b", &"x".repeat(5000)] {
        let mut problem = Person::tries_to_log_in(&server, username, "wrong password")
            .await
            .is_refused(401, "unauthorized");
        for own in ["requestId", "instance"] {
            problem.as_object_mut().unwrap().remove(own);
        }
        told.push(problem);
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_stand_in_the_query_the_header_or_the_cookie() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let token = &ada.token;
    let session = || server.http.request(http::Method::GET, "/api/auth/session");
    assert_eq!(Answer::to(session().bearer_auth(token)).await.is(200)["user"]["username"], "ada");
    assert_eq!(Answer::to(session().header("authorization", format!("bearer {token}"))).await.status, 200);
    assert_eq!(Answer::to(session().header("cookie", format!("a=b; chatToken={token}"))).await.status, 200);
    assert_eq!(server.http.get(&format!("/api/auth/session?token={token}")).await.status, 200);
    Answer::to(session()).await.is_refused(401, "token_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_credential_found_wins_though_it_be_bad() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let ask = async |query: &str, bearer: &str, cookie: &str| {
        let path = format!(
            "/api/auth/session{}",
            if query.is_empty() { String::new() } else { format!("?token={query}") }
        );
        let mut request = server.http.request(http::Method::GET, &path);
        if !bearer.is_empty() {
            request = request.bearer_auth(bearer);
        }
        if !cookie.is_empty() {
            request = request.header("cookie", format!("chatToken={cookie}"));
        }
        let answer = Answer::to(request).await;
        if answer.status == 200 {
            answer.json()["user"]["username"].clone()
        } else {
            answer.json()["code"].clone()
        }
    };
    assert_eq!(ask(&ada.token, &bob.token, &bob.token).await, "ada");
    assert_eq!(ask("", &ada.token, &bob.token).await, "ada");
    assert_eq!(ask("", "", &ada.token).await, "ada");
    assert_eq!(ask("bad", &ada.token, &ada.token).await, "token_invalid");
    assert_eq!(ask("", "bad", &ada.token).await, "token_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_takes_its_credential_from_the_same_places() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let token = &*ada.token;
    let bare = || ada.connecting().with_only(json!({}));
    let bearer = format!("Bearer {token}");
    let cookie = format!("chatToken={token}");
    for connecting in [
        ada.connecting(),
        bare().query("token", token),
        bare().header("authorization", &bearer),
        bare().header("cookie", &cookie),
        ada.connecting().with_only(json!(null)).query("token", token),
        // First found wins.
        ada.connecting().query("token", &bob.token),
        bare().query("token", token).header("authorization", &format!("Bearer {}", bob.token)),
        bare().header("authorization", &bearer).header("cookie", &format!("chatToken={}", bob.token)),
    ] {
        let socket = connecting.open().await;
        socket.posts_to("bob", "who am I?").await;
        assert_eq!(socket.sees_message("who am I?").await["sender"], "ada");
    }
    for (connecting, code) in [
        (bare(), "token_missing"),
        (ada.connecting().with(json!({ "token": "bad" })).query("token", token), "token_invalid"),
        (ada.connecting().with(json!({ "token": 7 })).query("token", token), "token_invalid"),
        (bare().query("token", "bad").header("authorization", &bearer), "token_invalid"),
        (bare().header("authorization", "Bearer bad").header("cookie", &cookie), "token_invalid"),
        (bare().header("cookie", "chatToken=bad"), "token_invalid"),
    ] {
        let told = connecting.fails().await;
        let (told_code, sentence) =
            told.split_once(": ").unwrap_or_else(|| panic!("a code and a sentence: {told}"));
        assert_eq!(told_code, code);
        assert!(!sentence.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tokens_of_our_own_making_are_taken() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let token = &*ada.token;
    let now = Utc::now().timestamp();
    assert_eq!(
        server.http.with_token(&forge(token, SECRET, |_| {})).get("/api/auth/session").await.status,
        200
    );

    let claims = insecure_decode::<Json>(token).unwrap().claims;
    let with_header = |header: Header, key: &str| {
        encode(&header, &claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
    };
    let parts: Vec<&str> = token.split('.').collect();
    // {"alg":"none","typ":"JWT"} and {"alg":"none"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let none_with_signature = format!("eyJhbGciOiJub25lIn0.{}.{}", parts[1], parts[2]);
    let others_claims = bob.token.split('.').nth(1).unwrap();
    for (what, bad) in [
        ("another secret", forge(token, "another-secret-of-more-than-32-bytes", |_| {})),
        ("an empty secret", forge(token, "", |_| {})),
        ("no algorithm", none),
        ("no algorithm, but a signature", none_with_signature),
        ("another algorithm", with_header(Header::new(Algorithm::HS512), SECRET)),
        ("another type", {
            let mut header = jsonwebtoken::decode_header(token).unwrap();
            header.typ = Some("refresh+jwt".to_owned());
            with_header(header, SECRET)
        }),
        ("another's claims", format!("{}.{others_claims}.{}", parts[0], parts[2])),
        ("another issuer", forge(token, SECRET, |claims| claims["iss"] = json!("evil"))),
        (
            "no expiry",
            forge(token, SECRET, |claims| {
                claims.as_object_mut().unwrap().remove("exp");
            }),
        ),
        ("an expiry of another type", forge(token, SECRET, |claims| claims["exp"] = json!("tomorrow"))),
        ("a validity yet to begin", forge(token, SECRET, |claims| claims["nbf"] = json!(now + 600))),
        ("a cut signature", token[..token.len() - 2].to_owned()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("one part", "abc".to_owned()),
        ("dots", "..".to_owned()),
        ("five parts", "a.b.c.d.e".to_owned()),
    ] {
        let answer = server.http.with_token(&bad).get("/api/auth/session").await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        assert_eq!(answer.json()["code"], "token_invalid", "{what}: {}", answer.text);
        let told = ada.connecting().with(json!({ "token": bad })).fails().await;
        assert!(told.starts_with("token_invalid: "), "{what}: {told}");
    }
    let expired = forge(token, SECRET, |claims| claims["exp"] = json!(now - 60));
    server.http.with_token(&expired).get("/api/auth/session").await.is_refused(401, "token_expired");
    for change in ["uid", "sub", "sid"] {
        let elsewhere = forge(token, SECRET, |claims| claims[change] = json!(uuid::Uuid::now_v7()));
        let answer = server.http.with_token(&elsewhere).get("/api/auth/session").await;
        if insecure_decode::<Json>(token).unwrap().claims.get(change).is_some() && change != "sub" {
            assert_eq!(answer.status, 401, "{change}: {}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_megabyte_is_refused_and_hurts_nobody() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let huge = "x".repeat(900_000);
    let told = ada.connecting().with(json!({ "token": huge })).fails().await;
    assert!(told.starts_with("token_invalid: ") && told.len() < 500, "{}", told.len());
    let request = server.http.request(http::Method::GET, "/api/auth/session").bearer_auth("x".repeat(20_000));
    let answer = Answer::to(request).await;
    assert!(matches!(answer.status, 401 | 431), "{}", answer.status);
    ada.get("/api/auth/session").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_before_the_last_change_is_taken_until_its_end() {
    const OLD: &str = "the-old-secret-of-more-than-32-bytes!";
    const NEW: &str = "the-new-secret-of-more-than-32-bytes!";
    let mut server = Server::with(|config| config.auth.jwt_secret = OLD.into()).await;
    let ada = server.person("ada").await;
    server.config.auth.jwt_secret = NEW.into();
    server.config.auth.previous_jwt_secret = Some(OLD.into());
    server.config.auth.previous_jwt_secret_until = Some(server.clock.now() + Duration::from_secs(600));
    server.restart().await;
    ada.get("/api/auth/session").await.is(200);
    let newer = ada.refreshes().await;
    server.clock.advance(chrono::TimeDelta::seconds(601));
    ada.get("/api/auth/session").await.is_refused(401, "token_invalid");
    newer.get("/api/auth/session").await.is(200);
}
