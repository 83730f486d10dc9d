//! After the storm, on several nodes, when everybody has gone. The bus is taken away from all nodes, and what people do then
//! has to arrive by the looks at the database. Then a node is killed and does not come back, and its users have to go offline.
//!
//! Nothing here is decided by a clock: a busy machine delays everything else. What counts are the looks that a node has made,
//! which its beats show in the database. A client that asks after a look, and is answered, has been sent everything before
//! the answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    time::Duration,
};

use entity::{MessageId, RoomId, UserId};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};
use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    aftermath_check::{
        Arrival, LOOKS, LOOKS_FOR_PRESENCE, LOOKS_FOR_RECEIPTS, Sighting, check_arrivals, check_sightings,
    },
    checker::Violation,
    membership::request,
    nemesis::Nemesis,
    peace::sign_up,
    server::LEASE,
    wire::{Heard, Introduction, Kind, Wire},
    world::{Person, room_of, seq_of},
};

/// The name of the group in which all of this happens.
pub const GROUP: &str = "aftermath";
/// How long one of the steps may take on a machine that is busy, before it counts as a hang.
const PATIENCE: Duration = Duration::from_secs(90);
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(30);

/// What was seen.
#[derive(Default)]
pub struct Aftermath {
    arrivals: Vec<Arrival>,
    /// The last of each node that is left.
    sightings: Vec<Sighting>,
    took: Duration,
}

impl Aftermath {
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = check_arrivals(&self.arrivals);
        found.extend(check_sightings(&self.sightings));
        found
    }
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut most: BTreeMap<&str, usize> = BTreeMap::new();
        for arrival in &self.arrivals {
            let looks = most.entry(arrival.what).or_default();
            *looks = arrival.looks.max(*looks);
        }
        let arrivals: Vec<String> = most.iter().map(|(what, looks)| format!("{what} {looks}")).collect();
        let looks = self.sightings.iter().map(|sighting| sighting.looks).max().unwrap_or(0);
        write!(
            f,
            "without the bus, in looks: {}; users of a dead node offline {looks} looks after the lease; {} s",
            arrivals.join(", "),
            self.took.as_secs()
        )
    }
}

/// The beats of the nodes, one for each look at everything.
struct Beats {
    database: DatabaseConnection,
    /// The newest beat of each node, in microseconds, and how many were seen.
    seen: BTreeMap<Uuid, (i64, usize)>,
    /// How old each one is, in milliseconds, by the clock of the database.
    ages: BTreeMap<Uuid, i64>,
}

impl Beats {
    async fn of(url: &str) -> Result<Self, DbErr> {
        let one = ConnectOptions::new(url).max_connections(1).to_owned();
        Ok(Self { database: Database::connect(one).await?, seen: BTreeMap::new(), ages: BTreeMap::new() })
    }

    /// How many beats of each node there were at least.
    async fn now(&mut self) -> Result<BTreeMap<Uuid, usize>, DbErr> {
        let asked = "SELECT id, (extract(epoch FROM seen_at) * 1000000)::bigint, \
                     (extract(epoch FROM now() - seen_at) * 1000)::bigint FROM nodes";
        for row in self.database.query_all_raw(Statement::from_string(DbBackend::Postgres, asked)).await? {
            let (node, at): (Uuid, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let (newest, count) = self.seen.entry(node).or_insert((at, 0));
            *count += usize::from(at > *newest);
            *newest = at;
            self.ages.insert(node, row.try_get_by_index(2)?);
        }
        Ok(self.seen.iter().map(|(node, (_, count))| (*node, *count)).collect())
    }

    fn is_alive(&self, node: Uuid) -> bool {
        self.ages.get(&node).is_some_and(|age| u128::try_from(*age).unwrap_or(0) < LEASE.as_millis())
    }

    /// Who is connected to which node, as the nodes have written it.
    async fn connected(&self) -> Result<Vec<(Uuid, UserId)>, DbErr> {
        let asked =
            Statement::from_string(DbBackend::Postgres, "SELECT node, user_id FROM presences WHERE online");
        let rows = self.database.query_all_raw(asked).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }
}

/// Somebody who is connected to one node, and goes nowhere else.
struct Witness {
    person: Person,
    node: usize,
    wire: Wire,
    heard: Vec<(String, Json)>,
    last_id: u64,
}

impl Witness {
    async fn comes(person: &Person, node: usize, addresses: &[SocketAddr]) -> Result<Self, String> {
        let kind = [Kind::Plain, Kind::WebSocket, Kind::Polling][node % 3];
        let introduction =
            Introduction { token: &person.token, since: None, changes: None, batched: false, catch_up: true };
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(wire) = Wire::open(kind, addresses[node], &introduction).await {
                return Ok(Self { person: person.clone(), node, wire, heard: Vec::new(), last_id: 0 });
            }
            sleep(PAUSE).await;
        }
        Err(format!("node {node} lets nobody in"))
    }

