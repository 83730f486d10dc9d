//! The JSON nouns of protocol.md part 1, shared by every gateway that speaks the native form. Which
//! noun goes where, and inside what, is left to the gateways; what may be seen, to the core.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use entity::{MessageId, RoomId, Seq, UserId, member, message};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use crate::{
    chat::{
        caller::Caller,
        nouns::{Conversation, ConversationKind, Group, HistoryPage, Member, Message, Page, Receiver, User},
    },
    error::Error,
};

/// A time as the wire has it: RFC 3339 in UTC with exactly three decimals and a `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T12:00:00.000Z")]
pub struct Time(pub DateTime<Utc>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Time {
    /// The digits of a year that has four, which is all that clocks show: every message has one, and the
    /// library's way of writing it took longer than the rest of the message.
    fn digits(self) -> Option<[u8; 24]> {
        let (date, time) = (self.0.date_naive(), self.0.time());
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |end: usize, places: usize, mut number: u32| {
            for place in text[end - places..end].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
            number == 0
        };
        let fits = put(4, 4, u32::try_from(date.year()).ok()?)
            && put(7, 2, date.month())
            && put(10, 2, date.day())
            && put(13, 2, time.hour())
            && put(16, 2, time.minute())
            && put(19, 2, time.second())
            // A leap second has a thousand more of them.
            && put(23, 3, time.nanosecond() / 1_000_000);
        fits.then_some(text)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.digits();
        match digits.as_ref().map(|digits| str::from_utf8(digits)) {
            Some(Ok(digits)) => serializer.serialize_str(digits),
            _ => serializer.collect_str(self),
        }
    }
}

/// An account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView<'a> {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    username: &'a str,
    /// The username where no first name was given.
    first_name: &'a str,
    #[schema(required)]
    last_name: Option<&'a str>,
    is_online: bool,
    /// When the last socket of this user went; null if there never was one.
    #[schema(required)]
    last_seen: Option<Time>,
    /// Whatever JSON object the user put there; empty by default.
    #[schema(value_type = Object)]
    profile: &'a RawValue,
    /// In lists: true where the profile is over 1,024 bytes and stands here as an empty object. Ask for the
    /// user alone to get it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    profile_left_out: bool,
    /// Only to oneself and admins, and only if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<&'a str>,
    /// Only to oneself and admins, and only if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    phone: Option<&'a str>,
}

impl<'a> UserView<'a> {
    /// What `viewer` may see.
    pub fn of(user: &'a User, viewer: &Caller) -> Self {
        if viewer.is_admin || viewer.user == user.row.id { Self::own(user) } else { Self::public(user) }
    }

    /// What everyone may see.
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
        }
    }

    /// What the user may see of themself.
    pub fn own(user: &'a User) -> Self {
        let row = &user.row;
        Self { email: row.email.as_deref(), phone: row.phone.as_deref(), ..Self::public(user) }
    }
}

/// A named room that people join.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Group)]
pub struct GroupView<'a> {
    /// The room's id.
    #[schema(value_type = String, format = Uuid)]
    group_id: RoomId,
    group_name: &'a str,
    /// Whether who joins must know a password.
    has_password: bool,
    /// A username.
    owner: &'a str,
    member_count: u64,
    /// To members only, and at most 200 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<UserView>>)]
    users: Option<Vec<UserView<'a>>>,
    #[schema(value_type = i64, minimum = 0)]
    last_seq: Seq,
    created_at: Time,
}

impl<'a> GroupView<'a> {
    pub fn of(group: &'a Group) -> Self {
        let row = &group.row;
        Self {
            group_id: row.id,
            group_name: row.name.as_deref().unwrap_or_default(),
            has_password: row.password_hash.is_some(),
            owner: &group.owner.username,
            member_count: group.member_count,
            users: group.users.as_ref().map(|users| users.iter().map(UserView::public).collect()),
            last_seq: row.last_seq,
            created_at: Time(row.created_at),
        }
    }
}

