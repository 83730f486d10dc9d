//! The users as whom the app can sign in, and the users to whom one can write: `/api/users/login/{name}` and
//! `/api/users/{id}/{role}`.

use axum::{extract::State, response::Response};
use entity::UserId;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Asker, EncryptedApp, is_named};
use crate::{
    chat::{
        ListUsers,
        model::{After, User},
    },
    error::{Error, Forbidden, Result},
    gateway::{
        http::{answer, extract::PathParameter},
        wire::bounded::{ANSWER_BYTES, Bounded, ENTRIES},
    },
};

/// The number of users per read, each with a whole profile.
const AT_ONCE: u64 = 50;
/// The most bytes of a picture in a list. A larger one is replaced there by one of the app's own.
const LISTED_IMG: usize = 2_048;
/// The most bytes of a role. A longer one is ignored.
const ROLE: usize = 256;
/// The role of a user whose profile has no role.
const USUAL_ROLE: &str = "user";
/// A user in the form of the app.
#[derive(Serialize)]
struct Contact<'a> {
    _id: UserId,
    name: &'a str,
    img: String,
    role: String,
}

impl<'a> Contact<'a> {
    /// `pictures` are those of the app.
    fn of(user: &'a User, pictures: &[String]) -> Self {
        let profile = Profile::of(user);
        let name = &*user.row.username;
        Self {
            _id: user.row.id,
            name,
            img: profile.img.unwrap_or_else(|| picture(name, pictures)),
            role: profile.role.unwrap_or_else(|| USUAL_ROLE.to_owned()),
        }
    }

    /// For a list, which has room only for small pictures.
    fn listed(user: &'a User, pictures: &[String]) -> Self {
        let contact = Self::of(user, pictures);
        if contact.img.len() <= LISTED_IMG {
            contact
        } else {
            Self { img: picture(contact.name, pictures), ..contact }
        }
    }
}

/// The fields of a profile that the app shows. A field is `None` if it is not a string, or a blank one.
#[derive(Default)]
struct Profile {
    img: Option<String>,
    role: Option<String>,
}

impl Profile {
    fn of(user: &User) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Raw {
            img: Json,
            role: Json,
        }
        let raw: Raw =
            user.row.profile.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let said = |value| match value {
            Json::String(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        };
        Self { img: said(raw.img), role: said(raw.role).filter(|role| role.len() <= ROLE) }
    }
}

/// One of the app's pictures, always the same for a name.
fn picture(name: &str, pictures: &[String]) -> String {
    let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let index = sum.checked_rem(pictures.len());
    index.and_then(|index| pictures.get(index)).cloned().unwrap_or_default()
}

/// The user with this name.
pub async fn login(
    Asker(asker): Asker,
    State(app): State<EncryptedApp>,
    PathParameter(name): PathParameter<String>,
) -> Result<Response> {
    let user = app.sockets.http.chat.user_of_name(&asker, &name).await?;
    if app.is_open && user.row.is_admin {
        return Err(Error::Forbidden(Forbidden::Role));
    }
    answer::ok(Contact::of(&user, &app.pictures))
}

#[derive(Serialize)]
struct Contacts {
    data: Bounded,
}

/// All users except this one and those with this role, in the order of their names, as many as fit into an
/// answer.
pub async fn others(
    Asker(asker): Asker,
    State(app): State<EncryptedApp>,
    PathParameter((id, role)): PathParameter<(String, String)>,
) -> Result<Response> {
    let chat = &app.sockets.http.chat;
    let part = |limit: u64, next: Option<String>| {
        let after = next.map(After::Key);
        let limit = Some(limit.min(AT_ONCE));
        chat.users(&asker, ListUsers { search: None, limit, after, whole_profiles: true })
    };
    let push = |data: &mut Bounded, user: &User| {
        if is_named(user.row.id, &user.row.username, &id) {
            return Ok(true);
        }
        let contact = Contact::listed(user, &app.pictures);
        if contact.role == role { Ok(true) } else { data.push(ANSWER_BYTES, contact) }
    };
    let data = Bounded::default().gather(ENTRIES, part, push).await?;
    answer::ok(Contacts { data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_picture_and_names_have_different_ones() {
        let pictures = ["a.png", "b.png", "c.png"].map(str::to_owned);
        let of = |name: &str| picture(name, &pictures);
        assert_eq!(of("ada"), of("ada"));
        let mut seen: Vec<_> = ["ada", "bob", "cyd", "dan", "eve"].map(of).to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, pictures);
        assert_eq!(picture("ada", &[]), "");
    }
}
