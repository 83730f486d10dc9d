//! `parlor move`: from SQLite to PostgreSQL, with everything that people have.

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::harness::{Database, Person, Process, parlor};

const FROM: [(&str, &str); 4] = [
    OWN_KEY,
    ("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000000"),
    ("PARLOR__LIMITS__EVENTS_BURST", "1000000"),
    ("PARLOR__LIMITS__WAITING_EVENTS", "10000"),
];
const OWN_KEY: (&str, &str) = ("PARLOR__AUTH__JWT_SECRET", crate::harness::SECRET);

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn everything_moves_from_sqlite_to_postgresql_and_logins_go_on() {
    let (from, to) = (Database::sqlite(), Database::postgres().await);
    parlor(&from, &["seed"]).await.succeeds();
    let mut process = Process::with(&from, &FROM).await;
    let (ada, bob) = (process.person("eve").await, process.online("fay").await);
    let group = ada.makes_group("chess", &["fay"]).await;
    let socket = ada.connect().await;
    // More than one statement takes, and something that SQL could misread.
    socket.posts_many_to("fay", 1..=1_200).await;
    for number in 0..5 {
        socket.posts_in(&group, &format!("{number} '; -- 😀 \u{200d} \\u0000 \"")).await;
    }
    bob.acknowledges_all();
    socket.posts_to("fay", "the last one").await;
    bob.sees_message("the last one").await;
    ada.buys_a_ticket().await;
    let path = format!("/api/rooms/{group}/messages?limit=200");
    let page = ada.get(&path).await.is(200);
    let people = names(&ada.get("/api/users?limit=200").await.is(200));

    let refusal = parlor(&from, &["move", "--to", &to.url]).await.refuses();
    assert!(refusal.contains("stop the server first"), "{refusal}");
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
    let said = parlor(&from, &["move", "--to", &to.url]).await.succeeds();
    assert!(said.contains("messages ") && said.contains("moved to postgres://"), "{said}");

    let mut process = Process::with(&to, &[OWN_KEY]).await;
    let ada = Person::shows(&process, &ada.token).await;
    assert_eq!(ada.get(&path).await.is(200), page, "the same history for the same login");
    assert_eq!(names(&ada.get("/api/users?limit=200").await.is(200)), people);
    ada.connect().await.posts_in(&group, "on PostgreSQL").await;
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());

    let refusal = parlor(&from, &["move", "--to", &to.url]).await.refuses();
    assert!(refusal.contains("nothing was moved") && refusal.contains("has users already"), "{refusal}");
    to.remove().await;
    from.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_sqlite_moves_and_only_to_postgresql() {
    let folder = TempDir::new().unwrap();
    let at = |url: &str| Database::elsewhere(url.to_owned());
    let sqlite = at(&format!("sqlite://{}/parlor.db", folder.path().display()));
    let target = "postgres://ada:hunter2@127.0.0.1:1/parlor";
    for (from, to, reason) in [
        (&sqlite, target, "there is no database"),
        (&sqlite, "sqlite://other.db", "must begin with postgres://"),
        (&sqlite, "postgres://ada:hunter2@host:port/x", "invalid port"),
        (&at("postgres://ada:hunter2@127.0.0.1:1/a"), target, "only a SQLite database can be moved"),
    ] {
        let refusal = parlor(from, &["move", "--to", to]).await.refuses();
        assert!(refusal.contains(reason) && !refusal.contains("hunter2"), "{refusal}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn names(users: &Json) -> Vec<(String, String)> {
    let text = |user: &Json, field: &str| user[field].as_str().unwrap().to_owned();
    users["users"].as_array().unwrap().iter().map(|user| (text(user, "id"), text(user, "username"))).collect()
}
