//! Hashes and verifies passwords with Argon2id, outside the async threads, a bounded number at a time.
//! `limits` counts wrong attempts; the caller knows whose password it is.

use std::{borrow::Cow, sync::Arc};

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

/// The most characters of a password.
const MOST: usize = 1024;

/// Who needs a hash. Strangers must not keep users from their work, and users must not keep others from
/// logging in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Anybody, for a new account. At most half of all places.
    SignUp,
    /// A user who has signed in. Together with sign-ups, at most three quarters of all places.
    Member,
    /// A login. The last quarter of all places is for logins only.
    Login,
}

/// Cheap to clone; the clones share their limits.
#[derive(Clone)]
pub struct Passwords {
    all: Line,
    /// Members and sign-ups.
    signed_in: Line,
    sign_ups: Line,
    /// The memory of these hashings, reused by the next ones. If it went back to the allocator each time,
    /// some of it would stay with every thread that ever hashed: 20 to 60 MB each, for many threads.
    memory: Arc<Mutex<Vec<Memory>>>,
}

type Memory = Vec<Block>;

/// What a check of a password says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    Wrong,
    Right,
    /// Right, but the hash is of the password exactly as it was typed, as earlier versions made it. Hash the
    /// password again, so that it is right however it is typed.
    RightAsTyped,
}

impl Checked {
    pub fn is_right(self) -> bool {
        self != Self::Wrong
    }
}

/// A line of hashings: some run, others wait.
#[derive(Clone)]
struct Line {
    /// One permit for each hashing that runs or waits. If none is left, the request is refused.
    places: Arc<Semaphore>,
    /// One permit for each hashing that may run: each takes about 20 MB of memory and a processor.
    turns: Arc<Semaphore>,
}

impl Line {
    /// At least one of each.
    fn new(turns: usize, places: usize) -> Self {
        let permits = |number: usize| Arc::new(Semaphore::new(number.clamp(1, Semaphore::MAX_PERMITS)));
        Self { places: permits(places), turns: permits(turns) }
    }
}

impl Passwords {
    pub fn new(hashing_at_once: usize, hashing_queue: usize) -> Self {
        let turns = hashing_at_once.max(1);
        let places = turns.saturating_add(hashing_queue);
        Self {
            all: Line::new(turns, places),
            // Of two processors, one is left for logins.
            signed_in: Line::new(turns - 1, places - places / 4),
            sign_ups: Line::new(turns / 2, places / 2),
            memory: Arc::default(),
        }
    }

    /// The lines in which a hashing takes a place, the narrowest first.
    fn lines(&self, purpose: Purpose) -> Vec<&Line> {
        match purpose {
            Purpose::SignUp => vec![&self.sign_ups, &self.signed_in, &self.all],
            Purpose::Member => vec![&self.signed_in, &self.all],
            Purpose::Login => vec![&self.all],
        }
    }

    /// A PHC string with a new salt, of the password's form for all keyboards. Checks nothing: see [`check_new`]
    /// and [`check_room`].
    pub async fn hash(&self, purpose: Purpose, password: SecretString) -> Result<String> {
        let hashed = self.run(purpose, move |memory| {
            let typed = password.expose_secret();
            let form = form_of(typed);
            let hashed = hash(form.as_bytes(), memory);
            wipe(form);
            hashed
        });
        let hash: PasswordHash = hashed.await?.map_err(Error::internal)?;
        Ok(hash.to_string())
    }

