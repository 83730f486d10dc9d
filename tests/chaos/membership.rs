//! The storm of membership: people who make groups, join, leave, add, remove, rename and delete, over HTTP and by
//! socket events, and who hang up on a part of their requests. They have accounts and groups of their own, so the
//! rules for groups with fixed members stay as they are. What they do and see is written down for
//! [`crate::membership_check`].

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use entity::RoomId;
use fastrand::Rng;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    line::{Fault, Line},
    server::{Nodes, any_of},
    wire::{Heard, Introduction, Kind, Wire},
    world::Person,
};

/// The names of the storm's groups begin like this.
pub const PREFIX: &str = "storm ";
/// Commands of each person's last act.
const LAST_COMMANDS: usize = 40;
/// How long an answer over HTTP is waited for before nobody knows what became of the command.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long to wait before something that a busy server refused is sent again.
const PAUSE: Duration = Duration::from_millis(100);
/// Milliseconds between two commands or messages of a person in the storm: so many that the other devices are not
/// slowed down noticeably.
const PACE: std::ops::Range<u64> = 20..200;

/// What somebody asks of membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Make { members: Vec<usize> },
    Join { group: RoomId },
    Leave { group: RoomId },
    Add { group: RoomId, whom: usize },
    Remove { group: RoomId, whom: usize },
    Rename { group: RoomId },
    Delete { group: RoomId },
}

impl Command {
    pub fn group(&self) -> Option<RoomId> {
        match self {
            Self::Make { .. } => None,
            Self::Join { group }
            | Self::Leave { group }
            | Self::Add { group, .. }
            | Self::Remove { group, .. }
            | Self::Rename { group }
            | Self::Delete { group } => Some(*group),
        }
    }
}

/// What happened to somebody, in the order of the whole storm.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A command is about to be sent.
    Asked {
        command: usize,
        what: Command,
    },
    /// It succeeded. For [`Command::Make`] the group that it made.
    Succeeded {
        command: usize,
        made: Option<RoomId>,
    },
    /// It was refused, so it changed nothing.
    Refused {
        command: usize,
    },
    /// Nobody knows: the client hung up, or the server died.
    Unknown {
        command: usize,
    },
    Opened,
    Ended,
    /// A message is about to be sent.
    Sent {
        message: String,
        group: RoomId,
    },
    Stored {
        message: String,
        seq: i64,
    },
    Heard {
        group: RoomId,
        seq: i64,
        content: String,
    },
    /// Something was told of a member of a group.
    Told {
        group: RoomId,
        whom: usize,
        news: News,
    },
}

/// What is told of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Joined,
    Left,
    /// They have this role now.
    Role(String),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub person: usize,
    /// The person's how-manieth connection.
    pub connection: u32,
    pub fact: Fact,
}

/// Everything that happened, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    pub fn writes(&self, person: usize, connection: u32, fact: Fact) {
        self.0.lock().push(Entry { person, connection, fact });
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().clone()
    }
}

/// How the storm goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Storm,
    /// With the server in peace, everybody sends their last commands over HTTP and hangs up on all of them. Nobody
    /// posts, so nothing but the commands themselves can bring memory up to date.
    LastAct,
    /// Nobody does anything of their own accord; connections stay.
    Calm,
    Over,
}

