//! `/api/auth/tickets`: a way into a connection for who would rather not put a token into an address.

use axum::{extract::State, response::Response};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Rest, answer,
    openapi::{Always, NeedsCaller, Throttled},
};
use crate::{chat::caller::Caller, error::Result, gateway::wire::Time};

/// A ticket, told this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketView<'a> {
    ticket: &'a str,
    /// When it can no longer be used. A connection that it opened lives by the token that bought it.
    expires_at: Time,
}

/// Buy a ticket: it opens one connection, within 30 seconds.
#[utoipa::path(
    post, path = "/api/auth/tickets", tag = "sessions", operation_id = "buyTicket",
    responses(
        (status = 201, description = "A ticket, for `auth.ticket` or the query parameter `ticket`", body = TicketView),
        NeedsCaller, Throttled, Always
    )
)]
pub async fn buy(State(rest): State<Rest>, caller: Caller) -> Result<Response> {
    let bought = rest.auth.buy_ticket(&caller).await?;
    let view = TicketView { ticket: bought.ticket.expose_secret(), expires_at: Time(bought.expires_at) };
    answer::json(StatusCode::CREATED, view)
}
