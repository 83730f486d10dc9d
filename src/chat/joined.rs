//! The rooms that a client has joined, for dialects in which a client receives only the rooms that it joins.
//! Their clients do not join again after they reconnect. So the server recognises a client that returns, also
//! after a restart.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

use chrono::TimeDelta;
use entity::{RoomId, joined_room, member};
use parking_lot::Mutex;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::{Chat, Core};
use crate::{error::Result, identity::Caller};

/// The most joined rooms that are kept of one user, over all clients. The oldest are forgotten first.
const MOST: u64 = 1_000;
/// What a client has joined is noted again when it returns after this time, so that it stays long enough.
const NOTED_AGAIN_AFTER: TimeDelta = TimeDelta::days(1);
/// How long the rooms of a client that does not return are kept.
pub const KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// Identifies one client object of a front end, before and after it has reconnected.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey([u8; 32]);

impl ClientKey {
    /// The key that belongs to a secret, which only the client and the server know.
    pub fn of_secret(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey")
    }
}

/// Clients that have left on purpose, and whose rooms are being forgotten.
#[derive(Default)]
pub(super) struct LeavingClients {
    /// The number of tasks that forget the rooms of a client.
    clients: Mutex<HashMap<ClientKey, usize>>,
    forgotten: Notify,
}

impl LeavingClients {
    /// Waits until what this client has joined before it left is forgotten.
    async fn wait_for(&self, client: ClientKey) {
        loop {
            let forgotten = self.forgotten.notified();
            if !self.clients.lock().contains_key(&client) {
                return;
            }
            forgotten.await;
        }
    }
}

/// Ends the waiting for a client, also if its task is dropped.
struct LeavingClient {
    core: Arc<Core>,
    client: ClientKey,
}

impl Drop for LeavingClient {
    fn drop(&mut self) {
        let leaving = &self.core.leaving_clients;
        if let Entry::Occupied(mut tasks) = leaving.clients.lock().entry(self.client) {
            *tasks.get_mut() -= 1;
            if *tasks.get() == 0 {
                tasks.remove();
            }
        }
        leaving.forgotten.notify_waiters();
    }
}

impl Chat {
    /// Notes that a client of the caller has joined a room.
    pub async fn note_joined(&self, caller: &Caller, client: ClientKey, room: RoomId) -> Result<()> {
        let row = joined_room::ActiveModel {
            client: Set(client.0.to_vec()),
            room_id: Set(room),
            user_id: Set(caller.user),
            noted_at: Set(self.core.clock.now()),
        };
        let again = OnConflict::columns([joined_room::Column::Client, joined_room::Column::RoomId])
            .update_column(joined_room::Column::NotedAt)
            .to_owned();
        let transaction = self.core.db.begin().await?;
        joined_room::Entity::insert(row).on_conflict(again).exec_without_returning(&*transaction).await?;
        let oldest = joined_room::newest_after(caller.user, MOST).one(&*transaction).await?;
        if let Some(oldest) = oldest {
            joined_room::Entity::delete_many()
                .filter(joined_room::COLUMN.user_id.eq(caller.user))
                .filter(joined_room::COLUMN.noted_at.lte(oldest.noted_at))
                .exec(&*transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The rooms that this client of the caller had joined, and that the caller is still a member of.
    pub async fn joined_before(&self, caller: &Caller, client: ClientKey) -> Result<Vec<RoomId>> {
        // It may have left a moment ago.
        self.core.leaving_clients.wait_for(client).await;
        let rows = joined_room::of_client(&client.0, caller.user).all(self.core.db.reader()).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.core.clock.now();
        if rows.iter().any(|row| row.noted_at < now - NOTED_AGAIN_AFTER) {
            joined_room::Entity::update_many()
                .filter(joined_room::COLUMN.client.eq(client.0.to_vec()))
                .col_expr(joined_room::Column::NotedAt, Expr::value(now))
                .exec(&*self.core.db.writer().await?)
                .await?;
        }
        let rooms = member::of_user(caller.user)
            .filter(member::COLUMN.room_id.is_in(rows.iter().map(|row| row.room_id)))
            .select_only()
            .column(member::Column::RoomId)
            .into_tuple()
            .all(self.core.db.reader())
            .await?;
        Ok(rooms)
    }

    /// Forgets what a client has joined: it has left on purpose. Does not wait for the database; the client does if it
    /// returns at once.
    pub fn forget_joined(&self, client: ClientKey) {
        *self.core.leaving_clients.clients.lock().entry(client).or_default() += 1;
        let leaving = LeavingClient { core: self.core.clone(), client };
        self.core.shutdown.spawn(async move {
            let forgotten = async {
                joined_room::Entity::delete_many()
                    .filter(joined_room::COLUMN.client.eq(client.0.to_vec()))
                    .exec(&*leaving.core.db.writer().await?)
                    .await?;
                Ok(())
            };
            let forgotten: Result<()> = forgotten.await;
            if let Err(err) = forgotten {
                tracing::warn!(error = ?err, "could not forget the joined rooms of a client");
            }
        });
    }
}
