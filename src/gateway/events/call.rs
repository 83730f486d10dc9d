//! An event with its decoded payload, and the answer that it gets. The types say what the contract promises: an
//! event that is declared with a payload and a response is decoded to the one and answered with the other.

use std::marker::PhantomData;

use entity::Seq;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{Ack, Request, Socket};
use crate::error::Error;

/// A decoded event. `S` is what the wire form keeps for the socket.
pub struct Call<'a, P, S> {
    pub socket: &'a Socket,
    pub state: &'a S,
    pub payload: P,
    /// See [`Request::acknowledged`].
    pub acknowledged: Option<Seq>,
}

/// What the answer to an event contains. Implemented for a type without a borrow, on behalf of the same type with
/// any borrow.
pub trait Response {
    type View<'a>: Serialize;
    /// The schema in the contract.
    type Schema: ToSchema;
}

/// Responses without a borrow, which are their own schema.
macro_rules! owned_responses {
    ($($response:ty),+ $(,)?) => {$(
        impl $crate::gateway::events::Response for $response {
            type View<'a> = $response;
            type Schema = $response;
        }
    )+};
}

/// Responses with one borrow, each with its schema.
macro_rules! borrowed_responses {
    ($($response:ident as $schema:ty),+ $(,)?) => {$(
        impl $crate::gateway::events::Response for $response<'static> {
            type View<'a> = $response<'a>;
            type Schema = $schema;
        }
    )+};
}

pub(in crate::gateway) use {borrowed_responses, owned_responses};

/// How a wire form writes an answer.
pub trait AnswerForm {
    fn succeed(ack: Ack, response: &impl Serialize);
    fn fail(ack: Ack, error: &Error);
}

/// The answer that an event still waits for: an `R`, or an error.
pub struct Answer<R, F> {
    ack: Ack,
    of: PhantomData<fn() -> (R, F)>,
}

impl<R: Response, F: AnswerForm> Answer<R, F> {
    pub fn succeed(self, response: R::View<'_>) {
        F::succeed(self.ack, &response);
    }

    pub fn fail(self, error: &Error) {
        F::fail(self.ack, error);
    }

    /// For a response that is owned, or that was built from a result that the caller keeps.
    pub fn give(self, result: Result<R::View<'_>, Error>) {
        match result {
            Ok(response) => self.succeed(response),
            Err(error) => self.fail(&error),
        }
    }
}

/// Decodes an event. If its payload is not what the contract says, answers `bad_request` and returns `None`.
pub fn receive<'a, P: DeserializeOwned, S, R: Response, F: AnswerForm>(
    socket: &'a Socket,
    state: &'a S,
    request: &Request<'_>,
    ack: Ack,
) -> Option<(Call<'a, P, S>, Answer<R, F>)> {
    match request.decode() {
        Ok(payload) => {
            let call = Call { socket, state, payload, acknowledged: request.acknowledged };
            Some((call, Answer { ack, of: PhantomData }))
        }
        Err(error) => {
            F::fail(ack, &error);
            None
        }
    }
}
