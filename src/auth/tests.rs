//! Login and logout with a real database file.

use entity::admin_link;
use parking_lot::Mutex;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};

use super::*;
use crate::{
    limits::GuessLimits,
    password::{Purpose, needs_rehash},
};

const PASSWORD: &str = "correct horse";
const LIMITS: GuessLimits = GuessLimits {
    per_account_and_address: 5,
    per_address: 100,
    window: Duration::from_secs(300),
    per_account: 100,
    per_account_recovery: Duration::from_secs(900),
    known_for: Duration::from_secs(3600),
};

struct House {
    auth: Auth,
    db: Db,
    clock: Clock,
    passwords: Passwords,
    heard: Arc<Heard>,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct Heard(Mutex<Vec<(Ended, &'static str)>>);

impl SessionWatch for Heard {
    fn ended(&self, ended: Ended, reason: &'static str) {
        self.0.lock().push((ended, reason));
    }

    fn introduced(
        &self,
        _: UserId,
        _: crate::identity::IssuerDetails,
    ) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(std::future::ready(true))
    }
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::migrated_in(folder.path()).await;
        let clock = Clock::movable();
        let passwords = Passwords::new(2, 64);
        let guesses = Guesses::new(clock.clone(), &LIMITS, "logins", &"secret".into(), None);
        let secret = "a-current-secret-of-more-than-32-bytes".into();
        let keys = Keys::new("parlor".into(), secret, None, Duration::from_secs(5));
        let settings = AuthSettings {
            token_ttl: Duration::from_secs(3600),
            session_ttl: Duration::from_secs(30 * 86_400),
        };
        let heard = Arc::new(Heard::default());
        let signers = Signers { keys, issuers: Issuers::default() };
        let check = PasswordCheck { passwords: passwords.clone(), guesses };
        let auth =
            Auth::new(db.clone(), clock.clone(), &Shutdown::new(), check, signers, settings, heard.clone());
        Self { auth, db, clock, passwords, heard, _folder: folder }
    }

    async fn user(&self, username: &str) -> user::Model {
        let hash = self.passwords.hash(Purpose::SignUp, PASSWORD.into()).await.unwrap();
        let row = user::ActiveModel {
            id: Set(UserId::new()),
            username: Set(username.into()),
            username_key: Set(user::username_key(username)),
            search_text: Set(user::search_text(username, None, None)),
            password_hash: Set(Some(hash)),
            is_admin: Set(false),
            created_at: Set(self.clock.now()),
            ..Default::default()
        };
        row.insert(&*self.db.writer().await.unwrap()).await.unwrap()
    }

    async fn change(&self, user: &user::Model, change: impl FnOnce(&mut user::ActiveModel)) {
        let mut row = user.clone().into_active_model();
        change(&mut row);
        row.update(&*self.db.writer().await.unwrap()).await.unwrap();
    }

    async fn logs_in(&self, username: &str, password: &str) -> Result<SignIn> {
        self.auth.login(&device(), None, username, password.into()).await
    }

    async fn shows(&self, sign_in: &SignIn) -> Result<Caller> {
        self.auth.authenticate(sign_in.token.expose_secret(), &device()).await
    }

    fn heard(&self) -> Vec<(Ended, &'static str)> {
        std::mem::take(&mut self.heard.0.lock())
    }
}

fn here() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

fn device() -> Device {
    Device::new(here(), Some("a test"))
}

#[track_caller]
fn unauthenticated<T: fmt::Debug>(result: Result<T>) -> AuthError {
    match result {
        Err(Error::Unauthenticated(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_right_password_makes_a_token_that_says_who_one_is() {
    let house = House::new().await;
    let ada = house.user("Ada").await;
    let sign_in = house.logs_in("aDA", PASSWORD).await.unwrap();
    let caller = house.shows(&sign_in).await.unwrap();
    assert_eq!((caller.user, &*caller.username, caller.is_admin), (ada.id, "Ada", false));
    assert_eq!((caller.session, caller.expires_at), (sign_in.session, sign_in.expires_at));
    assert_eq!(caller.address, here());
    let left = sign_in.expires_at - house.clock.now();
    assert!((3595..=3600).contains(&left.num_seconds()), "{left}");
    assert!(house.auth.ended_among(vec![caller.session]).await.unwrap().is_empty());
    let token = Credential::Token(sign_in.token.clone());
    assert!(!format!("{token:?} {sign_in:?}").contains(sign_in.token.expose_secret()));
    assert!(!format!("{sign_in:?}").contains("argon2"));
    assert_eq!(house.auth.credential(token, &device()).await.unwrap().user, ada.id);
}

#[tokio::test]
async fn wrong_unknown_passwordless_and_deleted_are_refused_alike() {
    let house = House::new().await;
    let (ada, bob) = (house.user("ada").await, house.user("bob").await);
    house.change(&bob, |bob| bob.password_hash = Set(None)).await;
    for (username, password) in [
        ("ada", "wrong"),
        ("ada", ""),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("bob", ""),
        ("a\0da", PASSWORD),
    ] {
        let why = unauthenticated(house.logs_in(username, password).await);
        assert_eq!(why, AuthError::WrongLogin, "{username}");
    }
    let signed_in = house.logs_in("ada", PASSWORD).await.unwrap();
    let now = house.clock.now();
    house.change(&ada, |ada| ada.deleted_at = Set(Some(now))).await;
    assert_eq!(unauthenticated(house.logs_in("ada", PASSWORD).await), AuthError::WrongLogin);
    assert_eq!(unauthenticated(house.auth.sign_in(&ada, &device()).await), AuthError::WrongLogin);
    assert_eq!(unauthenticated(house.shows(&signed_in).await), AuthError::TokenRevoked);
}

#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let house = House::new().await;
    house.user("ada").await;
    let mut shortest = [Duration::MAX; 2];
    let are_alike = |[known, unknown]: [Duration; 2]| known < 3 * unknown && unknown < 3 * known;
    // A busy machine may make one of them wait. The shortest times are compared, of as many attempts as it takes.
    for attempt in 0..60 {
        if attempt >= 4 && are_alike(shortest) {
            return;
        }
        for (username, shortest) in ["ada", "nobody"].into_iter().zip(&mut shortest) {
            let start = std::time::Instant::now();
            unauthenticated(house.logs_in(username, "wrong").await);
            *shortest = start.elapsed().min(*shortest);
        }
        // Wrong passwords are forgotten.
        house.clock.advance(TimeDelta::days(1));
    }
    panic!("a wrong password takes {:?}, an unknown user {:?}", shortest[0], shortest[1]);
}

#[tokio::test]
async fn five_wrong_passwords_close_the_door_for_a_while_even_at_the_same_time() {
    let house = House::new().await;
    house.user("ada").await;
    let guesses = (0..20).map(|_| house.logs_in("ADA", "wrong"));
    let results = futures_util::future::join_all(guesses).await;
    let looked_at =
        |result: &&Result<SignIn>| matches!(result, Err(Error::Unauthenticated(AuthError::WrongLogin)));
    assert_eq!(results.iter().filter(looked_at).count(), 5);
    // The right password is not checked either, and trying does not extend the wait.
    let refused = house.logs_in("ada", PASSWORD).await.unwrap_err();
    assert!(matches!(refused, Error::RateLimited { retry_after } if retry_after <= Duration::from_secs(300)));
    house.auth.login(&Device::new([192, 0, 2, 9].into(), None), None, "ada", PASSWORD.into()).await.unwrap();
    house.clock.advance(TimeDelta::seconds(301));
    house.logs_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_fault_is_not_a_wrong_password() {
    let house = House::new().await;
    house.user("ada").await;
    house.db.close().await;
    for _ in 0..6 {
        assert!(matches!(house.logs_in("ada", PASSWORD).await, Err(Error::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_refreshed_token_stays_in_its_session_and_one_logout_ends_both() {
    let house = House::new().await;
    house.user("ada").await;
    let first = house.logs_in("ada", PASSWORD).await.unwrap();
    let other = house.logs_in("ada", PASSWORD).await.unwrap();
    house.clock.advance(TimeDelta::seconds(1800));
    let caller = house.shows(&first).await.unwrap();
    let second = house.auth.refresh(&caller).await.unwrap();
    assert_eq!(second.session, first.session);
    assert_ne!(second.token.expose_secret(), first.token.expose_secret());
    assert!(second.expires_at > first.expires_at);
    let row = entity::session::Entity::find_by_id(first.session).one(house.db.reader()).await.unwrap();
    assert_eq!(row.unwrap().expires_at, second.expires_at);
    house.shows(&first).await.unwrap();
    house.shows(&second).await.unwrap();

    assert!(house.heard().is_empty());
    house.auth.logout(&caller).await.unwrap();
    assert_eq!(unauthenticated(house.shows(&first).await), AuthError::TokenRevoked);
    assert_eq!(unauthenticated(house.shows(&second).await), AuthError::TokenRevoked);
    assert_eq!(unauthenticated(house.auth.refresh(&caller).await), AuthError::TokenRevoked);
    assert_eq!(house.auth.ended_among(vec![caller.session]).await.unwrap(), [caller.session]);
    house.shows(&other).await.unwrap();
    let heard = house.heard();
    assert!(
        matches!(heard[..], [(Ended::Session(session), "You logged out")] if session == first.session),
        "{heard:?}"
    );
    house.auth.logout(&caller).await.unwrap();
}

#[tokio::test]
async fn a_token_ends_by_the_clock_and_says_when() {
    let house = House::new().await;
    house.user("ada").await;
    let sign_in = house.logs_in("ada", PASSWORD).await.unwrap();
    house.clock.advance(TimeDelta::seconds(3606));
    let why = unauthenticated(house.shows(&sign_in).await);
    let at = sign_in.expires_at.format("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    assert_eq!(why, AuthError::TokenExpired(at));
    assert_eq!(
        unauthenticated(house.auth.authenticate("nonsense", &device()).await),
        AuthError::TokenInvalid
    );
}

#[tokio::test]
async fn ending_all_spares_one_and_other_people() {
    let house = House::new().await;
    let ada = house.user("ada").await;
    house.user("bob").await;
    let bobs = house.logs_in("bob", PASSWORD).await.unwrap();
    let mut signed_in = Vec::new();
    for _ in 0..3 {
        signed_in.push(house.logs_in("ada", PASSWORD).await.unwrap());
    }
    let spare = signed_in.pop().unwrap();
    let end_all = async |spare| {
        let writer = house.db.writer().await.unwrap();
        entity::session::revoke_all(&*writer, ada.id, spare, house.clock.now()).await.unwrap();
    };
    end_all(Some(spare.session)).await;
    for ended in &signed_in {
        assert_eq!(unauthenticated(house.shows(ended).await), AuthError::TokenRevoked);
    }
    house.shows(&spare).await.unwrap();
    house.shows(&bobs).await.unwrap();
    end_all(None).await;
    assert_eq!(unauthenticated(house.shows(&spare).await), AuthError::TokenRevoked);
    house.shows(&bobs).await.unwrap();
}

#[tokio::test]
async fn a_session_is_not_opened_with_a_password_that_was_changed_meanwhile() {
    let house = House::new().await;
    let as_checked = house.user("ada").await;
    let new = house.passwords.hash(Purpose::Member, "another horse".into()).await.unwrap();
    house.change(&as_checked, |ada| ada.password_hash = Set(Some(new))).await;
    assert_eq!(unauthenticated(house.auth.sign_in(&as_checked, &device()).await), AuthError::WrongLogin);
    house.logs_in("ada", "another horse").await.unwrap();
}

#[tokio::test]
async fn a_token_whose_session_is_somebody_elses_is_refused() {
    let house = House::new().await;
    let ada = house.user("ada").await;
    let bob = house.user("bob").await;
    let adas = house.auth.sign_in(&ada, &device()).await.unwrap();
    let now = house.clock.now();
    let end = house.auth.expiry(now, now);
    for mixed in
        [house.auth.issue(adas.session, bob, now, end), house.auth.issue(SessionId::new(), ada, now, end)]
    {
        assert_eq!(unauthenticated(house.shows(&mixed.unwrap()).await), AuthError::TokenRevoked);
    }
}

#[tokio::test]
async fn a_hash_of_other_costs_is_replaced_at_the_next_login() {
    let house = House::new().await;
    let ada = house.user("ada").await;
    let cheap = argon2::Params::new(8 * 1024, 1, 1, None).unwrap();
    let cheap = argon2::Argon2::from(cheap);
    let old: argon2::password_hash::phc::PasswordHash =
        argon2::password_hash::PasswordHasher::hash_password(&cheap, PASSWORD.as_bytes()).unwrap();
    house.change(&ada, |ada| ada.password_hash = Set(Some(old.to_string()))).await;
    let stored =
        async || user::named("ada").one(house.db.reader()).await.unwrap().unwrap().password_hash.unwrap();
    unauthenticated(house.logs_in("ada", "wrong").await);
    assert!(needs_rehash(&stored().await), "a wrong password changes nothing");
    house.logs_in("ada", PASSWORD).await.unwrap();
    assert!(!needs_rehash(&stored().await));
    house.logs_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_link_for_the_first_admin_works_once_for_a_day_and_the_newest_one_only() {
    let house = House::new().await;
    let offer = async || house.auth.offer_first_admin().await.unwrap().expect("there is no admin");
    let attempt =
        async |link: &first_admin::NewAdminLink| house.auth.use_admin_link(link.secret.expose_secret()).await;
    let (old, new) = (offer().await, offer().await);
    assert!(matches!(attempt(&old).await, Err(Error::Forbidden(Forbidden::AdminLink))));
    let stored = admin_link::Entity::find().all(house.db.reader()).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert!(!format!("{stored:?} {new:?}").contains(new.secret.expose_secret()));

    house.clock.advance(TimeDelta::days(1) - TimeDelta::seconds(1));
    let used = attempt(&new).await.expect("a day is not over");
    assert!(attempt(&new).await.is_err(), "it is used");
    house.auth.give_back_admin_link(used).await.unwrap();
    house.clock.advance(TimeDelta::seconds(1));
    assert!(attempt(&new).await.is_err(), "the day is over");

    let last = offer().await;
    let ada = house.user("ada").await;
    house.change(&ada, |row| row.is_admin = Set(true)).await;
    assert!(attempt(&last).await.is_err(), "there is an admin");
    assert!(house.auth.offer_first_admin().await.unwrap().is_none());
    house.change(&ada, |row| row.deleted_at = Set(Some(house.clock.now()))).await;
    assert!(attempt(&last).await.is_ok(), "a deleted admin is none");
}
