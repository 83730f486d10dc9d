//! The page: who may open it, and the built-in page. `folder` serves an owner's own page and the files beside
//! it.

use std::{path::PathBuf, sync::Arc};

use axum::{
    extract::{FromRequestParts, Query, Request, State},
    response::Response,
};
use http::Uri;
use secrecy::SecretString;

use super::Lobby;
use crate::{
    auth::Credential,
    error::Result,
    gateway::http::{answer, extract::Client, folder, headers},
    identity::Caller,
};

const INDEX: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/lobby.js");
const STYLES: &str = include_str!("page/lobby.css");

/// The source of the page. Cheap to clone.
#[derive(Clone, Debug)]
pub enum LobbyPage {
    BuiltIn,
    /// `index.html` in a folder of the owner.
    Folder(Arc<PathBuf>),
}

impl LobbyPage {
    pub fn of(folder: Option<PathBuf>) -> Self {
        folder.map_or(Self::BuiltIn, |folder| Self::Folder(Arc::new(folder)))
    }

    async fn show(&self) -> Result<Response> {
        Ok(match self {
            Self::BuiltIn => answer::file(INDEX, "text/html; charset=utf-8", headers::PAGE_POLICY),
            Self::Folder(folder) => {
                answer::file(folder::index(folder).await?, "text/html; charset=utf-8", folder::POLICY)
            }
        })
    }
}

/// Answers with the page. The request needs a token in the query or in the login cookie. A token from the
/// query is stored in the cookie, for the page's socket.
pub async fn open(State(lobby): State<Lobby>, client: Client, request: Request) -> Result<Response> {
    let (mut parts, _) = request.into_parts();
    let Some(token) = jwt(&parts.uri) else {
        // A reload, after the page has removed the token from its address.
        Caller::from_request_parts(&mut parts, &lobby).await?;
        return lobby.page.show().await;
    };
    let http = &lobby.http;
    let caller =
        http.auth.credential(Credential::Token(token.clone()), &client.device(&parts.headers)).await?;
    tracing::Span::current().record("user.id", tracing::field::display(caller.user));
    // At least 1: within the leeway the token is still valid, and 0 would clear the cookie.
    let seconds = (caller.expires_at - lobby.clock.now()).num_seconds().max(1);
    answer::set_cookie(lobby.page.show().await?, &token, seconds, &http.settings, client)
}

/// The first `jwt` of a query that is not empty.
fn jwt(uri: &Uri) -> Option<SecretString> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let mut tokens = pairs.into_iter().filter(|(key, value)| key == "jwt" && !value.is_empty());
    tokens.next().map(|(_, token)| token.into())
}

pub async fn script() -> Response {
    answer::file(SCRIPT, "text/javascript; charset=utf-8", headers::PAGE_POLICY)
}

pub async fn styles() -> Response {
    answer::file(STYLES, "text/css; charset=utf-8", headers::PAGE_POLICY)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_first_jwt_that_says_something_counts() {
        for (uri, expected) in [
            ("/", None),
            ("/?jwt=", None),
            ("/?jwt", None),
            ("/?token=a", None),
            ("/?jwt=a.b-c_d", Some("a.b-c_d")),
            ("/?x=%ff&jwt=a%2Eb", Some("a.b")),
            ("/?jwt=&jwt=b&jwt=c", Some("b")),
            ("/?jwt=%ff", Some("\u{fffd}")),
        ] {
            let found = jwt(&uri.parse().unwrap());
            assert_eq!(found.as_ref().map(|found| found.expose_secret()), expected, "{uri}");
        }
    }

    #[test]
    fn the_page_asks_for_nothing_that_its_policy_forbids() {
        assert!(!INDEX.contains("<style") && !INDEX.contains(" style=") && !INDEX.contains(" on"));
        for script in INDEX.split("<script").skip(1) {
            assert!(script.contains("src=\"") && script.contains("></script>"), "{script}");
        }
        for text in [INDEX, SCRIPT, STYLES] {
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "it is there without the internet"
            );
        }
        assert!(!SCRIPT.contains("innerHTML"));
    }
}
