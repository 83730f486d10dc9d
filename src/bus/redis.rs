//! Redis, or what speaks its protocol: PUBLISH and SUBSCRIBE.

use std::time::Duration;

use futures_util::StreamExt;
use redis::{
    AsyncConnectionConfig, Client, RedisError,
    aio::{MultiplexedConnection, PubSub},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Mutex, time::timeout};

use super::{Broken, Driver, Listener};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long Redis may take to answer.
const ANSWERING: Duration = Duration::from_secs(5);

/// See the module. One connection sends, and another listens.
pub struct Redis {
    url: SecretString,
    channel: String,
    sender: Mutex<Option<MultiplexedConnection>>,
}

impl Redis {
    pub fn new(url: SecretString, channel: String) -> Self {
        Self { url, channel, sender: Mutex::default() }
    }

    fn client(&self) -> Result<Client, Broken> {
        Client::open(self.url.expose_secret()).map_err(broken)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Broken> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(ANSWERING));
        self.client()?.get_multiplexed_async_connection_with_config(&settings).await.map_err(broken)
    }
}

impl Driver for Redis {
    type Listener = PubSub;

    const LONGEST: usize = 256 * 1_024;

    async fn send(&self, frames: Vec<String>) -> Result<(), Broken> {
        // Frames of one node are sent one after another, so nobody else waits for this.
        let mut sender = self.sender.lock().await;
        let mut connection = match sender.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut publish = redis::pipe();
        for frame in &frames {
            publish.publish(&self.channel, frame).ignore();
        }
        publish.query_async::<()>(&mut connection).await.map_err(broken)?;
        *sender = Some(connection);
        Ok(())
    }

    async fn listen(&self) -> Result<PubSub, Broken> {
        *self.sender.lock().await = None;
        let client = self.client()?;
        let connecting = async {
            let mut listener = client.get_async_pubsub().await?;
            listener.subscribe(&self.channel).await?;
            Ok(listener)
        };
        let connected = timeout(CONNECTING, connecting).await;
        connected.map_err(|_| Broken::new("Redis did not answer in time"))?.map_err(broken)
    }
}

impl Listener for PubSub {
    async fn next(&mut self) -> Result<String, Broken> {
        let message = self.on_message().next().await;
        let message = message.ok_or_else(|| Broken::new("the connection to Redis was lost"))?;
        message.get_payload().map_err(broken)
    }
}

/// Without the address.
fn broken(err: RedisError) -> Broken {
    Broken::new(err.category())
}
