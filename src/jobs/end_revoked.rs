//! Closes connections whose session was ended elsewhere: by the command line, or by another node.

use crate::{
    auth::Auth,
    chat::Chat,
    error::Result,
    identity::{Ended, SessionWatch},
};

pub async fn run(chat: Chat, auth: Auth) -> Result<()> {
    for session in auth.ended_among(chat.live_sessions()).await? {
        chat.ended(Ended::Session(session), "The login of this token has ended");
    }
    Ok(())
}
