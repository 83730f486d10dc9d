//! Brings a room in memory up to date with the database, after another process has changed it or after the
//! answer of a commit was lost.

use std::sync::Arc;

use entity::{RoomId, room};
use sea_orm::EntityTrait;

use crate::{
    chat::{
        Core,
        connections::publish::Audience,
        event::{Change, Event},
        model::Group,
        retry,
        room::{
            Room,
            registry::{LockedRoom, StoredMembership},
        },
    },
    db::Transaction,
    error::{Error, Result, Unavailable},
    identity::Person,
};

impl Core {
    /// Rereads a room from the database, and publishes what has changed.
    pub(in crate::chat) async fn reread(self: &Arc<Self>, room: RoomId) -> Result<()> {
        match self.lock_room(room).await? {
            Some(held) => self.reread_locked(&held).await,
            None => Ok(()),
        }
    }

    pub(super) async fn reread_locked(self: &Arc<Self>, held: &LockedRoom<'_>) -> Result<()> {
        let (live, room) = (&held.room, held.room.id);
        match self.rooms.registry.read(held).await? {
            Some(stored) => self.take_over(live, stored),
            None => {
                let connections = live.delete();
                self.detach(&connections, live);
                if let Some(row) = room::Entity::find_by_id(room).one(self.db.reader()).await?
                    && row.kind == room::Kind::Group
                {
                    let group = Group { owner: Person::nobody(), member_count: 0, users: None, row };
                    self.rooms_changed(&group, Change::Deleted, None);
                }
            }
        }
        Ok(())
    }

    /// Takes over the membership from the database, unless memory is as new. Publishes the difference.
    pub(in crate::chat) fn take_over(self: &Arc<Self>, room: &Arc<Room>, stored: StoredMembership) {
        if stored.version > room.version() {
            self.take_settings(room, stored.settings, room.version());
        }
        let changes = room.reconcile(stored.version, stored.members);
        self.detach(&changes.detached, room);
        for (user, _, delivered) in &changes.come {
            self.attach_user(*user, room, *delivered);
        }
        if room.kind == room::Kind::Group {
            self.announce_soon(room.id, changes.come.iter().map(|(user, ..)| *user).collect());
            let group = room.id;
            for (user, person) in changes.gone {
                let left = Event::MemberLeft { group, username: person.username };
                // Their connections are not subscribed any more.
                self.hub.publish(left.clone(), Audience::User(user));
                self.hub.publish(left, Audience::Room(room, None));
            }
            for (_, person, _) in changes.come {
                let joined = Event::MemberJoined { group, username: person.username };
                self.hub.publish(joined, Audience::Room(room, None));
            }
            for (user, role) in changes.roles {
                self.tell_role(room, user, role);
            }
        }
        self.receipts.touch(room);
    }

    /// Commits a change of a room, or a new room. If the answer is lost, memory follows the database as soon
    /// as the database answers again.
    pub(in crate::chat) async fn commit_in(self: &Arc<Self>, tx: Transaction, room: RoomId) -> Result<()> {
        let Err(err) = tx.commit().await else {
            self.cluster.stored_in(room);
            self.cluster.noted();
            return Ok(());
        };
        tracing::warn!(error = %err, room.id = %room, "the answer of a commit was lost");
        self.reread_soon(room);
        Err(Error::Unavailable(Unavailable::Database))
    }

    /// Rereads a room in a task, and repeats until the database answers.
    pub(in crate::chat) fn reread_soon(self: &Arc<Self>, room: RoomId) {
        let core = self.clone();
        self.shutdown.spawn(async move {
            retry::until_answered(&core.shutdown, || core.reread(room)).await;
        });
    }
}
