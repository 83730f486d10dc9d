//! `/api/auth/tickets`: single-use tickets for connections, so that no token appears in a URL.

use axum::{extract::State, response::Response};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Rest, answer,
    openapi::{Always, NeedsCaller, Throttled},
};
use crate::{error::Result, gateway::wire::Time, identity::Caller};

/// A ticket. It is shown only once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketView<'a> {
    ticket: &'a str,
    /// When the ticket expires. The connection that it opens is valid as long as the token that was used to
    /// get the ticket.
    expires_at: Time,
}

/// Get a single-use ticket. It opens one connection within 30 seconds.
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