/// The people of the storm at work.
pub struct Storm {
    pub people: Arc<Vec<Person>>,
    pub log: Log,
    weather: watch::Sender<Weather>,
    nodes: Nodes,
    posts: Vec<mpsc::UnboundedSender<(RoomId, String)>>,
    /// The last commands that are not sent yet.
    last_commands: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Storm {
    /// `groups_each` is how many groups each person makes at most in the storm.
    pub fn begins(seed: u64, people: Vec<Person>, groups_each: usize, nodes: Nodes) -> Self {
        let people = Arc::new(people);
        let log = Log::default();
        let groups = Groups::default();
        let weather = watch::Sender::new(Weather::Storm);
        let last_commands = Arc::new(AtomicUsize::new(people.len() * LAST_COMMANDS));
        let mut tasks = JoinSet::new();
        let mut posts = Vec::new();
        for person in 0..people.len() {
            let (post, to_post) = mpsc::unbounded_channel();
            posts.push(post);
            let member = Member {
                person,
                people: people.clone(),
                rng: Rng::with_seed(seed ^ (0x5707 + person as u64)),
                log: log.clone(),
                groups: groups.clone(),
                nodes: nodes.clone(),
                connection: 0,
                asked: 0,
                to_make: groups_each,
                said: 0,
                last: LAST_COMMANDS,
                last_commands: last_commands.clone(),
                http: JoinSet::new(),
                line: None,
                post: posts[person].clone(),
            };
            tasks.spawn(member.run(weather.subscribe(), to_post));
        }
        Self { people, log, weather, nodes, posts, last_commands, tasks }
    }

    /// Has everybody send their last commands, and waits until they have. Whether they did.
    pub async fn last_act(&self) -> bool {
        self.weather.send_replace(Weather::LastAct);
        let sent = async {
            while self.last_commands.load(Ordering::SeqCst) > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(90), sent).await.is_ok()
    }

    /// Stops the commands and lets those that have begun come to an end; connections stay.
    pub async fn calms(&self) {
        self.weather.send_replace(Weather::Calm);
        // Commands that were hung up on come to an end within the time that a statement may take; on a
        // server that is left in peace that is at once. What still runs is waited for by `is_settled`.
        sleep(Duration::from_millis(300)).await;
    }

    /// Waits until the commands for a group that had begun are over: they take turns, and this is one more.
    pub async fn is_settled(&self, owner: usize, group: RoomId) -> bool {
        let path = format!("/api/rooms/{group}");
        matches!(self.asks(owner, "PATCH", &path, Some(json!({}))).await, Some((200, _)))
    }

    /// One request over HTTP, waited for.
    pub async fn asks(
        &self,
        person: usize,
        method: &str,
        path: &str,
        body: Option<Json>,
    ) -> Option<(u16, Json)> {
        let address = any_of(&self.nodes);
        request(address, &self.people[person].token, method, path, body.as_ref(), None).await
    }

    /// Has somebody post on the connection that they have, again and again until the server answers.
    pub fn posts(&self, person: usize, group: RoomId, content: &str) {
        let _ = self.posts[person].send((group, content.to_owned()));
    }

    /// Waits until somebody has heard this; whether they have.
    pub async fn hears(&self, person: usize, wanted: &str, deadline: Instant) -> bool {
        let is_heard = |entry: &Entry| {
            entry.person == person && matches!(&entry.fact, Fact::Heard { content, .. } if content == wanted)
        };
        self.waits(is_heard, deadline).await
    }

    /// Waits until a message is acknowledged; whether it is.
    pub async fn stores(&self, wanted: &str, deadline: Instant) -> bool {
        let is_stored =
            |entry: &Entry| matches!(&entry.fact, Fact::Stored { message, .. } if message == wanted);
        self.waits(is_stored, deadline).await
    }

    async fn waits(&self, wanted: impl Fn(&Entry) -> bool, deadline: Instant) -> bool {
        while !self.log.0.lock().iter().rev().any(&wanted) {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        true
    }

    pub async fn ends(&mut self) {
        self.weather.send_replace(Weather::Over);
        let over = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(Duration::from_secs(20), over).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// The groups that anybody has heard of.
#[derive(Clone, Default)]
struct Groups(Arc<Mutex<Vec<RoomId>>>);

impl Groups {
    fn add(&self, group: RoomId) {
        let mut known = self.0.lock();
        if !known.contains(&group) {
            known.push(group);
        }
    }

    /// One of the newest ones: older ones are mostly empty.
    fn any(&self, rng: &mut Rng) -> Option<RoomId> {
        let known = self.0.lock();
        let newest = &known[known.len().saturating_sub(12)..];
        (!newest.is_empty()).then(|| newest[rng.usize(..newest.len())])
    }
}

/// One person.
struct Member {
    person: usize,
    people: Arc<Vec<Person>>,
    rng: Rng,
    log: Log,
    groups: Groups,
    nodes: Nodes,
    connection: u32,
    asked: usize,
    /// Groups that are left to make.
    to_make: usize,
    said: usize,
    last: usize,
    last_commands: Arc<AtomicUsize>,
    /// Requests whose answers are waited for.
    http: JoinSet<()>,
    /// The faulty line that a part of the HTTP requests takes. The connections do not take it.
    line: Option<Arc<Line>>,
    /// Takes what is to be posted again.
    post: mpsc::UnboundedSender<(RoomId, String)>,
}

impl Member {
    fn writes(&self, fact: Fact) {
        self.log.writes(self.person, self.connection, fact);
    }

    async fn run(
        mut self,
        mut weather: watch::Receiver<Weather>,
        mut to_post: mpsc::UnboundedReceiver<(RoomId, String)>,
    ) {
        self.line = Some(Arc::new(Line::to(self.nodes.clone()).await));
        while *weather.borrow() != Weather::Over {
            let kind = *self.rng.choice(&[Kind::WebSocket, Kind::Polling, Kind::Plain]).expect("a choice");
            let introduction = Introduction {
                token: &self.people[self.person].token,
                since: None,
                changes: None,
                batched: false,
                catch_up: false,
            };
            let address = any_of(&self.nodes);
            let Some(wire) = Wire::open(kind, address, &introduction).await else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            self.connection += 1;
            self.writes(Fact::Opened);
            self.talks(wire, &mut weather, &mut to_post).await;
            self.writes(Fact::Ended);
        }
        self.http.shutdown().await;
    }

    async fn talks(
        &mut self,
        mut wire: Wire,
        weather: &mut watch::Receiver<Weather>,
        to_post: &mut mpsc::UnboundedReceiver<(RoomId, String)>,
    ) {
        // What was asked by events, by the id of the event.
        let mut asked = std::collections::HashMap::new();
        let mut posted = std::collections::HashMap::new();
        let mut id = 0;
        let mut next = Instant::now();
        loop {
            let now = *weather.borrow();
            if now == Weather::Over {
                return wire.leaves().await;
            }
            tokio::select! {
                heard = wire.hears() => match heard {
                    Heard::End => break,
                    Heard::Answer { id, payload } => {
                        if let Some(command) = asked.remove(&id) {
                            self.is_answered(command, &payload);
                        } else if let Some((group, message, insists)) = posted.remove(&id) {
                            if payload["success"] == true {
                                let seq = payload["response"]["seq"].as_i64().unwrap();
                                self.writes(Fact::Stored { message, seq });
                            } else if insists && is_for_now(&payload) {
                                let post = self.post.clone();
                                self.http.spawn(async move {
                                    sleep(PAUSE).await;
                                    let _ = post.send((group, message));
                                });
                            }
                        }
                    }
                    Heard::Event { name, payload, asks } => {
                        self.hears(&name, &payload);
                        if let Some(id) = asks {
                            wire.acknowledges(id);
                        }
                    }
                },
                Some((group, content)) = to_post.recv() => {
                    id += 1;
                    // The same id each time, so that the message is stored once.
                    let payload = json!({ "receiver": group, "content": content, "clientMessageId": content });
                    self.writes(Fact::Sent { message: content.clone(), group });
                    posted.insert(id, (group, content, true));
                    wire.event("groupMessage", &payload, id);
                }
                () = sleep_until(next), if now == Weather::Storm => {
                    next = Instant::now() + Duration::from_millis(self.rng.u64(PACE));
                    id += 1;
                    if self.rng.u32(0..3) == 0 {
                        let Some(group) = self.groups.any(&mut self.rng) else { continue };
                        self.said += 1;
                        let message = format!("{} says {}", self.person, self.said);
                        let payload = json!({ "receiver": group, "content": message });
                        self.writes(Fact::Sent { message: message.clone(), group });
                        posted.insert(id, (group, message, false));
                        wire.event("groupMessage", &payload, id);
                    } else if let Some(command) = self.thinks_of_something() {
                        self.does(&wire, &mut asked, id, command);
                    }
                }
                () = sleep_until(next), if now == Weather::LastAct && self.last > 0 => {
                    next = Instant::now() + Duration::from_millis(self.rng.u64(2..40));
                    self.last -= 1;
                    self.last_commands.fetch_sub(1, Ordering::SeqCst);
                    let command = if self.last.is_multiple_of(4) {
                        Some(self.thinks_of_a_group())
                    } else {
                        self.thinks_of_something()
                    };
                    if let Some(command) = command {
                        let after = Duration::from_micros(self.rng.u64(0..20_000));
                        // Not by the faulty line, where a request could outlast the last act.
                        let address = any_of(&self.nodes);
                        self.asks(address, command, Some(after));
                    }
                }
                _ = weather.changed() => {}
                Some(_) = self.http.join_next() => {}
            }
        }
        for command in asked.into_values() {
            self.writes(Fact::Unknown { command });
        }
        for (group, message, insists) in posted.into_values() {
            if insists {
                let _ = self.post.send((group, message));
            }
        }
    }

    fn thinks_of_something(&mut self) -> Option<Command> {
        let whom = self.rng.usize(..self.people.len());
        if self.to_make > 0 && self.rng.u32(0..8) == 0 {
            self.to_make -= 1;
            return Some(self.thinks_of_a_group());
        }
        let group = self.groups.any(&mut self.rng)?;
        Some(match self.rng.u32(0..20) {
            0..5 => Command::Join { group },
            5..9 => Command::Leave { group },
            9..14 => Command::Add { group, whom },
            14..18 => Command::Remove { group, whom },
            18 => Command::Rename { group },
            _ => Command::Delete { group },
        })
    }

    fn thinks_of_a_group(&mut self) -> Command {
        Command::Make { members: (0..self.people.len()).filter(|_| self.rng.bool()).collect() }
    }

    /// Asks by an event, or over HTTP, where every other client hangs up.
    fn does(
        &mut self,
        wire: &Wire,
        asked: &mut std::collections::HashMap<u64, usize>,
        id: u64,
        what: Command,
    ) {
        if self.rng.u32(0..3) == 0 {
            let (command, title) = self.begins(&what);
            let name = |person: usize| self.people[person].username.clone();
            let (event, payload) = match &what {
                Command::Make { members } => {
                    let users: Vec<String> = members.iter().map(|member| name(*member)).collect();
                    ("createGroup", json!({ "groupName": title, "users": users }))
                }
                Command::Join { group } => ("joinGroup", json!({ "groupId": group })),
                Command::Leave { group } => ("leaveGroup", json!({ "groupId": group })),
                Command::Add { group, whom } => {
                    ("addMembers", json!({ "groupId": group, "users": [name(*whom)] }))
                }
                Command::Remove { group, whom } => {
                    ("removeMember", json!({ "groupId": group, "username": name(*whom) }))
                }
                Command::Rename { group } => ("updateGroup", json!({ "groupId": group, "groupName": title })),
                Command::Delete { group } => ("deleteGroup", json!({ "groupId": group })),
            };
            asked.insert(id, command);
            wire.event(event, &payload, id);
            return;
        }
        let hangs_up = self.rng.bool().then(|| Duration::from_micros(self.rng.u64(0..20_000)));
        let direct = any_of(&self.nodes);
        let address = self.takes_line().unwrap_or(direct);
        self.asks(address, what, hangs_up);
    }

    /// Numbers a command, and thinks of a name that it may need.
    fn begins(&mut self, what: &Command) -> (usize, String) {
        let command = self.asked * self.people.len() + self.person;
        self.asked += 1;
        self.writes(Fact::Asked { command, what: what.clone() });
        (command, format!("{PREFIX}{command} {}", self.rng.u32(..)))
    }

    /// Asks over HTTP.
    fn asks(&mut self, address: SocketAddr, what: Command, hangs_up: Option<Duration>) {
        let (command, title) = self.begins(&what);
        let name = |person: usize| self.people[person].username.clone();
        let (method, path, body) = match &what {
            Command::Make { members } => {
                let users: Vec<String> = members.iter().map(|member| name(*member)).collect();
                ("POST", "/api/rooms".to_owned(), Some(json!({ "groupName": title, "users": users })))
            }
            Command::Join { group } => ("POST", format!("/api/rooms/{group}/join"), Some(json!({}))),
            Command::Leave { group } => ("POST", format!("/api/rooms/{group}/leave"), Some(json!({}))),
            Command::Add { group, whom } => {
                ("POST", format!("/api/rooms/{group}/members"), Some(json!({ "users": [name(*whom)] })))
            }
            Command::Remove { group, whom } => {
                ("DELETE", format!("/api/rooms/{group}/members/{}", name(*whom)), None)
            }
            Command::Rename { group } => {
                ("PATCH", format!("/api/rooms/{group}"), Some(json!({ "groupName": title })))
            }
            Command::Delete { group } => ("DELETE", format!("/api/rooms/{group}"), None),
        };
        let (log, groups, person, connection) =
            (self.log.clone(), self.groups.clone(), self.person, self.connection);
        let token = self.people[person].token.clone();
        self.http.spawn(async move {
            let answer = request(address, &token, method, &path, body.as_ref(), hangs_up).await;
            let fact = match answer {
                Some((200..300, body)) => {
                    let made = body["groupId"].as_str().and_then(|group| group.parse().ok());
                    if let Some(made) = made {
                        groups.add(made);
                    }
                    Fact::Succeeded { command, made: made.filter(|_| path == "/api/rooms") }
                }
                Some((400..500, _)) => Fact::Refused { command },
                _ => Fact::Unknown { command },
            };
            log.writes(person, connection, fact);
        });
    }

    /// The address of the faulty line, for one request in three. A third of those meets a fault.
    fn takes_line(&mut self) -> Option<SocketAddr> {
        let line = self.line.clone()?;
        if self.rng.u32(0..3) > 0 {
            return None;
        }
        let address = line.address;
        if self.rng.u32(0..3) == 0 {
            let fault = match self.rng.u32(0..4) {
                0 => Fault::Cut,
                1 => Fault::Stall(Duration::from_millis(self.rng.u64(10..500))),
                2 => Fault::ClientGone,
                _ => Fault::ServerGone,
            };
            let after = Duration::from_micros(self.rng.u64(0..20_000));
            self.http.spawn(async move {
                sleep(after).await;
                line.suffers(fault);
            });
        }
        Some(address)
    }

    fn is_answered(&self, command: usize, payload: &Json) {
        if payload["success"] == true {
            let made = payload["response"]["groupId"].as_str().and_then(|group| group.parse().ok());
            if let Some(made) = made {
                self.groups.add(made);
            }
            self.writes(Fact::Succeeded { command, made });
        } else {
            let code = payload["error"]["code"].as_str().unwrap_or_default();
            self.writes(match code {
                "unavailable" | "internal" => Fact::Unknown { command },
                _ => Fact::Refused { command },
            });
        }
    }

    fn hears(&self, name: &str, payload: &Json) {
        let message = &payload["response"];
        match name {
            "response" => self.writes(Fact::Heard {
                group: message["roomId"].as_str().unwrap().parse().unwrap(),
                seq: message["seq"].as_i64().unwrap(),
                content: message["content"].as_str().unwrap_or_default().to_owned(),
            }),
            "newgrp" if message["groupName"].as_str().is_some_and(|name| name.starts_with(PREFIX)) => {
                self.groups.add(message["groupId"].as_str().unwrap().parse().unwrap());
            }
            "memberJoined" => self.hears_of_member(payload, News::Joined),
            "memberLeft" => self.hears_of_member(payload, News::Left),
            "memberChanged" => {
                let role = payload["role"].as_str().unwrap_or_default().to_owned();
                self.hears_of_member(payload, News::Role(role));
            }
            _ => {}
        }
    }

    fn hears_of_member(&self, payload: &Json, news: News) {
        let Some(whom) = self.people.iter().position(|person| person.username == payload["username"]) else {
            return;
        };
        let group = payload["groupId"].as_str().unwrap().parse().unwrap();
        self.writes(Fact::Told { group, whom, news });
    }
}

/// Whether an answer refuses something only for the moment.
fn is_for_now(answer: &Json) -> bool {
    matches!(answer["error"]["code"].as_str(), Some("unavailable" | "rate_limited"))
}

/// One request on a line of its own. With `hangs_up` the line is dropped after that time, and nobody knows.
pub async fn request(
    address: SocketAddr,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&Json>,
    hangs_up: Option<Duration>,
) -> Option<(u16, Json)> {
    let body = body.map(Json::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answered = async {
        let mut line = TcpStream::connect(address).await.ok()?;
        line.write_all(head.as_bytes()).await.ok()?;
        if let Some(after) = hangs_up {
            sleep(after).await;
            return None;
        }
        let mut answer = Vec::new();
        line.read_to_end(&mut answer).await.ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, serde_json::from_str(body).unwrap_or_default()))
    };
    timeout(PATIENCE, answered).await.ok()?
}
