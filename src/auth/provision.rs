//! Just-in-time provisioning: what the server does with an issuer's token that it has not seen before. It
//! opens the session, and creates the account if the issuer's subject is new. The token was verified before.

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId, identity, look_alike, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, EntityTrait, IntoActiveModel, TryInsertResult,
    sea_query::OnConflict,
};

use super::{
    Device,
    issuer::{Introduction, Vouched},
    session::NewSession,
};
use crate::{
    db::Db,
    error::{AuthError, Error, Result},
    identity::IssuerDetails,
    values::{self, Username},
};

/// Maximum length of a username, in characters.
const LONGEST: usize = 64;
/// How much of an issuer's name is looked at, in characters.
const CONSIDERED: usize = 256;
/// From this attempt on, names get a random suffix: somebody may have taken all the numbered ones.
const COUNTED: u32 = 9;

/// How many names are tried for a new user. The last ones are practically random.
const NAMES: u32 = 12;

/// The session of an external token, with its user, whether it has ended or not. For a known token, this
/// query is all that is needed.
pub(super) async fn seen(db: &Db, session: SessionId) -> Result<Option<(session::Model, user::Model)>> {
    let found = session::Entity::find_by_id(session).find_also_related(user::Entity).one(db.reader()).await?;
    Ok(found.and_then(|(session, user)| Some((session, user?))))
}

/// Opens the session of a token, and creates its user if the issuer's subject is new.
///
/// Returns what the issuer says about a known user that it did not say before. When that is taken over, call
/// [`note`].
///
/// # Errors
/// `token_revoked` if the subject's account was deleted or disabled: it stays so.
pub(super) async fn welcome(
    db: &Db,
    vouched: &Vouched,
    device: &Device,
    now: DateTime<Utc>,
) -> Result<Option<(UserId, IssuerDetails)>> {
    let (identity, user) = match known(db, vouched).await? {
        Some(known) => known,
        None => {
            make(db, vouched, now).await?;
            // The user that this call or a concurrent one has created.
            known(db, vouched).await?.ok_or_else(|| Error::internal("a new identity is not there"))?
        }
    };
    if user.deleted_at.is_some() || user.disabled_at.is_some() {
        return Err(Error::Unauthenticated(AuthError::TokenRevoked));
    }
    let new = NewSession { now, expires_at: vouched.expires_at, device, by_password: false };
    let row = new.row(vouched.session, user.id);
    // A concurrent request with the same token may insert the same row.
    session::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(&*db.writer().await?)
        .await?;
    let said = said(&vouched.introduction);
    if (&said.first_name, &said.email) == (&identity.first_name, &identity.email) {
        return Ok(None);
    }
    let details = IssuerDetails {
        first_name: changed(&identity.first_name, said.first_name, &user.first_name),
        email: changed(&identity.email, said.email, &user.email),
    };
    Ok(Some((user.id, details)))
}

/// Remembers what the issuer says about the user.
pub(super) async fn note(db: &Db, vouched: &Vouched) -> Result<()> {
    let IssuerDetails { first_name, email } = said(&vouched.introduction);
    let row = identity::ActiveModel {
        issuer: Set(vouched.issuer.clone()),
        subject: Set(vouched.subject.clone()),
        first_name: Set(first_name),
        email: Set(email),
        ..Default::default()
    };
    identity::Entity::update(row).exec(&*db.writer().await?).await?;
    Ok(())
}

/// What an issuer says, as far as it can be stored.
fn said(introduction: &Introduction) -> IssuerDetails {
    let detail = |field, value: &Option<String>| values::detail(field, value.clone()).ok().flatten();
    IssuerDetails {
        first_name: detail("firstName", &introduction.first_name),
        email: detail("email", &introduction.email),
    }
}

/// The new value, if the issuer has changed its own. What the user has changed here stays, and so does what an
/// issuer says nothing about any more. If it is not known what the issuer said before, only a missing value is
/// filled in.
fn changed(before: &Option<String>, now: Option<String>, here: &Option<String>) -> Option<String> {
    now.filter(|now| before.as_ref() != Some(now) && (before.is_some() || here.is_none()))
}

/// The user that the subject is bound to, deleted or not.
async fn known(db: &Db, vouched: &Vouched) -> Result<Option<(identity::Model, user::Model)>> {
    let key = (vouched.issuer.clone(), vouched.subject.clone());
    let found = identity::Entity::find_by_id(key).find_also_related(user::Entity).one(db.reader()).await?;
    Ok(found.and_then(|(identity, user)| Some((identity, user?))))
}

/// Creates an account bound to the subject, or nothing if the subject was bound in the meantime. A taken name
/// belongs to another account, and never gives access to it.
async fn make(db: &Db, vouched: &Vouched, now: DateTime<Utc>) -> Result<()> {
    let transaction = db.begin().await?;
    let said = said(&vouched.introduction);
    for attempt in 0..NAMES {
        let account = new_account(&vouched.introduction, attempt, now);
        let (user, username) = (account.id, account.username.clone());
        let identity = identity::ActiveModel {
            issuer: Set(vouched.issuer.clone()),
            subject: Set(vouched.subject.clone()),
            user_id: Set(user),
            created_at: Set(now),
            first_name: Set(said.first_name.clone()),
            email: Set(said.email.clone()),
        };
        let by_name = OnConflict::column(user::Column::UsernameKey).do_nothing().to_owned();
        let made = user::Entity::insert(account.into_active_model().reset_all())
            .on_conflict(by_name)
            .try_insert()
            .exec_without_returning(&*transaction)
            .await?;
        if !is_inserted(&made) {
            continue;
        }
        if !take_readings(&transaction, user, &username).await? {
            user::Entity::delete_by_id(user).exec(&*transaction).await?;
            continue;
        }
        let bound = identity::Entity::insert(identity)
            .on_conflict_do_nothing()
            .exec_without_returning(&*transaction)
            .await?;
        if is_inserted(&bound) {
            transaction.commit().await?;
        }
        return Ok(());
    }
    Err(Error::internal("no name was free for a new user"))
}

