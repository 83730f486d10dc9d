//! A device: it does what its plan says, comes back whenever its connection is lost, says again what was
//! not answered, under the same id, and writes everything down.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use entity::RoomId;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    cursors::{Cursors, positions, set_of, version_of},
    edits::{Editor, answered},
    history::{Digest, Line as Message, Memory, Operation, Pen, Place, What},
    line::Line,
    plan::{Action, Comeback, Device, Manner, Step, Way},
    wire::{Heard, Introduction, Kind, Wire},
};

/// Operations that may be unanswered before a device says nothing new.
const WINDOW: usize = 40;
/// How long an answer is waited for in silence before the connection is given up; no more than a reason to
/// come back. What is missed comes first, page by page, and one that gives up meanwhile begins anew.
const IMPATIENCE: Duration = Duration::from_secs(8);
/// How long to wait before something refused is said again, or a lost server is called again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a device that reports what has arrived when it likes, likes to.
const REPORTS: Duration = Duration::from_millis(150);

/// Somebody with an account and a login.
#[derive(Clone, Debug)]
pub struct Person {
    pub username: String,
    pub id: entity::UserId,
    pub token: String,
}

/// What everybody knows.
pub struct World {
    pub people: Vec<Person>,
    pub groups: Vec<RoomId>,
    /// Steps that all devices together have taken.
    pub steps: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Everyone follows the plan.
    Storm,
    /// The steps are over: everyone comes back once more, by a sound line, and takes everything in.
    Calm,
    Over,
}

/// How a device stands, for who waits for it.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Steps that are left.
    pub steps: usize,
    /// Operations that are not stored yet, as far as it knows.
    pub unanswered: usize,
    pub is_calm: bool,
    /// Up to where it has seen each room.
    pub seen: BTreeMap<RoomId, i64>,
    /// Up to which change a device with a store has each room.
    pub changes: BTreeMap<RoomId, i64>,
    /// Whether it was told, on this connection, what it has, and has read what it had to read again.
    pub is_synced: bool,
}

/// What waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Operation(usize),
    Edit(usize),
    React(usize),
    /// Of a room that has to be read again.
    Page(RoomId),
}

/// See the module.
pub struct Client {
    number: usize,
    person: usize,
    memory: Memory,
    steps: VecDeque<Step>,
    comeback: Comeback,
    world: Arc<World>,
    pub line: Arc<Line>,
    pub pen: Pen,
    pub status: Arc<Mutex<Status>>,
    connection: u32,
    seen: BTreeMap<RoomId, i64>,
    /// What is to be stored or edited: the event and its payload.
    unanswered: BTreeMap<Wanted, (&'static str, Json)>,
    editor: Editor,
    /// None for a device that keeps no store.
    cursors: Option<Cursors>,
    intended: usize,
    manner: Manner,
    last_id: u64,
}

/// How a connection ended.
enum End {
    Lost,
    Left { says_so: bool, comeback: Comeback },
    Calm,
    Over,
}

/// What belongs to one connection.
struct Talk {
    batched: bool,
    /// What waits for an answer, by the id of the event.
    asked: HashMap<u64, (Wanted, Instant)>,
    /// What is to be said again.
    refused: VecDeque<(Instant, Wanted)>,
    is_synced: bool,
    /// Messages to be acknowledged.
    owed: VecDeque<Owed>,
    /// Messages to be reported.
    arrived: BTreeMap<RoomId, i64>,
    reports_at: Instant,
    deaf_until: Instant,
    steps_at: Instant,
    /// When anything was last heard.
    heard_at: Instant,
}

struct Owed {
    since: Instant,
    id: u64,
    room: RoomId,
    seq: i64,
}

impl Client {
    pub fn new(number: usize, device: Device, world: Arc<World>, line: Line, pen: Pen) -> Self {
        let status = Status { steps: device.steps.len(), ..Status::default() };
        let token = world.people[device.person].token.clone();
        Self {
            editor: Editor::new(number, token, pen.clone()),
            cursors: device.keeps_store.then(Cursors::default),
            number,
            person: device.person,
            memory: device.memory,
            steps: device.steps.into(),
            comeback: device.begins,
            world,
            line: Arc::new(line),
            pen,
            status: Arc::new(Mutex::new(status)),
            connection: 0,
            seen: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            intended: 0,
            manner: Manner::AtOnce,
            last_id: 0,
        }
    }

