//! Makes tombstones of messages that disappear, once their time is over. Until then nobody gets their contents either.

use crate::{chat::Chat, error::Result};

pub async fn run(chat: Chat) -> Result<()> {
    let expired = chat.expire_messages().await?;
    if expired > 0 {
        tracing::debug!(messages = expired, "messages have disappeared");
    }
    Ok(())
}
