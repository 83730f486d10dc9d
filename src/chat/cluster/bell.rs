//! The bell: PostgreSQL's notifications tell the other nodes *where* to look, at once. What there is to see stands in the
//! database alone. So a notification that is lost, comes twice or comes late changes nothing but the time: every node
//! looks at intervals anyway.
//!
//! Notifications are sent in statements of their own, after the commits that they are about. In the transaction of a
//! commit they would take a lock that all commits wait for. One statement is under way at a time; what is rung meanwhile
//! goes with the next.
//!
//! A node rings for itself, too, with each look. If it does not hear itself for [`DEAF`], its bell is broken, however
//! healthy the connection seems: it connects again, and looks more often until then.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use entity::RoomId;
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{sql, typing::TypingNews};
use crate::{chat::Core, db::Listener, error::Result, metrics};

/// How long a node that is not alone may not hear itself.
const DEAF: Duration = Duration::from_secs(3);
/// The pause before the next attempt to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// The most items of one payload. PostgreSQL takes less than 8,000 bytes.
const ITEMS: usize = 100;
/// Which form the payload has. Others are not understood, and only say that there is something to look at.
const FORM: &str = "1";
const NOTICES: &str = "*";
const PRESENCES: &str = "+";

/// What the bell is rung for. At most the rooms in memory of all nodes, and a bounded number of users who type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rung {
    /// Something was stored in these rooms.
    pub rooms: BTreeSet<RoomId>,
    /// There are notices.
    pub notices: bool,
    /// Users have come or gone.
    pub presences: bool,
    pub typing: TypingNews,
}

/// See the module.
#[derive(Default)]
pub(super) struct Bell {
    /// What this node has not rung for yet.
    outgoing: Mutex<Rung>,
    out: Notify,
    /// What other nodes have rung for, and what was not looked at yet.
    heard: Mutex<Rung>,
    pub news: Notify,
    /// When this node has heard itself last.
    heard_itself: Mutex<Option<Instant>>,
}

impl Rung {
    fn add(&mut self, other: Self) {
        self.rooms.extend(other.rooms);
        self.notices |= other.notices;
        self.presences |= other.presences;
        self.typing.add(other.typing);
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As payloads, at least one.
    fn payloads(&self, node: Uuid) -> Vec<String> {
        let mut items: Vec<String> = self.rooms.iter().map(|room| room.0.simple().to_string()).collect();
        items.extend(self.notices.then(|| NOTICES.to_owned()));
        items.extend(self.presences.then(|| PRESENCES.to_owned()));
        items.extend(self.typing.items());
        let payload = |items: &[String]| format!("{FORM} {} {}", node.simple(), items.join(","));
        if items.is_empty() { vec![payload(&[])] } else { items.chunks(ITEMS).map(payload).collect() }
    }

    /// The node that rang, if that is known, and what for.
    fn read(payload: &str) -> (Option<Uuid>, Self) {
        let everything = Self { notices: true, presences: true, ..Self::default() };
        let mut parts = payload.splitn(3, ' ');
        let (Some(FORM), Some(node), Some(items)) = (parts.next(), parts.next(), parts.next()) else {
            return (None, everything);
        };
        let rooms = items.split(',').filter_map(|item| Uuid::try_parse(item).ok()).map(RoomId).collect();
        let has = |mark| items.split(',').any(|item| item == mark);
        let typing = TypingNews::read(items.split(','));
        (Uuid::try_parse(node).ok(), Self { rooms, notices: has(NOTICES), presences: has(PRESENCES), typing })
    }
}

impl Bell {
    /// Rings for this soon; for nothing, so that this node hears itself.
    pub fn ring(&self, rung: Rung) {
        self.outgoing.lock().add(rung);
        self.out.notify_one();
    }

    /// What others have rung for since the last call.
    pub fn take_heard(&self) -> Rung {
        std::mem::take(&mut *self.heard.lock())
    }

