//! Accounts: register, find, list, change, delete.

mod list;
mod rename;
mod standing;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use entity::{UserId, deletion, look_alike, member, names::NameKeys, notice, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    QueryFilter,
};
use secrecy::SecretString;

pub use self::list::ListUsers;
use super::{Chat, Core, model::User, profiles, room::membership::MembershipChange};
use crate::{
    error::{Conflict, Entity, Error, Forbidden, OnUnique, Result},
    identity::{Caller, Ended, SessionWatch},
    password::{self, Purpose},
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
    /// `conflict` if the name is taken, however it is typed, or looks like that of another account, even of a
    /// deleted one.
    pub async fn register(&self, new: NewUser) -> Result<User> {
        let core = &self.core;
        // Before the work of hashing. The database decides when the account is stored.
        core.check_name_is_free(&new.username).await?;
        let password_hash = match new.password {
            Some(password) => {
                password::check_new(&password)?;
                Some(core.passwords.hash(Purpose::SignUp, password).await?)
            }
            None => None,
        };
        let username = new.username.into_string();
        let first_name = values::detail("firstName", new.first_name)?;
        let last_name = values::detail("lastName", new.last_name)?;
        let id = UserId::new();
        let readings = look_alike::take_for_user(id, &username);
        let row = user::ActiveModel {
            id: Set(id),
            username_key: Set(user::username_key(&username)),
            search_text: Set(user::search_text(&username, first_name.as_deref(), last_name.as_deref())),
            username: Set(username),
            password_hash: Set(password_hash),
            first_name: Set(first_name),
            last_name: Set(last_name),
            email: Set(values::detail("email", new.email)?),
            phone: Set(values::detail("phone", new.phone)?),
            profile: Set(core.profile(new.profile)?),
            is_admin: Set(new.is_admin),
            created_at: Set(core.clock.now()),
            last_seen_at: Set(None),
            deleted_at: Set(None),
            disabled_at: Set(None),
        };
        let tx = core.db.begin().await?;
        let row = row.insert(&*tx).await.on_unique(Conflict::UsernameTaken)?;
        readings.exec_without_returning(&*tx).await.on_unique(Conflict::UsernameLooksTaken)?;
        tx.commit().await?;
        Ok(core.to_user(row))
    }

    pub async fn user(&self, _caller: &Caller, id_or_username: &str) -> Result<User> {
        let row = self.core.user_row(id_or_username).await?;
        Ok(self.core.to_user(row))
    }

    /// The user of this name. A text that is an id is the name of nobody.
    pub async fn user_of_name(&self, _caller: &Caller, username: &str) -> Result<User> {
        let row = self.core.user_named(username).await?;
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
            row.password_hash = Set(Some(core.passwords.hash(Purpose::Member, password).await?));
        }
        if !row.is_changed() {
            return self.user(caller, id_or_username).await;
        }
        let (is_renamed, has_new_password) = (row.first_name.is_set(), row.password_hash.is_set());
        let spare = (user == caller.user).then_some(caller.session);
        let tx = core.db.begin().await?;
        update_live(&tx, user, row).await?;
        if has_new_password {
            session::revoke_all(&*tx, user, spare, core.clock.now()).await?;
        }
        if is_renamed {
            notice::tell(&*tx, [notice::of_user(notice::Kind::UserRenamed, user, None)]).await?;
        }
        let row = user::Entity::find_by_id(user).one(&*tx).await?.ok_or(Error::NotFound(Entity::User))?;
        let row = with_search_text(&tx, row).await?;
        tx.commit().await?;
        if is_renamed {
            core.cluster.noted();
        }
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
    /// it, so it is only shown. A user with a password changes the e-mail address with that password only, so
    /// it is not stored for such a user.
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
            email: email
                .filter(|_| {
                    user.row.email.is_none() && (caller.by_issuer || user.row.password_hash.is_none())
                })
                .map(Some),
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
            search_text: Set(String::new()),
            email: Set(None),
            phone: Set(None),
            profile: Set(None),
            ..Default::default()
        };
        update_live(&tx, user, emptied).await?;
        session::revoke_all(&*tx, user, None, now).await?;
        let unfinished = deletion::ActiveModel { user_id: Set(user), begun_at: Set(now) };
        deletion::Entity::insert(unfinished).exec_without_returning(&*tx).await?;
        tx.commit().await?;
        self.ended(Ended::User { user, spare: None }, "The account was deleted");
        if let Err(err) = core.finish_deletion(user).await {
            tracing::warn!(error = ?err, user.id = %user, "a deleted user is still in rooms; a job tries again");
        }
        Ok(user)
    }

    /// Finishes deletions that were interrupted, because the process died or the database did not answer. An
    /// error for one user does not stop the others; the last error is returned.
    pub async fn finish_deletions(&self) -> Result<()> {
        let unfinished = deletion::Entity::find().all(self.core.db.reader()).await?;
        let mut finished = Ok(());
        for deletion in unfinished {
            if let Err(err) = self.core.finish_deletion(deletion.user_id).await {
                finished = Err(err);
            }
        }
        finished
    }
}