/// Takes the readings of a new user's name. If another user has one of them, takes none and returns `false`.
async fn take_readings(transaction: &DatabaseTransaction, user: UserId, username: &str) -> Result<bool> {
    let wanted = text::look_alikes(username).len() as u64;
    let taken = look_alike::take_for_user(user, username)
        .on_conflict(look_alike::if_free())
        .try_insert()
        .exec_without_returning(transaction)
        .await?;
    if matches!(taken, TryInsertResult::Inserted(rows) if rows == wanted) {
        return Ok(true);
    }
    look_alike::free_of_user(user).exec(transaction).await?;
    Ok(false)
}

fn is_inserted(result: &TryInsertResult<u64>) -> bool {
    matches!(result, TryInsertResult::Inserted(rows) if *rows > 0)
}

/// A new account without rights and without a password. Its name is valid but may be taken. Each `attempt`,
/// counted from 0, gives another name.
fn new_account(introduction: &Introduction, attempt: u32, now: DateTime<Utc>) -> user::Model {
    let id = UserId::new();
    let username = username(&introduction.username, attempt, id);
    let IssuerDetails { first_name, email } = said(introduction);
    user::Model {
        id,
        username_key: user::username_key(&username),
        search_text: user::search_text(&username, first_name.as_deref(), None),
        username,
        password_hash: None,
        first_name,
        last_name: None,
        email,
        phone: None,
        profile: None,
        is_admin: false,
        created_at: now,
        last_seen_at: None,
        deleted_at: None,
        disabled_at: None,
    }
}

/// The issuer's name as far as it is a valid username, with a different suffix for each attempt.
fn username(wanted: &str, attempt: u32, id: UserId) -> String {
    let end = match attempt {
        0 => String::new(),
        1..=COUNTED => format!("-{}", attempt + 1),
        // The low half of an id is random.
        _ => format!("-{:08x}", id.0.as_u128() & 0xffff_ffff),
    };
    let begun: String = wanted.chars().take(CONSIDERED).collect();
    let near = text::nearest_username(&begun);
    let ending = |name: &str| {
        let name: String = name.chars().take(LONGEST - end.len()).collect();
        Username::parse(&format!("{}{end}", name.trim_end())).map(Username::into_string)
    };
    // Too short, or like an id (the subjects of many issuers look like ids), or not valid before this ending.
    ending(&near)
        .or_else(|_| ending(format!("user-{near}").trim_end_matches('-')))
        .or_else(|_| ending(&near.chars().filter(char::is_ascii_alphanumeric).collect::<String>()))
        .or_else(|_| ending("user"))
        // Not reached: the name before is valid with every ending.
        .unwrap_or_else(|_| format!("user-{}", id.0.simple()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_far_as_it_can_be_one() {
        let id = UserId::new();
        for (wanted, expected) in [
            ("ada", "ada"),
            ("Ada Lovelace", "Ada Lovelace"),
            ("auth0|5f7", "auth0|5f7"),
            (" ada \n", "ada"),
            ("ad\u{200b}a", "ada"),
            ("Jose\u{301}", "José"),
            ("ａｄａ", "ada"),
            ("ada 🚀", "ada"),
            ("ada : hi", "ada hi"),
            ("אבגabc", "abc"),
            ("ab", "user-ab"),
            ("", "user"),
            (" \n ", "user"),
            ("日本語", "日本語"),
        ] {
            assert_eq!(username(wanted, 0, id), expected, "{wanted:?}");
        }
        assert_eq!(username(&id.to_string(), 0, id), format!("user-{id}"));
        assert_eq!(username("ada", 1, id), "ada-2");
        assert_eq!(username("", 1, id), "user-2");
        assert_eq!(username("ada", 9, id), "ada-10");
        let random = username("ada", 10, id);
        assert!(random.starts_with("ada-") && random.len() == 12, "{random}");
    }

    #[test]
    fn whatever_an_issuer_writes_becomes_a_username() {
        let id = UserId::new();
        let wide = "é".repeat(64);
        let gap = format!("{} {}", "x".repeat(61), "y".repeat(20));
        let simple = id.0.simple().to_string();
        for wanted in [
            "",
            "a",
            "\u{85}",
            "日本語",
            "👩‍👩‍👧‍👦",
            "אורי",
            "محمد",
            "می\u{200c}خواهم",
            "\u{301}\u{301}\u{301}",
            "ada :",
            &"\u{430}\u{301}".repeat(40),
            &wide,
            &"x".repeat(10_000),
            &gap,
            &simple,
            &id.0.urn().to_string(),
        ] {
            for attempt in 0..12 {
                let name = username(wanted, attempt, id);
                assert!(Username::parse(&name).is_ok(), "{name:?} of {wanted:?}");
            }
        }
    }
}
