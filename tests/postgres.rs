//! PostgreSQL as it is found: behind a pooler, and with fewer connections than are configured.

use sea_orm::{ConnectionTrait, Database as Connect, TransactionTrait};
use serde_json::json;

use crate::harness::{Database, Person, Pooler, Process, until};

/// People sign up, make a group, write to each other and read what was said, all at the same time.
async fn is_lively(process: &Process, names: &[&str]) {
    let mut people = Vec::new();
    for name in names {
        people.push(process.person(name).await);
    }
    let group = people[0].makes_group(&format!("the friends of {}", names[0]), &names[1..]).await;
    let mut sockets = Vec::new();
    for person in &people {
        sockets.push(person.connect().await);
    }
    let mut answers = Vec::new();
    for round in 0..5 {
        for socket in &sockets {
            let content = format!("round {round}");
            answers.push(socket.sends("groupMessage", json!({ "receiver": group, "content": content })));
            answers.push(socket.sends("privateMessage", json!({ "receiver": names[0], "content": content })));
        }
    }
    let reads = people.iter().map(|person: &Person| person.get("/api/rooms/mine"));
    for answer in futures_util::future::join_all(reads).await {
        answer.is(200);
    }
    let mut seqs = Vec::new();
    for answer in answers {
        let message = crate::harness::succeeded(answer.await);
        if message["groupId"] == json!(group) || message["receiver"] == json!(group) {
            seqs.push(message["seq"].as_i64().unwrap());
        }
    }
    let history = people[1].get(&format!("/api/rooms/{group}/messages?limit=200")).await.is(200);
    let stored: Vec<i64> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["seq"].as_i64().unwrap())
        .collect();
    let in_order: Vec<i64> = (1..=stored.len() as i64).collect();
    assert_eq!(stored, in_order);
    assert!(stored.len() >= 5 * names.len(), "{stored:?}");
    process.http.get("/readyz").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(all(with_postgres, with_pgbouncer)), ignore = "PostgreSQL or pgbouncer is not there")]
async fn everything_works_behind_a_pooler_that_shares_its_connections() {
    let pooler = Pooler::start().await;
    let database = pooler.database();
    // Two servers at once, so that each finds what the other has prepared.
    let found = Process::start(&database).await;
    assert!(found.written().contains("behind a pooler"), "{}", found.written());
    let told = Process::with(&database, &[("PARLOR__DATABASE__POOLER", "true")]).await;
    tokio::join!(is_lively(&found, &["ada", "bob", "cyd"]), is_lively(&told, &["dan", "eve", "fay"]));
    drop((found, told));
    // What was left behind in the pooler's connections disturbs nobody.
    let again = Process::start(&database).await;
    is_lively(&again, &["gus", "hal"]).await;
    drop(again);
    pooler.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_server_without_a_pooler_is_not_taken_for_one() {
    let database = Database::postgres().await;
    let process = Process::start(&database).await;
    assert!(!process.written().contains("pooler"), "{}", process.written());
    drop(process);
    database.remove().await;
}

/// A role that may have only so many connections, with a schema of its own.
struct FewConnections {
    server: String,
    name: String,
}

impl FewConnections {
    async fn of(most: u32) -> Self {
        let server = std::env::var("PARLOR_TEST_POSTGRES_URL").expect("a PostgreSQL server");
        let name = format!("parlor_few_{}", uuid::Uuid::new_v4().simple());
        let few = Self { server, name };
        let Self { name, .. } = &few;
        few.ask(&format!("CREATE ROLE {name} LOGIN PASSWORD '{name}' CONNECTION LIMIT {most}")).await;
        few.ask(&format!("CREATE SCHEMA {name} AUTHORIZATION {name}")).await;
        few
    }

    fn database(&self) -> Database {
        let mut url = reqwest::Url::parse(&self.server).unwrap();
        url.set_username(&self.name).unwrap();
        url.set_password(Some(&self.name)).unwrap();
        let sign = if url.query().is_some() { '&' } else { '?' };
        Database::elsewhere(format!("{url}{sign}options[search_path]={}", self.name))
    }

    async fn ask(&self, statement: &str) {
        let database = Connect::connect(&self.server).await.unwrap();
        database.execute_unprepared(statement).await.unwrap();
        database.close().await.unwrap();
    }

    async fn remove(self) {
        self.ask(&format!("DROP SCHEMA {} CASCADE", self.name)).await;
        self.ask(&format!("DROP ROLE {}", self.name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn the_writer_has_its_connections_when_postgresql_grants_fewer_than_configured() {
    let few = FewConnections::of(8).await;
    let database = few.database();
    let mut process = Process::with(&database, &[("PARLOR__DATABASE__MAX_CONNECTIONS", "16")]).await;
    let (ada, bob) = (process.person("ada").await, process.person("bob").await);
    let socket = ada.connect().await;
    // Reads that wait for a lock keep their connections, until PostgreSQL grants no further one.
    let outsider = Connect::connect(&few.server).await.unwrap();
    let held = outsider.begin().await.unwrap();
    held.execute_unprepared(&format!("LOCK TABLE {}.rooms", few.name)).await.unwrap();
    let reads = (0..40).map(|number| {
        let bob = bob.clone();
        tokio::spawn(async move { bob.get(&format!("/api/rooms?search=group{number}")).await })
    });
    let reads: Vec<_> = reads.collect();
    until("the refusal", async || process.written().contains("grants no further connection")).await;
    held.rollback().await.unwrap();
    outsider.close().await.unwrap();
    for read in reads {
        read.await.unwrap().is(200);
    }
    // Each one makes a room and is stored.
    let names: Vec<String> = (0..12).map(|number| format!("user{number}")).collect();
    for name in &names {
        process.person(name).await;
    }
    let sent =
        names.iter().map(|name| socket.asks("privateMessage", json!({ "receiver": name, "content": "hi" })));
    futures_util::future::join_all(sent).await;
    process.http.get("/readyz").await.is(200);
    let written = process.written();
    assert!(written.contains("too many connections for role"), "{written}");
    process.signal("TERM").await;
    process.exits().await;
    drop(process);
    few.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_server_that_gets_two_connections_serves() {
    let few = FewConnections::of(3).await;
    let database = few.database();
    let mut process = Process::with(&database, &[("PARLOR__DATABASE__MAX_CONNECTIONS", "16")]).await;
    is_lively(&process, &["ada", "bob", "cyd"]).await;
    process.signal("TERM").await;
    process.exits().await;
    drop(process);
    few.remove().await;
}
