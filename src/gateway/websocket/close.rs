//! The reasons with which this server closes a websocket: the codes of RFC 6455, section 7.4, and one private
//! code. Only this file knows the codes.

use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// The login is over. The event before says why. To reconnect, the client needs a new login.
    LoginOver,
    /// The server closes the connection for good. This is not an error.
    Ended,
    /// The server shuts down; the client should reconnect.
    ShuttingDown,
    /// The client sent bytes that are not a websocket frame, or a frame that is not allowed here.
    Protocol,
    /// A text that is not UTF-8.
    NotText,
    /// A message over the size limit, in one frame or in several.
    TooBig,
    /// A binary message. This server takes none.
    Binary,
}

impl Goodbye {
    /// The close reason after a failed read. `None` if the connection is gone.
    pub fn after(error: &Error) -> Option<Self> {
        match error {
            Error::Capacity(_) => Some(Self::TooBig),
            Error::Utf8(_) => Some(Self::NotText),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
            Error::Protocol(_) => Some(Self::Protocol),
            _ => None,
        }
    }

    pub fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            // The first code of the private range with the number of the HTTP status 401.
            Self::LoginOver => (CloseCode::from(4401), "The login is over"),
            Self::Ended => (CloseCode::Normal, "Closed by the server"),
            Self::ShuttingDown => (CloseCode::Away, "The server is shutting down"),
            Self::Protocol => (CloseCode::Protocol, "Not a frame of this protocol"),
            Self::NotText => (CloseCode::Invalid, "The text is not valid UTF-8"),
            Self::TooBig => (CloseCode::Size, "The message is too large"),
            Self::Binary => (CloseCode::Unsupported, "Only text is accepted"),
        };
        CloseFrame { code, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goodbye_has_a_code_that_may_be_sent() {
        for (goodbye, code) in [
            (Goodbye::LoginOver, 4401),
            (Goodbye::Ended, 1000),
            (Goodbye::ShuttingDown, 1001),
            (Goodbye::Protocol, 1002),
            (Goodbye::Binary, 1003),
            (Goodbye::NotText, 1007),
            (Goodbye::TooBig, 1009),
        ] {
            let frame = goodbye.frame();
            assert_eq!(u16::from(frame.code), code, "{goodbye:?}");
            assert!(frame.code.is_allowed(), "{goodbye:?}");
            assert!(frame.reason.len() <= 123, "{goodbye:?}: a control frame is short");
        }
    }
}
