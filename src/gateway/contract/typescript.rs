//! The declarations for TypeScript: every type, and the maps of events that `socket.io-client` takes.

use utoipa::openapi::{
    RefOr,
    schema::{Schema, SchemaType, Type},
};

use super::{
    AnswerStyle, Contract, Namespace, lines,
    types::{comment, declaration, key, of},
};
use crate::gateway::events::{ClientEvent, ServerEvent};

const HEAD: &str = "\
// The types of Parlor: its events, their answers, and the HTTP API. Made by `parlor schema typescript`; do not edit.
//
//   import { io, type Socket } from \"socket.io-client\";
//   import type { ClientToServerEvents, ServerToClientEvents } from \"./parlor\";
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url + \"/chat\", { auth: { token } });
//   const answer = await socket.emitWithAck(\"privateMessage\", { receiver: \"bob\", content: \"hi\" });
";

const ANSWERS: &str = "\
/** The answer to an event that was carried out. */
export interface Success<T> {
  success: true;
  response: T;
}

/** The answer to an event of `/chat` or `/ws`: `success` tells which of the two it is. */
export type Answer<T> = Success<T> | Failure;

/** The answer to an event of the namespace `/`: the bare value, or `{ error }`. */
export type RootAnswer<T> = T | RootFailure;

/** The answer to an event of `/chat` with this name. */
export type AnswerTo<E extends keyof ClientToServerEvents> = Parameters<
  NonNullable<Parameters<ClientToServerEvents[E]>[1]>
>[0];

/** What asks and waits for the answer. */
export interface Asks {
  emitWithAck<E extends keyof ClientToServerEvents>(
    event: E,
    payload: Parameters<ClientToServerEvents[E]>[0],
  ): Promise<AnswerTo<E>>;
}

/**
 * A socket of `/chat` that also types `timeout(ms).emitWithAck(...)`, which `socket.io-client` 4.8 leaves open:
 * `ChatSocket<Socket<ServerToClientEvents, ClientToServerEvents>>`.
 */
export type ChatSocket<S extends { timeout(ms: number): unknown }> = Asks & {
  timeout(ms: number): Asks & ReturnType<S[\"timeout\"]>;
} & S;

/** What `io(url + \"/chat\", { auth })` takes. */
export interface ConnectAuth extends ConnectParameters {
  token?: string;
  ticket?: string;
}
";

const FRAMES: &str = "\
/** What a client sends on `/ws`. With an `id`, an event is answered. */
export type ClientFrame =
  | {
      [E in keyof ClientToServerEvents]: {
        event: E;
        data: Parameters<ClientToServerEvents[E]>[0];
        id?: number | string;
      };
    }[keyof ClientToServerEvents]
  | AckFrame;

/** The acknowledgement of the `response` with this id. */
export interface AckFrame {
  reply: number;
  data: Acknowledgement;
}

/** What the server sends on `/ws`. A `response` with an `id` asks for an acknowledgement. */
export type ServerFrame =
  | {
      [E in keyof ServerToClientEvents]: {
        event: E;
        data: Parameters<ServerToClientEvents[E]>[0];
        id?: number;
        reply?: undefined;
      };
    }[keyof ServerToClientEvents]
  | AnswerFrame
  | ErrorFrame;

/** The answer to the event with this id. */
export interface AnswerFrame {
  reply: number | string;
  data: Answer<unknown>;
  event?: undefined;
}

/** The last frame could not be read. */
export interface ErrorFrame {
  event: \"error\";
  data: Refusal;
  reply?: undefined;
}
";

/// The whole file.
pub fn declarations(contract: &Contract) -> String {
    let types = contract.schemas.iter().map(|(name, schema)| declaration(name, schema));
    let maps =
        contract.namespaces.iter().flat_map(|namespace| [client_map(namespace), server_map(namespace)]);
    let parts = [HEAD.to_owned(), ANSWERS.to_owned()].into_iter().chain(maps).chain([FRAMES.to_owned()]);
    let text = lines(parts.chain(types));
    text.trim_end().to_owned() + "\n"
}

fn client_map(namespace: &Namespace) -> String {
    let answer = match namespace.answers {
        AnswerStyle::Wrapped => "Answer",
        AnswerStyle::Bare => "RootAnswer",
    };
    let event = |event: &ClientEvent| {
        let payload = of(&event.payload.schema, 1);
        // Where nothing is answered but the success, a client may do without.
        let optional = if is_null(&event.response.schema) { "?" } else { "" };
        let about = comment(&Some(event.about.clone()), 1);
        let answered =
            format!("answered{optional}: (answer: {answer}<{}>) => void", of(&event.response.schema, 1));
        format!("{about}  {}: (payload: {payload}, {answered}) => void;\n", key(event.name))
    };
    format!(
        "/** The events that a client sends in the namespace `{}`. */\nexport interface {}ClientToServerEvents {{\n{}}}\n",
        namespace.path,
        namespace.prefix,
        namespace.client.iter().map(event).collect::<String>()
    )
}

fn server_map(namespace: &Namespace) -> String {
    let event = |event: &ServerEvent| {
        let about = comment(&Some(event.about.clone()), 1);
        // Not every time: see `receipts: "batched"`, and `limits.unacknowledged`.
        let acknowledge = event
            .acknowledgement
            .as_ref()
            .map(|answer| format!(", acknowledge?: (answer: {}) => void", of(&answer.schema, 1)));
        let payload = of(&event.payload.schema, 1);
        format!(
            "{about}  {}: (payload: {payload}{}) => void;\n",
            key(event.name),
            acknowledge.unwrap_or_default()
        )
    };
    format!(
        "/** The events that a client receives in the namespace `{}`. */\nexport interface {}ServerToClientEvents {{\n{}}}\n",
        namespace.path,
        namespace.prefix,
        namespace.server.iter().map(event).collect::<String>()
    )
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
