//! Closes connections whose session was ended elsewhere: by the command line, or by another node.

use entity::SessionId;

use crate::{
    auth::Auth,
    chat::Chat,
    error::Result,
    identity::{Ended, SessionWatch},
};

/// Looks at all of them.
pub async fn run(chat: Chat, auth: Auth) -> Result<()> {
    let sessions = chat.live_sessions();
    end(&chat, &auth, sessions).await
}

/// Waits until another node says that it has ended some, and looks at these.
pub async fn follow(chat: Chat, auth: Auth) -> Result<()> {
    let sessions = chat.logins_ended_elsewhere().await;
    end(&chat, &auth, sessions).await
}

async fn end(chat: &Chat, auth: &Auth, sessions: Vec<SessionId>) -> Result<()> {
    for session in auth.ended_among(sessions).await? {
        chat.ended(Ended::Session(session), "The login of this token has ended");
    }
    Ok(())
}
