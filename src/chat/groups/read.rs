//! The models of groups: rows, and what the core knows beyond them.

use std::collections::HashMap;

use entity::{RoomId, member, room, user};
use sea_orm::{ColumnTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait, sea_query::Expr};

use crate::{
    chat::{
        Core,
        model::Group,
        profiles,
        room::{
            Room,
            registry::{LISTED, people},
        },
    },
    error::{Entity, Error, Result},
    identity::Person,
};

impl Group {
    /// A group as everyone sees it, with what memory knows of its members.
    pub(in crate::chat) fn in_memory(row: room::Model, room: &Room) -> Self {
        let owner = row.owner_id.and_then(|owner| room.person(owner)).unwrap_or_else(Person::nobody);
        Self { owner, member_count: room.member_count() as u64, users: None, row }
    }
}

impl Core {
    /// A group as its members see it.
    pub(in crate::chat) async fn read_group(&self, row: room::Model) -> Result<Group> {
        let users = user::live()
            .join(JoinType::InnerJoin, user::Relation::Member.def())
            .filter(member::COLUMN.room_id.eq(row.id))
            .order_by_asc(member::COLUMN.joined_at)
            .order_by_asc(user::COLUMN.username_key)
            .limit(Group::USERS as u64);
        let users = profiles::small_only(users).all(self.db.reader()).await?;
        let users = users.into_iter().map(|row| self.to_user(row)).collect();
        let group = self.read_groups(vec![row]).await?.pop().ok_or(Error::NotFound(Entity::Group))?;
        Ok(Group { users: Some(users), ..group })
    }

    /// A group after a change that is stored. The answer must not be an error any more, so what cannot be
    /// read is left out.
    pub(in crate::chat) async fn group_as_stored(&self, row: room::Model, room: &Room) -> Group {
        match self.read_group(row.clone()).await {
            Ok(group) => group,
            Err(err) => {
                tracing::warn!(error = ?err, room.id = %row.id, "answered without the members");
                Group::in_memory(row, room)
            }
        }
    }

    /// Groups as everyone sees them.
    pub(in crate::chat) async fn read_groups(&self, rows: Vec<room::Model>) -> Result<Vec<Group>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let owners = people(self.db.reader(), rows.iter().filter_map(|row| row.owner_id).collect()).await?;
        let mut counts: HashMap<RoomId, i64> = HashMap::with_capacity(rows.len());
        for part in rows.chunks(LISTED) {
            let part: Vec<(RoomId, i64)> = member::of_rooms(part.iter().map(|row| row.id))
                .select_only()
                .column(member::Column::RoomId)
                .column_as(Expr::cust("COUNT(*)"), "count")
                .group_by(member::Column::RoomId)
                .into_tuple()
                .all(self.db.reader())
                .await?;
            counts.extend(part);
        }
        let model = |row: room::Model| Group {
            owner: row.owner_id.and_then(|owner| owners.get(&owner).cloned()).unwrap_or_else(Person::nobody),
            member_count: counts.get(&row.id).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0),
            users: None,
            row,
        };
        Ok(rows.into_iter().map(model).collect())
    }
}
