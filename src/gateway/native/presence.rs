//! `typing`.

use serde::Deserialize;

use super::{Addressed, Answer};
use crate::gateway::events::{Ack, Request, Socket};

#[derive(Deserialize)]
struct TypingRequest {
    typing: bool,
}

pub async fn typing(socket: &Socket, request: Request<'_>, ack: Ack) {
    let told = async {
        let TypingRequest { typing } = request.decode()?;
        let place = request.decode::<Addressed>()?.place()?;
        socket.chat.typing(&socket.caller(), Some(&socket.connection), place, typing).await
    };
    match told.await {
        Ok(()) => ack.succeed(()),
        Err(err) => ack.fail(&err),
    }
}
