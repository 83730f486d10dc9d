//! A login. Every token belongs to a session, and is invalid once the session has ended.

use sea_orm::{entity::prelude::*, sea_query::Expr};

use crate::{
    ids::{SessionId, UserId},
    notice,
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    pub created_at: DateTimeUtc,
    /// The latest expiry of any of its tokens. After it the row can be deleted.
    pub expires_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
    /// When it was last used, saved now and then. None for sessions of an earlier version.
    pub last_used_at: Option<DateTimeUtc>,
    /// The address where it was last used.
    pub address: Option<String>,
    /// The program that opened it, as it names itself.
    pub client: Option<String>,
    /// Whether the account's password opened it.
    pub by_password: bool,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The sessions of a user that have not been ended.
pub fn open_of(user: UserId) -> Select<Entity> {
    Entity::find().filter(COLUMN.user_id.eq(user)).filter(COLUMN.revoked_at.is_null())
}

/// The sessions of a user that can be used now.
pub fn live_of(user: UserId, now: DateTimeUtc) -> Select<Entity> {
    open_of(user).filter(COLUMN.expires_at.gt(now))
}

/// Ends the sessions of a user that have not been ended, except `spare`, and notes it for the other nodes. Call it in a
/// transaction.
pub async fn revoke_all(
    tx: &impl ConnectionTrait,
    user: UserId,
    spare: Option<SessionId>,
    now: DateTimeUtc,
) -> Result<(), DbErr> {
    let all = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now))
        .filter(COLUMN.user_id.eq(user))
        .filter(COLUMN.revoked_at.is_null());
    let all = match spare {
        Some(spare) => all.filter(COLUMN.id.ne(spare)),
        None => all,
    };
    all.exec(tx).await?;
    notice::tell(tx, [notice::of_user(notice::Kind::LoginsEnded, user, None)]).await
}
