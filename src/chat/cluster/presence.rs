//! Who is online at the other nodes, and with how many connections.
//!
//! Each node writes its own users to the table `presences`, and only those that have changed since the last look.
//! Every write has the next *version*, which the node's beat then names. The others read what is newer than the version
//! that they know; if they have missed much, or the node has written everything again, they read all of its rows. So a
//! look that fails is made up for by the next one, and no message between nodes has to arrive.
//!
//! When a node no longer beats, its users have gone, after the grace in which they may come back at another node.
//!
//! `limits.connections_per_user` holds for all nodes together, [`CROWDED`] later: until then a node that was killed no longer
//! counts, whose clients have come back here. The node where a user has the most connections closes what is too many, so exactly one
//! node does. It never closes the last one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use entity::UserId;
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use super::{Node, sql};
use crate::{chat::Core, error::Result};

/// How long a user may have too many connections at all nodes together.
const CROWDED: Duration = Duration::from_secs(4);
/// Rows of users who have gone are kept for this many versions. Who has missed more reads everything.
const KEPT: i64 = 100;
/// The step of the version when a node writes everything again: the others have then missed more than [`KEPT`].
const AGAIN: i64 = 1_000;

/// See the module.
#[derive(Default)]
pub(in crate::chat) struct Elsewhere {
    own: Mutex<OwnUsers>,
    others: Mutex<Others>,
}

/// What this node has to write of the users who are connected to it.
#[derive(Default)]
struct OwnUsers {
    version: i64,
    /// Users who have come or gone, or have another number of connections, since the last write. None while nobody reads
    /// it.
    changed: Option<HashSet<UserId>>,
}

#[derive(Default)]
struct Others {
    nodes: HashMap<Uuid, UsersOf>,
    /// The users of nodes that are gone, each with the end of the grace.
    leaving: HashMap<UserId, Instant>,
    /// The nodes that have beaten a moment ago. Only their connections count.
    fresh: HashSet<Uuid>,
    /// Users who have got more connections lately, each since when.
    crowded: HashMap<UserId, Instant>,
}

/// The users of another node.
#[derive(Default)]
struct UsersOf {
    version: i64,
    /// Each with the number of connections.
    users: HashMap<UserId, u32>,
}

/// A user, as a node has written it.
#[derive(Clone, Copy, Debug)]
struct WrittenUser {
    user: UserId,
    online: bool,
    connections: u32,
}

/// Users whose standing at the other nodes has changed.
#[derive(Default)]
struct ComeAndGone {
    came: Vec<UserId>,
    went: Vec<UserId>,
    /// Those who have more connections than before.
    grown: Vec<UserId>,
}

impl Elsewhere {
    pub fn is_online(&self, user: UserId) -> bool {
        self.others.lock().is_online(user)
    }

    /// The number of users of all other nodes. Who is at two of them counts twice.
    pub fn count(&self) -> usize {
        self.others.lock().nodes.values().map(|node| node.users.len()).sum()
    }

    /// A user of this node has come online, or gone, or has another number of connections.
    pub fn note(&self, user: UserId) {
        if let Some(changed) = &mut self.own.lock().changed {
            changed.insert(user);
        }
    }

    /// A user has more connections than before, here or elsewhere.
    pub fn has_grown(&self, user: UserId) {
        let mut others = self.others.lock();
        if others.nodes.values().any(|of| of.users.contains_key(&user)) {
            others.crowded.entry(user).or_insert_with(Instant::now);
        }
    }

    /// How many of a user's connections at node `own`, which has `here` of them, are too many.
    pub(super) fn surplus(&self, own: Uuid, user: UserId, here: usize, limit: usize) -> usize {
        self.others.lock().surplus(own, user, here, limit)
    }

    /// The version that the beat names.
    pub(super) fn version(&self) -> i64 {
        self.own.lock().version
    }

    /// Nobody reads what this node writes any more, or what it has written is lost: the next write is of everything.
    pub(super) fn alone(&self) {
        self.own.lock().changed = None;
    }
}

impl Others {
    fn is_online(&self, user: UserId) -> bool {
        self.leaving.contains_key(&user) || self.nodes.values().any(|node| node.users.contains_key(&user))
    }

    /// Forgets the nodes that are not alive.
    fn keep(&mut self, alive: &[Node], until: Instant) {
        self.fresh = alive.iter().filter(|node| node.is_fresh).map(|node| node.id).collect();
        let gone: Vec<Uuid> =
            self.nodes.keys().filter(|id| alive.iter().all(|node| node.id != **id)).copied().collect();
        for users in gone.into_iter().filter_map(|id| self.nodes.remove(&id)) {
            self.leaving.extend(users.users.into_keys().map(|user| (user, until)));
        }
    }

