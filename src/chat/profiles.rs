//! Profiles in lists: a profile over [`User::LISTED_PROFILE`] is not even read from the database.

use entity::user;
use sea_orm::{
    Iterable, QuerySelect, Select,
    sea_query::{CaseStatement, Expr, ExprTrait, Func},
};

use super::model::User;

/// The value in a row for a profile that was left out. No profile is empty, because each is a JSON object.
pub(super) const LEFT_OUT: &str = "";

/// Reads users with [`LEFT_OUT`] in place of each profile that is too large for a list.
pub(super) fn small_only(users: Select<user::Entity>) -> Select<user::Entity> {
    let profile = || Expr::col((user::Entity, user::Column::Profile));
    let bytes = Expr::expr(Func::cust("OCTET_LENGTH").arg(profile()));
    let listed: CaseStatement = Expr::case(profile().is_null(), profile())
        .case(bytes.lte(User::LISTED_PROFILE as i64), profile())
        .finally(LEFT_OUT);
    let others = user::Column::iter().filter(|column| !matches!(column, user::Column::Profile));
    users.select_only().columns(others).expr_as(listed, "profile")
}
