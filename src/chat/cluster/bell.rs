//! The bell: frames on the bus tell the other nodes what was stored, or where to look. The database alone decides
//! what there is. So a frame that is lost, comes twice or comes late changes nothing but the time: every node looks at
//! intervals anyway.
//!
//! Frames are sent after the commits that they are about, one batch at a time. What is rung meanwhile goes with the next.
//! Each node counts its frames. Who hears that some are missing looks at everything, with the next look at intervals.
//!
//! A node that is not alone sends something each [`BEAT`], and hears it itself. If it does not for [`DEAF`], its bell is
//! broken, however healthy the connection seems: it connects again, and looks more often until then.

use std::{
    collections::{
        BTreeSet, HashMap, VecDeque,
        hash_map::Entry::{Occupied, Vacant},
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use entity::{RoomId, UserId};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::{
    GATHERING, LEAVING,
    absent::AbsentRooms,
    changed, receipts,
    rung::Rung,
    stored,
    unsent::{Told, Unsent},
};
use crate::{
    bus::{
        Broken, Driver, Listener,
        frame::{self, Frame, FrameEntry},
    },
    chat::{Core, room::watermark::Marks},
    metrics,
};

/// The longest that a node that is not alone sends nothing.
const BEAT: Duration = Duration::from_millis(500);
/// How long a node that is not alone may not hear itself.
const DEAF: Duration = Duration::from_secs(3);
/// The pause before the next attempt to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// How long sending may take.
const SENDING: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(super) struct Bell {
    /// There is a bus.
    is_there: AtomicBool,
    unsent: Mutex<Unsent>,
    out: Notify,
    /// There is something to send that may be gathered for a while.
    out_soon: Notify,
    /// What other nodes have rung for, and what was not looked at yet.
    heard: Mutex<Rung>,
    pub news: Notify,
    /// Something was not heard: there may be anything to look at.
    missed: AtomicBool,
    /// When the newest frame of this node was sent that it has heard.
    heard_itself: Mutex<Option<Instant>>,
    /// How long the newest frame took that this node has heard of itself.
    loopback: Mutex<Duration>,
    /// When the frames of this node were sent that it has not heard yet, for [`DEAF`].
    sent: Mutex<VecDeque<(u64, Instant)>>,
    /// The number of the newest frame of each node, and when one came.
    numbers: Mutex<HashMap<Uuid, (u64, Instant)>>,
    absent: Mutex<AbsentRooms>,
}

impl Bell {
    pub fn begin(&self) {
        self.is_there.store(true, Ordering::Relaxed);
    }

    /// Rings for this soon.
    pub fn ring(&self, rung: Rung) {
        if !self.is_there.load(Ordering::Relaxed) {
            return;
        }
        self.unsent.lock().rung.add(rung);
        self.out.notify_one();
    }

    /// Tells soon of messages and changes, in the order of their numbers in their rooms.
    pub fn tell(&self, news: impl Iterator<Item = Told>) {
        if !self.is_there.load(Ordering::Relaxed) {
            return;
        }
        {
            let mut unsent = self.unsent.lock();
            news.for_each(|told| unsent.add(told));
        }
        self.out.notify_one();
    }

    /// Tells of saved receipts, a moment later: they move with every message.
    pub fn tell_marks(&self, room: RoomId, of: impl Iterator<Item = (UserId, Marks)>) {
        self.unsent.lock().marks.add(room, of);
        self.out_soon.notify_one();
    }

    /// What others have rung for since the last call.
    pub fn take_heard(&self) -> Rung {
        std::mem::take(&mut *self.heard.lock())
    }

    /// Whether this node has heard itself lately.
    pub fn works(&self) -> bool {
        self.heard_itself.lock().is_some_and(|at| at.elapsed() < DEAF)
    }

    /// How long the way over the bus takes; zero if it does not work.
    pub fn loopback(&self) -> Duration {
        if self.works() { *self.loopback.lock() } else { Duration::ZERO }
    }

    /// How many nodes this one has heard lately, itself among them; zero if it has not heard itself.
    pub fn heard(&self) -> i32 {
        let is_fresh = |(_, at): &&(u64, Instant)| at.elapsed() < DEAF;
        let heard = if self.works() { self.numbers.lock().values().filter(is_fresh).count() } else { 0 };
        i32::try_from(heard).unwrap_or(i32::MAX)
    }

    /// Whether this node has lately heard itself and so many others.
    pub fn hears_all(&self, others: usize) -> bool {
        usize::try_from(self.heard()).is_ok_and(|heard| heard > others)
    }

    /// Whether something was not heard since the last call.
    pub fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    /// Forgets nodes that are gone.
    pub fn keep(&self, is_alive: impl Fn(Uuid) -> bool) {
        self.numbers.lock().retain(|node, _| is_alive(*node));
    }

    /// Others have told of a room that is not in memory here. If it `has_come` meanwhile, it is looked at.
    pub fn is_absent(&self, room: RoomId, has_come: impl FnOnce() -> bool) {
        self.absent.lock().note(room);
        if has_come() {
            self.have_come([room].into_iter());
        }
    }

    /// These rooms are in memory now, and may have been loaded just now. What was told of them meanwhile is looked at.
    pub fn have_come(&self, rooms: impl Iterator<Item = RoomId>) {
        let mut absent = self.absent.lock();
        let told: BTreeSet<RoomId> = rooms.filter(|room| absent.take(*room)).collect();
        drop(absent);
        self.note(Rung { rooms: told.clone(), receipts: told, ..Rung::default() });
    }

    fn note(&self, rung: Rung) {
        if !rung.is_empty() {
            self.heard.lock().add(rung);
            self.news.notify_one();
        }
    }

    /// Whether frames of a node are missing before this one.
    fn misses(&self, node: Uuid, number: u64) -> bool {
        let now = Instant::now();
        match self.numbers.lock().entry(node) {
            Vacant(unknown) => {
                unknown.insert((number, now));
                // Perhaps there was something before it knew of this one.
                true
            }
            Occupied(mut known) => {
                let newest = known.get().0;
                known.insert((number.max(newest), now));
                number > newest.saturating_add(1)
            }
        }
    }

    /// Frames up to this number are sent now.
    fn sends(&self, number: u64) {
        let mut sent = self.sent.lock();
        while sent.pop_front_if(|(_, at)| at.elapsed() > DEAF).is_some() {}
        sent.push_back((number, Instant::now()));
    }

    /// The own frame of this number has come. Only when it was sent counts: a bus that is late by more is deaf.
    fn hears_itself(&self, number: u64) {
        let mut sent = self.sent.lock();
        let mut heard = None;
        while let Some((_, at)) = sent.pop_front_if(|(sent, _)| *sent <= number) {
            heard = Some(at);
        }
        if let Some(at) = heard {
            *self.heard_itself.lock() = Some(at);
            *self.loopback.lock() = at.elapsed();
        }
    }

    /// Returns the frame if another node has sent it.
    fn hears(&self, own: Uuid, text: &str) -> Option<Frame> {
        let Some(frame) = frame::read(text) else {
            self.missed.store(true, Ordering::Relaxed);
            return None;
        };
        let misses = self.misses(frame.node, frame.number);
        if frame.node == own {
            self.hears_itself(frame.number);
            return None;
        }
        if misses {
            metrics::FRAMES_MISSED.one();
            self.missed.store(true, Ordering::Relaxed);
        }
        Some(frame)
    }

    /// Before the first frame of a connection: what was sent earlier was not heard.
    fn begins_to_hear(&self) {
        self.numbers.lock().clear();
        self.missed.store(true, Ordering::Relaxed);
    }
}

/// Does what the other nodes have told.
fn take(core: &Arc<Core>, entries: Vec<FrameEntry>) {
    let (mut rung, mut messages, mut changes, mut marks) =
        (Rung::default(), Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            FrameEntry::Room(room) => rung.rooms.extend(core.told_of(room).map(|room| room.id)),
            FrameEntry::Notices => rung.notices = true,
            FrameEntry::Presences => rung.presences = true,
            FrameEntry::Typing(typing) => rung.typing.add(typing.into()),
            FrameEntry::Stored(message) => messages.push(*message),
            FrameEntry::Changed(change) => changes.push(*change),
            FrameEntry::Marks(of_room) => marks.push(of_room),
            FrameEntry::Unknown => core.cluster.bell.missed.store(true, Ordering::Relaxed),
        }
    }
    rung.rooms.extend(stored::publish(core, messages));
    // After the messages that they are about.
    rung.rooms.extend(changed::publish(core, changes));
    marks.into_iter().for_each(|marks| receipts::hear(core, marks));
    core.cluster.bell.note(rung);
}

/// Sends the frames of this node, until the server closes its connections.
pub(super) async fn send<D: Driver>(core: Arc<Core>, driver: Arc<D>) {
    let bell = &core.cluster.bell;
    let (mut number, mut next) = (0, tokio::time::Instant::now() + BEAT);
    let mut is_last = false;
    while !is_last {
        tokio::select! {
            () = bell.out.notified() => {}
            () = bell.out_soon.notified() => {
                next = next.min(tokio::time::Instant::now() + GATHERING);
                continue;
            }
            () = tokio::time::sleep_until(next) => {}
            // The last receipts are still told.
            () = core.shutdown.closing() => is_last = true,
        }
        next = tokio::time::Instant::now() + BEAT;
        if !core.cluster.is_shared() {
            continue;
        }
        let unsent = std::mem::take(&mut *bell.unsent.lock());
        let frames = frame::frames(core.cluster.id, &mut number, unsent.encoded(D::LONGEST), D::LONGEST);
        bell.sends(number);
        let sent = timeout(if is_last { LEAVING } else { SENDING }, driver.send(frames)).await;
        if let Err(err) = sent.unwrap_or_else(|_| Err(Broken::new("it takes too long"))) {
            // The others find it when they look.
            tracing::debug!(error = %err, "could not ring for the other nodes");
        }
    }
}

/// Listens while other nodes are alive, until the server shuts down.
pub(super) async fn listen<D: Driver>(core: Arc<Core>, driver: Arc<D>) {
    let mut has_failed = false;
    while !core.shutdown.has_begun() {
        if core.cluster.is_shared() {
            let lost = tokio::select! {
                lost = listen_once(&core, &*driver) => lost,
                () = core.shutdown.begun() => return,
            };
            *core.cluster.bell.heard_itself.lock() = None;
            match lost {
                Ok(()) => has_failed = false,
                Err(err) if !has_failed => {
                    tracing::warn!(error = %err, "does not hear the other nodes; what they store is found at intervals");
                    has_failed = true;
                }
                Err(_) => {}
            }
        }
        if core.shutdown.begins_within(PAUSE).await {
            return;
        }
    }
}

/// Returns when the node is alone, or does not hear itself.
async fn listen_once<D: Driver>(core: &Arc<Core>, driver: &D) -> Result<(), Broken> {
    let mut listener = driver.listen().await?;
    let bell = &core.cluster.bell;
    bell.begins_to_hear();
    let since = Instant::now();
    while core.cluster.is_shared() && (bell.works() || since.elapsed() < DEAF) {
        // Not only quiet: others may be heard while the node's own frames do not come back.
        let Ok(text) = timeout(DEAF, listener.next()).await else { break };
        if let Some(frame) = bell.hears(core.cluster.id, &text?) {
            metrics::FRAMES_HEARD.one();
            take(core, frame.entries);
        }
    }
    if core.cluster.is_shared() { Err(Broken::new("its own frames do not come back")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_works_while_it_hears_itself_and_does_not_look_for_that() {
        let (bell, own) = (Bell::default(), Uuid::now_v7());
        assert!(!bell.works());
        let beat = frame::frames(own, &mut 0, Vec::new(), 1_000);
        assert_eq!(bell.hears(own, &beat[0]), None);
        assert!(!bell.works(), "it was not sent lately");
        bell.sends(1);
        assert_eq!(bell.hears(own, &beat[0]), None);
        assert!(bell.works() && bell.take_heard().is_empty());
        // Others may be heard while the own frames do not come back.
        *bell.heard_itself.lock() = Instant::now().checked_sub(DEAF);
        assert!(!bell.works());
    }

    #[test]
    fn a_room_that_was_told_of_while_it_was_loaded_is_looked_at_again() {
        let (bell, told, quiet) = (Bell::default(), RoomId::new(), RoomId::new());
        bell.is_absent(told, || false);
        bell.have_come([told, quiet].into_iter());
        let heard = bell.take_heard();
        assert_eq!((heard.rooms, heard.receipts), ([told].into(), [told].into()));
        bell.have_come([told].into_iter());
        assert!(bell.take_heard().is_empty(), "once");
        bell.is_absent(told, || true);
        assert_eq!(bell.take_heard().rooms, [told].into(), "it has come between the question and the note");
    }

    #[test]
    fn a_node_that_has_missed_a_frame_looks_at_everything() {
        let (bell, own, other) = (Bell::default(), Uuid::now_v7(), Uuid::now_v7());
        let mut number = 0;
        let frames: Vec<String> =
            (0..5).flat_map(|_| frame::frames(other, &mut number, Vec::new(), 1_000)).collect();
        for (heard, misses) in [(0, true), (1, false), (3, true), (2, false), (3, false), (4, false)] {
            let frame = bell.hears(own, &frames[heard]).expect("a frame of another node");
            assert_eq!((frame.number, bell.take_missed()), (heard as u64 + 1, misses));
        }
    }

    #[test]
    fn what_a_later_version_says_is_looked_at() {
        let (bell, own) = (Bell::default(), Uuid::now_v7());
        assert_eq!(bell.hears(own, "2 {\"something\": \"else\"}"), None);
        assert!(bell.take_missed());
    }
}
