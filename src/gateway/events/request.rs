//! An event's name and its undecoded payload.

use entity::Seq;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub event: &'a str,
    payload: Option<&'a RawValue>,
    /// What the client had acknowledged in the room that the event is for, when the event was read. `None` if
    /// that has not changed since.
    pub acknowledged: Option<Seq>,
}

impl<'a> Request<'a> {
    pub fn new(event: &'a str, payload: Option<&'a RawValue>) -> Self {
        Self { event, payload, acknowledged: None }
    }

    /// The request of an event that was read when the client had acknowledged this.
    pub fn after(self, acknowledged: Option<Seq>) -> Self {
        Self { acknowledged, ..self }
    }

    /// The payload as an object. A missing payload and `null` count as `{}`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let json = self.payload.map(RawValue::get).filter(|json| *json != "null").unwrap_or("{}");
        if !json.starts_with('{') {
            return Err(Error::invalid("payload", "must be an object"));
        }
        serde_json::from_str(json).map_err(|err| {
            // The position in the text does not help: clients send objects, not text.
            let reason = err.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            Error::invalid("payload", reason)
        })
    }

    /// The payload as the client wrote it.
    pub fn payload(&self) -> Option<&'a RawValue> {
        self.payload
    }
}
