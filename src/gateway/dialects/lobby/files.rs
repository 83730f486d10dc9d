//! The owner's page in a folder, and the other files of the folder. `page` decides who may open the page.

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::Method;

use super::{Lobby, LobbyPage};
use crate::{
    error::{Entity, Error, Result},
    gateway::http::folder,
};

/// Answers with another file of the folder.
pub async fn file(State(lobby): State<Lobby>, request: Request) -> Result<Response> {
    let LobbyPage::Folder(folder) = &lobby.page else { return Err(nowhere()) };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(nowhere());
    }
    folder::file(folder, request).await.ok_or_else(nowhere)
}

fn nowhere() -> Error {
    Error::NotFound(Entity::Page)
}
