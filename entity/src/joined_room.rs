//! A room that a client has joined, for dialects in which a client receives only the rooms that it joins.

use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};

use crate::ids::{RoomId, UserId};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "joined_rooms")]
pub struct Model {
    /// SHA-256 of the secret by which the client is recognised when it returns.
    #[sea_orm(primary_key, auto_increment = false)]
    pub client: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    pub user_id: UserId,
    /// When the client joined the room, or returned to it about a day after that.
    pub noted_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "room_id", to = "id")]
    pub room: BelongsTo<super::room::Entity>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What this client of this user has joined.
pub fn of_client(client: &[u8], user: UserId) -> Select<Entity> {
    Entity::find().filter(COLUMN.client.eq(client)).filter(COLUMN.user_id.eq(user))
}

/// The newest row of a user after this many newer ones.
pub fn newest_after(user: UserId, newer: u64) -> Select<Entity> {
    Entity::find().filter(COLUMN.user_id.eq(user)).order_by_desc(COLUMN.noted_at).offset(newer).limit(1)
}
