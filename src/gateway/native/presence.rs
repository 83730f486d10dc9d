//! `typing`.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{NativeAnswer, NativeCall, answer::Nothing, place};

/// Whether the user is typing.
#[derive(Deserialize, ToSchema)]
#[schema(as = Typing)]
pub struct TypingRequest {
    /// A username, or a groupId if `group` is true.
    receiver: String,
    group: bool,
    typing: bool,
}

pub async fn typing(call: NativeCall<'_, TypingRequest>, answer: NativeAnswer<Nothing>) {
    let TypingRequest { receiver, group, typing } = call.payload;
    let socket = call.socket;
    let notified = async {
        let place = place(receiver, group)?;
        socket.chat.typing(&socket.caller(), Some(&socket.connection), place, typing).await
    };
    answer.give(notified.await.map(|()| Nothing));
}
