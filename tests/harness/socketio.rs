//! A Socket.IO v5 client, in `/chat` unless a test says otherwise, as thin as possible. It acknowledges
//! `response` events unless a test says otherwise, and records everything that it receives.

use std::{
    collections::HashMap,
    fmt::Write,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::{
    A_WHILE, PATIENCE, Person, Transport,
    engine::{self, Command},
    in_time,
};

/// A connection that is not open yet: by WebSocket, with the person's token in `auth`.
pub struct Connecting {
    person: Person,
    transport: Transport,
    auth: Json,
    query: String,
    headers: Vec<(String, String)>,
    acknowledges: bool,
    prefix: &'static str,
}

impl Connecting {
    pub fn of(person: &Person) -> Self {
        Self {
            transport: Transport::WebSocket,
            auth: json!({ "token": &*person.token }),
            query: String::new(),
            headers: Vec::new(),
            acknowledges: true,
            prefix: "/chat,",
            person: person.clone(),
        }
    }

    pub fn by(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Adds fields to `auth`.
    pub fn with(mut self, more: Json) -> Self {
        for (name, value) in more.as_object().unwrap() {
            self.auth[name] = value.clone();
        }
        self
    }

    /// Sends this `auth` without adding the person's token.
    pub fn with_only(mut self, auth: Json) -> Self {
        self.auth = auth;
        self
    }

    /// In the namespace `/`, which the dialects use.
    pub fn at_root(mut self) -> Self {
        self.prefix = "";
        self
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        write!(self.query, "&{name}={value}").unwrap();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Does not acknowledge `response` events until [`Socket::acknowledges_all`].
    pub fn without_acknowledging(mut self) -> Self {
        self.acknowledges = false;
        self
    }

    pub async fn open(self) -> Socket {
        match self.attempt().await {
            Ok(socket) => socket,
            Err(refusal) => panic!("the connection was refused: {refusal}"),
        }
    }

    /// Connects, which must fail, and returns the message of the `connect_error`.
    pub async fn fails(self) -> String {
        match self.attempt().await {
            Ok(_) => panic!("the connection was not refused"),
            Err(refusal) => refusal["message"].as_str().expect("a message").to_owned(),
        }
    }

    pub async fn attempt(self) -> Result<Socket, Json> {
        let address = self.person.door.address;
        let engine = engine::open(address, self.transport, &self.query, &self.headers).await;
        let (connected, answer) = oneshot::channel();
        let shared = Arc::new(Shared {
            username: self.person.username.clone(),
            prefix: self.prefix,
            commands: engine.commands.downgrade(),
            state: Mutex::new(State { acknowledges: self.acknowledges, ..State::default() }),
            changed: Notify::new(),
        });
        tokio::spawn(read(engine.packets, shared.clone(), connected));
        let mut socket = Socket {
            person: self.person,
            sid: engine.sid,
            pid: None,
            commands: engine.commands,
            reading: engine.reading,
            shared,
            next_id: AtomicU64::new(0),
        };
        let auth = if self.auth.is_null() { String::new() } else { self.auth.to_string() };
        socket.send_packet(format!("40{}{auth}", self.prefix));
        match in_time("an answer to CONNECT", answer).await {
            Ok(answer) => answer.map(|answer| {
                socket.pid = answer["pid"].as_str().map(str::to_owned);
                socket
            }),
            Err(_) => panic!("the connection was closed instead of an answer to CONNECT"),
        }
    }
}

/// The name of an acknowledgement in [`Socket::story`].
pub const ANSWER: &str = "(answer)";

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By a DISCONNECT packet: the client does not reconnect by itself.
    Namespace,
    /// Below the namespace: the client reconnects.
    Transport,
}

struct Shared {
    username: Arc<str>,
    /// The prefix of all packets of the namespace.
    prefix: &'static str,
    commands: mpsc::WeakUnboundedSender<Command>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    events: Vec<Received>,
    /// Awaited acknowledgements, by the id of the event.
    acks: HashMap<u64, oneshot::Sender<Json>>,
    /// Unacknowledged `response` events: the message and the id.
    unanswered: Vec<(Json, String)>,
    acknowledges: bool,
    ended: Option<Ended>,
}

struct Received {
    name: String,
    payload: Json,
    taken: bool,
}

impl Shared {
    fn send(&self, packet: String) {
        if let Some(commands) = self.commands.upgrade() {
            let _ = commands.send(Command::Send(packet));
        }
    }

    fn answer(&self, id: &str) {
        let answer = json!([{ "success": true, "receiver": &*self.username }]);
        self.send(format!("43{}{id}{answer}", self.prefix));
    }

    /// What has arrived, for the error of a wait that fails.
    fn story(&self) -> String {
        let state = self.state.lock();
        let mut story = format!("{} was sent:\n", self.username);
        for event in state.events.iter().rev().take(20).rev() {
            let payload: String = event.payload.to_string().chars().take(200).collect();
            let seen = if event.taken { " (seen)" } else { "" };
            writeln!(story, "  {}{seen} {payload}", event.name).unwrap();
        }
        if let Some(ended) = state.ended {
            writeln!(story, "  and then the end: {ended:?}").unwrap();
        }
        story
    }

    fn end(&self, ended: Ended) {
        let mut state = self.state.lock();
        state.ended.get_or_insert(ended);
        state.acks.clear();
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until `look` returns something.
    async fn find<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> T {
        let found = tokio::time::timeout(patience, async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(found) = look(&mut self.state.lock()) {
                    return found;
                }
                changed.await;
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("waited {patience:?} in vain for {what}; {}", self.story()),
        }
    }
}

/// Parses packets until the session ends.
async fn read(
    mut packets: mpsc::UnboundedReceiver<String>,
    shared: Arc<Shared>,
    connected: oneshot::Sender<Result<Json, Json>>,
) {
    let mut connected = Some(connected);
    while let Some(packet) = packets.recv().await {
        let (kind, rest) =
            packet.split_at_checked(2).unwrap_or_else(|| panic!("a strange packet: {packet:?}"));
        // A DISCONNECT packet has nothing after the namespace, not even the comma.
        let body = rest
            .strip_prefix(shared.prefix)
            .or_else(|| rest.strip_prefix(shared.prefix.trim_end_matches(',')));
        let body = body.unwrap_or_else(|| panic!("a packet of another namespace: {packet:?}"));
        match kind {
            "40" => {
                if let Some(connected) = connected.take() {
                    let _ = connected.send(Ok(serde_json::from_str(body).unwrap()));
                }
            }
            "44" => {
                if let Some(connected) = connected.take() {
                    let _ = connected.send(Err(serde_json::from_str(body).unwrap()));
                }
            }
            "41" => shared.end(Ended::Namespace),
            "42" => receive(&shared, body),
            "43" => {
                let (id, answer) = split_id(body);
                let mut answer: Vec<Json> = serde_json::from_str(answer).unwrap();
                assert_eq!(answer.len(), 1, "an acknowledgement has one argument: {packet}");
                let answer = answer.remove(0);
                let mut state = shared.state.lock();
                let payload = answer.clone();
                state.events.push(Received { name: ANSWER.to_owned(), payload, taken: true });
                if let Some(ack) = state.acks.remove(&id.parse().unwrap()) {
                    let _ = ack.send(answer);
                }
            }
            _ => panic!("a strange packet: {packet:?}"),
        }
    }
    shared.end(Ended::Transport);
}

fn receive(shared: &Shared, body: &str) {
    let (id, event) = split_id(body);
    let mut event: Vec<Json> = serde_json::from_str(event).unwrap();
    assert!(event.len() <= 2, "an event has at most one payload: {body}");
    let payload = if event.len() == 2 { event.remove(1) } else { Json::Null };
    let name = event[0].as_str().expect("a name").to_owned();
    let mut state = shared.state.lock();
    if !id.is_empty() {
        if state.acknowledges {
            shared.answer(id);
        } else {
            state.unanswered.push((payload["response"].clone(), id.to_owned()));
        }
    }
    state.events.push(Received { name, payload, taken: false });
    drop(state);
    shared.changed.notify_waiters();
}

/// Splits `12["event"]` into `12` and the rest.
fn split_id(body: &str) -> (&str, &str) {
    body.split_at(body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len()))
}

/// A person's socket. It can do everything that a [`Person`] can.
pub struct Socket {
    pub person: Person,
    pub sid: String,
    /// The private id, by which the server recognises a client that returns.
    pub pid: Option<String>,
    commands: mpsc::UnboundedSender<Command>,
    reading: watch::Sender<bool>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
}

impl Deref for Socket {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.person
    }
}

impl Socket {
    /// Sends an Engine.IO packet unchanged.
    pub fn send_packet(&self, packet: impl Into<String>) {
        let _ = self.commands.send(Command::Send(packet.into()));
    }

    /// Sends an event that asks for an acknowledgement, now. The returned future waits for it.
    pub fn sends(&self, event: &str, payload: Json) -> impl Future<Output = Json> + use<> {
        self.sends_text(event, &payload.to_string())
    }

    /// The same, with the payload as JSON text, valid or not.
    pub fn sends_text(&self, event: &str, payload: &str) -> impl Future<Output = Json> + use<> {
        let answer = self.asked(event, payload);
        let (shared, event) = (self.shared.clone(), event.to_owned());
        async move {
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => panic!("the connection ended before {event} was answered; {}", shared.story()),
                Err(_) => panic!("{event} was never answered; {}", shared.story()),
            }
        }
    }

    fn asked(&self, event: &str, payload: &str) -> oneshot::Receiver<Json> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (ack, answer) = oneshot::channel();
        let mut state = self.shared.state.lock();
        if state.ended.is_none() {
            state.acks.insert(id, ack);
        }
        drop(state);
        let comma = if payload.is_empty() { "" } else { "," };
        self.send_packet(format!("42{}{id}[{}{comma}{payload}]", self.shared.prefix, json!(event)));
        answer
    }

    /// The answer to an event; none if the connection ends before it.
    pub fn answer_if_any(&self, event: &str, payload: Json) -> impl Future<Output = Option<Json>> + use<> {
        let answer = self.asked(event, &payload.to_string());
        async move { tokio::time::timeout(PATIENCE, answer).await.ok()?.ok() }
    }

    /// Sends an event without asking for an acknowledgement.
    pub fn sends_only(&self, event: &str, payload: Json) {
        self.send_packet(format!("42{}{}", self.shared.prefix, json!([event, payload])));
    }

    /// The acknowledgement of an event, success or not.
    pub async fn emit(&self, event: &str, payload: Json) -> Json {
        self.sends(event, payload).await
    }

    /// The `response` of an event, which must succeed.
    #[track_caller]
    pub fn asks(&self, event: &str, payload: Json) -> impl Future<Output = Json> + use<> {
        let answer = self.sends(event, payload);
        async move { succeeded(answer.await) }
    }

    /// The `error` of an event, which must be refused with this code.
    pub async fn is_refused(&self, event: &str, payload: Json, code: &str) -> Json {
        let told = format!("{event} {payload}");
        let told: String = told.chars().take(300).collect();
        let answer = self.emit(event, payload).await;
        assert_eq!(answer["success"], false, "{told}: {answer}");
        assert_eq!(answer["error"]["code"], code, "{told}: {answer}");
        assert!(answer["error"]["message"].is_string(), "{told}: {answer}");
        assert!(answer.get("response").is_none(), "{told}: {answer}");
        answer["error"].clone()
    }

    pub async fn posts_to(&self, receiver: &str, content: &str) -> Json {
        self.asks("privateMessage", json!({ "receiver": receiver, "content": content })).await
    }

    pub async fn posts_in(&self, group: &str, content: &str) -> Json {
        self.asks("groupMessage", json!({ "receiver": group, "content": content })).await
    }

    /// Sends the messages `1`, `2`, ... without waiting in between. Then waits until all are stored.
    pub async fn posts_many_to(&self, receiver: &str, numbers: std::ops::RangeInclusive<u32>) {
        let answers: Vec<_> = numbers
            .map(|number| {
                self.sends("privateMessage", json!({ "receiver": receiver, "content": number.to_string() }))
            })
            .collect();
        for answer in answers {
            succeeded(answer.await);
        }
    }

    /// Waits for a matching event that no earlier wait has returned, and returns its payload.
    pub async fn sees(&self, event: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        self.sees_within(PATIENCE, event, wanted).await
    }

    pub async fn sees_within(&self, patience: Duration, event: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let look = |state: &mut State| {
            let mut fresh =
                state.events.iter_mut().filter(|received| !received.taken && received.name == event);
            let found = fresh.find(|received| wanted(&received.payload))?;
            found.taken = true;
            Some(found.payload.clone())
        };
        self.shared.find(patience, event, look).await
    }

    /// Waits for the first event with this name that no earlier wait has returned.
    pub async fn sees_any(&self, event: &str) -> Json {
        self.sees(event, |_| true).await
    }

    /// Waits for a message with this content, and returns it.
    pub async fn sees_message(&self, content: &str) -> Json {
        self.sees("response", |payload| payload["response"]["content"] == content).await["response"].clone()
    }

    /// Waits for the notification that a message has reached everybody.
    pub async fn sees_delivered(&self, message: &Json) -> Json {
        let told = self
            .sees("updateDeliveryStatusOnConnection", |payload| {
                payload["response"]["messageId"] == message["messageId"]
            })
            .await;
        assert_eq!(told["response"]["deliveredToAll"], true, "{told}");
        told["response"].clone()
    }

    /// Waits for the notification that a user is online or offline.
    pub async fn sees_online(&self, username: &str, online: bool) -> Json {
        self.sees("onlineStatus", |payload| payload["username"] == username && payload["online"] == online)
            .await
    }

    /// Checks that no further event with this name arrives.
    pub async fn sees_nothing(&self, event: &str, during: Duration) {
        tokio::time::sleep(during).await;
        let state = self.shared.state.lock();
        let came: Vec<_> =
            state.events.iter().filter(|received| received.name == event && !received.taken).collect();
        if let Some(received) = came.first() {
            let payload = received.payload.clone();
            drop(state);
            panic!("{event} should not have come, and did: {payload}; {}", self.shared.story());
        }
    }

    pub async fn sees_no_message(&self) {
        self.sees_nothing("response", A_WHILE).await;
    }

    /// All payloads of an event so far, in order, including those that a wait has returned.
    pub fn all(&self, event: &str) -> Vec<Json> {
        let state = self.shared.state.lock();
        let named = state.events.iter().filter(|received| received.name == event);
        named.map(|received| received.payload.clone()).collect()
    }

    /// The names of all events so far, in order, and [`ANSWER`] for each acknowledgement of its own events.
    pub fn story(&self) -> Vec<String> {
        self.shared.state.lock().events.iter().map(|received| received.name.clone()).collect()
    }

    /// The payloads of all events of this name that have arrived, also of those that a wait has returned.
    pub fn seen(&self, event: &str) -> Vec<Json> {
        let state = self.shared.state.lock();
        let of_name = state.events.iter().filter(|received| received.name == event);
        of_name.map(|received| received.payload.clone()).collect()
    }

    /// Marks everything that has arrived so far as seen.
    pub fn forgets(&self) {
        for received in &mut self.shared.state.lock().events {
            received.taken = true;
        }
    }

    /// The seqs of all `response` events of a room, in the order of arrival.
    pub fn seqs(&self, room: &Json) -> Vec<i64> {
        self.all("response")
            .iter()
            .filter(|payload| payload["response"]["roomId"] == *room)
            .map(|payload| payload["response"]["seq"].as_i64().unwrap())
            .collect()
    }

    /// Waits until `count` `response` events of a room have arrived, and returns their seqs.
    pub async fn sees_seqs(&self, room: &Json, count: usize) -> Vec<i64> {
        let what = format!("{count} messages");
        let look = |state: &mut State| {
            let of_room = |received: &&Received| {
                received.name == "response" && received.payload["response"]["roomId"] == *room
            };
            (state.events.iter().filter(of_room).count() >= count).then_some(())
        };
        self.shared.find(PATIENCE * 2, &what, look).await;
        self.seqs(room)
    }

    /// Acknowledges the message with this content, which was not acknowledged yet.
    pub async fn acknowledges(&self, content: &str) {
        let look = |state: &mut State| {
            let at = state.unanswered.iter().position(|(message, _)| message["content"] == content)?;
            Some(state.unanswered.remove(at).1)
        };
        let id = self.shared.find(PATIENCE, &format!("{content} to be acknowledged"), look).await;
        self.shared.answer(&id);
    }

    /// Acknowledges all unacknowledged messages, and all that arrive from now on.
    pub fn acknowledges_all(&self) {
        let mut state = self.shared.state.lock();
        state.acknowledges = true;
        for (_, id) in std::mem::take(&mut state.unanswered) {
            self.shared.answer(&id);
        }
    }

    /// Waits for the end of the connection.
    pub async fn ends(&self) -> Ended {
        self.ends_within(PATIENCE).await
    }

    pub async fn ends_within(&self, patience: Duration) -> Ended {
        self.shared.find(patience, "the end of the connection", |state| state.ended).await
    }

    pub fn has_ended(&self) -> bool {
        self.shared.state.lock().ended.is_some()
    }

    /// Checks that the server still receives its events and answers.
    pub async fn is_alive(&self) {
        self.asks("listRooms", json!({})).await;
    }

    /// Stops reading from the TCP connection.
    pub fn stops_reading(&self) {
        let _ = self.reading.send(false);
    }

    pub fn reads_again(&self) {
        let _ = self.reading.send(true);
    }

    /// Closes the connection as a client does.
    pub fn leaves(self) {}

    /// Disconnects without a close packet, as when a network fails, except that the TCP connection is closed.
    pub fn vanishes(self) {
        let _ = self.commands.send(Command::Vanish);
    }
}

#[track_caller]
pub fn succeeded(answer: Json) -> Json {
    assert_eq!(answer["success"], true, "{answer}");
    assert!(answer.get("error").is_none(), "{answer}");
    answer["response"].clone()
}
