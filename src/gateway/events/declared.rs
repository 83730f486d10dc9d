//! The declaration of events: one table for each direction and wire form. The routing follows from it, and so do
//! all documents of the contract (`gateway::contract`).

use std::marker::PhantomData;

use utoipa::{
    ToSchema,
    openapi::{Ref, RefOr, schema::Schema},
};

use super::Response;

/// The schema of a payload or an answer, and of every type that it refers to.
pub struct Described {
    pub schema: RefOr<Schema>,
    pub named: Vec<(String, RefOr<Schema>)>,
}

impl Described {
    /// A type with fields or forms is referred to by its name. Others, such as arrays, have none.
    pub fn of<T: ToSchema>() -> Self {
        let schema = T::schema();
        let mut named = Vec::new();
        T::schemas(&mut named);
        let has_name = match &schema {
            RefOr::T(Schema::Object(object)) => !object.properties.is_empty(),
            RefOr::T(Schema::OneOf(_) | Schema::AnyOf(_) | Schema::AllOf(_)) => true,
            _ => false,
        };
        if !has_name {
            return Self { schema, named };
        }
        let name = T::name().into_owned();
        let reference = Ref::from_schema_name(&name);
        named.push((name, schema));
        Self { schema: reference.into(), named }
    }
}

/// An event that clients send.
pub struct ClientEvent {
    pub name: &'static str,
    /// What it does, in Markdown.
    pub about: String,
    pub payload: Described,
    pub response: Described,
}

impl ClientEvent {
    pub fn of<P: ToSchema, R: Response>(name: &'static str, about: &str) -> Self {
        let (payload, response) = (Described::of::<P>(), Described::of::<R::Schema>());
        Self { name, about: sentence(about), payload, response }
    }
}

/// An event that the server sends.
pub struct ServerEvent {
    pub name: &'static str,
    /// Who receives it, and when, in Markdown.
    pub about: String,
    pub payload: Described,
    /// What the client is asked to answer.
    pub acknowledgement: Option<Described>,
}

impl ServerEvent {
    pub fn of<P: Response>(_: Named<P>, name: &'static str, about: &str) -> Self {
        Self { name, about: sentence(about), payload: Described::of::<P::Schema>(), acknowledgement: None }
    }

    pub fn acknowledged_by<A: ToSchema>(self) -> Self {
        Self { acknowledgement: Some(Described::of::<A>()), ..self }
    }
}

/// The name of an event that the server sends, with the type of its payload.
pub struct Named<P> {
    pub name: &'static str,
    payload: PhantomData<fn() -> P>,
}

impl<P> Named<P> {
    pub const fn new(name: &'static str) -> Self {
        Self { name, payload: PhantomData }
    }
}

/// The lines of a doc comment as one.
fn sentence(about: &str) -> String {
    about.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Declares the events that clients send: for each its description, name, payload and response, and the function
/// that handles it. Defines `route`, which decodes an event and calls its function, `knows` and `client_events`.
macro_rules! client_events {
    (
        $form:ty, $state:ty;
        $($(#[doc = $about:literal])+ $name:literal: $payload:ty => $response:ty, $handler:path;)+
    ) => {
        pub async fn route(
            socket: &$crate::gateway::events::Socket,
            state: &$state,
            request: $crate::gateway::events::Request<'_>,
            ack: $crate::gateway::events::Ack,
        ) {
            use $crate::gateway::events::{AnswerForm, receive};
            match request.event {
                $($name => {
                    let received = receive::<$payload, $state, $response, $form>(socket, state, &request, ack);
                    if let Some((call, answer)) = received {
                        $handler(call, answer).await;
                    }
                })+
                _ => <$form>::fail(ack, &$crate::error::Error::NotFound($crate::error::Entity::Event)),
            }
        }

        /// Whether the table has this event.
        pub fn knows(event: &str) -> bool {
            matches!(event, $($name)|+)
        }

        /// Every event, for the documents.
        pub fn client_events() -> Vec<$crate::gateway::events::ClientEvent> {
            use $crate::gateway::events::ClientEvent;
            vec![$(ClientEvent::of::<$payload, $response>($name, concat!($($about),+))),+]
        }
    };
}

/// Declares the events that the server sends: for each who receives it and when, a constant for its name, its
/// payload and the client's acknowledgement. Defines the constants and `server_events`.
macro_rules! server_events {
    ($($(#[doc = $about:literal])+ $constant:ident = $name:literal: $payload:ty $(=> $ack:ty)?;)+) => {
        $($(#[doc = $about])+
        pub const $constant: $crate::gateway::events::Named<$payload> =
            $crate::gateway::events::Named::new($name);)+

        /// Every event, for the documents.
        pub fn server_events() -> Vec<$crate::gateway::events::ServerEvent> {
            use $crate::gateway::events::ServerEvent;
            vec![$(ServerEvent::of($constant, $name, concat!($($about),+))$(.acknowledged_by::<$ack>())?),+]
        }
    };
}

pub(in crate::gateway) use {client_events, server_events};
