//! Accounts: register, find, list, change, delete.

use std::sync::Arc;

use entity::{RoomId, UserId, deletion, member, session, user};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, ExprTrait, Func, LikeExpr},
};
use secrecy::SecretString;

use super::{
    Chat, Core,
    caller::{Caller, Ended, SessionWatch},
    membership::MembershipChange,
    nouns::{After, Page, Person, User},
    profiles,
    text::{self, Username},
};
use crate::{
    error::{Clash, Denial, Error, Noun, OnUnique, Result},
    password,
};

/// The most entries in one part of a list; also what is given to who asks for more.
pub(super) const LIST_MOST: u64 = 200;
/// Entries in one part of a list, where nobody says how many.
pub(super) const LIST_USUAL: u64 = 100;

/// Most users named in one request: each who comes in is told to everyone in the room.
const NAMES_MOST: usize = 1_000;

/// An account to be made. `profile` is the text of a JSON object.
#[derive(Debug)]
pub struct NewUser {
    pub username: Username,
    /// None for an account that signs in elsewhere.
    pub password: Option<SecretString>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub profile: Option<String>,
    pub is_admin: bool,
}

/// What to change of an account; `Some(None)` empties a field, `None` leaves it.
#[derive(Debug, Default)]
pub struct UserChange {
    pub first_name: Option<Option<String>>,
    pub last_name: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub profile: Option<Option<String>>,
    pub password: Option<SecretString>,
}

/// Which part of the list of users.
#[derive(Debug, Default)]
pub struct ListUsers {
    /// Part of a username, first or last name.
    pub search: Option<String>,
    pub limit: Option<u64>,
    pub after: Option<After<UserId>>,
    /// Reads profiles of any size. Ask for small parts then: an entry may have `limits.profile_bytes`.
    pub whole_profiles: bool,
}

impl Chat {
    /// Makes an account.
    ///
    /// # Errors
    /// `conflict` where the name is taken, in whatever capitals, even by a deleted account.
    pub async fn register(&self, new: NewUser) -> Result<User> {
        let core = &self.core;
        let password_hash = match new.password {
            Some(password) => {
                password::check_new(&password)?;
                Some(core.passwords.hash(password).await?)
            }
            None => None,
        };
        let username = new.username.into_string();
        let row = user::ActiveModel {
            id: Set(UserId::new()),
            username_key: Set(user::username_key(&username)),
            username: Set(username),
            password_hash: Set(password_hash),
            first_name: Set(text::detail("firstName", new.first_name)?),
            last_name: Set(text::detail("lastName", new.last_name)?),
            email: Set(text::detail("email", new.email)?),
            phone: Set(text::detail("phone", new.phone)?),
            profile: Set(core.profile(new.profile)?),
            is_admin: Set(new.is_admin),
            created_at: Set(core.clock.now()),
            last_seen_at: Set(None),
            deleted_at: Set(None),
        };
        let row = row.insert(&*core.db.writer().await?).await.on_unique(Clash::UsernameTaken)?;
        Ok(core.user_noun(row))
    }

    pub async fn user(&self, _caller: &Caller, id_or_username: &str) -> Result<User> {
        let row = self.core.user_row(id_or_username).await?;
        Ok(self.core.user_noun(row))
    }

    /// The users in order of their names, part by part.
    pub async fn users(&self, _caller: &Caller, list: ListUsers) -> Result<Page<User>> {
        let limit = list.limit.unwrap_or(LIST_USUAL).clamp(1, LIST_MOST);
        let mut query = user::live().order_by_asc(user::COLUMN.username_key).limit(limit + 1);
        if let Some(after) = self.core.user_key(list.after).await?.filter(|after| text::is_storable(after)) {
            query = query.filter(user::COLUMN.username_key.gt(after));
        }
        if let Some(search) = list.search.filter(|search| !search.is_empty()) {
            if !text::may_be_part_of_a_name(&search) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            let pattern = containing(&search);
            let has = |column: user::Column| {
                Expr::expr(Func::lower(Expr::col((user::Entity, column)))).like(pattern.clone())
            };
            query = query.filter(
                Condition::any()
                    .add(has(user::Column::UsernameKey))
                    .add(has(user::Column::FirstName))
                    .add(has(user::Column::LastName)),
            );
        }
        let query = if list.whole_profiles { query } else { profiles::small_only(query) };
        let rows = query.all(self.core.db.reader()).await?;
        let Page { items, next } = Page::of(rows, limit, |row| Some(row.username_key.clone()));
        Ok(Page { items: items.into_iter().map(|row| self.core.user_noun(row)).collect(), next })
    }

    /// A row with what the core knows beyond it, for who has read it already.
    pub fn known(&self, row: user::Model) -> User {
        self.core.user_noun(row)
    }