    /// Asks for something, and takes in everything that comes before the answer.
    async fn asks(&mut self, event: &str, payload: Json) -> Result<Json, String> {
        self.last_id += 1;
        self.wire.event(event, &payload, self.last_id);
        let answered = async {
            loop {
                match self.wire.hears().await {
                    Heard::Answer { id, payload } if id == self.last_id => return Some(payload),
                    Heard::Answer { .. } => {}
                    Heard::Event { name, payload, asks } => {
                        self.heard.push((name, payload));
                        if let Some(id) = asks {
                            self.wire.acknowledges(id);
                        }
                    }
                    Heard::End => return None,
                }
            }
        };
        let of = &self.person.username;
        match timeout(PATIENCE, answered).await {
            Ok(Some(answer)) if answer["success"] == true => Ok(answer["response"].clone()),
            Ok(Some(answer)) => Err(format!("{of} was answered to {event}: {answer}")),
            Ok(None) => Err(format!("{of} has lost the connection to node {}", self.node)),
            Err(_) => Err(format!("{of} was not answered to {event} by node {}", self.node)),
        }
    }

    /// Has taken in everything that was written to the connection until now.
    async fn takes_in(&mut self) -> Result<(), String> {
        self.asks("listGroups", json!({ "limit": 1 })).await.map(|_| ())
    }

    fn has_heard(&self, wanted: &Wanted) -> bool {
        self.heard.iter().any(|(name, payload)| name == wanted.event && (wanted.is_it)(payload))
    }

    /// Whether the last that was told of a user was that they are offline.
    fn knows_offline(&self, username: &str) -> bool {
        let told =
            self.heard.iter().rev().find(|(name, payload)| {
                name == "onlineStatus" && payload["username"].as_str() == Some(username)
            });
        told.is_some_and(|(_, payload)| payload["online"] == false)
    }
}

/// Something that a witness is waiting for.
struct Wanted {
    what: &'static str,
    /// The place of the witness.
    by: usize,
    most: usize,
    event: &'static str,
    is_it: Box<dyn Fn(&Json) -> bool + Send + Sync>,
}

fn wanted(
    what: &'static str,
    by: usize,
    event: &'static str,
    is_it: impl Fn(&Json) -> bool + Send + Sync + 'static,
) -> Wanted {
    Wanted { what, by, most: LOOKS, event, is_it: Box::new(is_it) }
}

