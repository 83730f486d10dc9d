//! `/api/users`: sign-up, the list of users, and accounts. `chat` checks the permissions.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use entity::user::is_same_name;
use http::{StatusCode, header};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    Rest, answer,
    extract::{Client, Json, Listing, PathParameter, QueryParameters},
    openapi::{Always, MayClash, NeedsBody, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing, Throttled},
};
use crate::{
    chat::{
        ListUsers, NewUser, UserChange,
        model::{After, User},
    },
    error::{Error, Forbidden, Result},
    gateway::wire::{self, UserPageView, UserView},
    identity::Caller,
    values::{self, Username},
};

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignUp {
    #[schema(min_length = 3, max_length = 64)]
    username: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024)]
    password: SecretString,
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    #[schema(value_type = Option<Object>)]
    profile: Option<Box<RawValue>>,
}

/// Create an account.
#[utoipa::path(
    post, path = "/api/users", tag = "users", operation_id = "createUser", security(()),
    request_body = SignUp,
    responses(
        (
            headers(("location" = String, description = "Its address")),
            status = 201, description = "The new account", body = UserView
        ),
        NeedsBody, NeedsRight, MayClash, Throttled, Always
    )
)]
pub async fn register(
    State(rest): State<Rest>,
    client: Client,
    Json(sign_up): Json<SignUp>,
) -> Result<Response> {
    if !rest.signup {
        return Err(Error::Forbidden(Forbidden::SignupOff));
    }
    let new = NewUser {
        username: Username::parse(&sign_up.username)?,
        password: Some(sign_up.password),
        first_name: sign_up.first_name,
        last_name: sign_up.last_name,
        email: sign_up.email,
        phone: sign_up.phone,
        profile: object(sign_up.profile)?,
        is_admin: false,
    };
    rest.sign_ups.count(client.address)?;
    let user = rest.chat.register(new).await?;
    rest.auth.signed_up(client.address, &user.row);
    created(&user)
}

/// The answer to whoever has made an account for themselves.
pub(super) fn created(user: &User) -> Result<Response> {
    let location = [(header::LOCATION, format!("/api/users/{}", user.row.id))];
    Ok((location, answer::json(StatusCode::CREATED, UserView::own(user))?).into_response())
}

/// List the users, in the order of their names.
#[utoipa::path(
    get, path = "/api/users", tag = "users", operation_id = "listUsers",
    params(Listing),
    responses(
        (status = 200, description = "The users", body = UserPageView),
        NeedsQuery, NeedsCaller, Always
    )
)]
pub async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    QueryParameters(listing): QueryParameters<Listing>,
) -> Result<Response> {
    let Listing { search, limit, after } = listing;
    let list = ListUsers { search, limit, after: after.map(After::Key), whole_profiles: false };
    let page = rest.chat.users(&caller, list).await?;
    answer::ok(UserPageView::of(&page, &caller))
}

/// Get one user.
#[utoipa::path(
    get, path = "/api/users/{idOrUsername}", tag = "users", operation_id = "getUser",
    params(("idOrUsername" = String, Path, description = "An id or a username")),
    responses(
        (status = 200, description = "The user", body = UserView),
        NeedsCaller, NeedsThing, Always
    )
)]
pub async fn show(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(user): PathParameter<String>,
) -> Result<Response> {
    let user = rest.chat.user(&caller, &user).await?;
    answer::ok(UserView::of(&user, &caller))
}

/// The changes to an account. A null clears a field.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountChange {
    /// Accepted if it is the current username. Usernames never change.
    #[schema(nullable = false)]
    username: Option<String>,
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<String>)]
    first_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<String>)]
    last_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<Object>)]
    profile: Option<Option<Box<RawValue>>>,
    /// The new password. Changing it ends the user's other logins.
    #[schema(value_type = Option<String>, format = Password, nullable = false)]
    #[schema(min_length = 8, max_length = 1024)]
    password: Option<SecretString>,
    /// The current password. Required to change one's own password or e-mail address, except for users
    /// without a password and users of another issuer.
    #[schema(value_type = Option<String>, format = Password, nullable = false)]
    current_password: Option<SecretString>,
}

