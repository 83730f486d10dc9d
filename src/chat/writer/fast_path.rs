//! The commit for nearly all drafts. It reads nothing first; its statements contain the conditions under
//! which they may write. It stores all drafts or none. If a draft needs a closer look (the room was changed
//! meanwhile, the message is a repeat, the message that it replies to does not exist), it stores nothing, and
//! [`super::transaction`] stores the drafts.

use super::{
    Outcomes, QueuedDraft,
    request::CommitRequest,
    sql::{postgres, sqlite},
};
use crate::{chat::Core, db::HotPath, error::Result};

/// Stores all drafts. Returns `None`, and stores nothing, if they need a closer look.
pub(super) async fn commit(core: &Core, drafts: &[QueuedDraft]) -> Result<Option<Outcomes>> {
    let Some(asked) = CommitRequest::of(drafts) else { return Ok(None) };
    match core.db.hot_path() {
        HotPath::Sqlite(sqlite) => sqlite::commit(core, sqlite, drafts, &asked).await,
        HotPath::Postgres(db) => postgres::commit(core, db, drafts, &asked).await,
    }
}
