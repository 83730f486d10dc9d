//! The users as whom the app can sign in, and the users to whom one can write: `/api/users/login/{name}` and
//! `/api/users/{id}/{role}`.

use axum::{extract::State, response::Response};
use entity::UserId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Asker, EncryptedApp, is_named};
use crate::{
    chat::{
        ListUsers,
        model::{After, User},
    },
    error::{Entity, Error, Forbidden, Result},
    gateway::{
        http::{answer, extract::PathParameter},
        wire::bounded::{ANSWER_BYTES, Bounded, ENTRIES},
    },
    values::Username,
};

/// The number of users per read, each with a whole profile.
const AT_ONCE: u64 = 50;
/// The most bytes of a picture in a list. A larger one is replaced there by the generated picture.
const LISTED_IMG: usize = 2_048;
/// The most bytes of a role. A longer one is ignored.
const ROLE: usize = 256;
/// The role of a user whose profile has no role.
const USUAL_ROLE: &str = "user";
/// The characters that a `data:` URL may contain unescaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b' ')
    .remove(b'=')
    .remove(b'\'')
    .remove(b'/')
    .remove(b':')
    .remove(b'-')
    .remove(b'.');

/// A user in the form of the app.
#[derive(Serialize)]
struct Contact<'a> {
    _id: UserId,
    name: &'a str,
    img: String,
    role: String,
}

impl<'a> Contact<'a> {
    fn of(user: &'a User) -> Self {
        let profile = Profile::of(user);
        let name = &*user.row.username;
        Self {
            _id: user.row.id,
            name,
            img: profile.img.unwrap_or_else(|| avatar(name)),
            role: profile.role.unwrap_or_else(|| USUAL_ROLE.to_owned()),
        }
    }

    /// For a list, which has room only for small pictures.
    fn listed(user: &'a User) -> Self {
        let contact = Self::of(user);
        if contact.img.len() <= LISTED_IMG { contact } else { Self { img: avatar(contact.name), ..contact } }
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

/// A picture with the first letter or digit of a name, on a background colour that depends on the name.
fn avatar(name: &str) -> String {
    let sign = name.chars().find(|sign| sign.is_alphanumeric()).unwrap_or('?');
    let hue = name.bytes().fold(0_u32, |hue, byte| (hue * 31 + u32::from(byte)) % 360);
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 40'>\
         <rect width='40' height='40' fill='hsl({hue},45%,45%)'/>\
         <text x='20' y='27' font-family='sans-serif' font-size='20' text-anchor='middle' fill='white'>{}</text></svg>",
        sign.to_uppercase()
    );
    format!("data:image/svg+xml,{}", utf8_percent_encode(&svg, ESCAPED))
}

/// The user with this name.
pub async fn login(
    Asker(asker): Asker,
    State(app): State<EncryptedApp>,
    PathParameter(name): PathParameter<String>,
) -> Result<Response> {
    // The core would also accept an id. A text that cannot be a username belongs to no user.
    let name = Username::parse(&name).map_err(|_| Error::NotFound(Entity::User))?;
    let user = app.sockets.http.chat.user(&asker, name.as_str()).await?;
    if app.is_open && user.row.is_admin {
        return Err(Error::Forbidden(Forbidden::Role));
    }
    answer::ok(Contact::of(&user))
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
        let contact = Contact::listed(user);
        if contact.role == role { Ok(true) } else { data.push(ANSWER_BYTES, contact) }
    };
    let data = Bounded::default().gather(ENTRIES, part, push).await?;
    answer::ok(Contacts { data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_avatar_is_small_and_safe_in_an_attribute() {
        for (name, sign) in [("ada", "A"), ("<&>", "%3F"), ("  éva", "%C3%89"), ("\"><script>", "S")] {
            let avatar = avatar(name);
            assert!(avatar.starts_with("data:image/svg+xml,%3Csvg "), "{avatar}");
            assert!(avatar.contains(&format!("%3E{sign}%3C/text")), "{avatar}");
            assert!(avatar.len() < 600 && !avatar.contains(['"', '<', '>', '#']), "{avatar}");
        }
    }
}
