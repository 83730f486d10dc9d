//! What the members of a room have set for all of them: the form of `rooms.settings`.

use serde::{Deserialize, Serialize};

use crate::values::Lifetime;

/// See the module. A field at its default is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomSettings {
    /// After how long messages disappear that are sent without saying so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disappear_after: Option<Lifetime>,
    /// Whether changes of the membership are told by messages of the server.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub system_messages: bool,
}

impl RoomSettings {
    /// Reads what is stored.
    pub fn read(json: Option<&str>) -> Self {
        json.map_or(Ok(Self::default()), serde_json::from_str).unwrap_or_else(|err| {
            tracing::error!(error = %err, "the settings of a room cannot be read");
            Self::default()
        })
    }

    /// The form that is stored; `None` if everything is at its default.
    pub fn json(self) -> Option<String> {
        // Numbers only: this cannot fail.
        serde_json::to_string(&self).ok().filter(|_| self != Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_were_stored() {
        assert_eq!(RoomSettings::default().json(), None);
        assert_eq!(RoomSettings::read(None), RoomSettings::default());
        let disappear_after = Some(Lifetime::parse("seconds", 60).unwrap());
        let settings = RoomSettings { disappear_after, system_messages: true };
        assert_eq!(RoomSettings::read(settings.json().as_deref()), settings);
        assert_eq!(RoomSettings::read(Some("nonsense")), RoomSettings::default());
    }
}