/// Everything of it. An error is what it was waited for in vain.
pub async fn comes(nemesis: &mut Nemesis, seed: u64, url: &str) -> Result<Aftermath, String> {
    let began = Instant::now();
    let addresses = nemesis.nodes().borrow().clone();
    let last = addresses.len() - 1;
    // One at each node, and two more at the last one.
    let people = sign_up("witness", addresses.len() + 2, addresses[0]).await;
    let mut witnesses = Vec::new();
    for (number, person) in people.iter().enumerate().take(addresses.len() + 1) {
        witnesses.push(Witness::comes(person, number.min(last), &addresses).await?);
    }
    let late = people.last().expect("somebody");
    let mut beats = Beats::of(url).await.map_err(|err| err.to_string())?;
    let nodes = nodes_of(&mut beats, &witnesses).await?;
    let mut seen = Aftermath::default();

    let group = settles(&mut witnesses[..addresses.len()]).await?;
    nemesis.takes_bus_away(seed.is_multiple_of(2));
    let message = says(&mut witnesses, &group, &people[last + 1].username).await?;
    let came = Witness::comes(late, last, &addresses).await?;
    let mut all = Vec::new();
    for by in 1..addresses.len() {
        all.push(wanted("message", by, "response", move |told| {
            room_of(&told["response"]) == group.id && seq_of(&told["response"]) == message
        }));
        let first = group.first;
        all.push(wanted("change", by, "messageChanged", move |told| {
            told["messageId"].as_str() == Some(&first.to_string())
        }));
        let new = people[last + 1].username.clone();
        all.push(wanted("member", by, "memberJoined", move |told| told["username"] == *new));
    }
    all.push(wanted("group", last + 1, "newgrp", move |told| {
        told["response"]["groupId"].as_str() == Some(&group.id.to_string())
    }));
    let name = late.username.clone();
    all.push(wanted("presence", 0, "onlineStatus", move |told| {
        told["username"] == *name && told["online"] == true
    }));
    seen.arrivals.extend(arrive(&mut witnesses, &mut beats, &nodes, all).await?);

    if seen.arrivals.iter().all(|arrival| arrival.has_come) {
        let read = json!({ "receiver": group.id, "group": true, "seq": message });
        let mut all = Vec::new();
        for witness in witnesses.iter_mut().take(addresses.len()).skip(1) {
            witness.asks("markRead", read.clone()).await?;
            let name = witness.person.username.clone();
            all.push(wanted("read", 0, "messageRead", move |told| {
                told["username"] == *name && seq_of(told) == message
            }));
        }
        all.push(wanted("delivery", 0, "updateDeliveryStatusOnConnection", move |told| {
            seq_of(&told["response"]) == message
        }));
        all.iter_mut().for_each(|wanted| wanted.most = LOOKS_FOR_RECEIPTS);
        seen.arrivals.extend(arrive(&mut witnesses, &mut beats, &nodes, all).await?);
    }

    let users = [last, last + 1, last + 2].map(|number| people[number].username.clone());
    let dead = nodes[last];
    nemesis.kills_for_good(last).await;
    witnesses.truncate(last);
    drop(came);
    seen.sightings = vanish(&mut witnesses, &mut beats, &nodes, dead, &users, &addresses).await?;
    nemesis.gives_bus_back();
    seen.took = began.elapsed();
    Ok(seen)
}

/// The group of all witnesses, and a message of it.
#[derive(Clone, Copy)]
struct Group {
    id: RoomId,
    first: MessageId,
}

async fn settles(witnesses: &mut [Witness]) -> Result<Group, String> {
    let users: Vec<String> = witnesses[1..].iter().map(|witness| witness.person.username.clone()).collect();
    let made = witnesses[0].asks("createGroup", json!({ "groupName": GROUP, "users": users })).await?;
    let id: RoomId = made["groupId"].as_str().ok_or("no group")?.parse().map_err(|_| "no id")?;
    let said = json!({ "receiver": id, "content": "first" });
    let first = witnesses[0].asks("groupMessage", said).await?;
    let first = first["messageId"].as_str().ok_or("no message")?.parse().map_err(|_| "no id")?;
    // With the bus, everybody has it soon.
    let began = Instant::now();
    for witness in &mut witnesses[1..] {
        while !witness.heard.iter().any(|(name, _)| name == "response") {
            witness.takes_in().await?;
            if began.elapsed() > PATIENCE {
                return Err(format!("the first message did not reach node {}", witness.node));
            }
            sleep(PAUSE).await;
        }
    }
    Ok(Group { id, first })
}

/// The first witness says something, changes something, and takes somebody in. Returns the message.
async fn says(witnesses: &mut [Witness], group: &Group, new: &str) -> Result<i64, String> {
    let first = &mut witnesses[0];
    let said = first.asks("groupMessage", json!({ "receiver": group.id, "content": "second" })).await?;
    first.asks("editMessage", json!({ "messageId": group.first, "content": "the first" })).await?;
    first.asks("addMembers", json!({ "groupId": group.id, "users": [new] })).await?;
    Ok(seq_of(&said))
}

/// Which node is which, by who is connected to it.
async fn nodes_of(beats: &mut Beats, witnesses: &[Witness]) -> Result<Vec<Uuid>, String> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        beats.now().await.map_err(|err| err.to_string())?;
        let connected = beats.connected().await.map_err(|err| err.to_string())?;
        let node_of = |witness: &Witness| {
            let found = connected.iter().find(|(_, user)| *user == witness.person.id);
            found.map(|(node, _)| *node).filter(|node| beats.is_alive(*node))
        };
        let nodes: Option<Vec<Uuid>> = witnesses.iter().map(node_of).collect();
        if let Some(mut nodes) = nodes {
            // The last two are at the same one.
            nodes.pop();
            return Ok(nodes);
        }
        sleep(PAUSE).await;
    }
    Err("the nodes do not write down who is connected to them".to_owned())
}

