//! Who is online, and who is typing. A user is online from the first connection until a while
//! after the last, so that a reload does not flicker.

use std::{collections::HashSet, sync::Arc};

use super::{
    Chat, Core,
    caller::Caller,
    connection::Connection,
    event::{Envelope, Event},
    hub::Departure,
    messages::Place,
    nouns::{Presence, Receiver},
    receipts,
    roster::Roster,
};
use crate::error::Result;

impl Chat {
    /// Tells the others of a place that the caller is typing, or is not any more. Lossy by design.
    pub async fn typing(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: Place,
        typing: bool,
    ) -> Result<()> {
        let sender = caller.username.clone();
        if let Some(roster) = self.core.find_place(caller, connection, &place).await? {
            let receiver = roster.receiver_from(caller.user);
            roster.tell(Event::Typing { sender, receiver, typing }, Some(caller.user));
        } else if let Place::User(name) = place {
            // Before the first message there is no room yet, and still somebody to tell.
            let other = self.core.user_named(&name).await?;
            let receiver = Receiver::User(other.username.into());
            self.core.hub.tell_user(other.id, Event::Typing { sender, receiver, typing });
        }
        Ok(())
    }
}

impl Core {
    /// A connection has opened: tells the others where its user was not online before.
    pub(super) fn came_online(&self, connection: &Arc<Connection>) {
        let caller = connection.caller();
        if self.hub.announce(caller.user) {
            let last_seen = self.clock.now();
            let presence = Presence { username: caller.username.clone(), online: true, last_seen };
            let rosters = connection.rosters.lock().clone();
            self.tell_presence(caller.user, presence, &rosters);
        }
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
            if core.hub.confirm(&departure) {
                core.receipts.saw(departure.user, last_seen);
                let presence = Presence { username: departure.username, online: false, last_seen };
                core.tell_presence(departure.user, presence, &rosters);
            }
        });
    }

    /// To everyone while few are online, else to those who share a room.
    fn tell_presence(&self, user: entity::UserId, presence: Presence, rosters: &[Arc<Roster>]) {
        let envelope = Envelope::new(Event::Presence(presence));
        if self.hub.online_count() <= self.settings.everyone_up_to {
            self.hub.tell_everyone(&envelope, Some(user));
            return;
        }
        let mut told = HashSet::new();
        for roster in rosters.iter().filter(|roster| roster.id != self.lobby.id) {
            for connection in roster.listeners(Some(user)) {
                if told.insert(connection.id) {
                    connection.tell(&envelope);
                }
            }
        }
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
