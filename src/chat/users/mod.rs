//! Accounts: register, find, list, change, delete.

mod list;

use std::sync::Arc;

use entity::{RoomId, UserId, deletion, member, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    QueryFilter, QuerySelect,
};
use secrecy::SecretString;

pub use self::list::ListUsers;
pub(super) use self::list::{LIST_MOST, LIST_USUAL, containing};
use super::{Chat, Core, model::User, profiles, room::membership::MembershipChange};
use crate::{
    error::{Conflict, Entity, Error, Forbidden, OnUnique, Result},
    password,
};
use crate::{
    identity::{Caller, Ended, Person, SessionWatch},
    values::{self, Username},
};

/// The most users that one request names: everyone in the room is notified of each user who joins.
const NAMES_MOST: usize = 1_000;

/// A new account. `profile` is the text of a JSON object.
#[derive(Debug)]
pub struct NewUser {
    pub username: Username,
    /// `None` for an account that signs in elsewhere.
    pub password: Option<SecretString>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub profile: Option<String>,
    pub is_admin: bool,
}

/// The changes of an account. `Some(None)` empties a field; `None` keeps it.
#[derive(Debug, Default)]
pub struct UserChange {
    pub first_name: Option<Option<String>>,
    pub last_name: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub profile: Option<Option<String>>,
    pub password: Option<SecretString>,
}

impl Chat {
    /// Makes an account.
    ///
    /// # Errors
    /// `conflict` if the name is taken, in any upper or lower case, even by a deleted account.
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
            first_name: Set(values::detail("firstName", new.first_name)?),
            last_name: Set(values::detail("lastName", new.last_name)?),
            email: Set(values::detail("email", new.email)?),
            phone: Set(values::detail("phone", new.phone)?),
            profile: Set(core.profile(new.profile)?),
            is_admin: Set(new.is_admin),
            created_at: Set(core.clock.now()),
            last_seen_at: Set(None),
            deleted_at: Set(None),
        };
        let row = row.insert(&*core.db.writer().await?).await.on_unique(Conflict::UsernameTaken)?;
        Ok(core.to_user(row))
    }

    pub async fn user(&self, _caller: &Caller, id_or_username: &str) -> Result<User> {
        let row = self.core.user_row(id_or_username).await?;
        Ok(self.core.to_user(row))
    }

    /// The model of a user row, for callers that have read the row already.
    pub fn known(&self, row: user::Model) -> User {
        self.core.to_user(row)
    }

    /// Changes the caller's account, or any account if the caller is an admin. A new password ends the user's
    /// other logins in the same transaction; the login that changed its own password stays.
    ///
    /// # Errors
    /// `unavailable` also if the database stored the change and only its answer was lost. Then the sockets of
    /// ended logins close within ten seconds.
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
            row.first_name = Set(values::detail("firstName", value)?);
        }
        if let Some(value) = change.last_name {
            row.last_name = Set(values::detail("lastName", value)?);
        }
        if let Some(value) = change.email {
            row.email = Set(values::detail("email", value)?);
        }
        if let Some(value) = change.phone {
            row.phone = Set(values::detail("phone", value)?);
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
        let row = user::Entity::find_by_id(user).one(&*tx).await?.ok_or(Error::NotFound(Entity::User))?;
        tx.commit().await?;
        if has_new_password {
            self.ended(Ended::User { user, spare }, "The password was changed");
        }
        if is_renamed && let Err(err) = core.rename(&row).await {
            // The change is stored. Rooms in memory show the old name until they are read again.
            tracing::warn!(error = ?err, user.id = %row.id, "a new first name is not shown everywhere yet");
        }
        Ok(core.to_user(row))
    }

    /// Takes over what a front end knows about its user, for fields that are empty here. Nobody has verified
    /// it, so it is only shown.
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

    /// Deletes the caller's account, or any account if the caller is an admin. Its logins end in the same
    /// transaction. Then it leaves all its rooms. Its messages stay under its name, which no other user can
    /// take.
    ///
    /// # Errors
    /// None once the account is deleted. If it could not leave a room, [`Chat::finish_deletions`] removes it
    /// later.
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

    /// Finishes deletions that were interrupted, because the process died or the database did not answer.
    pub async fn finish_deletions(&self) -> Result<()> {
        let unfinished = deletion::Entity::find().all(self.core.db.reader()).await?;
        for deletion in unfinished {
            self.core.finish_deletion(deletion.user_id).await?;
        }
        Ok(())
    }
}

