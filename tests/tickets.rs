//! Tickets: one connection each, for half a minute, and only that.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;
use serde_json::{Value as Json, json};

use crate::harness::{
    A_WHILE, Answer, Connecting, Ended, Frames, Issuer, Person, Server, Socket, Transport, keys_of,
};

/// How a ticket is told that is used, expired or unknown.
const USED: &str = "ticket_used: ";

fn with_ticket(person: &Person, ticket: &str) -> Connecting {
    person.connecting().with_only(json!({ "ticket": ticket }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_connection_of_its_buyers() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    for transport in [Transport::WebSocket, Transport::Polling, Transport::Upgraded] {
        let ticket = ada.buys_a_ticket().await;
        // Whoever holds it.
        let socket = with_ticket(&bob, &ticket).by(transport).open().await;
        socket.posts_to("bob", "hi").await;
        assert_eq!(bob.sees_message("hi").await["sender"], "ada");
        assert!(with_ticket(&ada, &ticket).fails().await.starts_with(USED));
        socket.is_alive().await;
    }
    let by_query = ada.connecting().with_only(Json::Null).query("ticket", &ada.buys_a_ticket().await);
    by_query.open().await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_told_once_and_says_until_when() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let before = server.clock.now();
    let answer = ada.post("/api/auth/tickets", json!({})).await;
    let bought = answer.is(201);
    assert_eq!(keys_of(&bought), ["expiresAt", "ticket"]);
    assert_eq!(answer.header("cache-control"), "no-store");
    let until: DateTime<Utc> = bought["expiresAt"].as_str().unwrap().parse().unwrap();
    let life = (until - before).num_seconds();
    assert!((29..=35).contains(&life), "{life} s");
    let ticket = bought["ticket"].as_str().unwrap();
    assert_eq!(ticket.len(), 64, "32 bytes");
    assert_ne!(ticket, ada.buys_a_ticket().await);

    let database = server.database.as_ref().unwrap().look_inside().await;
    let question = "SELECT digest FROM tickets";
    let question = sea_orm::Statement::from_string(database.get_database_backend(), question);
    let rows = database.query_all_raw(question).await.unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let digest: Vec<u8> = row.try_get("", "digest").unwrap();
        assert_eq!(digest.len(), 32);
        let shown: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_ne!(shown, ticket, "the table opens no connection");
        assert!(with_ticket(&ada, &shown).fails().await.starts_with(USED));
    }
    database.close().await.unwrap();
    server.http.post("/api/auth/tickets", json!({})).await.is_refused(401, "token_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_with_one_ticket_one_gets_in() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for _ in 0..3 {
        let ticket = ada.buys_a_ticket().await;
        let attempts = (0..20).map(|_| with_ticket(&ada, &ticket).attempt());
        let came: Vec<Result<Socket, Json>> = futures_util::future::join_all(attempts).await;
        let refusals: Vec<_> = came.iter().filter_map(|came| came.as_ref().err()).collect();
        assert_eq!(refusals.len(), 19, "exactly one got in");
        for refusal in refusals {
            assert!(refusal["message"].as_str().unwrap().starts_with(USED), "{refusal}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_expired_or_unknown_opens_nothing() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let ticket = ada.buys_a_ticket().await;
    server.clock.advance(TimeDelta::seconds(31));
    let upper = ada.buys_a_ticket().await.to_uppercase();
    let zeroes = "0".repeat(64);
    for ticket in
        [&*ticket, &*zeroes, "x", &ticket[1..], &format!("{ticket}0"), &*upper, &*ada.token, "a\u{0}b"]
    {
        assert!(with_ticket(&ada, ticket).fails().await.starts_with(USED), "{ticket}");
    }
    for strange in [json!(5), json!({}), json!([ticket]), json!(true)] {
        let told = ada.connecting().with_only(json!({ "ticket": strange })).fails().await;
        assert!(told.starts_with(USED), "{told}");
    }
    let by_query = ada.connecting().with_only(Json::Null).query("ticket", &ticket);
    assert!(by_query.fails().await.starts_with(USED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_ends_with_the_login_that_bought_it() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let login = ada.logs_in_again().await;
    let (spent, unspent) = (login.buys_a_ticket().await, login.buys_a_ticket().await);
    let socket = with_ticket(&ada, &spent).open().await;
    login.logs_out().await;
    socket.sees_any("token-expired").await;
    assert_eq!(socket.ends().await, Ended::Namespace);
    assert!(with_ticket(&ada, &unspent).fails().await.starts_with("token_revoked: "));
    login.post("/api/auth/tickets", json!({})).await.is_refused(401, "token_revoked");

    let last = ada.buys_a_ticket().await;
    ada.deletes_the_account().await;
    assert!(with_ticket(&ada, &last).fails().await.starts_with("token_revoked: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_outlives_its_ticket_and_ends_with_the_token_that_bought_it() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let session = ada.get("/api/auth/session").await.is(200);
    let end: DateTime<Utc> = session["expiresAt"].as_str().unwrap().parse().unwrap();
    let socket = with_ticket(&ada, &ada.buys_a_ticket().await).open().await;
    server.clock.advance(TimeDelta::seconds(40));
    socket.sees_nothing("token-expired", A_WHILE).await;
    socket.is_alive().await;
    server.clock.advance(end - server.clock.now() - TimeDelta::seconds(30));
    assert_eq!(socket.sees_any("token-expiring").await, json!({ "expiresAt": session["expiresAt"] }));
    socket.is_alive().await;
    // A ticket that is bought now lives no longer than the token.
    let bought = ada.post("/api/auth/tickets", json!({})).await.is(201);
    assert!(bought["expiresAt"].as_str() <= session["expiresAt"].as_str(), "{bought}");
    server.clock.advance(TimeDelta::seconds(31));
    socket.sees_any("token-expired").await;
    assert_eq!(socket.ends().await, Ended::Namespace);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_token_buys_tickets_too() {
    let issuer = Issuer::start().await;
    let server = Server::with(|config| config.auth.issuers = vec![issuer.config()]).await;
    let ada = Person::shows(&server, &issuer.token("ada")).await;
    let ticket = ada.buys_a_ticket().await;
    issuer.goes_down();
    let socket = with_ticket(&ada, &ticket).open().await;
    socket.is_alive().await;
    ada.logs_out().await;
    assert_eq!(socket.ends().await, Ended::Namespace);
}

/// What each credential is in one row of the table below.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    Absent,
    Good,
    Bad,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_credential_counts_and_no_other() {
    use Is::{Absent, Bad, Good};
    let server = Server::start().await;
    let ada = server.person("ada").await;
    // In order: auth.token, auth.ticket, query token, query ticket, header, cookie.
    let table: [([Is; 6], Result<(), &str>); 18] = [
        ([Absent; 6], Err("token_missing")),
        ([Good, Bad, Bad, Bad, Bad, Bad], Ok(())),
        ([Bad, Good, Good, Good, Good, Good], Err("token_invalid")),
        ([Absent, Good, Bad, Bad, Bad, Bad], Ok(())),
        ([Absent, Bad, Good, Good, Good, Good], Err("ticket_used")),
        ([Absent, Absent, Good, Bad, Bad, Bad], Ok(())),
        ([Absent, Absent, Bad, Good, Good, Good], Err("token_invalid")),
        ([Absent, Absent, Absent, Good, Bad, Bad], Ok(())),
        ([Absent, Absent, Absent, Bad, Good, Good], Err("ticket_used")),
        ([Absent, Absent, Absent, Absent, Good, Bad], Ok(())),
        ([Absent, Absent, Absent, Absent, Bad, Good], Err("token_invalid")),
        ([Absent, Absent, Absent, Absent, Absent, Good], Ok(())),
        ([Absent, Absent, Absent, Absent, Absent, Bad], Err("token_invalid")),
        ([Good, Good, Good, Good, Good, Good], Ok(())),
        ([Absent, Good, Absent, Good, Absent, Good], Ok(())),
        ([Bad, Absent, Absent, Good, Absent, Absent], Err("token_invalid")),
        ([Absent, Bad, Absent, Absent, Absent, Good], Err("ticket_used")),
        ([Absent, Absent, Absent, Absent, Bad, Absent], Err("token_invalid")),
    ];
    for (number, (row, expected)) in table.into_iter().enumerate() {
        let (first, second) = (ada.buys_a_ticket().await, ada.buys_a_ticket().await);
        let token = |is: Is| if is == Good { &*ada.token } else { "bad" };
        let mut auth = json!({});
        let mut connecting = ada.connecting();
        if row[0] != Absent {
            auth["token"] = token(row[0]).into();
        }
        if row[1] != Absent {
            auth["ticket"] = if row[1] == Good { first.as_str() } else { "bad" }.into();
        }
        if row[2] != Absent {
            connecting = connecting.query("token", token(row[2]));
        }
        if row[3] != Absent {
            connecting = connecting.query("ticket", if row[3] == Good { &second } else { "bad" });
        }
        if row[4] != Absent {
            connecting = connecting.header("authorization", &format!("Bearer {}", token(row[4])));
        }
        if row[5] != Absent {
            connecting = connecting.header("cookie", &format!("chatToken={}", token(row[5])));
        }
        match (connecting.with_only(auth).attempt().await, expected) {
            (Ok(socket), Ok(())) => socket.is_alive().await,
            (Err(refusal), Err(code)) => {
                assert!(refusal["message"].as_str().unwrap().starts_with(code), "row {number}: {refusal}");
            }
            (Ok(_), Err(code)) => panic!("row {number} should have been {code}"),
            (Err(refusal), Ok(())) => panic!("row {number}: {refusal}"),
        }
        // A ticket that did not count is still good.
        let counted = row.iter().position(|is| *is != Absent);
        for (place, ticket) in [(1, &first), (3, &second)] {
            if counted != Some(place) {
                with_ticket(&ada, ticket).open().await;
            }
        }
        server.clock.advance(TimeDelta::seconds(31));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_refuse_a_ticket_and_leave_it_unused() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let ticket = ada.buys_a_ticket().await;
    let with_ticket_and = |headers: &[(&str, String)]| {
        let path = format!("/api/auth/session?ticket={ticket}");
        let request = server.http.request(http::Method::GET, &path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        async move { Answer::to(request).await }
    };
    let bearer = ("authorization", format!("Bearer {}", ada.token));
    let cookie = ("cookie", format!("chatToken={}", ada.token));
    for headers in
        [vec![], vec![bearer.clone()], vec![cookie], vec![("authorization", format!("Bearer {ticket}"))]]
    {
        with_ticket_and(&headers).await.is_refused(401, "token_invalid");
    }
    ada.post(&format!("/api/auth/tickets?ticket={ticket}"), json!({})).await.is_refused(401, "token_invalid");
    server.http.with_token(&ticket).get("/api/auth/session").await.is_refused(401, "token_invalid");
    server.http.get(&format!("/api/auth/session?token={ticket}")).await.is_refused(401, "token_invalid");
    // The query's token comes first.
    server.http.get(&format!("/api/auth/session?ticket={ticket}&token={}", ada.token)).await.is(200);
    assert!(
        ada.connecting().with_only(json!({ "token": ticket })).fails().await.starts_with("token_invalid")
    );

    with_ticket(&ada, &ticket).open().await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_buys_only_so_many() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let other = ada.logs_in_again().await;
    let buying = (0..50).map(|_| ada.post("/api/auth/tickets", json!({})));
    let answers = futures_util::future::join_all(buying).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 20);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let refused = refused.is_refused(429, "rate_limited");
        assert!(
            refused["retryAfterMs"].as_u64().is_some_and(|after| (1..=30_000).contains(&after)),
            "{refused}"
        );
    }
    other.buys_a_ticket().await;
    server.clock.advance(TimeDelta::seconds(31));
    ada.buys_a_ticket().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_websocket_comes_in_with_a_ticket_and_lives_by_the_token_that_bought_it() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let ticket = ada.buys_a_ticket().await;
    let path = format!("/ws?ticket={ticket}");
    let attempts = (0..20).map(|_| Frames::try_open(server.address, &path, &[], true));
    let came = futures_util::future::join_all(attempts).await;
    let (opened, refused): (Vec<_>, Vec<_>) = came.into_iter().partition(Result::is_ok);
    assert_eq!((opened.len(), refused.len()), (1, 19), "exactly one got in");
    for refused in refused.into_iter().filter_map(Result::err) {
        refused.is(401, "ticket_used");
    }
    let socket = opened.into_iter().flatten().next().unwrap();
    server.clock.advance(TimeDelta::minutes(30));
    socket.says(json!({ "event": "listRooms", "data": {}, "id": 1 }).to_string());
    socket.sees_frame("an answer", |frame| frame["reply"] == 1).await;
    server.clock.advance(TimeDelta::minutes(31));
    assert_eq!(socket.ends().await, Some(4401));
    // A request that could not become a websocket anyway does not use one up.
    let ada = ada.logs_in_again().await;
    let ticket = ada.buys_a_ticket().await;
    ada.door.http.get(&format!("/ws?ticket={ticket}")).await.is_refused(426, "bad_request");
    Frames::open(server.address, &format!("/ws?ticket={ticket}")).await;
}