    /// Changes an account: one's own, or any for an admin. A new password ends the user's other logins, in the same
    /// transaction; the login that changed its own password stays.
    ///
    /// # Errors
    /// `unavailable` also where the database took the change and only its answer was lost; then logins that it
    /// ended lose their sockets within ten seconds.
    pub async fn change_user(
        &self,
        caller: &Caller,
        id_or_username: &str,
        change: UserChange,
    ) -> Result<User> {
        let core = &self.core;
        let row = core.own_or_admin(caller, id_or_username).await?;
        let user = row.id;
        let mut row = row.into_active_model();
        if let Some(value) = change.first_name {
            row.first_name = Set(text::detail("firstName", value)?);
        }
        if let Some(value) = change.last_name {
            row.last_name = Set(text::detail("lastName", value)?);
        }
        if let Some(value) = change.email {
            row.email = Set(text::detail("email", value)?);
        }
        if let Some(value) = change.phone {
            row.phone = Set(text::detail("phone", value)?);
        }
        if let Some(value) = change.profile {
            row.profile = Set(core.profile(value)?);
        }
        if let Some(password) = change.password {
            password::check_new(&password)?;
            row.password_hash = Set(Some(core.passwords.hash(password).await?));
        }
        if !row.is_changed() {
            return self.user(caller, id_or_username).await;
        }
        let (is_renamed, has_new_password) = (row.first_name.is_set(), row.password_hash.is_set());
        let spare = (user == caller.user).then_some(caller.session);
        let tx = core.db.begin().await?;
        update_live(&tx, user, row).await?;
        if has_new_password {
            session::revoke_all(user, spare, core.clock.now()).exec(&*tx).await?;
        }
        let row = user::Entity::find_by_id(user).one(&*tx).await?.ok_or(Error::NotFound(Noun::User))?;
        tx.commit().await?;
        if has_new_password {
            self.ended(Ended::User { user, spare }, "The password was changed");
        }
        if is_renamed && let Err(err) = core.rename(&row).await {
            // The change is stored; rooms in memory show the old name until they are read again.
            tracing::warn!(error = ?err, user.id = %row.id, "a new first name is not shown everywhere yet");
        }
        Ok(core.user_noun(row))
    }

    /// Takes over what a front end knows of its user from elsewhere, as far as nothing is known here.
    /// Nobody has checked it, so it is shown and serves for nothing else.
    pub async fn introduce(
        &self,
        caller: &Caller,
        first_name: Option<String>,
        email: Option<String>,
    ) -> Result<User> {
        let id = caller.user.to_string();
        let user = self.user(caller, &id).await?;
        let change = UserChange {
            first_name: first_name.filter(|_| user.row.first_name.is_none()).map(Some),
            email: email.filter(|_| user.row.email.is_none()).map(Some),
            ..UserChange::default()
        };
        self.change_user(caller, &id, change).await
    }

    /// Deletes an account: one's own, or any for an admin. Its logins end with it, in one transaction; then it
    /// leaves all its rooms. What it wrote stays, under its name, which nobody else can take.
    ///
    /// # Errors
    /// None once the account is deleted: rooms that it could not leave now are left by
    /// [`Chat::finish_deletions`].
    pub async fn delete_user(&self, caller: &Caller, id_or_username: &str) -> Result<UserId> {
        let core = &self.core;
        let row = core.own_or_admin(caller, id_or_username).await?;
        let (user, now) = (row.id, core.clock.now());
        let tx = core.db.begin().await?;
        let emptied = user::ActiveModel {
            deleted_at: Set(Some(now)),
            password_hash: Set(None),
            first_name: Set(None),
            last_name: Set(None),
            email: Set(None),
            phone: Set(None),
            profile: Set(None),
            ..Default::default()
        };
        update_live(&tx, user, emptied).await?;
        session::revoke_all(user, None, now).exec(&*tx).await?;
        let unfinished = deletion::ActiveModel { user_id: Set(user), begun_at: Set(now) };
        deletion::Entity::insert(unfinished).exec_without_returning(&*tx).await?;
        tx.commit().await?;
        self.ended(Ended::User { user, spare: None }, "The account was deleted");
        if let Err(err) = core.finish_deletion(user).await {
            tracing::warn!(error = ?err, user.id = %user, "a deleted user is still in rooms; a job tries again");
        }
        Ok(user)
    }

    /// Finishes deletions that began and did not come to their end: the process died, or the database was away.
    pub async fn finish_deletions(&self) -> Result<()> {
        let unfinished = deletion::Entity::find().all(self.core.db.reader()).await?;
        for deletion in unfinished {
            self.core.finish_deletion(deletion.user_id).await?;
        }
        Ok(())
    }
}

impl Core {
    pub(super) fn user_noun(&self, mut row: user::Model) -> User {
        row.last_seen_at = self.receipts.last_seen(row.id).or(row.last_seen_at);
        let profile_left_out = row.profile.take_if(|profile| profile == profiles::LEFT_OUT).is_some();
        User { online: self.hub.is_online(row.id), row, profile_left_out }
    }

