//! The public list of groups: notifies everyone of its changes, at a limited rate.
//!
//! A single change is published at once. Changes within `limits.list_interval` after it wait for the end of
//! the interval, one entry for each group with its newest state. So a group that is renamed again and again
//! costs everyone one event per interval, and its last state is always published.

use std::{collections::HashMap, sync::Arc};

use entity::RoomId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Core,
    connections::{broadcast, connection::Connection},
    event::{Change, Envelope, Event, Origin},
    model::Group,
};

/// Changes that are not published yet: at most one for each group. They come no faster than the database
/// stores them, and all are taken once per interval.
#[derive(Default)]
pub(super) struct PublicList {
    changed: Mutex<ListChanges>,
    work: Notify,
}

#[derive(Default)]
struct ListChanges {
    /// In the order of each group's first change that is not published yet.
    entries: Vec<ListChange>,
    places: HashMap<RoomId, usize>,
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
        let place = *self.places.entry(entry.group.row.id).or_insert(self.entries.len());
        match self.entries.get_mut(place) {
            Some(earlier) => earlier.then(entry),
            None => self.entries.push(entry),
        }
    }
}

impl Core {
    /// Notifies everyone of a change of the public list. Call it in the order of the group's changes.
    pub(super) fn rooms_changed(&self, group: &Group, change: Change, by: Option<&Arc<Connection>>) {
        let origin = by.map(|connection| Origin { connection: connection.id, written: None });
        self.public_list.changed.lock().add(ListChange { group: group.public(), change, origin });
        self.public_list.work.notify_one();
    }

    async fn tell_changes(&self) {
        let ListChanges { entries, .. } = std::mem::take(&mut *self.public_list.changed.lock());
        let events: Vec<Envelope> = entries
            .into_iter()
            .map(|ListChange { group, change, origin }| {
                Envelope::from(Event::RoomsChanged { group, change }, origin)
            })
            .collect();
        broadcast::notify_all(&self.hub.all(None), &events).await;
    }
}

/// Publishes changes until the server shuts down.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.public_list.work.notified() => {}
            () = core.shutdown.begun() => return,
        }
        core.tell_changes().await;
        tokio::select! {
            () = tokio::time::sleep(core.settings.limits.list_interval) => {}
            // Connected clients read the list again when they reconnect.
            () = core.shutdown.begun() => return core.tell_changes().await,
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
            roster_version: 1,
            created_at: chrono::DateTime::UNIX_EPOCH,
            active_at: chrono::DateTime::UNIX_EPOCH,
            deleted_at: None,
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
        let told: Vec<_> = changed
            .entries
            .iter()
            .map(|entry| (entry.group.row.name.as_deref().unwrap(), entry.change))
            .collect();
        assert_eq!(told, [("a2", Change::Created), ("b2", Change::Updated), ("c2", Change::Deleted)]);
    }
}
