//! Every way in which this server says goodbye on a websocket: the codes of RFC 6455, section 7.4, and
//! one of our own. The only file that knows them.

use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// The login is over; the event before says why. Coming back takes a new one.
    LoginOver,
    /// Closed for good by the server's decision; nothing is wrong.
    Ended,
    /// The server goes down: come back.
    GoingDown,
    /// What the client sent is no websocket frame, or none that may come here.
    Protocol,
    /// A text that is no UTF-8.
    NotText,
    /// A message over the limit, in one frame or in many.
    TooBig,
    /// A binary message: nothing here takes one.
    Binary,
}

impl Goodbye {
    /// The farewell to a client that made reading fail; none where the connection is gone.
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
            // The first of the codes that are free for use, and what HTTP would have said.
            Self::LoginOver => (CloseCode::from(4401), "the login is over"),
            Self::Ended => (CloseCode::Normal, "closed by the server"),
            Self::GoingDown => (CloseCode::Away, "the server is going down"),
            Self::Protocol => (CloseCode::Protocol, "not a frame of this protocol"),
            Self::NotText => (CloseCode::Invalid, "the text is not valid UTF-8"),
            Self::TooBig => (CloseCode::Size, "the message is too large"),
            Self::Binary => (CloseCode::Unsupported, "only text is taken"),
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
            (Goodbye::GoingDown, 1001),
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
