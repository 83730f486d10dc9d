//! A device: it does what its plan says, comes back whenever its connection is lost, says again what was
//! not answered, under the same id, and writes everything down.
//!
//! - this file: a device from its first connection to its last
//! - `says`: what it says, and when
//! - `hears`: what it makes of what it hears

mod hears;
mod says;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use entity::RoomId;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    cursors::Cursors,
    edits::Editor,
    history::{Memory, Pen, What},
    line::Line,
    plan::{Comeback, Device, Manner, Step},
    wire::{Heard, Introduction, Wire},
    world::World,
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
    Deed(usize),
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
    /// What is to be stored or done: the event and its payload.
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
}
