//! The list of groups, and the list of a room's members.

use std::collections::HashMap;

use entity::{RoomId, UserId, member, room, user};
use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    chat::{
        Chat, Core,
        model::{After, Group, Member, Page},
        profiles,
        users::{LIST_DEFAULT, LIST_MOST, containing},
    },
    error::{Error, Result},
    identity::Caller,
    values,
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
        let limit = list.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MOST);
        let mut query = room::live()
            .filter(room::COLUMN.kind.eq(room::Kind::Group))
            .order_by_asc(room::COLUMN.name_key)
            .limit(limit + 1);
        if let Some(after) = core.group_key(list.after).await?.filter(|after| values::is_storable(after)) {
            query = query.filter(room::COLUMN.name_key.gt(after));
        }
        if let Some(search) = list.search.filter(|search| !search.is_empty()) {
            if !values::may_be_part_of_a_name(&search) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            let name = Expr::col((room::Entity, room::Column::NameKey));
            query = query.filter(name.like(containing(&search)));
        }
        let rows = query.all(core.db.reader()).await?;
        let Page { items, next } = Page::of(rows, limit, |row| row.name_key.clone());
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
        let limit = limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MOST);
        let mut query = user::Entity::find()
            .join(JoinType::InnerJoin, user::Relation::Member.def())
            .filter(member::COLUMN.room_id.eq(room))
            .filter(member::is_member(room, caller.user))
            .order_by_asc(user::COLUMN.username_key)
            .limit(limit + 1);
        if let Some(after) = after.filter(|after| values::is_storable(after)) {
            query = query.filter(user::COLUMN.username_key.gt(after));
        }
        let users = profiles::small_only(query).all(core.db.reader()).await?;
        let Page { items, next } = Page::of(users, limit, |user| Some(user.username_key.clone()));
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
