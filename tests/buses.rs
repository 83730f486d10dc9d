//! What carries frames between nodes: the same tests for PostgreSQL, NATS and Redis, each with a real server, through a line
//! that can be closed and made deaf. Each node is a process of its own, so its counters are its own.

use std::net::{SocketAddr, ToSocketAddrs};

use sea_orm::sqlx::postgres::PgConnectOptions;
use serde_json::{Value as Json, json};

use crate::harness::{BusServer, Carries, Database, Door, Frames, Line, Process, Socket, until};

/// A message may be read before its frame comes: so many in a row are not.
const ATTEMPTS: i64 = 300;

enum Bus {
    /// With the address of the server, and with its login and database.
    Postgres(SocketAddr),
    Nats(BusServer),
    Redis(BusServer),
}

/// Two nodes whose line to the bus is in the hands of the test.
struct Pair {
    bus: Bus,
    line: Line,
    one: Process,
    other: Process,
    database: Database,
}

impl Bus {
    async fn postgres() -> Self {
        let url = std::env::var("PARLOR_TEST_POSTGRES_URL").expect("a PostgreSQL server to test with");
        let options: PgConnectOptions = url.parse().unwrap();
        let address = (options.get_host(), options.get_port()).to_socket_addrs().unwrap().next().unwrap();
        Self::Postgres(address)
    }

    async fn nats() -> Self {
        Self::Nats(BusServer::nats())
    }

    async fn redis() -> Self {
        Self::Redis(BusServer::redis())
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Postgres(address) => *address,
            Self::Nats(server) | Self::Redis(server) => server.address(),
        }
    }
}

impl Pair {
    async fn on(bus: Bus) -> Self {
        let database = Database::postgres().await;
        let line = Line::to(bus.address()).await;
        let (name, setting, url) = match &bus {
            Bus::Postgres(_) => ("postgres", "LISTEN_URL", format!("postgres://{}", line.address)),
            Bus::Nats(_) => ("nats", "URL", format!("nats://{}", line.address)),
            Bus::Redis(_) => ("redis", "URL", format!("redis://{}", line.address)),
        };
        let url_setting = format!("PARLOR__CLUSTER__{setting}");
        let settings = [("PARLOR__CLUSTER__BUS", name), (url_setting.as_str(), url.as_str())];
        let one = Process::with(&database, &settings).await;
        let other = Process::with(&database, &settings).await;
        let pair = Self { bus, line, one, other, database };
        pair.hear(1.0).await;
        pair
    }

    fn nodes(&self) -> [&Process; 2] {
        [&self.one, &self.other]
    }

    /// Waits until both nodes say that the bus works, or that it does not.
    async fn hear(&self, up: f64) {
        for node in self.nodes() {
            until("the nodes to know the bus", || async {
                node.http.metrics().await["parlor_cluster_bus_up"] == up
            })
            .await;
        }
    }

    async fn goes(&mut self) {
        match &mut self.bus {
            Bus::Postgres(_) => self.line.now(Carries::Closed),
            Bus::Nats(server) | Bus::Redis(server) => server.dies(),
        }
    }

    async fn comes_back(&mut self) {
        match &mut self.bus {
            Bus::Postgres(_) => self.line.now(Carries::Everything),
            Bus::Nats(server) | Bus::Redis(server) => server.starts(),
        }
    }

    /// Two users at different nodes, and their group.
    async fn people(&self) -> (Socket, Socket, String) {
        let ada = self.one.online("ada").await;
        let bob = self.other.online("bob").await;
        let group = ada.person.makes_group("friends", &["bob"]).await;
        bob.sees("newgrp", |told| told["response"]["groupId"] == json!(group)).await;
        (ada, bob, group)
    }

    async fn ends(self, sockets: [Socket; 2]) {
        drop(sockets);
        drop((self.one, self.other, self.line));
        self.database.remove().await;
    }
}

/// Messages that this node did not have to read.
async fn by_frame(node: &Door) -> f64 {
    node.http.metrics().await["parlor_cluster_messages_by_frame_total"]
}

