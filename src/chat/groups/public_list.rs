//! The public list of groups: notifies everyone of its changes, at a limited rate.
//!
//! A single change is published at once. Changes within `limits.list_interval` after it wait for the end of
//! the interval, one entry for each group with its newest state. So a group that is renamed again and again
//! costs everyone one event per interval, and its last state is always published. An interval has at most
//! [`AT_ONCE`] events: somebody with hundreds of groups cannot fill everyone's connection.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use entity::{RoomId, notice, room};
use parking_lot::Mutex;
use sea_orm::{DatabaseTransaction, EntityTrait};
use tokio::sync::Notify;

use crate::{
    chat::{
        Core,
        connections::{connection::Connection, publish::Audience},
        event::{Change, Envelope, Event, Origin},
        model::Group,
    },
    error::Result,
    identity::Person,
};

/// The most changes that are published in one interval. The others wait for the next ones.
const AT_ONCE: usize = 50;
/// So many groups that have ended are remembered: by several ways a node learns of the same end.
const ENDED: usize = 1_000;

/// Changes that are not published yet: at most one for each group.
#[derive(Default)]
pub(super) struct PublicList {
    changed: Mutex<ListChanges>,
    work: Notify,
}

#[derive(Default)]
struct ListChanges {
    groups: HashMap<RoomId, ListChange>,
    /// The groups in the order of their first change that is not published yet.
    order: VecDeque<RoomId>,
    /// The groups that have ended last. Nothing follows the end of a group.
    ended: VecDeque<RoomId>,
}

struct ListChange {
    group: Group,
    change: Change,
    origin: Option<Origin>,
}

impl ListChange {
    /// Merges a later change of the same group. A group whose creation is not published yet stays a created
    /// group.
    fn then(&mut self, later: Self) {
        let is_news = self.change == Change::Created && later.change == Change::Updated;
        if is_news {
            self.group = later.group;
        } else {
            *self = later;
        }
    }
}

impl ListChanges {
    fn add(&mut self, entry: ListChange) {
        let group = entry.group.row.id;
        if self.ended.contains(&group) {
            return;
        }
        if entry.change == Change::Deleted {
            self.ended.drain(..self.ended.len().saturating_sub(ENDED - 1));
            self.ended.push_back(group);
        }
        match self.groups.get_mut(&group) {
            Some(earlier) => earlier.then(entry),
            None => {
                self.order.push_back(group);
                self.groups.insert(group, entry);
            }
        }
    }

    /// The next changes to publish.
    fn take(&mut self) -> Vec<ListChange> {
        let next = self.order.drain(..self.order.len().min(AT_ONCE));
        let taken = next.filter_map(|group| self.groups.remove(&group)).collect();
        if self.groups.is_empty() {
            // Also frees the memory that a flood has taken.
            (self.groups, self.order) = Default::default();
        }
        taken
    }
}

impl Core {
    /// Notifies everyone of a change of the public list. Call it in the order of the group's changes.
    pub(in crate::chat) fn rooms_changed(&self, group: &Group, change: Change, by: Option<&Arc<Connection>>) {
        let origin = by.map(|connection| Origin { connection: connection.id, written: None });
        self.groups.public_list.changed.lock().add(ListChange { group: group.public(), change, origin });
        self.groups.public_list.work.notify_one();
    }

    /// Tells the other nodes of a change of the public list, in its transaction. They notify everyone there.
    pub(in crate::chat) async fn tell_list(
        &self,
        tx: &DatabaseTransaction,
        group: RoomId,
        change: notice::Kind,
    ) -> Result<()> {
        Ok(notice::tell(tx, [notice::of_room(change, group, Some(self.cluster.id()))]).await?)
    }

    /// Notifies everyone here of a change of the public list that another node has made.
    pub(in crate::chat) async fn list_changed(self: &Arc<Self>, group: RoomId, change: Change) -> Result<()> {
        let Some(row) = room::Entity::find_by_id(group).one(self.db.reader()).await? else { return Ok(()) };
        let group = match change {
            Change::Deleted => Group { owner: Person::nobody(), member_count: 0, users: None, row },
            Change::Created | Change::Updated => self.read_group(row).await?,
        };
        self.rooms_changed(&group, change, None);
        Ok(())
    }

