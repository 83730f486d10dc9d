//! The list of groups, and the list of a room's members.

use std::collections::HashMap;

use entity::{RoomId, UserId, member, room, user};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait};

use crate::{
    chat::{
        Chat, Core, by_name,
        model::{After, Group, Member, Page},
        profiles,
    },
    error::{Error, Result},
    identity::Caller,
};

/// The part of the list of groups.
#[derive(Debug, Default)]
pub struct ListGroups {
    /// Part of a name.
    pub search: Option<String>,
    pub limit: Option<u64>,
    pub after: Option<After<RoomId>>,
}

impl Chat {
    /// The groups that can be joined, in the order of their names, part by part.
    pub async fn groups(&self, _caller: &Caller, list: ListGroups) -> Result<Page<Group>> {
        let core = &self.core;
        let after = core.group_key(list.after).await?;
        let groups = room::live().filter(room::COLUMN.kind.eq(room::Kind::Group));
        let groups = by_name::search(groups, room::Column::NameKey, list.search.as_deref());
        let Some(groups) = groups else { return Ok(Page::empty()) };
        let key = |group: &room::Model| group.name_key.clone();
        let Page { items, next } =
            by_name::part(core.db.reader(), groups, room::Column::NameKey, list.limit, after, key).await?;
        Ok(Page { items: core.read_groups(items).await?, next })
    }

    /// The members of a room, in the order of their names, part by part. Only members may read it.
    pub async fn members(
        &self,
        caller: &Caller,
        room: RoomId,
        limit: Option<u64>,
        after: Option<String>,
    ) -> Result<Page<Member>> {
        let core = &self.core;
        core.check_membership(caller, room).await?;
        let users = user::Entity::find()
            .join(JoinType::InnerJoin, user::Relation::Member.def())
            .filter(member::COLUMN.room_id.eq(room))
            .filter(member::is_member(room, caller.user));
        let users = profiles::small_only(users);
        let key = |user: &user::Model| Some(user.username_key.clone());
        let Page { items, next } =
            by_name::part(core.db.reader(), users, user::Column::UsernameKey, limit, after, key).await?;
        let rows =
            member::of_rooms([room]).filter(member::COLUMN.user_id.is_in(items.iter().map(|user| user.id)));
        let rows = member::without_views(rows).all(core.db.reader()).await?;
        let mut rows: HashMap<UserId, member::Model> =
            rows.into_iter().map(|row| (row.user_id, row)).collect();
        // A user without a row left between the two queries.
        let member =
            |user: user::Model| Some(Member { row: rows.remove(&user.id)?, user: core.to_user(user) });
        Ok(Page { items: items.into_iter().filter_map(member).collect(), next })
    }
}

impl Core {
    /// The key of the group after which a part of the list begins.
    async fn group_key(&self, after: Option<After<RoomId>>) -> Result<Option<String>> {
        let id = match after {
            None => return Ok(None),
            Some(After::Key(key)) => return Ok(Some(key)),
            Some(After::Id(id)) => id,
        };
        let names = [room::Column::NameKey, room::Column::Name];
        let names = room::Entity::find_by_id(id).select_only().columns(names).into_tuple();
        let names: Option<(Option<String>, Option<String>)> = names.one(self.db.reader()).await?;
        let (key, name) = names.unwrap_or_default();
        // A group that was deleted meanwhile has no key, but keeps its place in the list.
        let key = key.or_else(|| name.map(|name| room::name_key(&name)));
        key.map(Some).ok_or(Error::invalid("after", "is not the id of a group"))
    }
}
