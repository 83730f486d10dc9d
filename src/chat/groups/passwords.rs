//! Passwords of groups, and the limit on guesses.

use secrecy::SecretString;

use crate::{
    chat::Core,
    error::{Error, Forbidden, Result},
    identity::Caller,
    password,
};

impl Core {
    pub(in crate::chat) async fn room_hash(&self, password: Option<SecretString>) -> Result<Option<String>> {
        match password {
            None => Ok(None),
            Some(password) => {
                password::check_room(&password)?;
                Ok(Some(self.passwords.hash(password).await?))
            }
        }
    }

    pub(in crate::chat) async fn check_room_password(
        &self,
        caller: &Caller,
        hash: Option<String>,
        password: Option<SecretString>,
    ) -> Result<()> {
        let Some(hash) = hash else { return Ok(()) };
        // This is no attempt, so it does not count as one.
        let Some(password) = password else { return Err(Error::Forbidden(Forbidden::WrongPassword)) };
        if self.is_room_password(caller, Some(hash), password).await? {
            Ok(())
        } else {
            Err(Error::Forbidden(Forbidden::WrongPassword))
        }
    }

    /// Whether a password is right. Without a hash it is wrong, after the same time. After too many wrong
    /// passwords, further ones are refused without a check.
    pub(in crate::chat) async fn is_room_password(
        &self,
        caller: &Caller,
        hash: Option<String>,
        password: SecretString,
    ) -> Result<bool> {
        let attempt = self.failures.attempt(&format!("room passwords of {}", caller.user), caller.address)?;
        match self.passwords.verify(password, hash).await {
            Ok(true) => {
                attempt.succeeded();
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(err) => {
                // Not checked, so it does not count as wrong.
                attempt.withdraw();
                Err(err)
            }
        }
    }
}
