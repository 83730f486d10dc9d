//! A setting that is on, off, or decided by the server: `true`, `false` or `"auto"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use toml::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// The server decides; the setting says how.
    Auto,
    On,
    Off,
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Value::deserialize(input)? {
            Value::Boolean(true) => Ok(Self::On),
            Value::Boolean(false) => Ok(Self::Off),
            Value::String(text) => match text.trim() {
                "auto" => Ok(Self::Auto),
                "true" => Ok(Self::On),
                "false" => Ok(Self::Off),
                _ => Err(de::Error::custom(format!("\"{text}\" is neither \"auto\" nor true nor false"))),
            },
            other => Err(de::Error::custom(format!("{other} is neither \"auto\" nor true nor false"))),
        }
    }
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => output.serialize_str("auto"),
            Self::On => output.serialize_bool(true),
            Self::Off => output.serialize_bool(false),
        }
    }
}