    /// The key of the user that a part of a list begins behind.
    async fn user_key(&self, after: Option<After<UserId>>) -> Result<Option<String>> {
        let id = match after {
            None => return Ok(None),
            Some(After::Key(key)) => return Ok(Some(key)),
            Some(After::Id(id)) => id,
        };
        let key = user::Entity::find_by_id(id).select_only().column(user::Column::UsernameKey).into_tuple();
        let key: Option<String> = key.one(self.db.reader()).await?;
        key.map(Some).ok_or(Error::invalid("after", "is not the id of a user"))
    }

    /// Takes a deleted user out of all rooms. It may be done twice, also at the same time.
    async fn finish_deletion(self: &Arc<Self>, user: UserId) -> Result<()> {
        let row = user::Entity::find_by_id(user).one(self.db.reader()).await?;
        let username: Arc<str> = row.map(|row| row.username).unwrap_or_default().into();
        let memberships = member::of_user(user).all(self.db.reader()).await?;
        let mut failed = None;
        for membership in memberships {
            let leave = MembershipChange::AccountDeleted { user, username: username.clone() };
            match self.change_members(membership.room_id, leave).await {
                // The user or the room went by itself at this moment.
                Ok(_) | Err(Error::Forbidden(_) | Error::NotFound(_)) => {}
                // One room's trouble does not keep the user in the others.
                Err(err) => failed = Some(err),
            }
        }
        match failed {
            Some(err) => Err(err),
            None => {
                deletion::Entity::delete_by_id(user).exec(&*self.db.writer().await?).await?;
                Ok(())
            }
        }
    }

    /// Shows a user under a new first name in the rooms and on the connections that are in memory.
    async fn rename(&self, user: &user::Model) -> Result<()> {
        let person = Person::new(user.username.clone(), user.first_name.clone());
        for connection in self.hub.of_user(user.id) {
            connection.rename(person.first_name.clone());
        }
        let rooms: Vec<RoomId> = member::of_user(user.id)
            .select_only()
            .column(member::Column::RoomId)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        for roster in rooms.into_iter().filter_map(|room| self.rosters.resident(room)) {
            roster.rename(user.id, &person);
        }
        Ok(())
    }

    /// The live account of that name.
    pub(super) async fn user_named(&self, username: &str) -> Result<user::Model> {
        if !text::is_storable(username) {
            return Err(Error::NotFound(Noun::User));
        }
        let row = user::named(username).one(self.db.reader()).await?;
        row.ok_or(Error::NotFound(Noun::User))
    }

    /// The live accounts of these names, each once.
    pub(super) async fn users_named(&self, usernames: &[String]) -> Result<Vec<user::Model>> {
        if usernames.len() > NAMES_MOST {
            return Err(Error::invalid("users", format!("can be at most {NAMES_MOST} at a time")));
        }
        let keys: std::collections::BTreeSet<String> =
            usernames.iter().map(|name| user::username_key(name)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if !keys.iter().all(|key| text::is_storable(key)) {
            return Err(Error::NotFound(Noun::User));
        }
        let wanted = keys.len();
        let rows = user::live().filter(user::COLUMN.username_key.is_in(keys)).all(self.db.reader()).await?;
        if rows.len() < wanted { Err(Error::NotFound(Noun::User)) } else { Ok(rows) }
    }

    async fn user_row(&self, id_or_username: &str) -> Result<user::Model> {
        let Ok(id) = id_or_username.parse::<UserId>() else {
            return self.user_named(id_or_username).await;
        };
        let row = user::live().filter(user::COLUMN.id.eq(id)).one(self.db.reader()).await?;
        row.ok_or(Error::NotFound(Noun::User))
    }

    async fn own_or_admin(&self, caller: &Caller, id_or_username: &str) -> Result<user::Model> {
        let row = self.user_row(id_or_username).await?;
        if row.id == caller.user || caller.is_admin {
            Ok(row)
        } else {
            Err(Error::Forbidden(Denial::NotYours))
        }
    }

    fn profile(&self, profile: Option<String>) -> Result<Option<String>> {
        let limit = self.settings.profile_bytes;
        match profile {
            Some(profile) if profile.len() > limit => Err(Error::TooLarge { what: "profile", limit }),
            other => Ok(other),
        }
    }
}

/// Changes the row of an account that is not deleted.
///
/// # Errors
/// `not_found` where it is.
async fn update_live(tx: &DatabaseTransaction, user: UserId, row: user::ActiveModel) -> Result<()> {
    let updated = user::Entity::update_many()
        .set(row)
        .filter(user::COLUMN.id.eq(user))
        .filter(user::COLUMN.deleted_at.is_null())
        .exec(tx)
        .await?;
    if updated.rows_affected == 0 { Err(Error::NotFound(Noun::User)) } else { Ok(()) }
}

/// A pattern for text that contains `search`, whatever signs a pattern gives a meaning to.
pub(super) fn containing(search: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for sign in search.to_lowercase().chars() {
        if matches!(sign, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}
