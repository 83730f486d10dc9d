//! Tokens of other issuers: which are let in, whose they are, and what becomes of keys that change.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey};
use parlor::config::{IssuerAlgorithm, IssuerConfig};
use serde_json::{Value as Json, json};

use crate::harness::{
    A_WHILE, AUDIENCE, Answer, Database, Ended, Issuer, Misbehaviour, Person, Process, SECRET, Server,
    SigningKey, Transport, signed, unsigned, until,
};

/// Longer than no new keys are asked for.
const PAUSE: TimeDelta = TimeDelta::seconds(11);

pub async fn trusting(issuers: &[&Issuer]) -> Server {
    trusting_as(issuers.iter().map(|issuer| issuer.config()).collect()).await
}

async fn trusting_as(configured: Vec<IssuerConfig>) -> Server {
    Server::with(|config| {
        // So long that no slow machine comes near the edge.
        config.auth.leeway = std::time::Duration::from_secs(60);
        config.auth.issuers = configured;
    })
    .await
}

async fn session(server: &Server, token: &str) -> Answer {
    server.http.with_token(token).get("/api/auth/session").await
}

async fn is_invalid(server: &Server, told: &str, token: &str) {
    let answer = session(server, token).await;
    assert_eq!(answer.status, 401, "{told}: {}", answer.text);
    answer.is_refused(401, "token_invalid");
}