    /// Until everything is over.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        loop {
            sleep(self.comeback.after).await;
            let Some(mut wire) = self.comes(&phase).await else { return };
            let end = self.talks(&mut wire, &mut phase).await;
            match end {
                End::Lost => drop(wire),
                End::Over => {
                    wire.leaves().await;
                    return;
                }
                End::Calm => wire.leaves().await,
                End::Left { says_so, comeback } => {
                    self.comeback = comeback;
                    if says_so {
                        wire.leaves().await;
                    }
                }
            }
            self.writes(What::Ended);
        }
    }

    fn writes(&self, what: What) {
        self.pen.writes(self.connection, what);
    }

    /// Connects, as often as it takes.
    async fn comes(&mut self, phase: &watch::Receiver<Phase>) -> Option<Wire> {
        loop {
            if *phase.borrow() == Phase::Over {
                return None;
            }
            self.connection += 1;
            let since = (self.memory == Memory::Since).then(|| self.seen.clone());
            let changes = self.cursors.as_ref().map(|cursors| cursors.changes.clone());
            self.writes(What::Comes { wire: self.comeback.wire.name(), since: since.clone(), changes });
            // Every second device also says which is the oldest message that it has.
            let with_oldest = self.number % 2 == 1;
            let introduction = Introduction {
                token: &self.world.people[self.person].token,
                since: since.map(|since| json!(since)),
                changes: self.cursors.as_ref().map(|cursors| cursors.said(with_oldest)),
                batched: self.is_batched(),
                catch_up: self.memory != Memory::LiveOnly,
            };
            if let Some(wire) = Wire::open(self.comeback.wire, self.line.address, &introduction).await {
                self.writes(What::Opened);
                return Some(wire);
            }
            sleep(PAUSE).await;
        }
    }

    /// Who does not have everything cannot say that everything has arrived.
    fn is_batched(&self) -> bool {
        self.comeback.batched && self.memory != Memory::LiveOnly
    }

    async fn talks(&mut self, wire: &mut Wire, phase: &mut watch::Receiver<Phase>) -> End {
        let now = Instant::now();
        let mut talk = Talk {
            batched: self.is_batched(),
            asked: HashMap::new(),
            refused: self.unanswered.keys().map(|wanted| (now, *wanted)).collect(),
            is_synced: false,
            owed: VecDeque::new(),
            arrived: BTreeMap::new(),
            reports_at: now + REPORTS,
            deaf_until: now,
            heard_at: now,
            steps_at: now + self.steps.front().map_or(Duration::ZERO, |step| step.after),
        };
        loop {
            match *phase.borrow_and_update() {
                Phase::Over => return End::Over,
                Phase::Calm if !self.status.lock().is_calm => {
                    self.manner = Manner::AtOnce;
                    let mut status = self.status.lock();
                    status.is_calm = true;
                    status.is_synced = false;
                    return End::Calm;
                }
                _ => {}
            }
            let now = Instant::now();
            if let Some(end) = self.tends(wire, &mut talk, now) {
                return end;
            }
            self.shows_status(&talk);
            let listening = now >= talk.deaf_until;
            let is_lost = |since: Instant| now >= since.max(talk.heard_at) + IMPATIENCE;
            if listening && talk.asked.values().any(|(_, since)| is_lost(*since)) {
                return End::Lost;
            }
            let wake = self.next_look(&talk, now);
            tokio::select! {
                heard = wire.hears(), if listening => {
                    talk.heard_at = Instant::now();
                    match heard {
                        Heard::End => return End::Lost,
                        Heard::Answer { id, payload } => self.is_answered(&mut talk, id, &payload),
                        Heard::Event { name, payload, asks } => self.hears(&mut talk, &name, &payload, asks),
                    }
                },
                () = sleep_until(wake) => {}
                _ = phase.changed() => {}
            }
        }
    }

    fn shows_status(&self, talk: &Talk) {
        let mut status = self.status.lock();
        status.steps = self.steps.len();
        status.unanswered = self.unanswered.len() + self.editor.requests();
        if let Some(cursors) = &self.cursors {
            status.is_synced = talk.is_synced && cursors.rooms_again().next().is_none();
            status.changes.clone_from(&cursors.changes);
        }
        if status.seen != self.seen {
            status.seen.clone_from(&self.seen);
        }
    }

    /// When there may be something to do without anything being heard.
    fn next_look(&self, talk: &Talk, now: Instant) -> Instant {
        let mut wake = now + Duration::from_millis(500);
        if !self.steps.is_empty() && self.unanswered.len() < WINDOW {
            wake = wake.min(talk.steps_at);
        }
        if let Some((at, _)) = talk.refused.front() {
            wake = wake.min(*at);
        }
        if !talk.arrived.is_empty() && self.manner != Manner::Not {
            wake = wake.min(talk.reports_at);
        }
        if let (Manner::Late(late), Some(owed)) = (self.manner, talk.owed.front()) {
            wake = wake.min(owed.since + late);
        }
        if talk.deaf_until > now {
            wake = wake.min(talk.deaf_until);
        }
        wake
    }

    /// Does what is due.
    fn tends(&mut self, wire: &Wire, talk: &mut Talk, now: Instant) -> Option<End> {
        while talk.refused.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, wanted)) = talk.refused.pop_front() {
                self.says(wire, talk, wanted, now);
            }
        }
        self.acknowledges(wire, talk, now);
        if !talk.arrived.is_empty() && now >= talk.reports_at && self.manner != Manner::Not {
            let arrived = std::mem::take(&mut talk.arrived);
            for (room, seq) in &arrived {
                self.writes(What::Claimed { room: *room, seq: *seq });
            }
            self.last_id += 1;
            wire.event("delivered", &json!({ "rooms": arrived }), self.last_id);
            talk.reports_at = now + REPORTS;
        }
        if now >= talk.steps_at && self.unanswered.len() < WINDOW {
            let step = self.steps.pop_front()?;
            self.world.steps.fetch_add(1, Ordering::Relaxed);
            talk.steps_at = now + self.steps.front().map_or(Duration::ZERO, |next| next.after);
            return self.takes(wire, talk, step.action, now);
        }
        None
    }

    fn acknowledges(&self, wire: &Wire, talk: &mut Talk, now: Instant) {
        let backwards = match self.manner {
            Manner::AtOnce => false,
            Manner::Late(late) => {
                while talk.owed.front().is_some_and(|owed| owed.since + late <= now) {
                    if let Some(owed) = talk.owed.pop_front() {
                        self.acknowledges_one(wire, &owed);
                    }
                }
                return;
            }
            Manner::WithHoles(every) => {
                let (left, owed) = talk.owed.drain(..).partition(|owed| owed.seq % every as i64 == 0);
                talk.owed = left;
                for owed in Vec::from(owed) {
                    self.acknowledges_one(wire, &owed);
                }
                return;
            }
            Manner::Backwards(count) if talk.owed.len() >= count => true,
            Manner::Backwards(_) | Manner::Not => return,
        };
        while let Some(owed) = if backwards { talk.owed.pop_back() } else { talk.owed.pop_front() } {
            self.acknowledges_one(wire, &owed);
        }
    }

    fn acknowledges_one(&self, wire: &Wire, owed: &Owed) {
        self.writes(What::Acknowledged { room: owed.room, seq: owed.seq });
        wire.acknowledges(owed.id);
    }

    fn takes(&mut self, wire: &Wire, talk: &mut Talk, action: Action, now: Instant) -> Option<End> {
        match action {
            Action::Send { place, messages, bytes } => {
                for _ in 0..messages {
                    let operation = self.intends(place, bytes);
                    self.says(wire, talk, Wanted::Operation(operation), now);
                }
            }
            Action::Edit { which, edits, bytes, way } => {
                for number in 0..edits {
                    // An even number edits one message so many times, an odd one edits so many messages.
                    let which = if which % 4 < 2 { which } else { which.wrapping_add(2 * number) };
                    self.edits(wire, talk, which, bytes, way, now);
                }
            }
            Action::React { which } => self.reacts(wire, talk, which, now),
            Action::MarkRead { which } => self.marks_read(wire, which),
            Action::Acknowledge(manner) => self.manner = manner,
            Action::StopReading(during) => talk.deaf_until = now + during,
            Action::Leave { says_so, comeback } => return Some(End::Left { says_so, comeback }),
            Action::Suffer(fault) => self.line.suffers(fault),
        }
        None
    }

    fn intends(&mut self, place: Place, bytes: usize) -> usize {
        let client_message_id = format!("{}-{}", self.number, self.intended);
        self.intended += 1;
        let content = format!("{client_message_id} {}", "x".repeat(bytes));
        let mut payload = json!({ "content": content, "clientMessageId": client_message_id });
        let event = match place {
            Place::Direct(one, other) => {
                let receiver = if one == self.person { other } else { one };
                payload["receiver"] = json!(self.world.people[receiver].username);
                "privateMessage"
            }
            Place::Group(group) => {
                payload["receiver"] = json!(self.world.groups[group]);
                "groupMessage"
            }
            Place::Lobby => "lobbyMessage",
        };
        let operation = Operation { place, client_message_id, content: Digest::of(&content) };
        let operation = self.pen.intends(operation);
        self.unanswered.insert(Wanted::Operation(operation), (event, payload));
        operation
    }

    fn edits(&mut self, wire: &Wire, talk: &mut Talk, which: usize, bytes: usize, way: Way, now: Instant) {
        let Some((edit, payload)) = self.editor.intends(which, bytes, way != Way::Socket) else { return };
        match way {
            Way::Http(hangs_up) => {
                self.editor.asks(self.connection, self.line.address, edit, &payload, hangs_up);
            }
            Way::Socket => {
                self.unanswered.insert(Wanted::Edit(edit), ("editMessage", payload));
                self.says(wire, talk, Wanted::Edit(edit), now);
            }
        }
    }

    /// One at a time, so that the last one that was answered is what is so.
    fn reacts(&mut self, wire: &Wire, talk: &mut Talk, which: usize, now: Instant) {
        if self.unanswered.keys().any(|wanted| matches!(wanted, Wanted::React(_))) {
            return;
        }
        let Some((react, payload)) = self.editor.feels(which) else { return };
        self.unanswered.insert(Wanted::React(react), ("react", payload));
        self.says(wire, talk, Wanted::React(react), now);
    }

    fn says(&mut self, wire: &Wire, talk: &mut Talk, wanted: Wanted, now: Instant) {
        let page = match wanted {
            Wanted::Page(room) => self.cursors.as_ref().and_then(|cursors| cursors.page(room)),
            _ => None,
        };
        let page = page.map(|payload| ("history", payload));
        let Some((event, payload)) = page.as_ref().or_else(|| self.unanswered.get(&wanted)) else { return };
        self.last_id += 1;
        match wanted {
            Wanted::Operation(operation) => self.pen.writes(self.connection, What::Sent { operation }),
            Wanted::Edit(edit) => self.pen.writes(self.connection, What::EditAsked { edit }),
            Wanted::React(react) => self.pen.writes(self.connection, What::ReactAsked { react }),
            Wanted::Page(_) => {}
        }
        wire.event(event, payload, self.last_id);
        talk.asked.insert(self.last_id, (wanted, now));
    }

    fn marks_read(&mut self, wire: &Wire, which: usize) {
        let known: Vec<_> = self.seen.iter().filter(|(room, _)| self.world.groups.contains(room)).collect();
        let Some((room, seq)) = known.get(which.checked_rem(known.len()).unwrap_or(0)) else { return };
        let payload = json!({ "receiver": room, "group": true, "seq": seq });
        self.writes(What::MarkedRead { room: **room, seq: **seq });
        self.last_id += 1;
        wire.event("markRead", &payload, self.last_id);
    }

    fn is_answered(&mut self, talk: &mut Talk, id: u64, answer: &Json) {
        let Some((wanted, _)) = talk.asked.remove(&id) else { return };
        let response = &answer["response"];
        if answer["success"] != true {
            let code = answer["error"]["code"].as_str().unwrap_or("none").to_owned();
            match wanted {
                Wanted::Operation(operation) => self.writes(What::Refused { operation, code }),
                Wanted::Edit(edit) => self.writes(What::EditRefused { edit, code }),
                Wanted::React(react) => self.writes(What::ReactRefused { react, code }),
                Wanted::Page(_) => {}
            }
            talk.refused.push_back((Instant::now() + PAUSE, wanted));
            return;
        }
        match wanted {
            Wanted::Operation(operation) => {
                let (room, seq) = (room_of(response), seq_of(response));
                let id = response["messageId"].as_str().unwrap().parse().unwrap();
                self.writes(What::Stored { operation, room, seq, id });
                self.editor.has_stored(room, seq, id);
            }
            Wanted::Edit(edit) => self.writes(answered(edit, response)),
            Wanted::React(react) => {
                let change = response["change"].as_i64().unwrap_or(0);
                self.writes(What::ReactAnswered { react, change });
            }
            Wanted::Page(room) => self.has_page(talk, room, response),
        }
        self.unanswered.remove(&wanted);
    }

    /// A page of a room that has to be read again: the next one is asked for.
    fn has_page(&mut self, talk: &mut Talk, room: RoomId, page: &Json) {
        let messages = page["messages"].as_array().unwrap();
        let lines: Vec<Message> = messages.iter().map(|message| self.line_of(message)).collect();
        let is_last = page["hasMore"] == false;
        let first = lines.first().map(|line| line.seq);
        self.writes(What::PageRead { room, lines, is_last });
        let Some(cursors) = &mut self.cursors else { return };
        cursors.has_page(room, first, is_last);
        talk.refused.push_front((Instant::now(), Wanted::Page(room)));
    }

    fn hears(&mut self, talk: &mut Talk, name: &str, payload: &Json, asks: Option<u64>) {
        let message = &payload["response"];
        match name {
            "response" | "lobby" => {
                let (room, line) = (room_of(message), self.line_of(message));
                let seq = line.seq;
                let is_unrequested = name == "response" && asks.is_none() && !talk.batched;
                self.writes(What::Read { room, line, is_unrequested });
                // The highest, whatever comes: what is wrong about it is the checker's to find.
                let seen = self.seen.entry(room).or_default();
                *seen = seq.max(*seen);
                if let Some(cursors) = &mut self.cursors {
                    cursors.has_read(room, seq, message, &self.world.people[self.person].username);
                }
                match asks {
                    Some(id) => talk.owed.push_back(Owed { since: Instant::now(), id, room, seq }),
                    None if name == "response" && (talk.batched || self.memory != Memory::LiveOnly) => {
                        talk.arrived.insert(room, seq);
                    }
                    None => {}
                }
            }
            "updateDeliveryStatusOnConnection" => {
                let id = message["messageId"].as_str().unwrap().parse().unwrap();
                self.writes(What::ToldDelivered { room: room_of(message), seq: seq_of(message), id });
            }
            "messageRead" => {
                if let Some(reader) = self.number_of(&payload["username"]) {
                    self.writes(What::ToldRead { room: room_of(payload), reader, seq: seq_of(payload) });
                }
            }
            "messageChanged" => self.hears_change(payload),
            "synced" => {
                let rooms = positions(payload);
                self.writes(What::Synced { rooms: rooms.clone() });
                let Some(cursors) = &mut self.cursors else { return };
                cursors.are_synced(&rooms);
                // A room that has to be read again is told by itself, before the device has everything.
                talk.is_synced |= rooms.values().all(|position| !position.is_reset);
                // A page that is under way belongs to an earlier reading, if it has to begin anew.
                for room in cursors.rooms_again() {
                    talk.asked.retain(|_, (wanted, _)| *wanted != Wanted::Page(room));
                    talk.refused.retain(|(_, wanted)| *wanted != Wanted::Page(room));
                    talk.refused.push_front((Instant::now(), Wanted::Page(room)));
                }
            }
            _ => {}
        }
    }

    fn hears_change(&mut self, changed: &Json) {
        let (room, seq) = (room_of(changed), seq_of(changed));
        let change = changed["change"].as_i64().unwrap();
        let set = set_of(&changed["set"]);
        let is_replayed = changed["what"] == json!(["caught-up"]);
        self.writes(What::Changed { room, seq, change, set, is_replayed });
        if let Some(cursors) = &mut self.cursors {
            cursors.has_heard(room, change);
        }
    }

    fn line_of(&self, message: &Json) -> Message {
        self.world.line_of(message)
    }

    fn number_of(&self, username: &Json) -> Option<usize> {
        self.world.number_of(username)
    }
}

