//! The rooms that a user's socket has joined, for dialects in which a socket receives only the rooms that it
//! joins. Their clients do not join again after they reconnect, because they do not know that the server was
//! restarted.

use entity::{RoomId, member};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, UpdateMany, sea_query::Expr};

use super::Chat;
use crate::error::Result;
use crate::identity::Caller;

impl Chat {
    /// Notes that the caller's socket has joined a room that the caller is a member of.
    pub async fn note_joined(&self, caller: &Caller, room: RoomId) -> Result<()> {
        let one = of(caller).filter(member::COLUMN.room_id.eq(room));
        one.col_expr(member::Column::Listening, Expr::value(true))
            .exec(&*self.core.db.writer().await?)
            .await?;
        Ok(())
    }

    /// The noted rooms that the caller is still a member of.
    pub async fn noted_as_joined(&self, caller: &Caller) -> Result<Vec<RoomId>> {
        let rooms = member::of_user(caller.user)
            .filter(member::COLUMN.listening.eq(true))
            .select_only()
            .column(member::Column::RoomId)
            .into_tuple()
            .all(self.core.db.reader())
            .await?;
        Ok(rooms)
    }

    /// Forgets what was noted.
    pub async fn forget_joined(&self, caller: &Caller) -> Result<()> {
        let all = of(caller).filter(member::COLUMN.listening.eq(true));
        all.col_expr(member::Column::Listening, Expr::value(false))
            .exec(&*self.core.db.writer().await?)
            .await?;
        Ok(())
    }
}

fn of(caller: &Caller) -> UpdateMany<member::Entity> {
    member::Entity::update_many().filter(member::COLUMN.user_id.eq(caller.user))
}
