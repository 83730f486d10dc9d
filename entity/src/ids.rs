//! Typed ids that are usable as columns: a room's id cannot be passed as a user's, and a `Seq` cannot be
//! mistaken for a count.

use std::{fmt, str::FromStr};

use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id. It is a UUID of version 7, so later ids sort later.
            #[expect(clippy::new_without_default, reason = "a default id would be a new one every time")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    };
}

uuid_id!(
    /// The internal id of a user. The protocol addresses users by username.
    UserId
);
uuid_id!(
    /// The id of a room; a group's `groupId` in the protocol.
    RoomId
);
uuid_id!(
    /// The id of a stored message.
    MessageId
);
uuid_id!(
    /// The id of a session (a login that can be revoked).
    SessionId
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Before the first one.
            pub const ZERO: Self = Self(0);

            /// The next one.
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The position of a message in its room: 1, 2, 3, … without gaps. Zero is before the first message.
    Seq
);
number!(
    /// The position of a change among the changes of its room: 1, 2, 3, … without gaps, independently of [`Seq`]. A
    /// change is something done to a message after it was sent. Zero is before the first change.
    ChangeNumber
);