    /// Whether this node has heard itself lately.
    pub fn works(&self) -> bool {
        self.heard_itself.lock().is_some_and(|at| at.elapsed() < DEAF)
    }

    fn hears(&self, own: Uuid, payload: &str) {
        let (node, rung) = Rung::read(payload);
        if node == Some(own) {
            *self.heard_itself.lock() = Some(Instant::now());
        } else if !rung.is_empty() {
            metrics::RUNG.one();
            self.heard.lock().add(rung);
            self.news.notify_one();
        }
    }
}

/// Sends the notifications of this node, until the server closes its connections.
pub(super) async fn send(core: Arc<Core>, channel: String) {
    let bell = &core.cluster.bell;
    loop {
        tokio::select! {
            () = bell.out.notified() => {}
            () = core.shutdown.closing() => return,
        }
        let rung = std::mem::take(&mut *bell.outgoing.lock());
        if let Err(err) = send_now(&core, &channel, &rung).await {
            // The others find it when they look.
            tracing::debug!(error = ?err, "could not ring for the other nodes");
        }
    }
}

async fn send_now(core: &Core, channel: &str, rung: &Rung) -> Result<()> {
    let values = [channel.into(), rung.payloads(core.cluster.id).into()];
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::RING, values);
    core.db.writer().await?.execute_raw(asked).await?;
    Ok(())
}

/// Listens while other nodes are alive, until the server shuts down.
pub(super) async fn listen(core: Arc<Core>, channel: String) {
    let mut has_failed = false;
    while !core.shutdown.has_begun() {
        if core.cluster.is_shared() {
            let lost = tokio::select! {
                lost = listen_once(&core, &channel) => lost,
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
async fn listen_once(core: &Arc<Core>, channel: &str) -> Result<(), sea_orm::DbErr> {
    let mut listener: Listener = core.db.listen(channel, core.settings.cluster.listens_at()).await?;
    let bell = &core.cluster.bell;
    // What was rung before was not heard.
    bell.heard.lock().add(Rung { notices: true, presences: true, ..Rung::default() });
    bell.news.notify_one();
    while core.cluster.is_shared() {
        match tokio::time::timeout(DEAF, listener.next()).await {
            Ok(payload) => bell.hears(core.cluster.id, &payload?),
            Err(_) => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use entity::UserId;

    use super::*;
    use crate::chat::connections::options::TypingPlace;

    #[test]
    fn what_is_rung_for_arrives_in_payloads_that_postgresql_takes() {
        let rooms: BTreeSet<RoomId> = (0..450).map(|_| RoomId::new()).collect();
        let mut typing = TypingNews::default();
        for _ in 0..150 {
            typing.add(TypingNews::of(UserId::new(), &TypingPlace::Group(RoomId::new()), true));
        }
        let (node, rung) = (Uuid::now_v7(), Rung { rooms, notices: true, presences: true, typing });
        let payloads = rung.payloads(node);
        assert!(payloads.len() == 7 && payloads.iter().all(|payload| payload.len() < 7_500));
        let mut heard = Rung::default();
        for payload in &payloads {
            let (from, rung) = Rung::read(payload);
            assert_eq!(from, Some(node));
            heard.add(rung);
        }
        assert_eq!(heard, rung);
    }

    #[test]
    fn a_bell_works_while_it_hears_itself_and_does_not_look_for_that() {
        let (bell, own) = (Bell::default(), Uuid::now_v7());
        assert!(!bell.works());
        let beat = Rung::default().payloads(own);
        bell.hears(own, &beat[0]);
        assert!(bell.works() && bell.take_heard().is_empty());
    }

    #[test]
    fn what_a_later_version_rings_for_is_looked_at() {
        let (node, rung) = Rung::read("2 {\"something\": \"else\"}");
        assert_eq!((node, rung), (None, Rung { notices: true, presences: true, ..Rung::default() }));
    }
}
