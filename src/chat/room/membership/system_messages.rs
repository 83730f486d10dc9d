//! Messages of the server about changes of a group, for groups that want them. They are stored in the transaction of the
//! change, take a seq, and never count as unread. Memory then finds them as messages that another process has stored.

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, MessageId, UserId, member::Role, message, room, stored_message};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr};

use super::{Heir, MembershipChange, Written};
use crate::{
    chat::room::registry::people, error::Result, room_settings::RoomSettings, system_message::SystemMessage,
};

impl MembershipChange {
    /// Who makes the change.
    pub(super) fn by(&self) -> UserId {
        match self {
            Self::Join { user, .. } | Self::Leave { user, .. } | Self::AccountDeleted { user, .. } => *user,
            Self::Add { by, .. }
            | Self::Remove { by, .. }
            | Self::SetRole { by, .. }
            | Self::Set { by, .. }
            | Self::DeleteGroup { by } => *by,
        }
    }
}

/// Whether a room wants messages of the server.
fn wants(row: &room::Model) -> bool {
    row.kind == room::Kind::Group && RoomSettings::read(row.settings.as_deref()).system_messages
}

/// Tells what a change of a room has done, if the room wants that. Returns whether anything was told.
pub(super) async fn tell(
    tx: &DatabaseTransaction,
    row: &room::Model,
    by: UserId,
    written: &Written,
    now: DateTime<Utc>,
) -> Result<bool> {
    if !wants(row) {
        // Saves the names of those who have other roles now.
        return Ok(false);
    }
    store(tx, row, by, about(tx, by, written).await?, now).await
}

/// What is told of a change.
async fn about(tx: &DatabaseTransaction, by: UserId, written: &Written) -> Result<Vec<SystemMessage>> {
    let mut told = Vec::new();
    match written {
        Written::Added { users, .. } => match &users[..] {
            [(user, _)] if *user == by => told.push(SystemMessage::of("joined", Vec::new())),
            users => {
                let names = users.iter().map(|(_, person)| person.username.to_string()).collect();
                told.push(SystemMessage::of("added", names));
            }
        },
        Written::Removed { user, .. } if *user == by => told.push(SystemMessage::of("left", Vec::new())),
        Written::Removed { username, .. } => {
            told.push(SystemMessage::of("removed", vec![username.to_string()]));
        }
        Written::Nothing | Written::Roles(_) | Written::Settings(_) | Written::Deleted => {}
    }
    let mut roles: &[(UserId, Role)] = &[];
    let heir;
    match written {
        Written::Removed { heir: Heir::User(user), .. } => {
            heir = [(*user, Role::Owner)];
            roles = &heir;
        }
        Written::Roles(given) => roles = given,
        _ => {}
    }
    let names = people(tx, roles.iter().map(|(user, _)| *user).collect()).await?;
    let name = |user: &UserId| names.get(user).map(|person| person.username.to_string());
    let owner = roles.iter().find(|(_, role)| *role == Role::Owner);
    match owner {
        Some((user, _)) => told.push(SystemMessage::of("owner", name(user).into_iter().collect())),
        None => told.extend(roles.iter().map(|(user, role)| {
            let usernames = name(user).into_iter().collect();
            SystemMessage::of("role", usernames).with_role(role_name(*role))
        })),
    }
    Ok(told)
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

/// Stores messages of the server in a room whose row the transaction has locked, if the room wants them. Returns whether
/// any were stored.
pub(in crate::chat) async fn store(
    tx: &DatabaseTransaction,
    row: &room::Model,
    by: UserId,
    told: Vec<SystemMessage>,
    now: DateTime<Utc>,
) -> Result<bool> {
    if told.is_empty() || !wants(row) {
        return Ok(false);
    }
    let mut seq = row.last_seq;
    let mut rows = Vec::with_capacity(told.len());
    let mut ids = Vec::with_capacity(told.len());
    for message in &told {
        seq = seq.next();
        let id = MessageId::new();
        ids.push(id);
        let stored = message::Model {
            room_id: row.id,
            seq,
            id,
            sender_id: by,
            kind: message::Kind::System,
            content: message.content(),
            client_message_id: None,
            reply_to: None,
            created_at: now,
            edited_at: None,
            deleted_at: None,
            change: ChangeNumber::ZERO,
            marks: None,
            extras: None,
        };
        rows.push(stored.into_active_model());
    }
    message::Entity::insert_many(rows).exec_without_returning(tx).await?;
    stored_message::Entity::update_many()
        .col_expr(stored_message::Column::Aside, Expr::value(1))
        .filter(stored_message::COLUMN.id.is_in(ids))
        .exec(tx)
        .await?;
    room::Entity::update_many()
        .col_expr(room::Column::LastSeq, Expr::value(seq.0))
        .col_expr(room::Column::ActiveAt, Expr::value(now))
        .filter(room::COLUMN.id.eq(row.id))
        .exec(tx)
        .await?;
    Ok(true)
}
