//! Which rooms a user's socket has joined, on a wire where a socket hears only the rooms that it joins
//! and whose clients do not join again when they come back: they do not know that the server was
//! restarted meanwhile.

use entity::{RoomId, member};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, UpdateMany, sea_query::Expr};

use super::{Chat, caller::Caller};
use crate::error::Result;

impl Chat {
    /// Takes note that the caller's socket has joined a room that the caller is in.
    pub async fn note_joined(&self, caller: &Caller, room: RoomId) -> Result<()> {
        let one = of(caller).filter(member::COLUMN.room_id.eq(room));
        one.col_expr(member::Column::Listening, Expr::value(true))
            .exec(&*self.core.db.writer().await?)
            .await?;
        Ok(())
    }

    /// The rooms that were noted, as far as the caller is still in them.
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
