//! The HTTP API, route by route: shapes, statuses, paging, cookies and what comes with every answer.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::harness::{Answer, Http, Server, at_full_speed, keys_of};

const USER: [&str; 7] = ["firstName", "id", "isOnline", "lastName", "lastSeen", "profile", "username"];

fn names(list: &Json, name: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

/// All items of a list that pages by cursor, page by page.
async fn all_pages(http: &Http, path: &str, items: &str, limit: usize) -> Vec<Vec<Json>> {
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let page = http.get(&format!("{path}?limit={limit}{after}")).await.is(200);
        assert_eq!(keys_of(&page), {
            let mut keys = vec![items, "next"];
            keys.sort_unstable();
            keys
        });
        pages.push(page[items].as_array().unwrap().clone());
        match page["next"].as_str() {
            None => return pages,
            Some(next) => after = format!("&after={}", url(next)),
        }
        assert!(pages.len() < 100, "it never ends");
    }
}

fn url(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_found_and_searched() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    server.person("bob").await;
    let profile = json!({ "firstName": "Robert", "lastName": "Tables", "profile": { "img": "b.png" } });
    let bob = crate::harness::Person::logs_in(&server, "bob").await;
    bob.patch("/api/users/bob", profile).await.is(200);

    let list = ada.get("/api/users").await.is(200);
    assert_eq!(names(&list["users"], "username"), ["ada", "bob"]);
    assert_eq!(list["users"][0]["isOnline"], true);
    assert_eq!(keys_of(&list["users"][1]), USER);
    for search in ["bob", "BOB", "ober", "tabl"] {
        let found = ada.get(&format!("/api/users?search={search}")).await.is(200);
        assert_eq!(names(&found["users"], "username"), ["bob"], "{search}");
    }
    let long = "x".repeat(60_000);
    for search in ["%", "_", "*", "zzz", "'", "\\", &long] {
        let search = if search.contains('%') && search.len() > 1 { search.to_owned() } else { url(search) };
        assert_eq!(
            ada.get(&format!("/api/users?search={search}")).await.is(200)["users"],
            json!([]),
            "{search}"
        );
    }
    let by_name = ada.get("/api/users/bob").await.is(200);
    assert_eq!(ada.get(&format!("/api/users/{}", bob.id())).await.is(200), by_name);
    assert_eq!((&by_name["firstName"], &by_name["profile"]), (&json!("Robert"), &json!({ "img": "b.png" })));
    for nobody in ["nobody", &uuid::Uuid::now_v7().to_string(), "%00", "%ff"] {
        let answer = ada.get(&format!("/api/users/{nobody}")).await;
        assert!(matches!(answer.status, 404 | 400), "{nobody}: {}", answer.text);
    }
    for path in ["/api/users", "/api/users/ada", "/api/rooms", "/api/rooms/mine", "/api/auth/session"] {
        server.http.get(path).await.is_refused(401, "token_missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_and_fifty_users_page_by_cursor() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let mut expected = vec!["ada".to_owned()];
    for number in 0..250 {
        let name = format!("{}user {number}", if number % 2 == 0 { "X" } else { "é" });
        server.acquaintance(&name).await;
        expected.push(name);
    }
    for (limit, pages_expected) in [(200, 2), (100, 3), (7, 36), (1000, 2)] {
        let pages = all_pages(&ada, "/api/users", "users", limit).await;
        assert_eq!(pages.len(), pages_expected, "limit {limit}");
        let all: Vec<String> =
            pages.iter().flatten().map(|user| user["username"].as_str().unwrap().to_owned()).collect();
        assert_eq!(all.len(), 251, "each once");
        assert_eq!(all.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>());
    }
    assert_eq!(ada.get("/api/users").await.is(200)["users"].as_array().unwrap().len(), 100);
    for bad in ["limit=x", "limit=-1", "limit=1.5"] {
        ada.get(&format!("/api/users?{bad}")).await.is_refused(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_and_fifty_groups_page_by_cursor() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for number in 0..250 {
        ada.makes_group(&format!("group {number:03} é"), &[]).await;
    }
    for (limit, pages_expected) in [(200, 2), (60, 5)] {
        let pages = all_pages(&ada, "/api/rooms", "groups", limit).await;
        assert_eq!(pages.len(), pages_expected);
        let all: Vec<&str> =
            pages.iter().flatten().map(|group| group["groupName"].as_str().unwrap()).collect();
        assert_eq!(all, (0..250).map(|number| format!("group {number:03} é")).collect::<Vec<_>>());
    }
    let found = ada.get(&format!("/api/rooms?search={}", url("GROUP 01"))).await.is(200);
    assert_eq!(found["groups"].as_array().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_replaced_and_changed() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let whole = json!({
        "firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "phone": "1", "profile": { "a": 1 },
        "currentPassword": "the secret of ada",
    });
    let replaced = ada.put("/api/users/ada", whole).await.is(200);
    assert_eq!((&replaced["firstName"], &replaced["email"]), (&json!("Ada"), &json!("ada@example.com")));
    let changed = ada.patch("/api/users/ada", json!({ "lastName": "King", "phone": null })).await.is(200);
    assert_eq!((&changed["firstName"], &changed["lastName"]), (&json!("Ada"), &json!("King")));
    assert!(changed.get("phone").is_none());
    assert_eq!(changed["profile"], json!({ "a": 1 }));
    let emptied = ada.put("/api/users/ada", json!({ "currentPassword": "the secret of ada" })).await.is(200);
    assert_eq!((&emptied["firstName"], &emptied["profile"]), (&json!("ada"), &json!({})));
    assert!(emptied.get("email").is_none());
    for bad in [
        json!({ "firstName": 7 }),
        json!({ "firstName": "x".repeat(10_000) }),
        json!({ "profile": "text" }),
        json!({ "profile": [] }),
        json!({ "profile": { "x": "x".repeat(20_000) } }),
        json!({ "username": "other" }),
        json!({ "password": "short", "currentPassword": "the secret of ada" }),
        json!([]),
    ] {
        let answer = ada.patch("/api/users/ada", bad.clone()).await;
        assert!(matches!(answer.status, 400 | 413), "{bad:.100}: {} {}", answer.status, answer.text);
        assert!(matches!(answer.json()["code"].as_str(), Some("bad_request" | "too_large")));
    }
    assert_eq!(ada.get("/api/users/ada").await.is(200), emptied);
    ada.patch("/api/users/nobody", json!({})).await.is_refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_through_its_life() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    server.person("carl").await;
    let draft = json!({ "groupName": "vault", "users": [{ "username": "carl" }], "password": "open sesame" });
    let group = ada.post("/api/rooms", draft).await.is(201);
    assert_eq!(
        (&group["owner"], &group["memberCount"], &group["hasPassword"]),
        (&json!("ada"), &json!(2), &json!(true))
    );
    let id = group["groupId"].as_str().unwrap();
    let room = format!("/api/rooms/{id}");

    let public = bob.get("/api/rooms").await.is(200)["groups"][0].clone();
    assert!(public.get("users").is_none(), "{public}");
    bob.post(&format!("{room}/join"), json!({ "password": "wrong" })).await.is_refused(403, "wrong_password");
    let joined = bob.post(&format!("{room}/join"), json!({ "password": "open sesame" })).await.is(200);
    assert_eq!(names(&joined["users"], "username").len(), 3);

    let members = bob.get(&format!("{room}/members")).await.is(200);
    assert_eq!(keys_of(&members), ["members", "next"]);
    assert_eq!(names(&members["members"], "username"), ["ada", "bob", "carl"]);
    assert_eq!(names(&members["members"], "role"), ["owner", "member", "member"]);

    let renamed = ada.patch(&room, json!({ "groupName": "safe", "password": null })).await.is(200);
    assert_eq!((&renamed["groupName"], &renamed["hasPassword"]), (&json!("safe"), &json!(false)));
    ada.delete(&format!("{room}/members/carl")).await.is(200);
    ada.delete(&format!("{room}/members/carl")).await.is_refused(404, "not_found");
    let added = ada.post(&format!("{room}/members"), json!({ "users": ["carl"] })).await.is(200);
    assert_eq!(added["memberCount"], 3);
    let left = bob.post(&format!("{room}/leave"), json!({})).await.is(200);
    assert_eq!(left["groupId"], id);
    bob.get(&format!("{room}/members")).await.is_refused(403, "not_a_member");
    assert_eq!(ada.delete(&room).await.status, 204);
    ada.get(&format!("{room}/messages")).await.is_refused(404, "not_found");
    assert_eq!(ada.get("/api/rooms").await.is(200)["groups"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_and_leaving_need_no_body() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let group = ada.makes_group("open", &[]).await;
    for (what, status) in [("join", 200), ("leave", 200), ("join", 200)] {
        let request = bob.request(http::Method::POST, &format!("/api/rooms/{group}/{what}"));
        assert_eq!(Answer::to(request).await.status, status, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_page_by_seq_oldest_first() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    server.person("bob").await;
    ada.posts_many_to("bob", 1..=320).await;
    let room = ada.get("/api/rooms/mine").await.is(200)[0]["roomId"].as_str().unwrap().to_owned();
    let page = async |query: &str| {
        let page = ada.get(&format!("/api/rooms/{room}/messages?{query}")).await.is(200);
        assert_eq!(keys_of(&page), ["hasMore", "messages"]);
        let seqs: Vec<i64> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["seq"].as_i64().unwrap())
            .collect();
        (seqs, page["hasMore"].as_bool().unwrap())
    };
    let range = |range: std::ops::RangeInclusive<i64>| range.collect::<Vec<_>>();
    assert_eq!(page("limit=50").await, (range(271..=320), true), "the newest page by default");
    assert_eq!(page("limit=200").await, (range(121..=320), true));
    assert_eq!(page("limit=1000").await.0.len(), 200, "at most 200");
    assert_eq!(page("limit=50&before=271").await, (range(221..=270), true));
    assert_eq!(page("limit=50&before=51").await, (range(1..=50), false));
    assert_eq!(page("limit=50&after=0").await, (range(1..=50), true));
    assert_eq!(page("limit=50&after=300").await, (range(301..=320), false));
    assert_eq!(page("after=18446744073709551615").await, (vec![], false));
    for bad in ["limit=x", "before=-1", "after=1.5", "after=x", "before=NaN"] {
        ada.get(&format!("/api/rooms/{room}/messages?{bad}")).await.is_refused(400, "bad_request");
    }
    for id in ["x", &uuid::Uuid::now_v7().to_string(), "%00"] {
        ada.get(&format!("/api/rooms/{id}/messages")).await.is_refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn my_conversations_come_most_recent_first() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    for other in ["bob", "carl"] {
        server.person(other).await;
    }
    ada.posts_to("bob", "1").await;
    ada.posts_to("carl", "2").await;
    let group = ada.makes_group("friends", &[]).await;
    server.clock.advance(chrono::TimeDelta::seconds(1));
    ada.posts_to("bob", "3").await;
    let mine = ada.get("/api/rooms/mine").await.is(200);
    let order: Vec<Json> =
        mine.as_array()
            .unwrap()
            .iter()
            .map(|room| {
                if room["kind"] == "direct" {
                    room["peer"]["username"].clone()
                } else {
                    room["roomId"].clone()
                }
            })
            .collect();
    assert_eq!(order[0], "bob");
    assert_eq!(
        order.iter().map(Json::to_string).collect::<BTreeSet<_>>(),
        [json!("bob"), json!("carl"), json!(group)].map(|x| x.to_string()).into()
    );
    let own = &mine[0];
    assert_eq!((&own["lastSeq"], &own["lastMessage"]["content"]), (&json!(2), &json!("3")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_messages_are_not_unread() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.posts_to("bob", "1").await;
    let message = ada.posts_to("bob", "2").await;
    ada.sees_delivered(&message).await;
    let room = message["roomId"].as_str().unwrap();
    assert_eq!(bob.conversation(room).await["unread"], 2);
    assert_eq!(ada.conversation(room).await["unread"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_for_what_nobody_can_be_called_finds_nobody() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    ada.makes_group("friends", &[]).await;
    assert_eq!(ada.get("/api/users?search=a%00b").await.is(200)["users"], json!([]));
    assert_eq!(ada.get("/api/rooms?search=a%00b").await.is(200)["groups"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_how_it_is() {
    let server = Server::start().await;
    let _ada = server.online("ada").await;
    assert_eq!(server.http.get("/healthz").await.is(200), json!({ "status": "ok" }));
    assert_eq!(server.http.get("/readyz").await.is(200), json!({ "status": "ok" }));
    let metrics = server.http.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    assert!(metrics.text.contains("parlor_connections 1"), "{}", metrics.text);
    let hidden = Server::with(|config| config.telemetry.metrics = parlor::config::Metrics::Off).await;
    hidden.http.get("/metrics").await.is_refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_every_route() {
    let server = Server::start().await;
    let api = server.http.get("/openapi.json").await.is(200);
    let paths = api["paths"].as_object().unwrap();
    for (path, methods) in [
        ("/api/users", &["get", "post"][..]),
        ("/api/users/{idOrUsername}", &["get", "put", "patch", "delete"]),
        ("/api/auth/login", &["post"]),
        ("/api/auth/refresh", &["post"]),
        ("/api/auth/logout", &["post"]),
        ("/api/auth/session", &["get"]),
        ("/api/first-admin", &["post"]),
        ("/api/rooms", &["get", "post"]),
        ("/api/rooms/mine", &["get"]),
        ("/api/rooms/{id}", &["patch", "delete"]),
        ("/api/rooms/{id}/join", &["post"]),
        ("/api/rooms/{id}/leave", &["post"]),
        ("/api/rooms/{id}/members", &["get", "post"]),
        ("/api/rooms/{id}/members/{username}", &["delete"]),
        ("/api/rooms/{id}/messages", &["get"]),
        ("/healthz", &["get"]),
        ("/readyz", &["get"]),
    ] {
        for method in methods {
            assert!(paths.get(path).is_some_and(|path| path.get(method).is_some()), "{method} {path}");
        }
    }
    let docs = server.http.get("/docs").await;
    let page = if docs.status == 200 { docs } else { server.http.get(docs.header("location")).await };
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.text.contains("https://"), "it is there without the internet: {}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_as_a_problem() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for path in ["/nowhere", "/api", "/api/nowhere", "/api/users/a/b/c", "/API/users", "/chat"] {
        ada.get(path).await.is_refused(404, "not_found");
    }
    for (method, path, allowed) in [
        ("DELETE", "/api/users", &["GET", "POST"][..]),
        ("GET", "/api/auth/login", &["POST"]),
        ("PUT", "/api/rooms", &["GET", "POST"]),
        ("POST", "/healthz", &["GET"]),
        ("POST", "/api/rooms/mine", &["GET"]),
    ] {
        let answer = Answer::to(ada.request(method.parse().unwrap(), path)).await;
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let allow = answer.header("allow");
        assert!(allowed.iter().all(|method| allow.contains(method)), "{method} {path}: {allow}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_a_bad_request() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let deep = format!("{{\"groupName\":{}", "[".repeat(20_000));
    for (what, body) in [
        ("nothing", ""),
        ("no JSON", "groupName=x"),
        ("half of it", "{\"groupName\":\"x\""),
        ("an array", "[\"x\"]"),
        ("a string", "\"x\""),
        ("null", "null"),
        ("two objects", "{\"groupName\":\"x\"}{}"),
        ("NaN", "{\"groupName\":NaN}"),
        ("half a character", "{\"groupName\":\"\\ud800\"}"),
        ("too deep", &deep),
    ] {
        let request =
            ada.request(http::Method::POST, "/api/rooms").header("content-type", "application/json");
        let answer = Answer::to(request.body(body.to_owned())).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text);
        answer.is_refused(400, "bad_request");
        assert!(answer.text.len() < 2_000);
    }
    let invalid = ada.request(http::Method::POST, "/api/rooms").header("content-type", "application/json");
    Answer::to(invalid.body(&b"{\"groupName\":\"\xff\"}"[..])).await.is_refused(400, "bad_request");
    let form = ada
        .request(http::Method::POST, "/api/rooms")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = Answer::to(form.body("{\"groupName\":\"x\"}")).await;
    assert!(matches!(answer.status, 400 | 415), "{}", answer.status);
    assert_eq!(ada.get("/api/rooms").await.is(200)["groups"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_more_than_a_megabyte_is_too_large() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let body = format!("{{\"groupName\":\"{}\"}}", "x".repeat(1_000_001));
    let request = ada.request(http::Method::POST, "/api/rooms").header("content-type", "application/json");
    Answer::to(request.body(body.clone())).await.is_refused(413, "too_large");
    let chunks = futures_util::stream::iter(
        body.into_bytes()
            .chunks(50_000)
            .map(|chunk| {
                Ok::<_, std::io::Error>(hyper::body::Frame::data(bytes::Bytes::copy_from_slice(chunk)))
            })
            .collect::<Vec<_>>(),
    );
    let body = reqwest::Body::wrap(http_body_util::StreamBody::new(chunks));
    let request = ada.request(http::Method::POST, "/api/rooms").header("content-type", "application/json");
    Answer::to(request.body(body)).await.is_refused(413, "too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_page_cannot_use_a_visitors_cookie() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let cookie = format!("chatToken={}", ada.token);
    let post = |path: &str| server.http.request(http::Method::POST, path).header("cookie", &cookie);
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let draft = json!({ "groupName": format!("{name} {value}") });
        let answer = Answer::to(post("/api/rooms").header(name, value).json(&draft)).await;
        answer.is_refused(403, "forbidden");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        Answer::to(post("/api/auth/logout").header(name, value)).await.is_refused(403, "forbidden");
    }
    let get = server.http.request(http::Method::GET, "/api/users").header("cookie", &cookie);
    Answer::to(get.header("origin", "http://evil.example")).await.is_refused(403, "forbidden");
    assert_eq!(ada.get("/api/rooms").await.is(200)["groups"], json!([]));
    // A page of ours may.
    let ours =
        post("/api/rooms").header("origin", "http://localhost:4200").json(&json!({ "groupName": "ours" }));
    let answer = Answer::to(ours).await;
    answer.is(201);
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:4200");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert!(answer.header("access-control-expose-headers").contains("auth-token"));
    assert!(answer.header("vary").to_lowercase().contains("origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_closed_to_guessing_and_framing() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for answer in
        [ada.get("/api/users").await, ada.get("/nowhere").await, server.http.get("/api/users").await]
    {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(
            !answer.header("x-frame-options").is_empty()
                || answer.header("content-security-policy").contains("frame-ancestors")
        );
    }
    for answer in [ada.get("/api/auth/session").await, ada.get("/api/rooms/mine").await] {
        assert_eq!(answer.header("cache-control"), "no-store", "what is somebody's is not for caches");
    }
    let server_header = ada.get("/api/users").await;
    assert_eq!(server_header.header("server"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_that_comes_along_is_kept_if_it_is_sane() {
    let server = Server::start().await;
    let ask = async |id: &str| {
        let request = server.http.request(http::Method::GET, "/healthz").header("x-request-id", id);
        Answer::to(request).await.header("x-request-id").to_owned()
    };
    assert_eq!(ask("abc-123").await, "abc-123");
    for strange in ["a b", "<script>", &"x".repeat(500)] {
        let given = ask(strange).await;
        assert!(!given.is_empty() && given != strange, "{given}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_over_http_is_seen_by_sockets_at_once() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    assert_eq!(bob.sees_any("newgrp").await["response"]["groupId"], group);
    assert_eq!(bob.sees_any("roomsChanged").await["change"], "created");
    ada.patch(&format!("/api/rooms/{group}"), json!({ "groupName": "pals" })).await.is(200);
    let told = bob.sees_any("roomsChanged").await;
    assert_eq!((&told["change"], &told["response"]["groupName"]), (&json!("updated"), &json!("pals")));
    let carl = server.person("carl").await;
    carl.post(&format!("/api/rooms/{group}/join"), json!({})).await.is(200);
    bob.sees("memberJoined", |told| told["username"] == "carl").await;
    ada.delete(&format!("/api/rooms/{group}/members/carl")).await.is(200);
    bob.sees("memberLeft", |told| told["username"] == "carl").await;
    ada.delete(&format!("/api/rooms/{group}")).await.is(204);
    assert_eq!(bob.sees_any("roomsChanged").await["change"], "deleted");
}