impl World {
    fn number_of(&self, username: &Json) -> Option<usize> {
        self.people.iter().position(|person| person.username == *username)
    }

    pub fn line_of(&self, message: &Json) -> Message {
        Message {
            seq: seq_of(message),
            id: message["messageId"].as_str().unwrap().parse().unwrap(),
            sender: self.number_of(&message["sender"]),
            client_message_id: message["clientMessageId"].as_str().map(ToOwned::to_owned),
            version: version_of(message),
        }
    }
}

fn room_of(message: &Json) -> RoomId {
    message["roomId"].as_str().unwrap().parse().unwrap()
}

fn seq_of(message: &Json) -> i64 {
    message["seq"].as_i64().unwrap()
}

/// Somebody who only takes up room: many connections at once that do nothing, and go without a word.
pub async fn crowd(address: std::net::SocketAddr, people: &[Person], connections: usize) {
    let opened = (0..connections).map(|number| {
        let token = people[number % people.len()].token.clone();
        tokio::spawn(async move {
            let kind = [Kind::WebSocket, Kind::Plain, Kind::Polling][number % 3];
            let introduction =
                Introduction { token: &token, since: None, changes: None, batched: false, catch_up: true };
            Wire::open(kind, address, &introduction).await
        })
    });
    let opened: Vec<_> = opened.collect();
    for wire in opened {
        // Refused or not, it has asked.
        drop(timeout(Duration::from_secs(10), wire).await);
    }
}
