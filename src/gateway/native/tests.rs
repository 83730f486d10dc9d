//! The declared forms name fields that exist.

use super::{
    messages::{GroupMessageDraft, HistoryRequest, LobbyDraft, PrivateDraft},
    receipts::{Delivered, DeliveredUpTo},
    rooms::{Join, NewGroupRequest},
};
use crate::gateway::wire::{ConversationView, MessageView, forms::Forms};

fn unknown<T: Forms>() -> Vec<&'static str> {
    T::forms().iter().flat_map(|form| form.unknown::<T>()).collect()
}

#[test]
fn every_form_has_fields_of_its_type_only() {
    let all = [
        unknown::<ConversationView<'_>>(),
        unknown::<Delivered>(),
        unknown::<DeliveredUpTo>(),
        unknown::<GroupMessageDraft>(),
        unknown::<HistoryRequest>(),
        unknown::<Join>(),
        unknown::<LobbyDraft>(),
        unknown::<MessageView<'_>>(),
        unknown::<NewGroupRequest>(),
        unknown::<PrivateDraft>(),
    ];
    assert_eq!(all.concat(), Vec::<&str>::new());
}