    fn surplus(&self, own: Uuid, user: UserId, here: usize, limit: usize) -> usize {
        let there: Vec<(Uuid, usize)> = self
            .nodes
            .iter()
            .filter(|(node, _)| self.fresh.contains(node))
            .filter_map(|(node, of)| Some((*node, usize::try_from(*of.users.get(&user)?).ok()?)))
            .collect();
        let all = here + there.iter().map(|(_, count)| count).sum::<usize>();
        let has_most = there.iter().all(|(node, count)| (here, own) > (*count, *node));
        if has_most { all.saturating_sub(limit).min(here.saturating_sub(1)) } else { 0 }
    }

    /// Takes over what was read of a node.
    fn take(&mut self, node: Node, is_all: bool, rows: &[WrittenUser]) -> ComeAndGone {
        let known = self.nodes.entry(node.id).or_default();
        known.version = node.presence;
        let before = if is_all { std::mem::take(&mut known.users) } else { HashMap::new() };
        let (mut came, mut went, mut grown) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let count = |users: &HashMap<UserId, u32>| users.get(&row.user).copied();
            let old = count(&before).or(count(&known.users));
            if row.online {
                known.users.insert(row.user, row.connections);
                if old.is_none() {
                    came.push(row.user);
                }
                if old.is_none_or(|old| old < row.connections) {
                    grown.push(row.user);
                }
            } else if known.users.remove(&row.user).is_some() {
                went.push(row.user);
            }
        }
        went.extend(before.keys().filter(|user| !known.users.contains_key(user)));
        let mut moved = ComeAndGone { grown, ..ComeAndGone::default() };
        for user in came {
            let was_leaving = self.leaving.remove(&user).is_some();
            let at_another = self.nodes.iter().any(|(id, of)| *id != node.id && of.users.contains_key(&user));
            if !was_leaving && !at_another {
                moved.came.push(user);
            }
        }
        moved.went.extend(went.into_iter().filter(|user| !self.is_online(*user)));
        moved
    }

    /// The users whose grace is over, and who are at no other node.
    fn left(&mut self, now: Instant) -> Vec<UserId> {
        let over: Vec<UserId> =
            self.leaving.extract_if(|_, until| *until <= now).map(|(user, _)| user).collect();
        over.into_iter().filter(|user| !self.is_online(*user)).collect()
    }
}

/// Writes what has changed here. Returns whether that was anything.
pub(super) async fn write(core: &Core) -> Result<bool> {
    let elsewhere = &core.cluster.elsewhere;
    let (version, changed) = {
        let mut own = elsewhere.own.lock();
        let writes_all = own.changed.is_none();
        let changed = own.changed.replace(HashSet::new()).unwrap_or_default();
        let step = if writes_all { AGAIN } else { 1 };
        (own.version + step, if writes_all { None } else { Some(changed) })
    };
    let writes_all = changed.is_none();
    // Whoever comes from now on is noted as changed, too.
    let changed = changed.unwrap_or_else(|| core.hub.online().into_iter().collect());
    if changed.is_empty() && !writes_all {
        return Ok(false);
    }
    let written = write_rows(core, version, writes_all, &changed).await;
    let mut own = elsewhere.own.lock();
    match written {
        Ok(()) => own.version = version,
        Err(err) => {
            // The next look writes everything.
            own.changed = None;
            return Err(err);
        }
    }
    Ok(true)
}

async fn write_rows(core: &Core, version: i64, writes_all: bool, changed: &HashSet<UserId>) -> Result<()> {
    // As they stand now, which may be newer than the note.
    let users: Vec<Uuid> = changed.iter().map(|user| user.0).collect();
    let online: Vec<bool> = changed.iter().map(|user| core.hub.is_online(*user)).collect();
    let count = |user: &UserId| i32::try_from(core.hub.count_of(*user)).unwrap_or(i32::MAX);
    let connections: Vec<i32> = changed.iter().map(count).collect();
    // All older rows go, or those that nobody needs any more.
    let before = if writes_all { version } else { version - KEPT };
    let id = core.cluster.id;
    let tx = core.db.begin().await?;
    let values = [id.into(), writes_all.into(), before.into()];
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql::FORGET_PRESENCES, values))
        .await?;
    let values = [id.into(), users.into(), online.into(), version.into(), connections.into()];
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql::WRITE_PRESENCES, values)).await?;
    tx.commit().await?;
    Ok(())
}

/// Reads what the other nodes have written, and tells the connections here.
pub(super) async fn follow(core: &Arc<Core>, alive: &[Node]) -> Result<()> {
    let elsewhere = &core.cluster.elsewhere;
    let now = Instant::now();
    elsewhere.others.lock().keep(alive, now + core.settings.presence.grace);
    for node in alive {
        let known = elsewhere.others.lock().nodes.get(&node.id).map(|of| of.version);
        if known == Some(node.presence) {
            continue;
        }
        let is_all = known.is_none_or(|known| known > node.presence || node.presence - known > KEPT);
        let rows = read(core, node.id, if is_all { 0 } else { known.unwrap_or(0) }).await?;
        let moved = elsewhere.others.lock().take(*node, is_all, &rows);
        core.came_or_went_elsewhere(moved.came, true).await?;
        core.came_or_went_elsewhere(moved.went, false).await?;
        moved.grown.into_iter().filter(|user| core.hub.has(*user)).for_each(|user| elsewhere.has_grown(user));
    }
    let due: Vec<UserId> = {
        let crowded = &mut elsewhere.others.lock().crowded;
        crowded.extract_if(|_, since| now - *since >= CROWDED).map(|(user, _)| user).collect()
    };
    due.into_iter().for_each(|user| core.displace_crowded(user));
    let left = elsewhere.others.lock().left(now);
    core.came_or_went_elsewhere(left, false).await
}