/// Does it again and again until the other node has told of one of the changes as they come over the bus.
async fn a_change_comes_over_the_bus(
    bob: &Socket,
    what: &str,
    mut change: impl AsyncFnMut(i64) -> Json,
) -> (Json, Json) {
    for attempt in 0..ATTEMPTS {
        let answer = change(attempt).await;
        let number = answer["change"].as_i64().expect("a change");
        // A look may have found it first, and told it together with others.
        let reaches = |told: &Json| told["change"].as_i64() >= Some(number);
        let told = bob.sees("messageChanged", reaches).await;
        if told["what"] == json!([what]) && told["change"] == number {
            return (answer, told);
        }
        assert_eq!(told["what"], json!(["caught-up"]));
    }
    panic!("no change comes over the bus");
}

async fn changes_come_over_the_bus_with_what_was_done(bus: Bus) {
    let pair = Pair::on(bus).await;
    let (ada, bob, group) = pair.people().await;
    let message = ada.posts_in(&group, "hello").await;
    bob.sees_message("hello").await;
    let id = || message["messageId"].clone();

    let react = async |attempt| {
        let wanted = json!({ "messageId": id(), "key": "heart", "on": attempt % 2 == 0 });
        ada.asks("react", wanted).await
    };
    let (answer, told) = a_change_comes_over_the_bus(&bob, "reactions", react).await;
    let on = !answer["reactions"].is_null();
    assert_eq!(told["by"], "ada", "{told}");
    assert_eq!(told["reacted"], json!([{ "username": "ada", "key": "heart", "on": on }]), "{told}");
    assert_eq!(told["set"], json!({ "reactions": answer["reactions"] }), "nothing else was touched");

    let edit = async |attempt| {
        let wanted = json!({ "messageId": id(), "content": format!("@bob, {attempt}"), "mentions": ["bob"] });
        ada.asks("editMessage", wanted).await
    };
    let (answer, told) = a_change_comes_over_the_bus(&bob, "edited", edit).await;
    for field in ["content", "editedAt", "edits"] {
        assert_eq!(told["set"][field], answer[field], "{field}: {told}");
    }
    assert_eq!((&told["by"], &told["at"]), (&json!("ada"), &answer["editedAt"]), "{told}");

    // What was read over the bus is what stands in the database.
    let history = bob.emit("history", json!({ "receiver": group, "group": true, "limit": 1 })).await;
    let stored = &history["response"]["messages"][0];
    for field in ["content", "change", "edits", "mentions"] {
        assert_eq!(stored[field], answer[field], "{field}: {stored}");
    }
    // One that no frame of PostgreSQL can carry is read.
    let long = "long ".repeat(2_000);
    let answer = ada.asks("editMessage", json!({ "messageId": id(), "content": long })).await;
    let told = bob.sees("messageChanged", |told| told["change"] == answer["change"]).await;
    assert_eq!(told["set"]["content"], json!(long));
    ada.asks("deleteMessage", json!({ "messageId": id() })).await;
    bob.sees("messageChanged", |told| told["set"]["deletedBy"] == "ada").await;
    pair.ends([ada, bob]).await;
}

/// Posts until the other node has got one over the bus. Returns how many that took.
async fn posts_until_one_comes_over_the_bus(pair: &Pair, ada: &Socket, group: &str) -> i64 {
    let before = by_frame(&pair.other).await;
    for posted in 0..ATTEMPTS {
        if by_frame(&pair.other).await > before {
            return posted;
        }
        ada.posts_in(group, "over the bus").await;
    }
    panic!("nothing comes over the bus");
}

fn numbers(upto: i64) -> Vec<i64> {
    (1..=upto).collect()
}

async fn messages_come_over_the_bus(bus: Bus) {
    let pair = Pair::on(bus).await;
    let (ada, bob, group) = pair.people().await;
    let posted = posts_until_one_comes_over_the_bus(&pair, &ada, &group).await;
    // One that no frame of PostgreSQL can carry, and one with everything that a frame has to carry.
    let long = "long ".repeat(2_000);
    ada.posts_in(&group, &long).await;
    bob.sees_message(&long).await;
    let extras = json!({ "receiver": group, "content": "hi @bob", "mentions": ["bob"], "data": { "a": [1, "\u{0}"] } });
    ada.asks("groupMessage", extras).await;
    let told = bob.sees("response", |told| told["response"]["content"] == "hi @bob").await;
    let history = bob.emit("history", json!({ "receiver": group, "group": true, "limit": 1 })).await;
    let stored = &history["response"]["messages"][0];
    for field in ["data", "mentions", "messageId", "seq", "timestamp", "sender", "firstName"] {
        assert_eq!(told["response"][field], stored[field], "{field}: {told} {stored}");
    }
    assert_eq!(bob.sees_seqs(&json!(group), posted as usize + 2).await, numbers(posted + 2));
    pair.ends([ada, bob]).await;
}

