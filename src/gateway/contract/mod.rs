//! The contract as documents: OpenAPI for HTTP, AsyncAPI for events, TypeScript for front ends, and the tables of
//! docs/events.md. All of them come from the types that the server itself reads and writes, and from the tables of
//! events from which its routing follows.

mod asyncapi;
mod page;
mod shorthand;
mod tables;
#[cfg(test)]
mod tests;
mod types;
mod typescript;

use std::{collections::BTreeMap, fmt};

use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

pub use self::{page::routes, tables::sections};
use super::{
    dialects::{lobby, rooms_app},
    events::{ClientEvent, Described, ServerEvent},
    native::{self, ConnectParameters, Failure},
    rest,
    socketio::root::RootFailure,
    wire::Refusal,
};

/// A document of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    OpenApi,
    AsyncApi,
    TypeScript,
}

impl Document {
    /// The text, which is the same on every server of this version. It ends with a line break.
    ///
    /// # Errors
    /// If a schema cannot be written as JSON.
    pub fn text(self) -> serde_json::Result<String> {
        Ok(match self {
            Self::OpenApi => serde_json::to_string_pretty(&rest::description())? + "\n",
            Self::AsyncApi => serde_json::to_string_pretty(&asyncapi::description(&Contract::new()))? + "\n",
            Self::TypeScript => typescript::declarations(&Contract::new()),
        })
    }
}

/// A Socket.IO namespace with its events.
struct Namespace {
    path: &'static str,
    /// What its names begin with: in TypeScript, and the names of channels in AsyncAPI.
    prefix: &'static str,
    channel: &'static str,
    about: &'static str,
    client: Vec<ClientEvent>,
    server: Vec<ServerEvent>,
    answers: AnswerStyle,
}

/// How the answers of a namespace look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AnswerStyle {
    /// `{ success: true, response }`, or `{ success: false, error }`.
    Wrapped,
    /// The bare value, or `{ error }`.
    Bare,
}

/// Everything that the documents tell.
struct Contract {
    namespaces: Vec<Namespace>,
    /// Every type by its name, also those of the HTTP API.
    schemas: BTreeMap<String, RefOr<Schema>>,
    /// The names of those that only the HTTP API uses.
    http: Vec<String>,
}

impl Contract {
    fn new() -> Self {
        let namespaces = namespaces();
        let mut schemas = BTreeMap::new();
        for described in namespaces.iter().flat_map(Namespace::described) {
            schemas.extend(described.named.iter().cloned());
        }
        for described in [of::<Failure>(), of::<RootFailure>(), of::<Refusal>(), of::<ConnectParameters>()] {
            schemas.extend(described.named);
        }
        let of_http = rest::description().components.map(|components| components.schemas).unwrap_or_default();
        let http = of_http.keys().filter(|name| !schemas.contains_key(*name)).cloned().collect();
        schemas.extend(of_http);
        Self { namespaces, schemas, http }
    }

    /// The schema that a reference leads to, or the schema itself.
    fn resolve<'a>(&'a self, schema: &'a RefOr<Schema>) -> Option<&'a Schema> {
        match schema {
            RefOr::T(schema) => Some(schema),
            RefOr::Ref(reference) => self.resolve(self.schemas.get(name(&reference.ref_location))?),
        }
    }
}

impl Namespace {
    fn described(&self) -> impl Iterator<Item = &Described> {
        let client = self.client.iter().flat_map(|event| [&event.payload, &event.response]);
        let server =
            self.server.iter().flat_map(|event| [Some(&event.payload), event.acknowledgement.as_ref()]);
        client.chain(server.flatten())
    }
}

fn of<T: ToSchema>() -> Described {
    Described::of::<T>()
}

fn namespaces() -> Vec<Namespace> {
    let mut client = rooms_app::events::client_events();
    client.extend(lobby::events::client_events());
    let mut server = rooms_app::events::server_events();
    server.extend(lobby::events::server_events());
    vec![
        Namespace {
            path: "/chat",
            prefix: "",
            channel: "chat",
            about: "The Socket.IO namespace `/chat`: the native events.",
            client: native::client_events(),
            server: native::server_events(),
            answers: AnswerStyle::Wrapped,
        },
        Namespace {
            path: "/",
            prefix: "Root",
            channel: "root",
            about: "The Socket.IO namespace `/`: the React rooms app and the lobby page (docs/dialects.md). A socket \
                receives the events of one of the two.",
            client,
            server,
            answers: AnswerStyle::Bare,
        },
    ]
}

/// The name at the end of a reference.
fn name(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or_default()
}

/// A part of a document that is separated by line breaks.
fn lines<T: fmt::Display>(parts: impl IntoIterator<Item = T>) -> String {
    parts.into_iter().map(|part| format!("{part}\n")).collect()
}