/// What a member sent to a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub struct MessageView<'a> {
    #[schema(value_type = String, format = Uuid)]
    message_id: MessageId,
    #[schema(value_type = String, format = Uuid)]
    room_id: RoomId,
    /// Its place in the room: 1, 2, 3, ... without gaps.
    #[schema(value_type = i64, minimum = 1)]
    seq: Seq,
    /// A username.
    sender: &'a str,
    /// The username for a direct room, the groupId for a group, the roomId for the lobby.
    #[schema(value_type = String)]
    receiver: Addressee<'a>,
    /// Whether `receiver` is a room's id rather than a username.
    group: bool,
    /// A string for `text` and `system`, any JSON for `encrypted`.
    #[schema(value_type = Value)]
    content: &'a RawValue,
    #[schema(value_type = MessageKind)]
    kind: &'static str,
    timestamp: Time,
    delivered_to_all: bool,
    read_by_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = Uuid)]
    reply_to: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    edited_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<Time>,
}

/// Whom a message is addressed to, without a copy of the name.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Addressee<'a> {
    User(&'a str),
    Room(RoomId),
}

/// The schema of [`MessageView::kind`]; the names themselves are [`kind`]'s.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is there for its schema")]
enum MessageKind {
    Text,
    Encrypted,
    System,
}

impl<'a> MessageView<'a> {
    pub fn of(message: &'a Message) -> Self {
        let row = &message.row;
        let (receiver, group) = match &message.receiver {
            Receiver::User(username) => (Addressee::User(username), false),
            Receiver::Group(room) | Receiver::Lobby(room) => (Addressee::Room(*room), true),
        };
        Self {
            message_id: row.id,
            room_id: row.room_id,
            seq: row.seq,
            sender: &message.sender.username,
            receiver,
            group,
            content: raw(&row.content),
            kind: kind(row.kind),
            timestamp: Time(row.created_at),
            delivered_to_all: message.delivered_to_all,
            read_by_all: message.read_by_all,
            client_message_id: row.client_message_id.as_deref(),
            reply_to: row.reply_to,
            edited_at: row.edited_at.map(Time),
            deleted_at: row.deleted_at.map(Time),
        }
    }
}

fn kind(kind: message::Kind) -> &'static str {
    match kind {
        message::Kind::Text => "text",
        message::Kind::Encrypted => "encrypted",
        message::Kind::System => "system",
    }
}

/// One of the caller's rooms.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Conversation)]
pub struct ConversationView<'a> {
    #[schema(value_type = String, format = Uuid)]
    room_id: RoomId,
    /// `direct` or `group`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<GroupView>)]
    group: Option<GroupView<'a>>,
    /// The other user of a direct room; oneself, in the room with oneself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<UserView>)]
    peer: Option<UserView<'a>>,
    #[schema(value_type = i64, minimum = 0)]
    last_seq: Seq,
    /// Everything up to this seq has reached the caller.
    #[schema(value_type = i64, minimum = 0)]
    delivered: Seq,
    /// Everything up to this seq has been read by the caller.
    #[schema(value_type = i64, minimum = 0)]
    read: Seq,
    #[schema(minimum = 0)]
    unread: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<MessageView>)]
    last_message: Option<MessageView<'a>>,
}

impl<'a> ConversationView<'a> {
    pub fn of(conversation: &'a Conversation) -> Self {
        let (kind, group, peer) = match &conversation.kind {
            ConversationKind::Direct { peer } => ("direct", None, Some(UserView::public(peer))),
            ConversationKind::Group(group) => ("group", Some(GroupView::of(group)), None),
        };
        Self {
            room_id: conversation.room.id,
            kind,
            group,
            peer,
            last_seq: conversation.room.last_seq,
            delivered: conversation.delivered,
            read: conversation.read,
            unread: conversation.unread,
            last_message: conversation.last_message.as_ref().map(MessageView::of),
        }
    }
}

/// A user in a room: the user's fields, and what they are there.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Member)]
pub struct MemberView<'a> {
    #[serde(flatten)]
    #[schema(value_type = UserView)]
    user: UserView<'a>,
    /// `owner`, `admin` or `member`.
    role: &'static str,
    #[schema(value_type = i64, minimum = 0)]
    delivered: Seq,
    #[schema(value_type = i64, minimum = 0)]
    read: Seq,
    joined_at: Time,
}

impl<'a> MemberView<'a> {
    pub fn of(member: &'a Member) -> Self {
        Self {
            user: UserView::public(&member.user),
            role: match member.row.role {
                member::Role::Owner => "owner",
                member::Role::Admin => "admin",
                member::Role::Member => "member",
            },
            delivered: member.row.delivered_seq,
            read: member.row.read_seq,
            joined_at: Time(member.row.joined_at),
        }
    }
}

