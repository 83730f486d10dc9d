//! The native form of an answer: `{ success: true, response }`, or `{ success: false, error }`.

use serde::Serialize;

use crate::{
    error::Error,
    gateway::{events::Ack, wire::Refusal},
};

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    response: T,
}

#[derive(Serialize)]
struct Failure {
    success: bool,
    error: Refusal,
}

pub(super) trait Answer {
    fn succeed<T: Serialize>(self, response: T);
    fn fail(self, error: &Error);
}

impl Answer for Ack {
    fn succeed<T: Serialize>(self, response: T) {
        self.answer(&Success { success: true, response });
    }

    fn fail(self, error: &Error) {
        self.refuse(error, |error| Failure { success: false, error: Refusal::of(error) });
    }
}
