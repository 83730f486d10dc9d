//! Threads of a room.

use entity::Seq;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    MessageSchema, MessageView,
    bounded::{Bounded, Entries},
};
use crate::{chat::model::Thread, error::Result};

/// A thread of a room, as the caller has read it.
#[derive(Serialize, ToSchema)]
#[schema(as = Thread)]
pub struct ThreadView<'a> {
    #[schema(value_type = MessageSchema)]
    root: MessageView<'a>,
    /// The caller has read the replies up to this seq.
    #[schema(value_type = i64, minimum = 0)]
    read: Seq,
    /// The number of replies of others after that.
    #[schema(minimum = 0)]
    unread: i64,
    following: bool,
}

/// Threads of a room, those with the newest reply first.
#[derive(Serialize, ToSchema)]
#[schema(as = Threads)]
pub struct ThreadsView {
    #[schema(value_type = Vec<ThreadView>)]
    threads: Entries<ThreadView<'static>>,
    /// Whether there are more.
    more: bool,
}

impl<'a> ThreadView<'a> {
    fn of(thread: &'a Thread) -> Self {
        Self {
            root: MessageView::of(&thread.root),
            read: thread.read,
            unread: thread.unread,
            following: thread.following,
        }
    }
}

impl ThreadsView {
    /// The threads that fit into so many bytes.
    ///
    /// # Errors
    /// `internal` if one cannot be rendered.
    pub fn of(limit: usize, threads: &[Thread], more: bool) -> Result<Self> {
        let mut shown = Bounded::default();
        let mut is_whole = true;
        for thread in threads {
            is_whole = shown.push(limit, ThreadView::of(thread))?;
            if !is_whole {
                break;
            }
        }
        Ok(Self { threads: shown.into(), more: more || !is_whole })
    }
}