    /// Whether the password matches the hash, however it is typed. Without a hash the answer is no, after the
    /// same time. A password that has another form than the one typed takes twice the time if it is wrong.
    pub async fn verify(
        &self,
        purpose: Purpose,
        password: SecretString,
        phc: Option<String>,
    ) -> Result<Checked> {
        let known = phc.is_some();
        let checked = self.run(purpose, move |memory| {
            let typed = password.expose_secret();
            let phc = phc.as_deref().unwrap_or(NOBODY);
            let form = form_of(typed);
            let is_as_typed = *form == *typed;
            let checked = verify(form.as_bytes(), phc, memory);
            wipe(form);
            match checked {
                Err(HashError::PasswordInvalid) if !is_as_typed => {
                    verify(typed.as_bytes(), phc, memory).map(|()| Checked::RightAsTyped)
                }
                checked => checked.map(|()| Checked::Right),
            }
        });
        match checked.await? {
            Ok(checked) if known => Ok(checked),
            Ok(_) | Err(HashError::PasswordInvalid) => Ok(Checked::Wrong),
            Err(err) => Err(Error::internal(format_args!("a stored password hash cannot be checked: {err}"))),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T> {
        let full = |_| Error::Unavailable(Unavailable::Hashing);
        let lines = self.lines(purpose);
        let places = lines.iter().map(|line| line.places.clone().try_acquire_owned());
        let places = places.collect::<Result<Vec<_>, _>>().map_err(full)?;
        // The turns are taken from the narrowest line to the widest. Only work that has a turn in a narrow line
        // waits in the next wider one. So few sign-ups ever wait in front of a login, however many there are.
        let mut turns = Vec::with_capacity(lines.len());
        for line in lines {
            turns.push(line.turns.clone().acquire_owned().await.map_err(Error::internal)?);
        }
        let memory = self.memory.clone();
        let working = tokio::task::spawn_blocking(move || {
            // The work holds the permits, not the caller: work whose caller was cancelled still counts.
            let _held = (places, turns);
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

/// Checks an account's new password: 8 to 1024 characters that RFC 8265's OpaqueString allows.
pub fn check_new(password: &SecretString) -> Result<()> {
    if !(8..=MOST).contains(&characters(password)?) {
        return Err(Error::invalid("password", "must have 8 to 1024 characters"));
    }
    Ok(())
}

/// Checks a room's new password: 1 to 1024 such characters.
pub fn check_room(password: &SecretString) -> Result<()> {
    if !(1..=MOST).contains(&characters(password)?) {
        return Err(Error::invalid("password", "must have 1 to 1024 characters"));
    }
    Ok(())
}

/// How many characters a new password has, in the form that is hashed.
fn characters(password: &SecretString) -> Result<usize> {
    let typed = password.expose_secret();
    // Such a text is refused by its length alone. The encodings of a character differ by less than this factor.
    if typed.is_empty() || typed.chars().count() > 4 * MOST {
        return Ok(typed.chars().count());
    }
    let form = text::opaque(typed).map_err(|reason| Error::invalid("password", reason))?;
    let count = form.chars().count();
    wipe(form);
    Ok(count)
}

/// The form of a password that is hashed. A text that is not allowed as a new password stays
/// unchanged.
fn form_of(typed: &str) -> Cow<'_, str> {
    if typed.len() > 16 * MOST {
        return Cow::Borrowed(typed);
    }
    text::opaque(typed).unwrap_or(Cow::Borrowed(typed))
}

/// Overwrites the copy of a password.
fn wipe(form: Cow<'_, str>) {
    if let Cow::Owned(copy) = form {
        drop(SecretString::from(copy));
    }
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
        let all = (0..20).map(|_| passwords.hash(Purpose::Member, secret("correct horse")));
        for hashed in futures_util::future::join_all(all).await {
            hashed.unwrap();
        }
        assert!(passwords.memory.lock().len() <= 2);
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() {
        let passwords = Passwords::new(2, 8);
        let hash = passwords.hash(Purpose::Member, secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(
            hash,
            passwords.hash(Purpose::Member, secret("correct horse")).await.unwrap(),
            "salts differ"
        );
        let verify =
            async |typed| passwords.verify(Purpose::Login, secret(typed), Some(hash.clone())).await.unwrap();
        assert_eq!(verify("correct horse").await, Checked::Right);
        assert_eq!(verify("correct horsf").await, Checked::Wrong);
    }

    #[tokio::test]
    async fn a_password_is_right_in_every_encoding_and_an_old_hash_as_it_was_typed() {
        let passwords = Passwords::new(2, 8);
        let (composed, decomposed) = ("mañana-pässwörd", "man\u{303}ana-pa\u{308}sswo\u{308}rd");
        let verify = async |typed, hash: &str| {
            passwords.verify(Purpose::Login, secret(typed), Some(hash.into())).await.unwrap()
        };
        for typed in [composed, decomposed] {
            let hash = passwords.hash(Purpose::Member, secret(typed)).await.unwrap();
            assert_eq!(verify(composed, &hash).await, Checked::Right);
            assert_eq!(verify(decomposed, &hash).await, Checked::Right);
            assert_eq!(verify("manana-password", &hash).await, Checked::Wrong);
        }
        let old = hash(decomposed.as_bytes(), &mut Memory::new()).unwrap().to_string();
        assert_eq!(verify(decomposed, &old).await, Checked::RightAsTyped);
        assert_eq!(passwords.verify(Purpose::Login, secret(decomposed), None).await.unwrap(), Checked::Wrong);
    }

    #[tokio::test]
    async fn a_broken_stored_hash_is_a_fault_and_lets_nobody_in() {
        for broken in ["", "secret", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$12$abcdefghijklmnopqrstuv"] {
            let verified =
                Passwords::new(1, 1).verify(Purpose::Login, secret("secret"), Some(broken.into())).await;
            assert!(!matches!(verified, Ok(Checked::Right | Checked::RightAsTyped)), "{broken}");
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
        let real = passwords.hash(Purpose::Member, secret("correct horse")).await.unwrap();
        assert_eq!(salt_and_hash(NOBODY), salt_and_hash(&real));
        assert_eq!(passwords.verify(Purpose::Login, secret("anything"), None).await.unwrap(), Checked::Wrong);
    }

    #[tokio::test]
    async fn only_a_hash_of_todays_costs_is_kept() {
        let today = Passwords::new(1, 1).hash(Purpose::Member, secret("correct horse")).await.unwrap();
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
        let verify = || passwords.verify(Purpose::Login, secret("anything"), None);
        let (first, second, third) = tokio::join!(verify(), verify(), verify());
        assert_eq!(first.unwrap(), Checked::Wrong);
        assert_eq!(second.unwrap(), Checked::Wrong);
        assert!(matches!(third, Err(Error::Unavailable(Unavailable::Hashing))));
        assert_eq!(verify().await.unwrap(), Checked::Wrong);
    }

    #[tokio::test]
    async fn logins_have_places_that_nobody_else_takes() {
        let passwords = Passwords::new(2, 6);
        let sign_up = || passwords.hash(Purpose::SignUp, secret("anything"));
        let joins = || passwords.verify(Purpose::Member, secret("anything"), None);
        let logs_in = || passwords.verify(Purpose::Login, secret("anything"), None);
        let sign_ups = futures_util::future::join_all((0..20).map(|_| sign_up()));
        let members = futures_util::future::join_all((0..20).map(|_| joins()));
        let logins = futures_util::future::join_all((0..2).map(|_| logs_in()));
        let (sign_ups, members, logins) = tokio::join!(sign_ups, members, logins);
        assert_eq!(sign_ups.iter().filter(|done| done.is_ok()).count(), 4);
        assert_eq!(members.iter().filter(|done| done.is_ok()).count(), 2);
        assert!(logins.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_login_does_not_wait_for_the_whole_line_of_sign_ups() {
        let passwords = Passwords::new(1, 30);
        let running = Arc::new(Mutex::new(0));
        let sign_ups = futures_util::future::join_all((0..15).map(|_| {
            let running = running.clone();
            passwords.run(Purpose::SignUp, move |_| *running.lock() += 1)
        }));
        let login = async {
            let running = running.clone();
            passwords.run(Purpose::Login, move |_| *running.lock()).await.unwrap()
        };
        // The login comes last.
        let (_, before) = tokio::join!(sign_ups, login);
        assert!(before <= 3, "{before} sign-ups went first");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_still_holds_its_place() {
        let passwords = Passwords::new(1, 0);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let working = passwords.run(Purpose::Login, move |_| wait.recv().ok());
        let gone = tokio::time::timeout(std::time::Duration::from_millis(50), working).await;
        assert!(gone.is_err());
        let refused = passwords.verify(Purpose::Login, secret("anything"), None).await;
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
        // Eight letters with an accent each, encoded in sixteen characters.
        assert!(check_new(&secret(&"a\u{308}".repeat(7))).is_err());
        assert!(check_new(&secret(&"a\u{308}".repeat(1024))).is_ok());
        for invisible in ["control\u{7}", "zero\u{200b}width"] {
            assert!(check_new(&secret(invisible)).is_err(), "{invisible:?}");
        }
    }
}