/// Waits for all of this, until a node has looked so often that it should be there.
async fn arrive(
    witnesses: &mut [Witness],
    beats: &mut Beats,
    nodes: &[Uuid],
    mut wanted: Vec<Wanted>,
) -> Result<Vec<Arrival>, String> {
    let began = Instant::now();
    let mut arrivals = Vec::new();
    let since = beats.now().await.map_err(|err| err.to_string())?;
    while !wanted.is_empty() {
        let now = beats.now().await.map_err(|err| err.to_string())?;
        let waiting: BTreeSet<usize> = wanted.iter().map(|wanted| wanted.by).collect();
        for by in waiting {
            witnesses[by].takes_in().await?;
        }
        wanted.retain(|wanted| {
            let witness = &witnesses[wanted.by];
            let id = nodes[witness.node];
            let looks = now.get(&id).unwrap_or(&0) - since.get(&id).unwrap_or(&0);
            let has_come = witness.has_heard(wanted);
            let is_over = has_come || looks > wanted.most;
            if is_over {
                let Wanted { what, most, .. } = *wanted;
                arrivals.push(Arrival { what, node: witness.node, looks, most, has_come });
            }
            !is_over
        });
        if began.elapsed() > PATIENCE {
            return Err("a node does not look at the database".to_owned());
        }
        sleep(PAUSE).await;
    }
    Ok(arrivals)
}

/// Waits until the users of the dead node are offline everywhere, and nobody else is shown as online who is not connected.
async fn vanish(
    witnesses: &mut [Witness],
    beats: &mut Beats,
    nodes: &[Uuid],
    dead: Uuid,
    users: &[String],
    addresses: &[SocketAddr],
) -> Result<Vec<Sighting>, String> {
    let began = Instant::now();
    let mut since = None;
    loop {
        let now = beats.now().await.map_err(|err| err.to_string())?;
        let since = if beats.is_alive(dead) { &now } else { &*since.get_or_insert_with(|| now.clone()) };
        let connected = beats.connected().await.map_err(|err| err.to_string())?;
        let connected: BTreeSet<UserId> =
            connected.into_iter().filter(|(node, _)| beats.is_alive(*node)).map(|(_, user)| user).collect();
        let mut sightings = Vec::new();
        for witness in &mut *witnesses {
            witness.takes_in().await?;
            let id = nodes[witness.node];
            let looks = now.get(&id).unwrap_or(&0) - since.get(&id).unwrap_or(&0);
            let shown = online(&witness.person, addresses[witness.node]).await?;
            let ghosts = shown.into_iter().filter(|(user, _)| !connected.contains(user));
            let untold = users.iter().filter(|name| !witness.knows_offline(name)).cloned().collect();
            let ghosts = ghosts.map(|(_, name)| name).collect();
            sightings.push(Sighting { node: witness.node, looks, ghosts, untold });
        }
        let is_over = |sighting: &Sighting| {
            let is_clean = sighting.ghosts.is_empty() && sighting.untold.is_empty();
            is_clean || sighting.looks > LOOKS_FOR_PRESENCE
        };
        if sightings.iter().all(is_over) {
            return Ok(sightings);
        }
        if began.elapsed() > PATIENCE {
            return Err("a node does not look at the database".to_owned());
        }
        sleep(PAUSE).await;
    }
}

/// Whom a node shows as online.
async fn online(person: &Person, address: SocketAddr) -> Result<Vec<(UserId, String)>, String> {
    let answer = request(address, &person.token, "GET", "/api/users?limit=200", None, None).await;
    let Some((200, page)) = answer else { return Err(format!("no list of users: {answer:?}")) };
    let users = page["users"].as_array().into_iter().flatten().filter(|user| user["isOnline"] == true);
    let named = users
        .filter_map(|user| Some((user["id"].as_str()?.parse().ok()?, user["username"].as_str()?.to_owned())));
    Ok(named.collect())
}
