//! Takes deleted replies out of the summary of their thread.

use entity::{RoomId, Seq, UserId, thread};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, Statement,
};

use crate::{
    chat::{room::registry::people, sql::threads},
    error::Result,
    values::json_list,
};

/// Counts the replies of a thread again, after one was deleted in this transaction.
pub(in crate::chat) async fn forget_reply(tx: &DatabaseTransaction, room: RoomId, root: Seq) -> Result<()> {
    let asked = |text| {
        let values = [room.0.into(), root.0.into()];
        Statement::from_sql_and_values(tx.get_database_backend(), text, values)
    };
    let Some(counted) = tx.query_one_raw(asked(threads::REPLIES)).await? else { return Ok(()) };
    let (replies, last): (i64, Option<i64>) = (counted.try_get_by_index(0)?, counted.try_get_by_index(1)?);
    let mut first: Vec<UserId> = Vec::new();
    for row in tx.query_all_raw(asked(threads::FIRST_USERS)).await? {
        first.push(row.try_get_by_index(0)?);
    }
    let names = people(tx, first.iter().copied().collect()).await?;
    let users: Vec<String> =
        first.iter().filter_map(|user| Some(names.get(user)?.username.to_string())).collect();
    let row = thread::Model {
        room_id: room,
        root_seq: root,
        replies,
        last_seq: last.map_or(root, Seq),
        users: json_list(&users),
    };
    thread::Entity::update(row.into_active_model().reset_all()).exec(tx).await?;
    Ok(())
}