async fn read(core: &Core, node: Uuid, after: i64) -> Result<Vec<WrittenUser>> {
    let asked =
        Statement::from_sql_and_values(DbBackend::Postgres, sql::READ_PRESENCES, [node.into(), after.into()]);
    let rows = core.db.reader().query_all_raw(asked).await?;
    let row = |row: &sea_orm::QueryResult| {
        let connections: i32 = row.try_get_by_index(2)?;
        Ok(WrittenUser {
            user: row.try_get_by_index(0)?,
            online: row.try_get_by_index(1)?,
            connections: u32::try_from(connections).unwrap_or(0),
        })
    };
    rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written((user, online): (UserId, bool)) -> WrittenUser {
        WrittenUser { user, online, connections: 1 }
    }

    fn node(presence: i64) -> Node {
        Node { id: Uuid::nil(), presence, is_fresh: true }
    }

    #[test]
    fn who_is_at_two_nodes_is_online_until_the_last_one_says_otherwise() {
        let (ada, mut others) = (UserId::new(), Others::default());
        let second = Node { id: Uuid::max(), presence: 1, is_fresh: true };
        assert_eq!(others.take(node(1), true, &[(ada, true)].map(written)).came, [ada]);
        assert_eq!(others.take(second, true, &[(ada, true)].map(written)).came, []);
        assert_eq!(others.take(node(2), false, &[(ada, false)].map(written)).went, []);
        assert!(others.is_online(ada));
        assert_eq!(others.take(second, false, &[(ada, false)].map(written)).went, [ada]);
        assert!(!others.is_online(ada));
    }

    #[test]
    fn what_is_read_again_as_a_whole_replaces_what_was_known() {
        let (ada, bob, mut others) = (UserId::new(), UserId::new(), Others::default());
        others.take(node(1), true, &[(ada, true)].map(written));
        let moved = others.take(node(2), true, &[(bob, true), (ada, false)].map(written));
        assert_eq!((moved.came, moved.went), (vec![bob], vec![ada]));
    }

    #[test]
    fn users_of_a_node_that_is_gone_have_a_moment_to_come_back_elsewhere() {
        let (ada, bob, mut others) = (UserId::new(), UserId::new(), Others::default());
        let (now, grace) = (Instant::now(), Duration::from_secs(3));
        others.take(node(1), true, &[(ada, true), (bob, true)].map(written));
        others.keep(&[], now + grace);
        assert!(others.is_online(ada) && others.left(now).is_empty());
        let second = Node { id: Uuid::max(), presence: 1, is_fresh: true };
        assert_eq!(
            others.take(second, true, &[(ada, true)].map(written)).came,
            [],
            "nobody was told that she had gone"
        );
        assert_eq!(others.left(now + grace), [bob]);
        assert!(others.is_online(ada) && !others.is_online(bob));
    }

    #[test]
    fn the_node_with_the_most_connections_of_a_user_closes_what_is_too_many_and_no_other() {
        let (ada, bob, mut others) = (UserId::new(), UserId::new(), Others::default());
        let own = Uuid::from_u128(5);
        for (id, connections) in [(1, 7), (9, 6)] {
            let there = Node { id: Uuid::from_u128(id), presence: 1, is_fresh: true };
            others.fresh.insert(there.id);
            let moved = others.take(there, true, &[WrittenUser { user: ada, online: true, connections }]);
            assert_eq!(moved.grown, [ada]);
        }
        assert_eq!(others.surplus(own, ada, 8, 20), 1);
        assert_eq!(others.surplus(own, ada, 7, 19), 1, "as many as at a node with a lower id");
        assert_eq!(others.surplus(own, ada, 6, 10), 0);
        assert_eq!(others.surplus(own, ada, 8, 1), 7, "the last one stays");
        assert_eq!(others.surplus(own, ada, 1, 10), 0, "another node makes room");
        assert_eq!(others.surplus(own, bob, 3, 10), 0);
        let there = Node { id: Uuid::from_u128(1), presence: 2, is_fresh: true };
        let fewer = WrittenUser { user: ada, online: true, connections: 2 };
        assert_eq!(others.take(there, false, &[fewer]).grown, []);
        assert_eq!(others.surplus(own, ada, 8, 20), 0);
        others.fresh.clear();
        assert_eq!(others.surplus(own, ada, 12, 5), 7, "a node that may be gone does not count");
    }
}