impl Core {
    pub(super) fn to_user(&self, mut row: user::Model) -> User {
        row.last_seen_at = self.receipts.last_seen(row.id).or(row.last_seen_at);
        let profile_left_out = row.profile.take_if(|profile| profile == profiles::LEFT_OUT).is_some();
        User { online: self.hub.is_online(row.id), row, profile_left_out }
    }

    /// Removes a deleted user from all rooms. It may run twice, also at the same time.
    async fn finish_deletion(self: &Arc<Self>, user: UserId) -> Result<()> {
        let row = user::Entity::find_by_id(user).one(self.db.reader()).await?;
        let username: Arc<str> = row.map(|row| row.username).unwrap_or_default().into();
        let memberships = member::of_user(user).all(self.db.reader()).await?;
        let mut failed = None;
        for membership in memberships {
            let leave = MembershipChange::AccountDeleted { user, username: username.clone() };
            match self.change_members(membership.room_id, leave).await {
                // The user left or the room was deleted at this moment.
                Ok(_) | Err(Error::Forbidden(_) | Error::NotFound(_)) => {}
                // An error in one room does not stop the others.
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

    /// Changes a user's first name in the rooms and connections that are in memory.
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
        for live in rooms.into_iter().filter_map(|room| self.rooms.resident(room)) {
            live.rename(user.id, &person);
        }
        Ok(())
    }

    /// The account of this name that is not deleted.
    pub(super) async fn user_named(&self, username: &str) -> Result<user::Model> {
        if !values::is_storable(username) {
            return Err(Error::NotFound(Entity::User));
        }
        let row = user::named(username).one(self.db.reader()).await?;
        row.ok_or(Error::NotFound(Entity::User))
    }

    /// The accounts of these names that are not deleted, each once.
    pub(super) async fn users_named(&self, usernames: &[String]) -> Result<Vec<user::Model>> {
        if usernames.len() > NAMES_MOST {
            return Err(Error::invalid("users", format!("can be at most {NAMES_MOST} at a time")));
        }
        let keys: std::collections::BTreeSet<String> =
            usernames.iter().map(|name| user::username_key(name)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if !keys.iter().all(|key| values::is_storable(key)) {
            return Err(Error::NotFound(Entity::User));
        }
        let wanted = keys.len();
        let rows = user::live().filter(user::COLUMN.username_key.is_in(keys)).all(self.db.reader()).await?;
        if rows.len() < wanted { Err(Error::NotFound(Entity::User)) } else { Ok(rows) }
    }

    async fn user_row(&self, id_or_username: &str) -> Result<user::Model> {
        let Ok(id) = id_or_username.parse::<UserId>() else {
            return self.user_named(id_or_username).await;
        };
        let row = user::live().filter(user::COLUMN.id.eq(id)).one(self.db.reader()).await?;
        row.ok_or(Error::NotFound(Entity::User))
    }

    async fn own_or_admin(&self, caller: &Caller, id_or_username: &str) -> Result<user::Model> {
        let row = self.user_row(id_or_username).await?;
        if row.id == caller.user || caller.is_admin {
            Ok(row)
        } else {
            Err(Error::Forbidden(Forbidden::NotYours))
        }
    }

    fn profile(&self, profile: Option<String>) -> Result<Option<String>> {
        let limit = self.settings.limits.profile_bytes;
        match profile {
            Some(profile) if profile.len() > limit => Err(Error::TooLarge { what: "profile", limit }),
            other => Ok(other),
        }
    }
}

/// Changes the row of an account that is not deleted.
///
/// # Errors
/// `not_found` if it is deleted.
async fn update_live(tx: &DatabaseTransaction, user: UserId, row: user::ActiveModel) -> Result<()> {
    let updated = user::Entity::update_many()
        .set(row)
        .filter(user::COLUMN.id.eq(user))
        .filter(user::COLUMN.deleted_at.is_null())
        .exec(tx)
        .await?;
    if updated.rows_affected == 0 { Err(Error::NotFound(Entity::User)) } else { Ok(()) }
}
