//! Hashes and verifies passwords with Argon2id, outside the async threads, a bounded number at a time.
//! `limits` counts wrong attempts; the caller knows whose password it is.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        Error as HashError,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::error::{Error, Result, Unavailable};

/// A hash of nobody's password. It is checked if there is no account, so that refusing an unknown user takes
/// as long as refusing a known one. Its parameters are those of [`argon2`] (a test compares them).
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cGFybG9yLW5vYm9keS0wMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Cheap to clone; the clones share their limits.
#[derive(Clone)]
pub struct Passwords {
    /// One permit for each hashing that runs or waits. If none is left, the request is refused.
    places: Arc<Semaphore>,
    /// One permit for each hashing that may run: each takes about 20 MB of memory and a processor.
    turns: Arc<Semaphore>,
    /// The memory of these hashings, reused by the next ones. If it went back to the allocator each time,
    /// some of it would stay with every thread that ever hashed: 20 to 60 MB each, for many threads.
    memory: Arc<Mutex<Vec<Memory>>>,
}

type Memory = Vec<Block>;

impl Passwords {
    pub fn new(hashing_at_once: usize, hashing_queue: usize) -> Self {
        let turns = hashing_at_once.clamp(1, Semaphore::MAX_PERMITS);
        let places = turns.saturating_add(hashing_queue).min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            turns: Arc::new(Semaphore::new(turns)),
            memory: Arc::default(),
        }
    }

    /// A PHC string with a new salt. Does not check the length: see [`check_new`] and [`check_room`].
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        let hashed = self.run(move |memory| hash(password.expose_secret().as_bytes(), memory));
        let hash: PasswordHash = hashed.await?.map_err(Error::internal)?;
        Ok(hash.to_string())
    }

    /// Whether the password matches the hash. Without a hash the answer is no, after the same time.
    pub async fn verify(&self, password: SecretString, phc: Option<String>) -> Result<bool> {
        let known = phc.is_some();
        let checked = self.run(move |memory| {
            verify(password.expose_secret().as_bytes(), phc.as_deref().unwrap_or(NOBODY), memory)
        });
        match checked.await? {
            Ok(()) => Ok(known),
            Err(HashError::PasswordInvalid) => Ok(false),
            Err(err) => Err(Error::internal(format_args!("a stored password hash cannot be checked: {err}"))),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T> {
        let place =
            self.places.clone().try_acquire_owned().map_err(|_| Error::Unavailable(Unavailable::Hashing))?;
        let turn = self.turns.clone().acquire_owned().await.map_err(Error::internal)?;
        let memory = self.memory.clone();
        let working = tokio::task::spawn_blocking(move || {
            // The work holds the permits, not the caller: work whose caller was cancelled still counts.
            let _held = (place, turn);
            let mut own = memory.lock().pop().unwrap_or_default();
            let done = work(&mut own);
            memory.lock().push(own);
            done
        });
        working.await.map_err(Error::internal)
    }
}

fn hash(password: &[u8], memory: &mut Memory) -> Result<PasswordHash, HashError> {
    let argon2 = argon2();
    let salt = Salt::generate();
    let output = compute(&argon2, password, &salt, memory)?;
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(salt),
        hash: Some(output),
    })
}

/// Uses the parameters that the hash was made with.
fn verify(password: &[u8], phc: &str, memory: &mut Memory) -> Result<(), HashError> {
    let stored = PasswordHash::new(phc)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Err(HashError::PasswordInvalid);
    };
    let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
    let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored)?);
    // This comparison takes constant time.
    if *expected == compute(&argon2, password, salt, memory)? {
        Ok(())
    } else {
        Err(HashError::PasswordInvalid)
    }
}

fn compute(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    memory: &mut Memory,
) -> Result<Output, HashError> {
    memory.resize(argon2.params().block_count(), Block::default());
    let mut output = [0; Output::MAX_LENGTH];
    let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let output = output.get_mut(..length).ok_or(HashError::OutputSize)?;
    argon2.hash_password_into_with_memory(password, salt, output, memory.as_mut_slice())?;
    Ok(Output::new(output)?)
}

/// Whether a stored hash has other parameters than a new one would have. If so, hash the password again when
/// it is next known to be right.
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

/// Checks an account's new password: 8 to 1024 characters of any kind.
pub fn check_new(password: &SecretString) -> Result<()> {
    if !(8..=1024).contains(&characters(password)) {
        return Err(Error::invalid("password", "must have 8 to 1024 characters"));
    }
    Ok(())
}

/// Checks a room's new password: 1 to 1024 characters.
pub fn check_room(password: &SecretString) -> Result<()> {
    if !(1..=1024).contains(&characters(password)) {
        return Err(Error::invalid("password", "must have 1 to 1024 characters"));
    }
    Ok(())
}

fn characters(password: &SecretString) -> usize {
    password.expose_secret().chars().count()
}

/// The crate's defaults are those of OWASP: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[test]
    fn memory_that_was_used_before_makes_no_difference() {
        use argon2::password_hash::{PasswordHasher, PasswordVerifier};
        let mut memory = Memory::new();
        for password in ["one", "another", "one"] {
            let ours = hash(password.as_bytes(), &mut memory).unwrap();
            argon2().verify_password(password.as_bytes(), &ours).unwrap();
            let theirs = argon2().hash_password(password.as_bytes()).unwrap().to_string();
            verify(password.as_bytes(), &theirs, &mut memory).unwrap();
            assert_eq!(verify(b"neither", &theirs, &mut memory), Err(HashError::PasswordInvalid));
        }
        // Verifies a hash with other parameters in between.
        let small = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 3, 2, None).unwrap());
        let small = small.hash_password(b"one").unwrap().to_string();
        verify(b"one", &small, &mut memory).unwrap();
        let ours = hash(b"one", &mut memory).unwrap();
        argon2().verify_password(b"one", &ours).unwrap();
    }

    #[tokio::test]
    async fn work_of_many_shares_the_memory_of_few() {
        let passwords = Passwords::new(2, 64);
        let all = (0..20).map(|_| passwords.hash(secret("correct horse")));
        for hashed in futures_util::future::join_all(all).await {
            hashed.unwrap();
        }
        assert!(passwords.memory.lock().len() <= 2);
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
        assert!(matches!(third, Err(Error::Unavailable(Unavailable::Hashing))));
        assert!(!verify().await.unwrap());
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_still_holds_its_place() {
        let passwords = Passwords::new(1, 0);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let working = passwords.run(move |_| wait.recv().ok());
        let gone = tokio::time::timeout(std::time::Duration::from_millis(50), working).await;
        assert!(gone.is_err());
        let refused = passwords.verify(secret("anything"), None).await;
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Hashing))));
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
