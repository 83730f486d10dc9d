use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeZone, Timelike, Utc};
use entity::{MessageId, RoomId, Seq, SessionId, UserId, member, message, room, user};
use serde::Serialize;

use super::*;
use crate::{
    chat::model::{
        Conversation, ConversationKind, Group, HistoryPage, Member, Message, Page, Receiver, RoomChange, User,
    },
    error::{Entity, Error, Unavailable},
    identity::{Caller, Person},
    room_view::{Notify, RoomDraft, StoredView},
};

fn at(millisecond: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap() + chrono::TimeDelta::milliseconds(millisecond.into())
}

fn id(last: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([1, 0x8f, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, last])
}

fn ada() -> User {
    let row = user::Model {
        id: UserId(id(1)),
        username: "ada".into(),
        username_key: "ada".into(),
        search_text: String::new(),
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
        disabled_at: None,
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
        last_change: entity::ChangeNumber::ZERO,
        roster_version: 1,
        created_at: at(0),
        active_at: at(0),
        deleted_at: None,
        changed_at: 0,
        settings: None,
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
        change: entity::ChangeNumber::ZERO,
        marks: None,
        extras: None,
    };
    Message {
        row,
        marks: None,
        extras: None,
        sender: Person::new("ada".into(), None),
        receiver,
        receiver_id: None,
        delivered_to_all: false,
        read_by_all: false,
        my_reactions: Vec::new(),
        replies: None,
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
    let view = json(MessageView::of(&message));
    assert!(
        view.contains(
            r#""receiver":"018f0000-0000-7000-8000-000000000002","group":true,"content":{"iv": "x" },"kind":"encrypted""#
        ),
        "{view}"
    );
    assert!(
        view.ends_with(
            r#""clientMessageId":"c1","replyTo":"018f0000-0000-7000-8000-000000000004","editedAt":"2026-01-02T03:04:05.000Z"}"#
        ),
        "{view}"
    );
}

/// In a group, with two unread messages.
fn conversation() -> Conversation {
    Conversation {
        room: group(None).row,
        delivered: Seq(2),
        read: Seq(1),
        unread: 2,
        unread_mentions: 0,
        unread_threads: 0,
        disappear_after: None,
        kind: ConversationKind::Group(Box::new(group(None))),
        last_message: None,
        is_marked_unread: false,
        view: StoredView::default(),
    }
}

#[test]
fn a_conversation_has_either_a_group_or_a_peer() {
    let mut conversation = conversation();
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

/// Everything is set, and the second of 2026-01-02T03:04:05Z is the end.
fn all_set() -> StoredView {
    StoredView {
        marked: None,
        notify: Notify::Mentions,
        muted_until: Some(at(7).timestamp_millis()),
        archived: true,
        draft: Some(RoomDraft { content: r#""\ud83d\ude00""#.to_owned(), reply_to: Some("m".to_owned()) }),
    }
}

#[test]
fn a_conversation_shows_the_settings_that_are_not_at_their_defaults() {
    let conversation = Conversation { is_marked_unread: true, view: all_set(), ..conversation() };
    let settings = r#""markedUnread":true,"archived":true,"notify":"mentions","mutedUntil":"2026-01-02T03:04:05.007Z","draft":{"content":"\ud83d\ude00","replyTo":"m"}}"#;
    let shown = json(ConversationView::of(&conversation));
    assert!(shown.ends_with(&format!(r#""unread":2,{settings}"#)), "{shown}");
}

#[test]
fn a_changed_room_has_the_fields_that_differ_and_null_for_a_default() {
    let room = RoomId(id(2));
    let shown = |change: &RoomChange| json(RoomChangedView::of(room, change));
    let set =
        |fields: &str| format!(r#"{{"roomId":"018f0000-0000-7000-8000-000000000002","set":{{{fields}}}}}"#);
    assert_eq!(shown(&RoomChange::default()), set(""));
    let read = RoomChange { read: Some(Seq(3)), unread: Some(0), ..RoomChange::default() };
    assert_eq!(shown(&read), set(r#""read":3,"unread":0"#));
    let back = RoomChange {
        is_marked_unread: Some(false),
        archived: Some(false),
        notify: Some(Notify::All),
        muted_until: Some(None),
        draft: Some(None),
        ..RoomChange::default()
    };
    let nulls = r#""markedUnread":null,"archived":null,"notify":null,"mutedUntil":null,"draft":null"#;
    assert_eq!(shown(&back), set(nulls));
    let StoredView { notify, muted_until, archived, draft, .. } = all_set();
    let changed = RoomChange {
        archived: Some(archived),
        notify: Some(notify),
        muted_until: Some(muted_until),
        draft: Some(draft),
        ..RoomChange::default()
    };
    let fields = r#""archived":true,"notify":"mentions","mutedUntil":"2026-01-02T03:04:05.007Z","draft":{"content":"\ud83d\ude00","replyTo":"m"}"#;
    assert_eq!(shown(&changed), set(fields));
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
        notified_seq: Seq(0),
        joined_seq: Some(Seq(0)),
        read_at: 0,
        view: None,
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
    assert_eq!(json(UserPageView::of(&nobody, &caller(UserId(id(1)), false))), r#"{"users":[],"next":null}"#);
    assert_eq!(json(GroupPageView::of(&Page { items: vec![], next: None })), r#"{"groups":[],"next":null}"#);
    let nothing = HistoryPage::default();
    assert_eq!(json(HistoryView::of(&nothing)), r#"{"messages":[],"hasMore":false}"#);
}

#[test]
fn a_user_is_named_by_a_string_or_an_object() {
    let users: Vec<UserRef> =
        serde_json::from_str(r#"["ada", {"username":"bob","profile":{"deep":[]},"isOnline":true}]"#).unwrap();
    assert_eq!(UserRef::usernames(users), ["ada", "bob"]);
    for (bad, why) in [
        ("5", "expected a username or an object with a `username`"),
        ("null", "expected a username"),
        ("{}", "missing field `username`"),
        (r#"{"username":5}"#, "expected a string"),
    ] {
        let text = serde_json::from_str::<UserRef>(bad).unwrap_err().to_string();
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_refusal_says_what_the_error_may_say() {
    let refusal = |error| json(Refusal::under(&error, None));
    assert_eq!(
        refusal(Error::NotFound(Entity::User)),
        r#"{"code":"not_found","message":"There is no such user"}"#
    );
    assert_eq!(
        refusal(Error::invalid("username", "must have 3 to 64 characters")),
        r#"{"code":"bad_request","message":"username: must have 3 to 64 characters","field":"username"}"#
    );
    assert_eq!(
        refusal(Error::RateLimited { retry_after: Duration::from_micros(1_500_001) }),
        r#"{"code":"rate_limited","message":"Too many requests; try again in 2 s","retryAfterMs":1501}"#
    );
    let fault = Refusal::of(&Error::internal("the password is hunter2"));
    assert_eq!(fault.message, "Something went wrong on the server");
    assert!(fault.request_id.is_some());
    assert_eq!(Refusal::of(&Error::Unavailable(Unavailable::Inbox)).request_id, None);
    assert_eq!(
        json(Refusal::malformed(Some("users[0]".into()), "is missing")),
        r#"{"code":"bad_request","message":"users[0]: is missing","field":"users[0]"}"#
    );
}
