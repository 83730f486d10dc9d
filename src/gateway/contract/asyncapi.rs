//! The events as an AsyncAPI 3 document. A message has the name of its event. Its key in the channel says its
//! direction: `x` is what a client sends, `x.answer` the answer to it, `x.event` what the server sends, and `x.ack`
//! the acknowledgement of that.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use utoipa::openapi::{RefOr, schema::Schema};

use super::{AnswerStyle, Contract, Namespace};
use crate::gateway::credential;

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AsyncApi {
    asyncapi: &'static str,
    info: Json,
    default_content_type: &'static str,
    servers: Json,
    channels: BTreeMap<&'static str, Channel>,
    operations: BTreeMap<String, Json>,
    components: Components,
}

#[derive(Serialize)]
struct Channel {
    address: &'static str,
    title: String,
    description: String,
    servers: [Json; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    bindings: Option<Json>,
    messages: Messages,
}

/// Messages by their keys, in the order of the tables.
#[derive(Default)]
struct Messages(Vec<(String, EventMessage)>);

impl Messages {
    fn add(&mut self, name: &str, kind: &str, message: EventMessage) {
        self.0.push((key(name, kind), message));
    }

    fn have(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }
}

impl Serialize for Messages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, message)| (key, message)))
    }
}

/// An event, an answer or an acknowledgement.
#[derive(Serialize)]
struct EventMessage {
    /// The name of the event.
    name: String,
    title: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: String,
    payload: Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Components {
    schemas: BTreeMap<String, RefOr<Schema>>,
    security_schemes: Json,
}

/// How a channel writes what the events contain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    SocketIo,
    /// JSON frames.
    Plain,
}

pub fn description(contract: &Contract) -> AsyncApi {
    let mut channels = BTreeMap::new();
    let mut operations = BTreeMap::new();
    for namespace in &contract.namespaces {
        let channel = socket_io(namespace);
        operations.extend(operations_of(namespace.channel, &channel));
        channels.insert(namespace.channel, channel);
        if namespace.answers == AnswerStyle::Wrapped {
            let channel = plain(namespace);
            operations.extend(operations_of(PLAIN, &channel));
            channels.insert(PLAIN, channel);
        }
    }
    AsyncApi {
        asyncapi: "3.0.0",
        info: json!({
            "title": "Parlor",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The events of Parlor, a chat backend: over Socket.IO and over plain WebSockets. \
                `/openapi.json` describes the HTTP API.",
            "license": { "name": "MIT OR Apache-2.0" },
        }),
        default_content_type: "application/json",
        servers: servers(),
        channels,
        operations,
        components: Components { schemas: schemas(contract), security_schemes: security_schemes() },
    }
}

/// The channel of plain WebSockets.
const PLAIN: &str = "ws";

/// Those that events use. A discriminator of AsyncAPI knows no mapping, and the constants in the forms say the same.
fn schemas(contract: &Contract) -> BTreeMap<String, RefOr<Schema>> {
    let used = contract.schemas.iter().filter(|(name, _)| !contract.http.contains(name));
    used.map(|(name, schema)| {
        let mut schema = schema.clone();
        if let RefOr::T(Schema::OneOf(one)) = &mut schema {
            one.discriminator = None;
        }
        (name.clone(), schema)
    })
    .collect()
}

fn servers() -> Json {
    let server = |protocol: &str, pathname: &str, about: &str| {
        json!({
            "host": "{host}",
            "pathname": pathname,
            "protocol": protocol,
            "description": about,
            "variables": { "host": { "default": "localhost:8087", "description": "The address of the server" } },
            "security": [
                { "$ref": "#/components/securitySchemes/bearer" },
                { "$ref": "#/components/securitySchemes/token" },
                { "$ref": "#/components/securitySchemes/ticket" },
                { "$ref": "#/components/securitySchemes/cookie" },
            ],
        })
    };
    json!({
        "socketIo": server("ws", "/socket.io/", "Socket.IO, by WebSocket or polling. A token or a ticket may also \
            stand in the payload of CONNECT (`auth`), together with the fields of `ConnectParameters`."),
        "webSocket": server("ws", "/ws", "JSON text frames, without Socket.IO."),
    })
}

fn security_schemes() -> Json {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        "token": { "type": "httpApiKey", "in": "query", "name": "token" },
        "ticket": { "type": "httpApiKey", "in": "query", "name": "ticket" },
        "cookie": { "type": "httpApiKey", "in": "cookie", "name": credential::COOKIE },
    })
}

fn socket_io(namespace: &Namespace) -> Channel {
    Channel {
        address: namespace.path,
        title: format!("The namespace {}", namespace.path),
        description: namespace.about.to_owned(),
        servers: [json!({ "$ref": "#/servers/socketIo" })],
        bindings: None,
        messages: messages(namespace, Framing::SocketIo),
    }
}

