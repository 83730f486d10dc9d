//! Removes deleted users from the rooms that they are still in, after a crash or an outage.

use crate::{chat::Chat, error::Result};

pub async fn run(chat: Chat) -> Result<()> {
    chat.finish_deletions().await
}
