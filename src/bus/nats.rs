//! NATS, without JetStream: nothing is kept there, because the database has everything.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Subscriber, connection::State};
use futures_util::StreamExt;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

use super::{Broken, Driver, Listener};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// The most frames that wait to be sent, and to be read. What comes then is lost.
const WAITING: usize = 1_024;

/// See the module. One connection sends and listens.
pub struct Nats {
    url: SecretString,
    subject: String,
    client: Mutex<Option<Client>>,
}

impl Nats {
    pub fn new(url: SecretString, subject: String) -> Self {
        Self { url, subject, client: Mutex::default() }
    }
}

impl Driver for Nats {
    type Listener = Subscriber;

    /// NATS takes a megabyte, unless its configuration says otherwise.
    const LONGEST: usize = 256 * 1_024;

    async fn send(&self, frames: Vec<String>) -> Result<(), Broken> {
        let client = self.client.lock().clone();
        // What is handed to a connection that is lost would be sent late, or never.
        let connected = client.filter(|client| client.connection_state() == State::Connected);
        let client = connected.ok_or_else(|| Broken::new("there is no connection to NATS"))?;
        for frame in frames {
            client.publish(self.subject.clone(), frame.into()).await.map_err(Broken::new)?;
        }
        Ok(())
    }

    async fn listen(&self) -> Result<Subscriber, Broken> {
        *self.client.lock() = None;
        let options = ConnectOptions::new()
            .name("parlor")
            .connection_timeout(CONNECTING)
            .client_capacity(WAITING)
            .subscription_capacity(WAITING)
            // A new listener connects again. A client that does so by itself would hide what was lost.
            .max_reconnects(1);
        let client = options.connect(self.url.expose_secret()).await.map_err(Broken::new)?;
        let subscriber = client.subscribe(self.subject.clone()).await.map_err(Broken::new)?;
        client.flush().await.map_err(Broken::new)?;
        *self.client.lock() = Some(client);
        Ok(subscriber)
    }
}

impl Listener for Subscriber {
    async fn next(&mut self) -> Result<String, Broken> {
        let message =
            StreamExt::next(self).await.ok_or_else(|| Broken::new("the connection to NATS was lost"))?;
        String::from_utf8(message.payload.into()).map_err(Broken::new)
    }
}
