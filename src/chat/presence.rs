//! Who is online, and who is typing. A user is online from the first connection until a while
//! after the last, so that a reload does not flicker.
//!
//! Somebody's coming is told at once. Where many come together, the next ones are told together a moment
//! later, so that who hears of all of them is written to once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use entity::{UserId, room};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Chat, Core,
    caller::Caller,
    connection::{Connection, ConnectionId, Opening},
    event::{Envelope, Event},
    fanout,
    hub::Departure,
    messages::Place,
    nouns::Presence,
    receipts,
    roster::Roster,
};
use crate::error::Result;

/// How long those who come behind somebody else gather.
const GATHERING: Duration = Duration::from_millis(50);

/// Signs told to a connection in one go: a queue that has once been long keeps its length in memory.
const IN_ONE_GO: usize = 16;

/// Signs that somebody came or went, in the order in which they were given, until they are told.
#[derive(Default)]
pub(super) struct Signs {
    given: Mutex<Vec<Sign>>,
    work: Notify,
}

struct Sign {
    user: UserId,
    envelope: Envelope,
    /// The rooms that the user is in.
    rosters: Vec<Arc<Roster>>,
    /// Who opened later than this was not there to hear it.
    at: Opening,
}

impl Sign {
    fn of(user: UserId, presence: Presence, rosters: Vec<Arc<Roster>>) -> Self {
        Self { user, envelope: Envelope::new(Event::Presence(presence)), rosters, at: Opening::now() }
    }
}

impl Signs {
    fn give(&self, sign: Sign) {
        self.given.lock().push(sign);
        self.work.notify_one();
    }
}

impl Chat {
    /// Tells the others of a place that the caller is typing, or is not any more. Lossy by design.
    ///
    /// Only those who share a room with the caller are told. So nothing happens, and that is no error, in the
    /// lobby, where everyone is, and between two users who never wrote to each other.
    pub async fn typing(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: Place,
        typing: bool,
    ) -> Result<()> {
        let found = self.core.find_place(caller, connection, &place).await?;
        let Some(roster) = found.filter(|roster| roster.kind != room::Kind::Lobby) else { return Ok(()) };
        let (sender, receiver) = (caller.username.clone(), roster.receiver_from(caller.user));
        let sign = Envelope::new(Event::Typing { sender, receiver, typing });
        fanout::tell_all(&roster.listeners(Some(caller.user)), &[sign]).await;
        Ok(())
    }
}

impl Core {
    /// A connection has opened: tells the others where its user was not online before.
    pub(super) fn came_online(&self, connection: &Arc<Connection>) {
        let caller = connection.caller();
        self.hub.announce(caller.user, || {
            let last_seen = self.clock.now();
            let presence = Presence { username: caller.username.clone(), online: true, last_seen };
            let rosters = connection.rosters.lock().clone();
            self.signs.give(Sign::of(caller.user, presence, rosters));
        });
    }

    /// The last connection of a user has gone: tells the others unless they come back in time.
    pub(super) fn went_away(self: &Arc<Self>, departure: Departure, rosters: Vec<Arc<Roster>>) {
        let last_seen = self.clock.now();
        let core = self.clone();
        self.shutdown.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(core.settings.presence_grace) => {}
                // `save_all_seen` takes over.
                () = core.shutdown.begun() => return,
            }
            core.hub.confirm(&departure, || {
                core.receipts.saw(departure.user, last_seen);
                let presence = Presence { username: departure.username.clone(), online: false, last_seen };
                core.signs.give(Sign::of(departure.user, presence, rosters));
            });
        });
    }

    /// To everyone while few are online, else to those who share a room.
    async fn tell_signs(&self) {
        let signs = std::mem::take(&mut *self.signs.given.lock());
        if self.hub.online_count() > self.settings.everyone_up_to {
            return self.tell_in_rooms(&signs).await;
        }
        for signs in signs.chunks(IN_ONE_GO) {
            for connection in self.hub.all(None) {
                tell(&connection, signs.iter());
            }
            // What was written goes out before more comes.
            tokio::task::yield_now().await;
        }
    }

    /// By who hears of it: what is written to a connection in one go leaves in one go.
    async fn tell_in_rooms(&self, signs: &[Sign]) {
        let mut heard: HashMap<ConnectionId, (Arc<Connection>, Vec<usize>)> = HashMap::new();
        for (at, sign) in signs.iter().enumerate() {
            for roster in sign.rosters.iter().filter(|roster| roster.id != self.lobby.id) {
                for connection in roster.listeners(Some(sign.user)) {
                    let (_, signs) = heard.entry(connection.id).or_insert_with(|| (connection, Vec::new()));
                    // They may share several rooms.
                    if signs.last() != Some(&at) {
                        signs.push(at);
                    }
                }
            }
        }
        while !heard.is_empty() {
            for (connection, heard) in heard.values_mut() {
                let now = heard.drain(..heard.len().min(IN_ONE_GO));
                tell(connection, now.filter_map(|at| signs.get(at)));
            }
            heard.retain(|_, (_, heard)| !heard.is_empty());
            tokio::task::yield_now().await;
        }
    }
}

fn tell<'a>(connection: &Arc<Connection>, signs: impl Iterator<Item = &'a Sign>) {
    for sign in signs {
        if connection.user() != sign.user && connection.opened_by(sign.at) {
            connection.tell(&sign.envelope);
        }
    }
}

/// Tells what signs are given, for as long as the server runs.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.signs.work.notified() => {}
            () = core.shutdown.begun() => return,
        }
        core.tell_signs().await;
        tokio::time::sleep(GATHERING).await;
    }
}

/// When the server goes down, everyone who is here was last seen now.
pub(super) async fn save_all_seen(core: &Arc<Core>) -> Result<()> {
    let now = core.clock.now();
    for user in core.hub.online() {
        core.receipts.saw(user, now);
    }
    receipts::flush(core).await
}
