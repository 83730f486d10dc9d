//! How far the upgrade of a polling session is, which decides what its polls get.

/// How far the upgrade of a session to a websocket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpgradeStage {
    #[default]
    Polling,
    /// The client has opened a websocket for the session, and tries it.
    Trying,
    /// It has received the client's probe. The client upgrades the session when its poll is answered.
    Probed,
    /// The client upgrades the session, and the engine takes over the websocket. No poll may enter the engine:
    /// it would end the session.
    Switching,
    Upgraded,
}

impl UpgradeStage {
    /// Whether the client may be about to upgrade the session, or to give up the websocket.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Trying | Self::Probed)
    }

    /// Whether a poll that waits is to be answered, because the client will not poll again.
    pub fn ends_polls(self) -> bool {
        matches!(self, Self::Probed | Self::Switching | Self::Upgraded)
    }
}