fn plain(namespace: &Namespace) -> Channel {
    let query = json!({
        "type": "object",
        "properties": {
            "since": { "type": "string", "description": "`since` of `ConnectParameters`, as JSON" },
            "catchUp": { "type": "string", "enum": ["true", "false"] },
            "receipts": { "type": "string", "enum": ["batched"] },
        },
    });
    let mut messages = messages(namespace, Framing::Plain);
    let error = frame("error", json!({ "$ref": "#/components/schemas/Refusal" }), None);
    let about = "the last frame could not be read; the connection stays open".to_owned();
    let error = EventMessage {
        name: "error".to_owned(),
        title: "error".to_owned(),
        description: about,
        payload: error,
    };
    messages.add("error", ".event", error);
    Channel {
        address: "/ws",
        title: "Plain WebSockets".to_owned(),
        description: "The events of `/chat` as JSON text frames.".to_owned(),
        servers: [json!({ "$ref": "#/servers/webSocket" })],
        bindings: Some(json!({ "ws": { "method": "GET", "query": query, "bindingVersion": "0.1.0" } })),
        messages,
    }
}

fn messages(namespace: &Namespace, framing: Framing) -> Messages {
    let mut messages = Messages::default();
    let mut add = |name: &str, kind: &str, title: String, about: &str, payload: Json| {
        let message = EventMessage { name: name.to_owned(), title, description: about.to_owned(), payload };
        messages.add(name, kind, message);
    };
    let id = json!({ "type": ["integer", "string"], "maxLength": 256 });
    for event in &namespace.client {
        let payload = json!(event.payload.schema);
        let answer = answer(namespace.answers, json!(event.response.schema));
        let (payload, answer) = match framing {
            Framing::SocketIo => (payload, answer),
            Framing::Plain => (frame(event.name, payload, Some(&id)), reply(&id, answer)),
        };
        add(event.name, "", event.name.to_owned(), &event.about, payload);
        add(event.name, ".answer", format!("the answer to {}", event.name), "", answer);
    }
    let id = json!({ "type": "integer", "minimum": 1 });
    for event in &namespace.server {
        let payload = json!(event.payload.schema);
        let asks = event.acknowledgement.as_ref();
        let payload = match framing {
            Framing::SocketIo => payload,
            Framing::Plain => frame(event.name, payload, asks.map(|_| &id)),
        };
        add(event.name, ".event", event.name.to_owned(), &event.about, payload);
        if let Some(acknowledgement) = asks {
            let payload = json!(acknowledgement.schema);
            let payload = if framing == Framing::Plain { reply(&id, payload) } else { payload };
            add(event.name, ".ack", format!("the acknowledgement of {}", event.name), "", payload);
        }
    }
    messages
}

fn answer(style: AnswerStyle, response: Json) -> Json {
    match style {
        AnswerStyle::Wrapped => json!({
            "oneOf": [
                {
                    "type": "object",
                    "required": ["success", "response"],
                    "properties": { "success": { "type": "boolean", "enum": [true] }, "response": response },
                },
                { "$ref": "#/components/schemas/Failure" },
            ],
        }),
        AnswerStyle::Bare => json!({ "anyOf": [response, { "$ref": "#/components/schemas/RootFailure" }] }),
    }
}

fn frame(event: &str, data: Json, id: Option<&Json>) -> Json {
    let mut properties = json!({ "event": { "type": "string", "enum": [event] }, "data": data });
    if let (Some(id), Some(properties)) = (id, properties.as_object_mut()) {
        properties.insert("id".to_owned(), id.clone());
    }
    json!({ "type": "object", "required": ["event", "data"], "properties": properties })
}

fn reply(id: &Json, data: Json) -> Json {
    json!({ "type": "object", "required": ["reply", "data"], "properties": { "reply": id, "data": data } })
}

/// A name as AsyncAPI accepts it as a key.
fn key(name: &str, kind: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    name.chars().map(plain).chain(kind.chars()).collect()
}

/// What the server does with the messages of a channel: it receives events and answers them, and sends others.
fn operations_of(channel: &str, messages: &Channel) -> BTreeMap<String, Json> {
    let at = json!({ "$ref": format!("#/channels/{channel}") });
    let message = |key: &str| json!([{ "$ref": format!("#/channels/{channel}/messages/{key}") }]);
    let mut operations = BTreeMap::new();
    for (key, event) in &messages.messages.0 {
        let (action, answer) = match key.rsplit_once('.') {
            None => ("receive", format!("{key}.answer")),
            Some((name, "event")) => ("send", format!("{name}.ack")),
            Some(_) => continue,
        };
        let mut operation = json!({ "action": action, "channel": at, "messages": message(key), "summary": event.description });
        if let (true, Some(operation)) = (messages.messages.have(&answer), operation.as_object_mut()) {
            operation.insert("reply".to_owned(), json!({ "channel": at, "messages": message(&answer) }));
        }
        operations.insert(format!("{channel}.{key}"), operation);
    }
    operations
}
