//! Passwords of groups, and the limit on guesses.

use entity::room;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use secrecy::SecretString;

use crate::{
    chat::Core,
    error::{Error, Forbidden, Result},
    identity::Caller,
    limits::Guesser,
    password::{self, Checked, Purpose},
};

impl Core {
    pub(in crate::chat) async fn room_hash(&self, password: Option<SecretString>) -> Result<Option<String>> {
        match password {
            None => Ok(None),
            Some(password) => {
                password::check_room(&password)?;
                Ok(Some(self.passwords.hash(Purpose::Member, password).await?))
            }
        }
    }

    /// The row of the room, if this is its password, or if it has none.
    pub(in crate::chat) async fn check_room_password(
        &self,
        caller: &Caller,
        row: room::Model,
        password: Option<SecretString>,
    ) -> Result<room::Model> {
        if row.password_hash.is_none() {
            return Ok(row);
        }
        // This is no attempt, so it does not count as one.
        let Some(password) = password else { return Err(Error::Forbidden(Forbidden::WrongPassword)) };
        let row = self.with_room_password(caller, Some(row), password).await?;
        row.ok_or(Error::Forbidden(Forbidden::WrongPassword))
    }

    /// The row of the room, if this is its password. Without a row, or without a password of the room, it is
    /// wrong, after the same time. After too many wrong passwords, further ones are refused without a check. A
    /// right one does not forgive wrong ones: it may be that of another room, which the caller knows.
    pub(in crate::chat) async fn with_room_password(
        &self,
        caller: &Caller,
        row: Option<room::Model>,
        password: SecretString,
    ) -> Result<Option<room::Model>> {
        let guesser = Guesser::Address(caller.address);
        let attempt = self.groups.guesses.attempt(&caller.user.to_string(), guesser).await?;
        let hash = row.as_ref().and_then(|row| row.password_hash.clone());
        match self.passwords.verify(Purpose::Member, password.clone(), hash).await {
            Ok(Checked::Wrong) => Ok(None),
            Ok(checked) => {
                attempt.right().await;
                match row {
                    Some(row) if checked == Checked::RightAsTyped => {
                        Ok(Some(self.with_todays_hash(row, password).await))
                    }
                    row => Ok(row),
                }
            }
            Err(err) => {
                // Not checked, so it does not count as wrong.
                attempt.withdraw().await;
                Err(err)
            }
        }
    }

    /// Replaces a hash of the password as it was typed, now that the password is known. A failure does not
    /// refuse the user.
    async fn with_todays_hash(&self, mut row: room::Model, password: SecretString) -> room::Model {
        match self.replace_room_hash(&row, password).await {
            Ok(Some(new)) => row.password_hash = Some(new),
            Ok(None) => {}
            Err(err) => tracing::warn!(room.id = %row.id, error = %err, "an old password hash stays"),
        }
        row
    }

    async fn replace_room_hash(&self, row: &room::Model, password: SecretString) -> Result<Option<String>> {
        let new = self.passwords.hash(Purpose::Member, password).await?;
        let replaced = room::Entity::update_many()
            .col_expr(room::Column::PasswordHash, Expr::value(new.clone()))
            .filter(room::Column::Id.eq(row.id))
            // Does not overwrite a password that was changed in the meantime.
            .filter(room::Column::PasswordHash.eq(row.password_hash.clone()))
            .exec(&*self.db.writer().await?)
            .await?;
        Ok((replaced.rows_affected == 1).then_some(new))
    }
}