/// A part of the list of users.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UserPage)]
pub struct UserPageView<'a> {
    #[schema(value_type = Vec<UserView>)]
    users: Vec<UserView<'a>>,
    /// What to pass as `after` for the part that follows; null at the end.
    #[schema(required)]
    next: Option<&'a str>,
}

impl<'a> UserPageView<'a> {
    pub fn of(page: &'a Page<User>, viewer: &Caller) -> Self {
        let users = page.items.iter().map(|user| UserView::of(user, viewer)).collect();
        Self { users, next: page.next.as_deref() }
    }
}

/// A part of the list of groups.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = GroupPage)]
pub struct GroupPageView<'a> {
    #[schema(value_type = Vec<GroupView>)]
    groups: Vec<GroupView<'a>>,
    /// What to pass as `after` for the part that follows; null at the end.
    #[schema(required)]
    next: Option<&'a str>,
}

impl<'a> GroupPageView<'a> {
    pub fn of(page: &'a Page<Group>) -> Self {
        Self { groups: page.items.iter().map(GroupView::of).collect(), next: page.next.as_deref() }
    }
}

/// A part of the list of a room's members.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MemberPage)]
pub struct MemberPageView<'a> {
    #[schema(value_type = Vec<MemberView>)]
    members: Vec<MemberView<'a>>,
    /// What to pass as `after` for the part that follows; null at the end.
    #[schema(required)]
    next: Option<&'a str>,
}

impl<'a> MemberPageView<'a> {
    pub fn of(page: &'a Page<Member>) -> Self {
        Self { members: page.items.iter().map(MemberView::of).collect(), next: page.next.as_deref() }
    }
}

/// A part of a room's messages, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = History)]
pub struct HistoryView<'a> {
    #[schema(value_type = Vec<MessageView>)]
    messages: Vec<MessageView<'a>>,
    /// Whether more lie beyond, in the direction asked for.
    has_more: bool,
}

impl<'a> HistoryView<'a> {
    pub fn of(page: &'a HistoryPage) -> Self {
        Self { messages: page.messages.iter().map(MessageView::of).collect(), has_more: page.has_more }
    }
}

/// A user as clients name one in a list: the username, or an object that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRef(pub String);

impl UserRef {
    pub fn usernames(users: Vec<Self>) -> Vec<String> {
        users.into_iter().map(|user| user.0).collect()
    }
}

// A visitor rather than an untagged enum, whose error could not say what is wrong.
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
        OneOf::builder().item(text()).item(object).into()
    }
}

impl ToSchema for UserRef {}

/// The public face of an error: the protocol's `Error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Error)]
pub struct Refusal {
    #[schema(schema_with = code_schema)]
    pub code: &'static str,
    /// A sentence for people; it may change.
    pub message: String,
    /// What of the request is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    pub field: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    pub retry_after_ms: Option<u64>,
    /// What the log knows this request by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
}

/// Every code there is, for the schema.
pub const CODES: [&str; 16] = [
    "bad_request",
    "unauthorized",
    "token_missing",
    "token_invalid",
    "token_expired",
    "token_revoked",
    "ticket_used",
    "forbidden",
    "not_a_member",
    "wrong_password",
    "not_found",
    "conflict",
    "too_large",
    "rate_limited",
    "unavailable",
    "internal",
];

pub(super) fn code_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(CODES)).build()
}

impl Refusal {
    /// For a request without an id of its own: an internal fault gets one, to be found in the log by.
    pub fn of(error: &Error) -> Self {
        let id = matches!(error, Error::Internal(_)).then(|| uuid::Uuid::now_v7().to_string());
        Self::under(error, id)
    }