impl Core {
    pub(super) fn to_user(&self, mut row: user::Model) -> User {
        row.last_seen_at = self.receipts.last_seen(row.id).or(row.last_seen_at);
        let profile_left_out = row.profile.take_if(|profile| profile == profiles::LEFT_OUT).is_some();
        User { online: self.is_online(row.id), row, profile_left_out }
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

    /// The account of this name that is not deleted.
    pub(super) async fn user_named(&self, username: &str) -> Result<user::Model> {
        if !values::may_be_a_name(username) {
            return Err(Error::NotFound(Entity::User));
        }
        let row = user::named(username).one(self.db.reader()).await?;
        row.ok_or(Error::NotFound(Entity::User))
    }

    /// # Errors
    /// `conflict` if another user has this name, or one that looks like it.
    async fn check_name_is_free(&self, username: &Username) -> Result<()> {
        let name = username.as_str();
        if user::ever_named(name).one(self.db.reader()).await?.is_some() {
            return Err(Error::Conflict(Conflict::UsernameTaken));
        }
        if look_alike::taken_by_users(name).one(self.db.reader()).await?.is_some() {
            return Err(Error::Conflict(Conflict::UsernameLooksTaken));
        }
        Ok(())
    }

    /// The accounts of these names that are not deleted, each once.
    pub(super) async fn users_named(&self, usernames: &[String]) -> Result<Vec<user::Model>> {
        if usernames.len() > NAMES_MOST {
            return Err(Error::invalid("users", format!("can be at most {NAMES_MOST} at a time")));
        }
        if !usernames.iter().all(|name| values::may_be_a_name(name)) {
            return Err(Error::NotFound(Entity::User));
        }
        if usernames.is_empty() {
            return Ok(Vec::new());
        }
        let keys: BTreeSet<String> =
            usernames.iter().flat_map(|name| NameKeys::of_user(name).into_keys()).collect();
        let rows = user::live().filter(user::COLUMN.username_key.is_in(keys)).all(self.db.reader()).await?;
        let by_key: HashMap<&str, &user::Model> =
            rows.iter().map(|row| (row.username_key.as_str(), row)).collect();
        let mut found = HashSet::with_capacity(usernames.len());
        for name in usernames {
            let NameKeys { key, former } = NameKeys::of_user(name);
            let former = former.and_then(|former| by_key.get(&*former));
            let row = former.or_else(|| by_key.get(&*key)).ok_or(Error::NotFound(Entity::User))?;
            found.insert(row.id);
        }
        Ok(rows.into_iter().filter(|row| found.contains(&row.id)).collect())
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

/// Brings the text by which a user is searched in step with the names in the row.
async fn with_search_text(tx: &DatabaseTransaction, mut row: user::Model) -> Result<user::Model> {
    let text = user::search_text(&row.username, row.first_name.as_deref(), row.last_name.as_deref());
    if text != row.search_text {
        let change = user::ActiveModel { search_text: Set(text.clone()), ..Default::default() };
        update_live(tx, row.id, change).await?;
        row.search_text = text;
    }
    Ok(row)
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
