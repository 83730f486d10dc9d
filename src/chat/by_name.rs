//! What the lists of users, of groups and of members have in common: they are in the order of a name, are read part by
//! part, and can be searched.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::LikeExpr,
};

use super::model::Page;
use crate::{error::Result, values};

/// The most entries in one part of a list. A request for more gets this number.
const MOST: u64 = 200;
/// The entries in one part of a list if the request has no limit.
const DEFAULT: u64 = 100;

/// The part of a list after the entry with the key `after`, in the order of the column `key`. `key_of` returns the key of
/// an entry.
pub(super) async fn part<E: EntityTrait>(
    db: &impl ConnectionTrait,
    list: Select<E>,
    key: E::Column,
    limit: Option<u64>,
    after: Option<String>,
    key_of: impl Fn(&E::Model) -> Option<String>,
) -> Result<Page<E::Model>> {
    let limit = limit.unwrap_or(DEFAULT).clamp(1, MOST);
    let mut list = list.order_by_asc(key).limit(limit + 1);
    if let Some(after) = after.filter(|after| values::is_storable(after)) {
        list = list.filter(key.gt(after));
    }
    Ok(Page::of(list.all(db).await?, limit, key_of))
}

/// The entries of a list whose column contains the text that somebody searches for; all of them if that is empty. `None`
/// for a text that no name contains.
pub(super) fn search<E: EntityTrait>(
    list: Select<E>,
    column: E::Column,
    text: Option<&str>,
) -> Option<Select<E>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Some(list) };
    values::may_be_part_of_a_name(text).then(|| list.filter(column.like(containing(text))))
}

/// A pattern for folded text that contains `search`, in any capitals and any encoding. All special characters of
/// patterns are escaped.
fn containing(search: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for sign in text::fold(search).chars() {
        if matches!(sign, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}