    /// For a request that has an id. Here an internal fault's cause goes to the log, and nowhere else:
    /// render an error once.
    pub fn under(error: &Error, request_id: Option<String>) -> Self {
        if let Error::Internal(cause) = error {
            let cause = format_args!("{cause:#}");
            tracing::error!(request.id = request_id.as_deref(), error = %cause, "a request failed");
        }
        Self {
            code: error.code(),
            message: error.to_string(),
            field: match error {
                Error::Invalid { field, .. } => Some(Cow::Borrowed(field)),
                _ => None,
            },
            // Never zero, which would invite to try again at once, and never too early.
            retry_after_ms: error
                .retry_after()
                .map(|wait| u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)),
            request_id,
        }
    }

    /// For a payload that could not be decoded; `field` is the path to what is wrong in it, if any.
    pub fn malformed(field: Option<String>, reason: &str) -> Self {
        Self {
            code: "bad_request",
            message: match &field {
                Some(field) => format!("{field}: {reason}"),
                None => reason.to_owned(),
            },
            field: field.map(Cow::Owned),
            retry_after_ms: None,
            request_id: None,
        }
    }
}

/// Stored JSON as it stands. It was checked when it came in; should it be broken all the same, null
/// beats a whole page that cannot be read.
fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use chrono::TimeZone;
    use entity::{SessionId, room, user};

    use super::*;
    use crate::chat::nouns::Person;
    use crate::error::{Busy, Clash, Denial, Noun, Why};

    fn at(millisecond: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap()
            + chrono::TimeDelta::milliseconds(millisecond.into())
    }

    fn id(last: u8) -> uuid::Uuid {
        uuid::Uuid::from_bytes([1, 0x8f, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, last])
    }

    fn ada() -> User {
        let row = user::Model {
            id: UserId(id(1)),
            username: "ada".into(),
            username_key: "ada".into(),
            password_hash: Some("$argon2id$secret".into()),
            first_name: None,
            last_name: None,
            email: Some("ada@example.com".into()),
            phone: None,
            profile: None,
            is_admin: false,
            created_at: at(0),
            last_seen_at: None,
            deleted_at: None,
        };
        User { row, online: false, profile_left_out: false }
    }

    fn caller(user: UserId, is_admin: bool) -> Caller {
        Caller {
            user,
            username: "x".into(),
            first_name: "x".into(),
            is_admin,
            session: SessionId::new(),
            by_issuer: false,
            expires_at: at(0),
            address: [127, 0, 0, 1].into(),
        }
    }

    fn json(view: impl Serialize) -> String {
        serde_json::to_string(&view).unwrap()
    }

    #[test]
    fn a_user_without_details_has_a_first_name_and_an_empty_profile() {
        assert_eq!(
            json(UserView::public(&ada())),
            r#"{"id":"018f0000-0000-7000-8000-000000000001","username":"ada","firstName":"ada","lastName":null,"isOnline":false,"lastSeen":null,"profile":{}}"#
        );
    }

    #[test]
    fn email_and_phone_are_for_oneself_and_admins() {
        let mut ada = ada();
        ada.row.phone = Some("1".into());
        ada.row.last_name = Some("Lovelace".into());
        ada.row.last_seen_at = Some(at(7));
        ada.row.profile = Some(r#"{"a":"\u0000", "b":1e2}"#.into());
        let seen = r#""lastName":"Lovelace","isOnline":false,"lastSeen":"2026-01-02T03:04:05.007Z","profile":{"a":"\u0000", "b":1e2}"#;
        let secret = r#","email":"ada@example.com","phone":"1"}"#;
        for (viewer, sees_it) in [
            (caller(ada.row.id, false), true),
            (caller(UserId(id(9)), true), true),
            (caller(UserId(id(9)), false), false),
        ] {
            let view = json(UserView::of(&ada, &viewer));
            assert!(view.contains(seen), "{view}");
            assert_eq!(view.ends_with(secret), sees_it, "{view}");
        }
    }

    fn group(users: Option<Vec<User>>) -> Group {
        let row = room::Model {
            id: RoomId(id(2)),
            kind: room::Kind::Group,
            name: Some("tea".into()),
            name_key: Some("tea".into()),
            password_hash: Some("$argon2id$secret".into()),
            owner_id: Some(UserId(id(1))),
            pair_low: None,
            pair_high: None,
            last_seq: Seq(3),
            roster_version: 1,
            created_at: at(0),
            active_at: at(0),
            deleted_at: None,
        };
        Group { row, owner: Person::new("ada".into(), None), member_count: 2, users }
    }

    const TEA: &str = r#"{"groupId":"018f0000-0000-7000-8000-000000000002","groupName":"tea","hasPassword":true,"owner":"ada","memberCount":2,"lastSeq":3,"createdAt":"2026-01-02T03:04:05.000Z"}"#;

    #[test]
    fn a_group_shows_its_users_where_it_has_them_and_never_a_hash() {
        assert_eq!(json(GroupView::of(&group(None))), TEA);
        let inside = json(GroupView::of(&group(Some(vec![ada()]))));
        assert!(inside.contains(r#""memberCount":2,"users":[{"id":"018f"#), "{inside}");
        assert!(!inside.contains("argon2") && !inside.contains("example.com"), "{inside}");
    }

    fn message(receiver: Receiver) -> Message {
        let row = message::Model {
            room_id: RoomId(id(2)),
            seq: Seq(1),
            id: MessageId(id(3)),
            sender_id: UserId(id(1)),
            kind: message::Kind::Text,
            content: r#""h\u0000i""#.into(),
            client_message_id: None,
            reply_to: None,
            created_at: at(120),
            edited_at: None,
            deleted_at: None,
        };
        Message {
            row,
            sender: Person::new("ada".into(), None),
            receiver,
            receiver_id: None,
            delivered_to_all: false,
            read_by_all: false,
        }
    }

    #[test]
    fn a_time_has_three_decimals_and_a_z_in_any_year() {
        let rfc3339 = |time: Time| time.0.to_rfc3339_opts(SecondsFormat::Millis, true);
        let second = |year| Utc.with_ymd_and_hms(year, 12, 31, 23, 59, 59).unwrap();
        for year in [-1, 0, 7, 1969, 2026, 9999, 10_000] {
            let time = Time(second(year) + chrono::TimeDelta::microseconds(999_999));
            assert_eq!(json(time), format!("\"{}\"", rfc3339(time)));
        }
        let leap = Time(second(2016).with_nanosecond(1_500_000_000).unwrap());
        assert_eq!(json(leap), format!("\"{}\"", rfc3339(leap)));
    }

    const HI: &str = r#"{"messageId":"018f0000-0000-7000-8000-000000000003","roomId":"018f0000-0000-7000-8000-000000000002","seq":1,"sender":"ada","receiver":"bob","group":false,"content":"h\u0000i","kind":"text","timestamp":"2026-01-02T03:04:05.120Z","deliveredToAll":false,"readByAll":false}"#;

    #[test]
    fn a_message_has_the_keys_of_the_protocol_in_their_order() {
        let mut message = message(Receiver::User(Arc::from("bob")));
        assert_eq!(json(MessageView::of(&message)), HI);

        message.receiver = Receiver::Group(RoomId(id(2)));
        message.row.kind = message::Kind::Encrypted;
        message.row.content = r#"{"iv": "x" }"#.into();
        message.row.client_message_id = Some("c1".into());
        message.row.reply_to = Some(MessageId(id(4)));
        message.row.edited_at = Some(at(0));
        message.row.deleted_at = Some(at(0));
        let view = json(MessageView::of(&message));
        assert!(
            view.contains(
                r#""receiver":"018f0000-0000-7000-8000-000000000002","group":true,"content":{"iv": "x" },"kind":"encrypted""#
            ),
            "{view}"
        );
        assert!(
            view.ends_with(
                r#""clientMessageId":"c1","replyTo":"018f0000-0000-7000-8000-000000000004","editedAt":"2026-01-02T03:04:05.000Z","deletedAt":"2026-01-02T03:04:05.000Z"}"#
            ),
            "{view}"
        );
    }

    #[test]
    fn a_conversation_has_either_a_group_or_a_peer() {
        let mut conversation = Conversation {
            room: group(None).row,
            delivered: Seq(2),
            read: Seq(1),
            unread: 2,
            kind: ConversationKind::Group(Box::new(group(None))),
            last_message: None,
        };
        let room = r#"{"roomId":"018f0000-0000-7000-8000-000000000002","kind":"#;
        let receipts = r#""lastSeq":3,"delivered":2,"read":1,"unread":2"#;
        assert_eq!(
            json(ConversationView::of(&conversation)),
            format!(r#"{room}"group","group":{TEA},{receipts}}}"#)
        );
        conversation.kind = ConversationKind::Direct { peer: Box::new(ada()) };
        conversation.last_message = Some(message(Receiver::User(Arc::from("bob"))));
        let peer = json(UserView::public(&ada()));
        assert_eq!(
            json(ConversationView::of(&conversation)),
            format!(r#"{room}"direct","peer":{peer},{receipts},"lastMessage":{HI}}}"#)
        );
    }

    #[test]
    fn a_member_is_a_user_with_a_role_and_receipts() {
        let row = member::Model {
            room_id: RoomId(id(2)),
            user_id: UserId(id(1)),
            role: member::Role::Owner,
            joined_at: at(0),
            delivered_seq: Seq(2),
            read_seq: Seq(1),
            told_seq: Seq(0),
            listening: false,
        };
        let page = Page { items: vec![Member { user: ada(), row }], next: Some("ada".into()) };
        let user = json(UserView::public(&ada()));
        let user = user.strip_suffix('}').unwrap();
        assert_eq!(
            json(MemberPageView::of(&page)),
            format!(
                r#"{{"members":[{user},"role":"owner","delivered":2,"read":1,"joinedAt":"2026-01-02T03:04:05.000Z"}}],"next":"ada"}}"#
            )
        );
    }

    #[test]
    fn pages_end_in_null() {
        let nobody = Page { items: vec![], next: None };
        assert_eq!(
            json(UserPageView::of(&nobody, &caller(UserId(id(1)), false))),
            r#"{"users":[],"next":null}"#
        );
        assert_eq!(
            json(GroupPageView::of(&Page { items: vec![], next: None })),
            r#"{"groups":[],"next":null}"#
        );
        let nothing = HistoryPage { messages: vec![], has_more: false };
        assert_eq!(json(HistoryView::of(&nothing)), r#"{"messages":[],"hasMore":false}"#);
    }

    #[test]
    fn a_user_is_named_by_a_string_or_an_object() {
        let users: Vec<UserRef> =
            serde_json::from_str(r#"["ada", {"username":"bob","profile":{"deep":[]},"isOnline":true}]"#)
                .unwrap();
        assert_eq!(UserRef::usernames(users), ["ada", "bob"]);
        for (bad, why) in [
            ("5", "expected a username or an object with a `username`"),
            ("null", "expected a username"),
            ("{}", "missing field `username`"),
            (r#"{"username":5}"#, "expected a string"),
        ] {
            let told = serde_json::from_str::<UserRef>(bad).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_error_may_say() {
        let refusal = |error| json(Refusal::under(&error, None));
        assert_eq!(
            refusal(Error::NotFound(Noun::User)),
            r#"{"code":"not_found","message":"there is no such user"}"#
        );
        assert_eq!(
            refusal(Error::invalid("username", "must have 3 to 64 characters")),
            r#"{"code":"bad_request","message":"username: must have 3 to 64 characters","field":"username"}"#
        );
        assert_eq!(
            refusal(Error::RateLimited { retry_after: Duration::from_micros(1_500_001) }),
            r#"{"code":"rate_limited","message":"too many for now; try again in 2 s","retryAfterMs":1501}"#
        );
        let fault = Refusal::of(&Error::internal("the password is hunter2"));
        assert_eq!(fault.message, "something went wrong on the server");
        assert!(fault.request_id.is_some());
        assert_eq!(Refusal::of(&Error::Unavailable(Busy::Inbox)).request_id, None);
        assert_eq!(
            json(Refusal::malformed(Some("users[0]".into()), "is missing")),
            r#"{"code":"bad_request","message":"users[0]: is missing","field":"users[0]"}"#
        );
    }

    #[test]
    fn every_code_is_in_the_schema() {
        let errors = [
            Error::invalid("x", "y"),
            Error::Unauthenticated(Why::WrongLogin),
            Error::Unauthenticated(Why::TokenMissing),
            Error::Unauthenticated(Why::TokenInvalid),
            Error::Unauthenticated(Why::TokenExpired(String::new())),
            Error::Unauthenticated(Why::TokenRevoked),
            Error::Unauthenticated(Why::TicketUsed),
            Error::Forbidden(Denial::Role),
            Error::Forbidden(Denial::NotAMember),
            Error::Forbidden(Denial::WrongPassword),
            Error::NotFound(Noun::Page),
            Error::Conflict(Clash::UsernameTaken),
            Error::TooLarge { what: "x", limit: 1 },
            Error::RateLimited { retry_after: Duration::ZERO },
            Error::Unavailable(Busy::Database),
            Error::internal("x"),
        ];
        assert_eq!(errors.map(|error| error.code()), CODES);
    }
}
