//! Accounts, and how clients refer to a user.

use std::fmt;

use entity::UserId;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Type},
};

use super::{Time, raw};
use crate::{
    chat::model::{Page, User},
    identity::Caller,
};

/// An account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView<'a> {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    username: &'a str,
    /// The username if the user has no first name.
    first_name: &'a str,
    #[schema(required)]
    last_name: Option<&'a str>,
    is_online: bool,
    /// When the user's last connection ended; null if there never was one.
    #[schema(required)]
    last_seen: Option<Time>,
    /// Any JSON object that the user has set; empty by default.
    #[schema(value_type = Object)]
    profile: &'a RawValue,
    /// In lists: true if the profile is larger than 1,024 bytes. `profile` is then an empty object. Request
    /// the single user to get it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    profile_left_out: bool,
    /// Shown to the user and to admins only, and only if it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<&'a str>,
    /// Shown to the user and to admins only, and only if it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    phone: Option<&'a str>,
    /// Whether the user administers this server. Shown to the user and to admins only, and only if it is true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    is_admin: bool,
}

impl<'a> UserView<'a> {
    /// The fields that `viewer` may see.
    pub fn of(user: &'a User, viewer: &Caller) -> Self {
        if viewer.is_admin || viewer.user == user.row.id { Self::own(user) } else { Self::public(user) }
    }

    /// The fields that everyone may see.
    pub fn public(user: &'a User) -> Self {
        let row = &user.row;
        Self {
            id: row.id,
            username: &row.username,
            first_name: row.first_name.as_deref().unwrap_or(&row.username),
            last_name: row.last_name.as_deref(),
            is_online: user.online,
            last_seen: row.last_seen_at.map(Time),
            profile: raw(row.profile.as_deref().unwrap_or("{}")),
            profile_left_out: user.profile_left_out,
            email: None,
            phone: None,
            is_admin: false,
        }
    }

    /// The fields that the user may see of their own account.
    pub fn own(user: &'a User) -> Self {
        let row = &user.row;
        let (email, phone) = (row.email.as_deref(), row.phone.as_deref());
        Self { email, phone, is_admin: row.is_admin, ..Self::public(user) }
    }
}

/// A page of the list of users.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UserPage)]
pub struct UserPageView<'a> {
    #[schema(value_type = Vec<UserView>)]
    users: Vec<UserView<'a>>,
    /// Pass this as `after` to get the next page; null at the end.
    #[schema(required)]
    next: Option<&'a str>,
}

impl<'a> UserPageView<'a> {
    pub fn of(page: &'a Page<User>, viewer: &Caller) -> Self {
        let users = page.items.iter().map(|user| UserView::of(user, viewer)).collect();
        Self { users, next: page.next.as_deref() }
    }
}

/// A reference to a user in a client's list: the username, or an object that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRef(pub String);

impl UserRef {
    pub fn usernames(users: Vec<Self>) -> Vec<String> {
        users.into_iter().map(|user| user.0).collect()
    }
}

// A visitor instead of an untagged enum, because the error of an untagged enum would not say what is wrong.
impl<'de> Deserialize<'de> for UserRef {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named {
            username: String,
        }
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = UserRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a username or an object with a `username`")
            }
            fn visit_str<E: de::Error>(self, username: &str) -> Result<UserRef, E> {
                Ok(UserRef(username.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<UserRef, A::Error> {
                let user = Named::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(UserRef(user.username))
            }
        }
        input.deserialize_any(Either)
    }
}

impl utoipa::PartialSchema for UserRef {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::OneOf;
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let object = ObjectBuilder::new().property("username", text()).required("username");
        let about = "A username, or an object that contains it.";
        OneOf::builder().item(text()).item(object).description(Some(about)).into()
    }
}

impl ToSchema for UserRef {}
