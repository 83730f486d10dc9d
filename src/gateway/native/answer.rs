//! The native form of an answer: `{ success: true, response }`, or `{ success: false, error }`.

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use crate::{
    error::Error,
    gateway::{
        events::{self, Ack, AnswerForm, Response, borrowed_responses, owned_responses},
        wire::{
            ChangesView, ConversationSchema, ConversationView, DeletedView, EditsView, GroupView,
            HistoryView, MemberView, MessageSchema, MessageView, Refusal, UserReactionsView,
            bounded::Entries, forms::exactly,
        },
    },
};

/// See the module.
pub struct NativeForm;

/// The answer that a native event waits for.
pub(super) type NativeAnswer<R> = events::Answer<R, NativeForm>;

/// A native event. Nothing is kept for the socket.
pub(super) type NativeCall<'a, P> = events::Call<'a, P, ()>;

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    response: T,
}

/// The answer to an event that was refused. Nothing has changed.
#[derive(Serialize, ToSchema)]
pub struct Failure {
    #[schema(schema_with = only_false)]
    success: bool,
    error: Refusal,
}

fn only_false() -> ObjectBuilder {
    exactly(false)
}

impl AnswerForm for NativeForm {
    fn succeed(ack: Ack, response: &impl Serialize) {
        ack.answer(&Success { success: true, response });
    }

    fn fail(ack: Ack, error: &Error) {
        ack.refuse(error, |error| Failure { success: false, error: Refusal::of(error) });
    }
}

/// No response beyond the success.
#[derive(Debug, Deserialize, Serialize)]
pub struct Nothing;

impl PartialSchema for Nothing {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Nothing {}

borrowed_responses!(
    ChangesView as ChangesView<'static>,
    ConversationView as ConversationSchema,
    DeletedView as DeletedView<'static>,
    EditsView as EditsView<'static>,
    GroupView as GroupView<'static>,
    HistoryView as HistoryView<'static>,
    MemberView as MemberView<'static>,
    MessageView as MessageSchema,
    UserReactionsView as UserReactionsView<'static>,
);
owned_responses!(Nothing);

impl<T: ToSchema + 'static> Response for Entries<T> {
    type View<'a> = Self;
    type Schema = Self;
}
