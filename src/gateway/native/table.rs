//! The events that native clients send: the one declaration of their names, payloads and responses. The doc comments
//! stand in docs/events.md and in the other documents of the contract.

use entity::{RoomId, UserId};

use super::{
    NativeForm,
    answer::Nothing,
    changes::{self, ChangesRequest, DeleteRequest, EditRequest, MessageOf, PinRequest},
    lists::{self, ConversationList, GroupList, ListPart, RoomsPart, UserList},
    messages::{self, GetMessages, GroupMessageDraft, HistoryRequest, LobbyDraft, MessageList, PrivateDraft},
    own_settings::{self, SetRoom},
    presence::{self, TypingRequest},
    reactions::{self, ReactRequest, ReactionsRequest},
    receipts::{self, Delivered, DeliveredUpTo, MarkRead, ReadUpTo},
    rooms::{
        self, AddMembers, Disappearing, GroupId, Join, NewGroupRequest, RemoveMember, RoleChange, Update,
    },
    session::{self, Refresh, Refreshed},
    threads::{self, FollowRequest, Following, ForwardRequest, ThreadsRequest},
};
use crate::gateway::{
    events::client_events,
    wire::{
        ChangesView, ConversationView, DeletedView, EditsView, GroupView, HistoryView, MemberView,
        MessageView, ThreadsView, UserReactionsView, forms::AnyForm,
    },
};

client_events! {
    NativeForm, ();

    /// writes to a user
    "privateMessage": AnyForm<PrivateDraft> => MessageView<'static>, messages::private;
    /// writes to a group; `receiver` is the groupId
    "groupMessage": AnyForm<GroupMessageDraft> => MessageView<'static>, messages::group;
    /// writes to everyone
    "lobbyMessage": AnyForm<LobbyDraft> => MessageView<'static>, messages::lobby;
    /// reads older messages, a page at a time
    "history": AnyForm<HistoryRequest> => HistoryView<'static>, messages::history;
    /// reads messages by their ids: those that exist and that one may read, in this order
    "getMessages": GetMessages => MessageList, messages::get;
    /// sends a copy of a message, with `forwardedFrom`; not of an encrypted one
    "forwardMessage": ForwardRequest => MessageView<'static>, threads::forward;
    /// the threads of a room, those with the newest reply first
    "threads": ThreadsRequest => ThreadsView, threads::threads;
    /// follows a thread, or stops following it; who begins a thread, answers in it or is mentioned in it follows it
    "followThread": FollowRequest => Following, threads::follow;
    /// replaces the content of one's own message, its mentions, or its data; the same again changes nothing. The answer comes after the
    /// socket's own `messageChanged`
    "editMessage": EditRequest => MessageView<'static>, changes::edit;
    /// deletes one's own message, or as a moderator anyone's; `messageIds` deletes up to 100 messages of a room, all or
    /// none. The answer comes after the socket's own `messageChanged`
    "deleteMessage": AnyForm<DeleteRequest> => DeletedView<'static>, changes::delete;
    /// pins a message, or takes the pin away (a group's owner and admins; either of two users). The answer comes after
    /// the socket's own `messageChanged`
    "pinMessage": PinRequest => MessageView<'static>, changes::pin;
    /// reacts to a message with `key`; `on: false` withdraws that. The answer comes after the socket's own
    /// `messageChanged`
    "react": ReactRequest => MessageView<'static>, reactions::react;
    /// who has reacted to a message, oldest first, a part at a time
    "reactions": ReactionsRequest => UserReactionsView<'static>, reactions::reactions;
    /// the contents that a message had before its edits
    "edits": MessageOf => EditsView<'static>, changes::edits;
    /// reads changed messages of a room, a page at a time, each as it stands now
    "changes": ChangesRequest => ChangesView<'static>, changes::changes;
    /// makes a group; with `groupId` alone, announces a group again (owner, admins)
    "createGroup": AnyForm<NewGroupRequest> => GroupView<'static>, rooms::create;
    /// joins a group, by its id or its name
    "joinGroup": AnyForm<Join> => GroupView<'static>, rooms::join;
    /// leaves a group
    "leaveGroup": GroupId => GroupView<'static>, rooms::leave;
    /// changes what is given; `password: null` removes the password (owner, admins)
    "updateGroup": Update => GroupView<'static>, rooms::update;
    /// deletes a group (owner)
    "deleteGroup": GroupId => GroupView<'static>, rooms::delete;
    /// adds users to a group (owner, admins)
    "addMembers": AddMembers => GroupView<'static>, rooms::add_members;
    /// removes a member (owner; admins, except another admin)
    "removeMember": RemoveMember => GroupView<'static>, rooms::remove_member;
    /// gives a member another role (owner); who makes somebody else the owner becomes an admin
    "setRole": RoleChange => MemberView<'static>, rooms::set_role;
    /// all groups, in the order of their names
    "listGroups": ListPart<RoomId> => GroupList, lists::groups;
    /// all users, in the order of their names
    "listUsers": ListPart<UserId> => UserList, lists::users;
    /// my conversations, most recent first
    "listRooms": RoomsPart => ConversationList, lists::rooms;
    /// my own settings of a room: what is given replaces, what is not given stays. The answer is the room; my other
    /// sockets receive `roomChanged`
    "setRoom": SetRoom => ConversationView<'static>, own_settings::set;
    /// after how long messages disappear that are sent without `expiresIn` from now on (either of two users; owner, admins)
    "setDisappearing": Disappearing => ConversationView<'static>, rooms::set_disappearing;
    /// I have read everything up to `seq`, or the replies of one thread or of all that I follow; the answer is the current
    /// receipt
    "markRead": MarkRead => ReadUpTo, receipts::mark_read;
    /// everything up to `seq` has arrived; the answer has the current receipts
    "delivered": AnyForm<Delivered> => DeliveredUpTo, receipts::delivered;
    /// I am typing, or no longer; the other members of the group, or the user who is addressed, receive it; nobody
    /// in the lobby does
    "typing": TypingRequest => Nothing, presence::typing;
    /// replaces the token of this socket by a newer one of the same user; one that ends earlier changes nothing; the
    /// answer tells when the token that counts ends
    "refreshToken": Refresh => Refreshed, session::refresh_token;
}