    async fn publish_changes(&self) {
        let list = &self.groups.public_list;
        let (taken, is_more) = {
            let mut changed = list.changed.lock();
            (changed.take(), !changed.groups.is_empty())
        };
        if is_more {
            list.work.notify_one();
        }
        let events: Vec<Envelope> = taken
            .into_iter()
            .map(|ListChange { group, change, origin }| {
                Envelope::from(Event::RoomsChanged { group, change }, origin)
            })
            .collect();
        self.hub.publish_all(&events, Audience::Everyone).await;
    }
}

/// Publishes changes until the server shuts down.
pub(in crate::chat) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.groups.public_list.work.notified() => {}
            () = core.shutdown.begun() => return,
        }
        core.publish_changes().await;
        if core.shutdown.begins_within(core.settings.limits.list_interval).await {
            // Connected clients read the list again when they reconnect.
            return core.publish_changes().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use entity::{Seq, UserId, room};

    use super::*;
    use crate::identity::Person;

    fn group(id: RoomId, name: &str) -> Group {
        let row = room::Model {
            id,
            kind: room::Kind::Group,
            name: Some(name.to_owned()),
            name_key: Some(name.to_owned()),
            password_hash: None,
            owner_id: None::<UserId>,
            pair_low: None,
            pair_high: None,
            last_seq: Seq::ZERO,
            last_change: entity::ChangeNumber::ZERO,
            roster_version: 1,
            created_at: chrono::DateTime::UNIX_EPOCH,
            active_at: chrono::DateTime::UNIX_EPOCH,
            deleted_at: None,
            changed_at: 0,
            settings: None,
        };
        Group { row, owner: Person::nobody(), member_count: 1, users: None }
    }

    #[test]
    fn one_entry_a_group_with_its_newest_state_in_the_order_of_the_first() {
        let (a, b, c) = (RoomId::new(), RoomId::new(), RoomId::new());
        let mut changed = ListChanges::default();
        for (id, name, change) in [
            (a, "a1", Change::Created),
            (b, "b1", Change::Updated),
            (a, "a2", Change::Updated),
            (c, "c1", Change::Created),
            (b, "b2", Change::Updated),
            (c, "c2", Change::Deleted),
        ] {
            changed.add(ListChange { group: group(id, name), change, origin: None });
        }
        let taken = changed.take();
        let published: Vec<_> =
            taken.iter().map(|entry| (entry.group.row.name.as_deref().unwrap(), entry.change)).collect();
        assert_eq!(published, [("a2", Change::Created), ("b2", Change::Updated), ("c2", Change::Deleted)]);
    }

    #[test]
    fn the_end_of_a_group_is_published_once_and_is_the_last() {
        let gone = RoomId::new();
        let mut changed = ListChanges::default();
        let mut take = |change| {
            changed.add(ListChange { group: group(gone, "gone"), change, origin: None });
            changed.take().len()
        };
        assert_eq!((take(Change::Updated), take(Change::Deleted)), (1, 1));
        assert_eq!((take(Change::Deleted), take(Change::Updated)), (0, 0));
        for _ in 0..2 * ENDED {
            changed.add(ListChange {
                group: group(RoomId::new(), "other"),
                change: Change::Deleted,
                origin: None,
            });
        }
        assert_eq!(changed.ended.len(), ENDED);
    }

    #[test]
    fn an_interval_has_so_many_changes_and_the_next_one_the_others() {
        let mut changed = ListChanges::default();
        let groups: Vec<_> = (0..AT_ONCE + 20).map(|_| RoomId::new()).collect();
        let change = |changed: &mut ListChanges, name: &str| {
            for id in &groups {
                changed.add(ListChange { group: group(*id, name), change: Change::Updated, origin: None });
            }
        };
        change(&mut changed, "first");
        assert_eq!(changed.take().len(), AT_ONCE);
        change(&mut changed, "second");
        let next = changed.take();
        let names: Vec<_> = next.iter().map(|entry| entry.group.row.name.as_deref().unwrap()).collect();
        assert_eq!((names.len(), names[0], names[AT_ONCE - 1]), (AT_ONCE, "second", "second"));
        assert_eq!(next[0].group.row.id, groups[AT_ONCE], "those that waited come first");
        assert_eq!(changed.take().len(), 20);
        assert!(changed.take().is_empty() && changed.order.capacity() == 0);
    }
}