impl AccountChange {
    /// A complete replacement: clears every field that is not given.
    fn whole(self) -> Self {
        Self {
            first_name: Some(self.first_name.flatten()),
            last_name: Some(self.last_name.flatten()),
            email: Some(self.email.flatten()),
            phone: Some(self.phone.flatten()),
            profile: Some(self.profile.flatten()),
            ..self
        }
    }
}

/// Replace an account's details. Details that are not given become null; the password stays.
#[utoipa::path(
    put, path = "/api/users/{idOrUsername}", tag = "users", operation_id = "replaceUser",
    request_body = AccountChange,
    params(("idOrUsername" = String, Path, description = "An id or a username")),
    responses(
        (status = 200, description = "The account as it is now", body = UserView),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Throttled, Always
    )
)]
pub async fn replace(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(user): PathParameter<String>,
    Json(change): Json<AccountChange>,
) -> Result<Response> {
    apply(&rest, &caller, &user, change.whole()).await
}

/// Change the given fields of an account.
#[utoipa::path(
    patch, path = "/api/users/{idOrUsername}", tag = "users", operation_id = "changeUser",
    request_body = AccountChange,
    params(("idOrUsername" = String, Path, description = "An id or a username")),
    responses(
        (status = 200, description = "The account as it is now", body = UserView),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Throttled, Always
    )
)]
pub async fn change(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(user): PathParameter<String>,
    Json(change): Json<AccountChange>,
) -> Result<Response> {
    apply(&rest, &caller, &user, change).await
}

async fn apply(rest: &Rest, caller: &Caller, user: &str, change: AccountChange) -> Result<Response> {
    let before = rest.chat.user(caller, user).await?;
    keeps_its_name(&before, change.username.as_deref())?;
    let email = change.email.map(|email| values::detail("email", email)).transpose()?;
    let has_new_email = email.as_ref().is_some_and(|email| *email != before.row.email);
    if before.row.id == caller.user && (change.password.is_some() || has_new_email) {
        rest.auth.confirm(caller, change.current_password).await?;
    }
    let change = UserChange {
        first_name: change.first_name,
        last_name: change.last_name,
        email,
        phone: change.phone,
        profile: change.profile.map(object).transpose()?,
        password: change.password,
    };
    let after = rest.chat.change_user(caller, user, change).await?;
    answer::ok(UserView::of(&after, caller))
}

fn keeps_its_name(user: &User, username: Option<&str>) -> Result<()> {
    match username {
        Some(username) if !is_same_name(username, &user.row.username) => {
            Err(Error::invalid("username", "cannot be changed"))
        }
        _ => Ok(()),
    }
}

/// What deleting one's own account takes.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// The current password. Required to delete one's own account, except for users without a password and
    /// users of another issuer.
    #[schema(value_type = Option<String>, format = Password, nullable = false)]
    current_password: Option<SecretString>,
}

/// Delete an account. Its logins and connections end at once.
#[utoipa::path(
    delete, path = "/api/users/{idOrUsername}", tag = "users", operation_id = "deleteUser",
    request_body = Option<Deletion>,
    params(("idOrUsername" = String, Path, description = "An id or a username")),
    responses(
        (status = 204, description = "It is gone"),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Throttled, Always
    )
)]
pub async fn delete(
    State(rest): State<Rest>,
    caller: Caller,
    client: Client,
    PathParameter(user): PathParameter<String>,
    body: Option<Json<Deletion>>,
) -> Result<Response> {
    let is_own = rest.chat.user(&caller, &user).await?.row.id == caller.user;
    if is_own {
        let Deletion { current_password } = body.map(|Json(body)| body).unwrap_or_default();
        rest.auth.confirm(&caller, current_password).await?;
    }
    let gone = rest.chat.delete_user(&caller, &user).await?;
    if gone == caller.user {
        answer::clear_cookie(answer::no_content(), &rest.settings, client)
    } else {
        Ok(answer::no_content())
    }
}

/// The text of a profile. `chat` checks its length.
fn object(profile: Option<Box<RawValue>>) -> Result<Option<String>> {
    match profile {
        Some(profile) if !profile.get().starts_with('{') => {
            Err(Error::invalid("profile", "must be a JSON object"))
        }
        profile => Ok(profile.map(|profile| String::from(Box::<str>::from(profile)))),
    }
}
