//! Just-in-time provisioning: what the server does with an issuer's token that it has not seen before. It
//! opens the session, and creates the account if the issuer's subject is new. The token was verified before.

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId, identity, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel, TryInsertResult, sea_query::OnConflict,
};

use super::issuer::{Introduction, Vouched};
use crate::{
    db::Db,
    error::{AuthError, Error, Result},
    values::{self, Username},
};

/// Maximum length of a username, in characters.
const LONGEST: usize = 64;
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
/// # Errors
/// `token_revoked` if the subject's account was deleted: it stays deleted.
pub(super) async fn welcome(db: &Db, vouched: &Vouched, now: DateTime<Utc>) -> Result<()> {
    let user = match known(db, vouched).await? {
        Some(user) => user,
        None => {
            make(db, vouched, now).await?;
            // The user that this call or a concurrent one has created.
            known(db, vouched).await?.ok_or_else(|| Error::internal("a new identity is not there"))?
        }
    };
    if user.deleted_at.is_some() {
        return Err(Error::Unauthenticated(AuthError::TokenRevoked));
    }
    let row = session::ActiveModel {
        id: Set(vouched.session),
        user_id: Set(user.id),
        created_at: Set(now),
        expires_at: Set(vouched.expires_at),
        revoked_at: Set(None),
    };
    // A concurrent request with the same token may insert the same row.
    session::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(&*db.writer().await?)
        .await?;
    Ok(())
}

/// The user that the subject is bound to, deleted or not.
async fn known(db: &Db, vouched: &Vouched) -> Result<Option<user::Model>> {
    let key = (vouched.issuer.clone(), vouched.subject.clone());
    let found = identity::Entity::find_by_id(key).find_also_related(user::Entity).one(db.reader()).await?;
    Ok(found.and_then(|(_, user)| user))
}

/// Creates an account bound to the subject, or nothing if the subject was bound in the meantime. A taken name
/// belongs to another account, and never gives access to it.
async fn make(db: &Db, vouched: &Vouched, now: DateTime<Utc>) -> Result<()> {
    let transaction = db.begin().await?;
    for attempt in 0..NAMES {
        let account = new_account(&vouched.introduction, attempt, now);
        let identity = identity::ActiveModel {
            issuer: Set(vouched.issuer.clone()),
            subject: Set(vouched.subject.clone()),
            user_id: Set(account.id),
            created_at: Set(now),
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

fn is_inserted(result: &TryInsertResult<u64>) -> bool {
    matches!(result, TryInsertResult::Inserted(rows) if *rows > 0)
}

/// A new account without rights and without a password. Its name is valid but may be taken. Each `attempt`,
/// counted from 0, gives another name.
fn new_account(introduction: &Introduction, attempt: u32, now: DateTime<Utc>) -> user::Model {
    let id = UserId::new();
    let username = username(&introduction.username, attempt, id);
    let detail = |field, value: &Option<String>| values::detail(field, value.clone()).ok().flatten();
    user::Model {
        id,
        username_key: user::username_key(&username),
        username,
        password_hash: None,
        first_name: detail("firstName", &introduction.first_name),
        last_name: None,
        email: detail("email", &introduction.email),
        phone: None,
        profile: None,
        is_admin: false,
        created_at: now,
        last_seen_at: None,
        deleted_at: None,
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
    let printable: String = wanted.chars().filter(|c| !c.is_control()).collect();
    let printable = printable.trim();
    let ending = |name: &str| {
        let name: String = name.chars().take(LONGEST - end.len()).collect();
        format!("{}{end}", name.trim_end())
    };
    // Too short, or like an id. The subjects of many issuers look like ids.
    let named = ending(printable);
    Username::parse(&named).map_or_else(|_| ending(&format!("user-{printable}")), Username::into_string)
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
            ("a\0d\u{7f}a", "ada"),
            ("ab", "user-ab"),
            ("", "user-"),
            (" \n ", "user-"),
        ] {
            assert_eq!(username(wanted, 0, id), expected, "{wanted:?}");
        }
        assert_eq!(username(&id.to_string(), 0, id), format!("user-{id}"));
        assert_eq!(username("ada", 1, id), "ada-2");
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
