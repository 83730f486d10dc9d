//! The settings of a room in memory.

use super::Room;
use crate::room_settings::RoomSettings;

impl Room {
    pub fn settings(&self) -> RoomSettings {
        self.state.lock().settings
    }

    pub(in crate::chat) fn set_settings(&self, settings: RoomSettings) {
        self.state.lock().settings = settings;
    }

    /// Takes settings over from a change of this version.
    pub(in crate::chat) fn take_settings(&self, settings: RoomSettings, version: i64) {
        let mut state = self.state.lock();
        state.members.reach(version);
        state.settings = settings;
    }
}
