//! Hashing and checking passwords: Argon2id, off the async threads, a bounded number at a time. Counting
//! wrong attempts is left to `limits`, and whose password it is to the caller.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{Error as HashError, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::error::{Busy, Error, Result};

/// A hash of nobody's password, checked where there is no account: an unknown user takes as long to
/// refuse as a known one. Its parameters are those of [`argon2`] (a test compares them).
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cGFybG9yLW5vYm9keS0wMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Cheap to clone; the clones share one bound.
#[derive(Clone)]
pub struct Passwords {
    /// One for each hashing that runs or waits; none left means refusal.
    places: Arc<Semaphore>,
    /// One for each hashing that may run: about 20 MB of memory and a processor each.
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub fn new(hashing_at_once: usize, hashing_queue: usize) -> Self {
        let turns = hashing_at_once.clamp(1, Semaphore::MAX_PERMITS);
        let places = turns.saturating_add(hashing_queue).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// A PHC string with a fresh salt. Checks no length: that is [`check_new`]'s and [`check_room`]'s.
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        let hashed = self.run(move || argon2().hash_password(password.expose_secret().as_bytes()));
        let hash: PasswordHash = hashed.await?.map_err(Error::internal)?;
        Ok(hash.to_string())
    }

    /// Whether the password is the one that was hashed. With no hash the answer is no, after the same
    /// time.
    pub async fn verify(&self, password: SecretString, phc: Option<String>) -> Result<bool> {
        let known = phc.is_some();
        let checked = self.run(move || {
            let phc = phc.as_deref().unwrap_or(NOBODY);
            argon2().verify_password(password.expose_secret().as_bytes(), phc)
        });
        match checked.await? {
            Ok(()) => Ok(known),
            Err(HashError::PasswordInvalid) => Ok(false),
            Err(err) => Err(Error::internal(format_args!("a stored password hash cannot be checked: {err}"))),
        }
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Error::Unavailable(Busy::Hashing))?;
        let turn = self.turns.clone().acquire_owned().await.map_err(Error::internal)?;
        let working = tokio::task::spawn_blocking(move || {
            // Held by the work and not by who waits for it: work whose asker has gone still counts.
            let _held = (place, turn);
            work()
        });
        working.await.map_err(Error::internal)
    }
}

/// Whether a stored hash was made with other parameters than a new one would be: hash the password anew
/// when it is next known to be right.
pub fn needs_rehash(phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else {
        return true;
    };
    let Ok(params) = Params::try_from(&hash) else {
        return true;
    };
    let now = argon2();
    let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
        || hash.version != Some(Version::V0x13.into())
        || costs(&params) != costs(now.params())
        || params.output_len() != Some(Params::DEFAULT_OUTPUT_LEN)
}

/// What an account's new password must be: 8 to 1024 characters, of whatever kind.
pub fn check_new(password: &SecretString) -> Result<()> {
    if !(8..=1024).contains(&characters(password)) {
        return Err(Error::invalid("password", "must have 8 to 1024 characters"));
    }
    Ok(())
}

/// What a room's new password must be: 1 to 1024 characters.
pub fn check_room(password: &SecretString) -> Result<()> {
    if !(1..=1024).contains(&characters(password)) {
        return Err(Error::invalid("password", "must have 1 to 1024 characters"));
    }
    Ok(())
}

fn characters(password: &SecretString) -> usize {
    password.expose_secret().chars().count()
}

/// The crate's defaults are OWASP's: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() {
        let passwords = Passwords::new(2, 8);
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(secret("correct horse")).await.unwrap(), "salts differ");
        assert!(passwords.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horsf"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_broken_stored_hash_is_a_fault_and_lets_nobody_in() {
        for broken in ["", "secret", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$12$abcdefghijklmnopqrstuv"] {
            let verified = Passwords::new(1, 1).verify(secret("secret"), Some(broken.into())).await;
            assert!(!matches!(verified, Ok(true)), "{broken}");
        }
    }

    #[tokio::test]
    async fn nobody_has_no_password_and_the_costs_of_everybody() {
        assert!(!needs_rehash(NOBODY), "other costs would tell known users from unknown ones by the time");
        let salt_and_hash = |phc: &str| {
            let hash = PasswordHash::new(phc).unwrap();
            (hash.salt.unwrap().len(), hash.hash.unwrap().len())
        };
        let passwords = Passwords::new(1, 1);
        let real = passwords.hash(secret("correct horse")).await.unwrap();
        assert_eq!(salt_and_hash(NOBODY), salt_and_hash(&real));
        assert!(!passwords.verify(secret("anything"), None).await.unwrap());
    }

    #[tokio::test]
    async fn only_a_hash_of_todays_costs_is_kept() {
        let today = Passwords::new(1, 1).hash(secret("correct horse")).await.unwrap();
        assert!(!needs_rehash(&today));
        for (now, before) in [
            ("m=19456", "m=9728"),
            ("t=2", "t=3"),
            ("v=19", "v=16"),
            ("argon2id", "argon2i"),
            ("$argon2id", "argon2id"),
        ] {
            assert!(needs_rehash(&today.replacen(now, before, 1)), "{before}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let passwords = Passwords::new(1, 1);
        let verify = || passwords.verify(secret("anything"), None);
        let (first, second, third) = tokio::join!(verify(), verify(), verify());
        assert!(!first.unwrap());
        assert!(!second.unwrap());
        assert!(matches!(third, Err(Error::Unavailable(Busy::Hashing))));
        assert!(!verify().await.unwrap());
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_still_holds_its_place() {
        let passwords = Passwords::new(1, 0);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let working = passwords.run(move || wait.recv().ok());
        let gone = tokio::time::timeout(std::time::Duration::from_millis(50), working).await;
        assert!(gone.is_err());
        let refused = passwords.verify(secret("anything"), None).await;
        assert!(matches!(refused, Err(Error::Unavailable(Busy::Hashing))));
        go.send(()).unwrap();
    }

    #[test]
    fn lengths_count_characters() {
        assert!(check_new(&secret("1234567")).is_err());
        assert!(check_new(&secret("12345678")).is_ok());
        assert!(check_new(&secret("ääääääää")).is_ok());
        assert!(check_new(&secret(&"ä".repeat(1024))).is_ok());
        assert!(check_new(&secret(&"a".repeat(1025))).is_err());
        assert!(check_room(&secret("")).is_err());
        assert!(check_room(&secret("x")).is_ok());
        assert!(check_room(&secret(&"a".repeat(1025))).is_err());
    }
}