/// Once the server has asked for keys by itself, it does so only when it has to.
async fn has_fetched(issuer: &Issuer) {
    until("the first fetch of keys", || async { issuer.fetches() == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_configured_issuer_lets_in_over_http_and_sockets() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    assert_eq!(&*ada.username, "ada");
    let bob = server.online("bob").await;
    for transport in [Transport::WebSocket, Transport::Polling] {
        let socket = ada.connect_by(transport).await;
        socket.posts_to("bob", "hi").await;
        assert_eq!(bob.sees_message("hi").await["sender"], "ada");
        bob.posts_to("ada", "hello").await;
        socket.sees_message("hello").await;
    }
    let by_query = ada.connecting().with_only(Json::Null).query("token", &ada.token).open().await;
    by_query.is_alive().await;
    server.person("carol").await.get("/api/users/ada").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_that_is_configured_works_and_no_other() {
    use IssuerAlgorithm::{ES256, EdDSA, RS256};
    for (key, algorithm, others) in [
        (SigningKey::rsa(), RS256, vec![ES256, EdDSA]),
        (SigningKey::es256(), ES256, vec![RS256, EdDSA]),
        (SigningKey::eddsa(), EdDSA, vec![RS256, ES256]),
    ] {
        let issuer = Issuer::with(key).await;
        let server = trusting_as(vec![IssuerConfig { algorithms: vec![algorithm], ..issuer.config() }]).await;
        assert_eq!(&*Person::shows(&server, &issuer.token("ada")).await.username, "ada");
        drop(server);
        let server = trusting_as(vec![IssuerConfig { algorithms: others, ..issuer.config() }]).await;
        is_invalid(&server, "an algorithm that is not configured", &issuer.token("ada")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audience_and_the_issuer_have_to_be_right() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    for (claim, good) in [
        ("aud", json!([AUDIENCE])),
        ("aud", json!(["https://login.example.com/userinfo", AUDIENCE])),
        ("iss", json!(issuer.url)),
        ("iss", json!(format!("{}/", issuer.url))),
    ] {
        session(&server, &issuer.token_saying(claim, good.clone())).await.is(200);
    }
    for (claim, bad) in [
        ("aud", json!("https://other.example.com")),
        ("aud", json!(["https://other.example.com"])),
        ("aud", json!([])),
        ("aud", json!("")),
        ("aud", json!(null)),
        ("aud", json!({ "0": AUDIENCE })),
        ("aud", json!(format!("{}/", AUDIENCE))),
        ("iss", json!("https://other.example.com/")),
        ("iss", json!(format!("{}//", issuer.url))),
        ("iss", json!(format!("{}/realm", issuer.url))),
        ("iss", json!([issuer.url])),
        ("iss", json!("parlor")),
        ("iss", json!("")),
        ("iss", json!(null)),
    ] {
        is_invalid(&server, &format!("{claim} {bad}"), &issuer.token_saying(claim, bad)).await;
    }
    let mut without = issuer.claims("ada");
    without.as_object_mut().unwrap().remove("aud");
    is_invalid(&server, "no audience", &issuer.key.token(&without)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_is_no_secret() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let claims = issuer.claims("ada");
    session(&server, &issuer.key.token(&claims)).await.is(200);
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "rsa-1" });
    let jwk = issuer.key.jwk.clone();
    let jwk_text = jwk.to_string();
    let secrets: [&[u8]; 6] = [
        include_bytes!("harness/keys/rsa_1.public.pem"),
        include_str!("harness/keys/rsa_1.public.pem").trim_end().as_bytes(),
        include_bytes!("harness/keys/rsa_1.public.der"),
        jwk_text.as_bytes(),
        jwk["n"].as_str().unwrap().as_bytes(),
        SECRET.as_bytes(),
    ];
    for secret in secrets {
        for typ in ["JWT", "at+jwt"] {
            let mut header = header.clone();
            header["typ"] = typ.into();
            let forged = signed(&header, &claims, &EncodingKey::from_secret(secret), Algorithm::HS256);
            is_invalid(&server, "HS256", &forged).await;
        }
    }
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let message = unsigned(&json!({ "alg": alg, "typ": "JWT", "kid": "rsa-1" }), &claims);
        is_invalid(&server, alg, &format!("{message}.")).await;
        is_invalid(&server, alg, &message).await;
        is_invalid(&server, alg, &format!("{message}.AAAA")).await;
    }
    // Signed by the right key, and said to be something else.
    for alg in ["HS256", "RS384", "PS256", "ES256", "EdDSA"] {
        let mut header = issuer.key.header();
        header["alg"] = alg.into();
        is_invalid(&server, alg, &issuer.key.token_with(&header, &claims)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_tokens_and_theirs_do_not_mix() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let ada = server.person("ada").await;
    let ours = jsonwebtoken::dangerous::insecure_decode::<Json>(&*ada.token).unwrap();
    let kid = ours.header.kid.unwrap();
    // Ours in everything but the algorithm and the key, which are the issuer's.
    for kid in [kid.as_str(), "rsa-1"] {
        for typ in ["at+jwt", "JWT"] {
            let header = json!({ "alg": "RS256", "typ": typ, "kid": kid });
            is_invalid(&server, "ours as RS256", &issuer.key.token_with(&header, &ours.claims)).await;
        }
    }
    let as_ours = issuer.token_saying("iss", "parlor".into());
    is_invalid(&server, "theirs in our name", &as_ours).await;
    // Theirs with our secret.
    let mut claims = ours.claims.clone();
    claims["iss"] = issuer.url.clone().into();
    claims["aud"] = AUDIENCE.into();
    let header = json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    is_invalid(&server, "ours in their name", &signed(&header, &claims, &key, Algorithm::HS256)).await;
    ada.get("/api/auth/session").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_issuer_cannot_speak_for_another() {
    let one = Issuer::start().await;
    let other = Issuer::with(SigningKey::other_rsa()).await;
    let server = trusting(&[&one, &other]).await;
    session(&server, &one.token("ada")).await.is(200);
    session(&server, &other.token("ada")).await.is(200);
    let claims = one.claims("ada");
    is_invalid(&server, "the other's key", &other.key.token(&claims)).await;
    let under_its_name = SigningKey::other_rsa().named("rsa-1");
    is_invalid(&server, "the other's key by this one's name", &under_its_name.token(&claims)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_two_issuers_are_two_users_whatever_they_are_called() {
    let one = Issuer::start().await;
    let other = Issuer::with(SigningKey::other_rsa()).await;
    let server = trusting(&[&one, &other]).await;
    let first = Person::shows(&server, &one.token("ada")).await;
    let second = Person::shows(&server, &other.token("ada")).await;
    assert_ne!(first.id(), second.id());
    assert_eq!((&*first.username, &*second.username), ("ada", "ada-2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_asks_for_a_key_of_the_issuers_and_nothing_else() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let claims = issuer.claims("ada");
    let own = SigningKey::other_rsa();
    for (field, value) in [
        ("jku", json!("http://evil.example/keys")),
        ("x5u", json!("http://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("jwk", own.jwk.clone()),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("typ", json!("at+jwt ")),
        ("typ", json!("ticket+jwt")),
        ("typ", json!("application/octet-stream")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("")),
    ] {
        let mut header = issuer.key.header();
        header[field] = value.clone();
        is_invalid(&server, &format!("{field} {value}"), &issuer.key.token_with(&header, &claims)).await;
        is_invalid(&server, field, &own.token_with(&header, &claims)).await;
    }
    for typ in [json!("JWT"), json!("jwt"), json!("at+jwt"), json!("application/at+jwt"), json!(null)] {
        let mut header = issuer.key.header();
        header["typ"] = typ.clone();
        session(&server, &issuer.key.token_with(&header, &claims)).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_in_its_time_and_a_minute_around_it() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let now = Utc::now().timestamp();
    for (claim, at) in [("exp", -30), ("nbf", 30), ("iat", 30), ("nbf", -30), ("iat", -100_000)] {
        session(&server, &issuer.token_saying(claim, (now + at).into())).await.is(200);
    }
    session(&server, &issuer.token_saying("exp", json!((now + 30) as f64 + 0.5))).await.is(200);
    session(&server, &issuer.token_saying("exp", json!(253_402_300_800_i64))).await.is(200);

    let expired = session(&server, &issuer.token_saying("exp", (now - 61).into())).await;
    expired.is_refused(401, "token_expired");
    for (claim, at) in [("nbf", 90), ("iat", 90)] {
        is_invalid(&server, claim, &issuer.token_saying(claim, (now + at).into())).await;
    }
    for claim in ["exp", "nbf", "iat"] {
        for wrong in [json!("soon"), json!(null), json!(1e300), json!(i64::MAX), json!([now]), json!(true)] {
            if claim == "exp" && wrong == json!(i64::MAX) {
                continue; // the end of time is cut off at the year 9999
            }
            is_invalid(&server, &format!("{claim} {wrong}"), &issuer.token_saying(claim, wrong)).await;
        }
    }
    for claim in ["exp", "sub", "iss", "aud"] {
        let mut claims = issuer.claims("ada");
        claims.as_object_mut().unwrap().remove(claim);
        is_invalid(&server, claim, &issuer.key.token(&claims)).await;
    }
    for sub in [json!(""), json!(5), json!("a\u{0}b"), json!("x".repeat(256)), json!(null)] {
        is_invalid(&server, &format!("sub {sub}"), &issuer.token_saying("sub", sub)).await;
    }
    let mut claims = issuer.claims("ada");
    claims.as_object_mut().unwrap().remove("iat");
    session(&server, &issuer.key.token(&claims)).await.is(200);
    let long = issuer.token_saying("padding", "x".repeat(10_000).into());
    is_invalid(&server, "too long", &long).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_lives_until_the_end_of_its_token() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let token = issuer.token_saying("exp", (Utc::now().timestamp() + 600).into());
    let ada = Person::shows(&server, &token).await;
    let socket = ada.connect().await;
    server.clock.advance(TimeDelta::seconds(590));
    socket.sees_any("token-expiring").await;
    socket.is_alive().await;
    server.clock.advance(TimeDelta::seconds(11));
    socket.sees_any("token-expired").await;
    assert_eq!(socket.ends().await, Ended::Namespace);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_token_of_the_same_user_keeps_a_socket_alive() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let token = issuer.token_saying("exp", (Utc::now().timestamp() + 600).into());
    let ada = Person::shows(&server, &token).await;
    let socket = ada.connect().await;
    let mut claims = issuer.claims("ada");
    claims["exp"] = (Utc::now().timestamp() + 2000).into();
    let newer = issuer.key.token(&claims);

    let answer = socket.asks("refreshToken", json!({ "token": newer })).await;

    let until: DateTime<Utc> = answer["expiresAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(until.timestamp(), claims["exp"].as_i64().unwrap());
    let bobs = issuer.token("bob");
    socket.is_refused("refreshToken", json!({ "token": bobs }), "token_invalid").await;
    server.clock.advance(TimeDelta::seconds(900));
    socket.sees_nothing("token-expired", A_WHILE * 2).await;
    socket.is_alive().await;
    Person::shows(&server, &newer).await.logs_out().await;
    assert_eq!(socket.ends().await, Ended::Namespace);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_without_a_restart_and_a_withdrawn_one_stops_counting() {
    let mut issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    has_fetched(&issuer).await;
    let by_old_key = issuer.token("ada");
    session(&server, &by_old_key).await.is(200);

    issuer.publishes(&[SigningKey::other_rsa()]);
    server.clock.advance(PAUSE);
    session(&server, &by_old_key).await.is(200);
    assert_eq!(issuer.fetches(), 1, "nobody asked for what is known");
    let by_new_key = issuer.token("ada");
    session(&server, &by_new_key).await.is(200);

    assert_eq!(issuer.fetches(), 2);
    is_invalid(&server, "a withdrawn key", &by_old_key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_unknown_keys_is_kept_from_the_issuer() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    has_fetched(&issuer).await;
    let good = issuer.token("ada");
    session(&server, &good).await.is(200);
    let began = server.clock.now();
    for _ in 0..2 {
        server.clock.advance(PAUSE);
        let unknown = |number: u32| SigningKey::rsa().named(&format!("unknown-{number}"));
        let tokens: Vec<_> = (0..40).map(|number| unknown(number).token(&issuer.claims("ada"))).collect();
        let storm = tokens.iter().map(|token| session(&server, token));
        for answer in futures_util::future::join_all(storm).await {
            answer.is_refused(401, "token_invalid");
        }
        session(&server, &good).await.is(200);
    }
    // One for the start, and one for every ten seconds that went by.
    let allowed = 1 + (server.clock.now() - began).num_seconds().unsigned_abs() as usize / 10 + 1;
    assert!((3..=allowed).contains(&issuer.fetches()), "{} fetches", issuer.fetches());
    assert!(issuer.discoveries() <= allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_breaks_nothing_that_is_known() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    has_fetched(&issuer).await;
    session(&server, &issuer.token("ada")).await.is(200);
    issuer.goes_down();
    let unknown = SigningKey::other_rsa().token(&issuer.claims("ada"));
    for _ in 0..3 {
        server.clock.advance(PAUSE);
        session(&server, &unknown).await.is_refused(503, "unavailable");
        session(&server, &issuer.token("ada")).await.is(200);
        session(&server, &issuer.token("new since then")).await.is(200);
    }
    issuer.comes_back();
    server.clock.advance(PAUSE);
    is_invalid(&server, "known to be unknown again", &unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_was_never_reached_is_no_fault_of_the_token() {
    let issuer = Issuer::start().await;
    issuer.goes_down();
    let server = trusting(&[&issuer]).await;
    until("the server to have tried", || async { issuer.discoveries() > 0 }).await;
    let token = issuer.token("ada");
    let refused = session(&server, &token).await.is_refused(503, "unavailable");
    assert!(refused["retryAfterMs"].is_u64(), "{refused}");
    // Everybody else is none the worse for it.
    server.online("bob").await.is_alive().await;
    issuer.comes_back();
    server.clock.advance(PAUSE);
    session(&server, &token).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_issuer_should_not_answer_is_not_taken() {
    for how in [
        Misbehaviour::Redirect,
        Misbehaviour::OtherIssuer,
        Misbehaviour::Html,
        Misbehaviour::Endless,
        Misbehaviour::Unavailable,
    ] {
        let issuer = Issuer::start().await;
        issuer.misbehaves(Some(how));
        let server = trusting(&[&issuer]).await;
        let answer = session(&server, &issuer.token("ada")).await;
        assert_eq!(answer.status, 503, "{how:?}: {}", answer.text);
        answer.is_refused(503, "unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_says_nothing_holds_up_neither_the_start_nor_the_end() {
    let issuer = Issuer::start().await;
    issuer.misbehaves(Some(Misbehaviour::Silence));
    let mut server = trusting(&[&issuer]).await;
    has_fetched(&issuer).await;
    server.online("bob").await.is_alive().await;
    // It checks that no task is left over.
    server.is_deserted().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_where_the_configuration_says() {
    let issuer = Issuer::start().await;
    let jwks_uri = Some(format!("{}/keys", issuer.url));
    let server = trusting_as(vec![IssuerConfig { jwks_uri, ..issuer.config() }]).await;
    session(&server, &issuer.token("ada")).await.is(200);
    assert_eq!(issuer.discoveries(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_for_something_else_verifies_nothing() {
    for (field, value) in [
        ("use", json!("enc")),
        ("alg", json!("RS512")),
        ("alg", json!("HS256")),
        ("key_ops", json!(["sign"])),
        ("kid", json!("another name")),
    ] {
        let signing = SigningKey::rsa();
        let mut issuer = Issuer::start().await;
        issuer.publishes(&[signing.clone().with(field, value.clone())]);
        let server = trusting(&[&issuer]).await;
        is_invalid(&server, &format!("{field} {value}"), &signing.token(&issuer.claims("ada"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_believed_where_it_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let issuer = Issuer::over_tls(&ca).await;
    let server = trusting(&[&issuer]).await;
    session(&server, &issuer.token("ada")).await.is_refused(503, "unavailable");
    drop(server);
    let server = trusting_as(vec![IssuerConfig { ca_file: Some(ca), ..issuer.config() }]).await;
    session(&server, &issuer.token("ada")).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_first_sight_a_user_is_made_of_what_the_token_says() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let mut claims = issuer.claims("ada");
    claims["name"] = "Ada".into();
    claims["email"] = "ada@example.com".into();
    claims["admin"] = true.into();
    claims["is_admin"] = true.into();
    let ada = Person::shows(&server, &issuer.key.token(&claims)).await;
    assert_eq!((&ada.user["firstName"], &ada.user["email"]), (&json!("Ada"), &json!("ada@example.com")));
    let bob = server.person("bob").await;
    ada.delete("/api/users/bob").await.is_refused(403, "forbidden");
    assert_eq!(bob.get("/api/users/ada").await.is(200)["firstName"], "Ada");
    // It has no password that somebody could guess.
    for password in ["", "subject of ada", "password"] {
        Person::tries_to_log_in(&server, "ada", password).await.is_refused(401, "unauthorized");
    }
    // The username never changes, and nobody becomes an admin. The first name is the issuer's to change.
    claims["name"] = "Somebody".into();
    claims["preferred_username"] = "somebody".into();
    let later = Person::shows(&server, &issuer.key.token(&claims)).await;
    let mut expected = (*ada.user).clone();
    expected["firstName"] = "Somebody".into();
    assert_eq!(*later.user, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_usernames_are_made_to() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let id = uuid::Uuid::new_v4().to_string();
    for (number, (name, expected)) in [
        (json!("ab"), "user-ab".to_owned()),
        (json!(id), format!("user-{id}")),
        (json!("  Ada\u{0} Lovelace\n"), "Ada Lovelace".to_owned()),
        (json!("x".repeat(300)), "x".repeat(64)),
        (json!(5), "number 4".to_owned()),
        (json!(""), "number 5".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = issuer.claims("");
        claims["preferred_username"] = name;
        claims["sub"] = format!("number {number}").into();
        claims["name"] = " no spaces in front ".into();
        claims["email"] = "a\u{0}@example.com".into();
        let person = Person::shows(&server, &issuer.key.token(&claims)).await;
        assert_eq!(&*person.username, expected);
        assert_eq!((&person.user["firstName"], &person.user["email"]), (&json!(expected), &Json::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_go_by_the_names_that_are_configured() {
    let issuer = Issuer::start().await;
    let configured = IssuerConfig {
        username_claim: "https://example.com/nickname".to_owned(),
        name_claim: "given_name".to_owned(),
        email_claim: "mail".to_owned(),
        ..issuer.config()
    };
    let server = trusting_as(vec![configured]).await;
    let mut claims = issuer.claims("not this");
    for (claim, value) in
        [("https://example.com/nickname", "ada"), ("given_name", "Ada"), ("mail", "ada@example.com")]
    {
        claims[claim] = value.into();
    }
    let ada = Person::shows(&server, &issuer.key.token(&claims)).await;
    assert_eq!(&*ada.username, "ada");
    assert_eq!((&ada.user["firstName"], &ada.user["email"]), (&json!("Ada"), &json!("ada@example.com")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_no_way_into_the_account() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let ada = server.person("Ada").await;
    let gone = server.person("gone").await;
    gone.deletes_the_account().await;
    let admin = server.admin("admin").await;
    for (wanted, given) in [("aDA", "aDA-2"), ("gone", "gone-2"), ("admin", "admin-2"), ("ada-2", "ada-2-2")]
    {
        let person = Person::shows(&server, &issuer.token(wanted)).await;
        assert_eq!(&*person.username, given);
        assert_ne!(person.id(), ada.id());
        assert_ne!(person.id(), admin.id());
        person.patch("/api/users/Ada", json!({ "firstName": "Eve" })).await.is_refused(403, "forbidden");
    }
    assert_eq!(ada.get("/api/auth/session").await.is(200)["user"], *ada.user);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_comes_twenty_times_at_once_is_one_user() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let same = issuer.token("ada");
    let tokens: Vec<String> =
        (0..20).map(|number| if number % 2 == 0 { same.clone() } else { issuer.token("ada") }).collect();
    let answers = futures_util::future::join_all(tokens.iter().map(|token| session(&server, token))).await;
    let users: Vec<Json> = answers.iter().map(|answer| answer.is(200)["user"].clone()).collect();
    assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
    let bob = server.person("bob").await;
    let list = bob.get("/api/users").await.text;
    assert_eq!(list.matches("\"ada").count(), list.matches("\"username\":\"ada\"").count() * 2, "{list}");
    assert_eq!(list.matches("\"username\"").count(), 2, "ada and bob: {list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_an_external_token_its_sockets_and_no_other() {
    let issuer = Issuer::start().await;
    let mut server = trusting(&[&issuer]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    let phone = Person::shows(&server, &issuer.token("ada")).await;
    let (socket, on_phone) = (ada.connect().await, phone.connect().await);

    ada.logs_out().await;

    socket.sees_any("token-expired").await;
    socket.ends().await;
    session(&server, &ada.token).await.is_refused(401, "token_revoked");
    assert!(ada.connecting().fails().await.starts_with("token_revoked: "));
    on_phone.is_alive().await;
    drop((socket, on_phone));
    server.is_deserted().await;
    server.restart().await;
    session(&server, &ada.token).await.is_refused(401, "token_revoked");
    session(&server, &phone.token).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_written_otherwise_is_no_other_session() {
    let issuer = Issuer::with(SigningKey::es256()).await;
    let server =
        trusting_as(vec![IssuerConfig { algorithms: vec![IssuerAlgorithm::ES256], ..issuer.config() }]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    let twin = twin_of(&ada.token);
    assert_ne!(twin, *ada.token);
    ada.logs_out().await;
    let answer = session(&server, &twin).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
}

/// The other signature of the same message and key: (r, n - s) beside (r, s).
fn twin_of(token: &str) -> String {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (message, signature) = token.rsplit_once('.').unwrap();
    let value = |c: u8| DIGITS.iter().position(|digit| *digit == c).unwrap();
    let bits: Vec<bool> =
        signature.bytes().flat_map(|c| (0..6).rev().map(move |bit| value(c) >> bit & 1 == 1)).collect();
    let byte = |bits: &[bool]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    let mut bytes: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    let order: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&ORDER[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(bytes[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let mut bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    bits.resize(bits.len().div_ceil(6) * 6, false);
    let digit = |bits: &[bool]| char::from(DIGITS[usize::from(byte(bits))]);
    format!("{message}.{}", bits.chunks(6).map(digit).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_does_not_come_back_with_the_next_token() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    let socket = ada.connect().await;
    ada.delete("/api/users/ada").await.is(204);
    socket.ends().await;
    session(&server, &ada.token).await.is_refused(401, "token_revoked");
    server.clock.advance(TimeDelta::seconds(30));
    session(&server, &issuer.token("ada")).await.is_refused(401, "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_survive_a_restart_and_a_slash_more_in_the_configuration() {
    let issuer = Issuer::start().await;
    let mut server = trusting(&[&issuer]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    server.stop().await;
    server.config.auth.issuers[0].issuer = issuer.url.clone();
    server.starts_again().await;
    assert_eq!(Person::shows(&server, &issuer.token("ada")).await.id(), ada.id());
    assert_eq!(Person::shows(&server, &ada.token).await.id(), ada.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_login_lasts_is_its_issuers_to_say() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    ada.post("/api/auth/refresh", json!({})).await.is_refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rooms_app_comes_in_with_its_issuers_token_and_is_shown_by_the_name_it_gives() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    // An access token, which says nothing of its user but the subject.
    let mut claims = issuer.claims("auth0|5f7c8ec7c33c6c004bbafe82");
    for claim in ["preferred_username", "name", "email"] {
        claims.as_object_mut().unwrap().remove(claim);
    }
    let ada = Person::shows(&server, &issuer.key.token(&claims)).await;
    let bob = server.person("bob").await;
    let (app, other) = (ada.connecting().at_root().open().await, bob.connecting().at_root().open().await);

    let introduction = json!({ "name": "Ada Lovelace", "email": "ada@example.com" });
    let user = app.emit("createIfNotExists:user", introduction).await;
    assert_eq!((&user["name"], &user["email"]), (&json!("Ada Lovelace"), &json!("ada@example.com")));
    let door = json!({ "roomName": "tea", "roomPwd": "secret" });
    let room = app.emit("create:room", door.clone()).await;
    assert_eq!(other.sees_any("updateRoomsDropdowns").await["owner"]["name"], "Ada Lovelace");
    other.emit("joinIfExists:room", door).await;
    app.emit("create:message", json!({ "roomId": room["id"], "content": "hi" })).await;
    assert_eq!(other.sees_any("updateRoomClients").await["user"]["name"], "Ada Lovelace");

    // Her token ends: the transport goes, the app comes back with it, and shows the refusal.
    server.clock.advance(TimeDelta::days(1));
    assert_eq!(app.ends().await, Ended::Transport);
    assert_eq!(ada.connecting().at_root().fails().await, "Not Authorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_whose_clock_is_ahead_is_named_in_the_log_with_the_difference() {
    let issuer = Issuer::start().await;
    let database = Database::fresh().await;
    let issuers = format!("[{{ issuer = \"{}\", audience = \"{AUDIENCE}\" }}]", issuer.url);
    let process = Process::with(&database, &[("PARLOR__AUTH__ISSUERS", &issuers)]).await;
    let begins = Utc::now().timestamp() + 100;
    for claim in ["iat", "nbf"] {
        let token = issuer.token_saying(claim, begins.into());
        let answer = process.http.with_token(&token).get("/api/auth/session").await;
        answer.is_refused(401, "token_invalid");
    }
    let told = |written: &str| -> Vec<String> {
        written.lines().filter(|line| line.contains("clock is ahead")).map(str::to_owned).collect()
    };
    until("the log to say so", || async { !told(&process.written()).is_empty() }).await;
    let told = told(&process.written());
    // Once for both: the log says it once a minute.
    assert_eq!(told.len(), 1, "{told:?}");
    let (_, seconds) = told[0].split_once("seconds_ahead=").expect("the difference");
    let seconds: i64 = seconds.split(' ').next().unwrap().parse().unwrap();
    assert!((1..=100).contains(&seconds) && told[0].contains(&issuer.url), "{}", told[0]);
    drop(process);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_issuer_changes_about_a_user_is_taken_over_and_what_the_user_has_changed_stays() {
    let issuer = Issuer::start().await;
    let server = trusting(&[&issuer]).await;
    let of = |name: &str, email: &str| {
        let mut claims = issuer.claims("ada");
        (claims["name"], claims["email"]) = (name.into(), email.into());
        // No two tokens are the same.
        claims["jti"] = format!("{name} {email}").into();
        issuer.key.token(&claims)
    };
    let shown = async |token: &str| {
        let user = session(&server, token).await.is(200)["user"].clone();
        (user["firstName"].as_str().unwrap().to_owned(), user["email"].as_str().unwrap().to_owned())
    };
    let pair = |name: &str, email: &str| (name.to_owned(), email.to_owned());
    let first = of("Ada Byron", "ada@example.com");
    assert_eq!(shown(&first).await, pair("Ada Byron", "ada@example.com"));
    let ada = Person::shows(&server, &first).await;
    let married = of("Ada Lovelace", "ada@example.com");
    assert_eq!(shown(&married).await, pair("Ada Lovelace", "ada@example.com"));
    let seen = server.person("cyd").await.get("/api/users/ada").await.is(200);
    assert_eq!(seen["firstName"], "Ada Lovelace");

    let change = json!({ "firstName": "Countess", "email": "countess@example.com" });
    ada.patch("/api/users/ada", change).await.is(200);
    // The issuer says what it said before.
    let mut claims = issuer.claims("ada");
    (claims["name"], claims["email"]) = ("Ada Lovelace".into(), "ada@example.com".into());
    claims["jti"] = "another".into();
    assert_eq!(shown(&issuer.key.token(&claims)).await, pair("Countess", "countess@example.com"));
    // It changes one thing, and leaves out the other.
    claims["email"] = "ada@example.org".into();
    claims.as_object_mut().unwrap().remove("name");
    assert_eq!(shown(&issuer.key.token(&claims)).await, pair("Countess", "ada@example.org"));
}