async fn everything_arrives_while_the_bus_is_away_and_over_it_when_it_is_back(bus: Bus) {
    let mut pair = Pair::on(bus).await;
    let (ada, bob, group) = pair.people().await;
    pair.goes().await;
    for number in 1..=20 {
        ada.posts_in(&group, &number.to_string()).await;
    }
    assert_eq!(bob.sees_seqs(&json!(group), 20).await, numbers(20));
    pair.hear(0.0).await;
    ada.posts_in(&group, "without a bus").await;
    bob.sees_message("without a bus").await;
    pair.comes_back().await;
    pair.hear(1.0).await;
    let posted = 21 + posts_until_one_comes_over_the_bus(&pair, &ada, &group).await;
    assert_eq!(bob.sees_seqs(&json!(group), posted as usize).await, numbers(posted));
    pair.ends([ada, bob]).await;
}

async fn a_node_notices_that_it_is_deaf_although_its_connection_is_healthy(bus: Bus) {
    let pair = Pair::on(bus).await;
    let (ada, bob, group) = pair.people().await;
    pair.line.now(Carries::Nothing);
    pair.hear(0.0).await;
    for number in 1..=20 {
        ada.posts_in(&group, &number.to_string()).await;
    }
    assert_eq!(bob.sees_seqs(&json!(group), 20).await, numbers(20));
    pair.line.now(Carries::Everything);
    pair.hear(1.0).await;
    let posted = 20 + posts_until_one_comes_over_the_bus(&pair, &ada, &group).await;
    assert_eq!(bob.sees_seqs(&json!(group), posted as usize).await, numbers(posted));
    pair.ends([ada, bob]).await;
}

async fn what_the_encrypted_dialect_has_written_reaches_the_other_node_as_it_is(bus: Bus) {
    let pair = Pair::on(bus).await;
    let (ada, bob) = (pair.one.person("ada").await, pair.one.person("bob").await);
    let here = Frames::open(pair.one.address, &format!("/chat/{}?token={}", ada.id(), ada.token)).await;
    let there = Frames::open(pair.other.address, &format!("/chat/{}?token={}", bob.id(), bob.token)).await;
    for number in 0..ATTEMPTS {
        let written = json!({ "receiverid": bob.id(), "message": number, "own": { "deviceId": number } });
        here.says(written.to_string());
        let seen = there.sees_frame("the frame", |seen| seen["message"] == number).await;
        if seen["own"] == written["own"] {
            drop((here, there));
            drop((pair.one, pair.other, pair.line));
            return pair.database.remove().await;
        }
    }
    panic!("what was written beside the message does not arrive");
}

macro_rules! each_on {
    ($bus:ident, $there:meta, $why:literal, $($name:ident),* $(,)?) => {
        mod $bus {
            use super::Bus;

            $(
                #[tokio::test(flavor = "multi_thread")]
                #[cfg_attr(not($there), ignore = $why)]
                async fn $name() {
                    super::$name(Bus::$bus().await).await;
                }
            )*
        }
    };
}

macro_rules! on_every_bus {
    ($($name:ident),* $(,)?) => {
        each_on!(postgres, with_postgres, "PARLOR_TEST_POSTGRES_URL is not set", $($name),*);
        each_on!(nats, all(with_postgres, with_nats), "PostgreSQL or nats-server is not there", $($name),*);
        each_on!(redis, all(with_postgres, with_redis), "PostgreSQL or redis-server is not there", $($name),*);
    };
}

on_every_bus!(
    messages_come_over_the_bus,
    changes_come_over_the_bus_with_what_was_done,
    everything_arrives_while_the_bus_is_away_and_over_it_when_it_is_back,
    a_node_notices_that_it_is_deaf_although_its_connection_is_healthy,
    what_the_encrypted_dialect_has_written_reaches_the_other_node_as_it_is,
);
