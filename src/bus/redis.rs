//! Redis, or what speaks its protocol: PUBLISH and SUBSCRIBE.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, Msg, ProtocolVersion, PushInfo, RedisError,
    aio::MultiplexedConnection,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{
        Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::timeout,
};

use super::{Broken, Driver, Listener};

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long Redis may take to answer.
const ANSWERING: Duration = Duration::from_secs(5);
/// The most frames that wait to be read. What comes then is lost.
const WAITING: usize = 1_024;

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

    async fn connect(&self, settings: AsyncConnectionConfig) -> Result<MultiplexedConnection, RedisError> {
        let settings =
            settings.set_connection_timeout(Some(CONNECTING)).set_response_timeout(Some(ANSWERING));
        let info = self.url.expose_secret().into_connection_info()?;
        // With RESP3, what was published comes to the sender of the settings, whose queue is bounded.
        let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(login))?;
        client.get_multiplexed_async_connection_with_config(&settings).await
    }
}

/// What Redis has published to this connection. It ends with the connection.
pub struct RedisListener {
    frames: Receiver<String>,
    /// The connection lasts as long as this.
    _connection: MultiplexedConnection,
}

impl Driver for Redis {
    type Listener = RedisListener;

    const LONGEST: usize = 256 * 1_024;

    async fn send(&self, frames: Vec<String>) -> Result<(), Broken> {
        // Frames of one node are sent one after another, so nobody else waits for this.
        let mut sender = self.sender.lock().await;
        let mut connection = match sender.take() {
            Some(connection) => connection,
            None => self.connect(AsyncConnectionConfig::new()).await.map_err(broken)?,
        };
        let mut publish = redis::pipe();
        for frame in &frames {
            publish.publish(&self.channel, frame).ignore();
        }
        publish.query_async::<()>(&mut connection).await.map_err(broken)?;
        *sender = Some(connection);
        Ok(())
    }

    async fn listen(&self) -> Result<RedisListener, Broken> {
        *self.sender.lock().await = None;
        let (sender, frames) = mpsc::channel(WAITING);
        let settings = AsyncConnectionConfig::new().set_push_sender(move |push| queue(&sender, push));
        let connecting = async {
            let mut connection = self.connect(settings).await?;
            connection.subscribe(&self.channel).await?;
            Ok(connection)
        };
        let connected = timeout(CONNECTING, connecting).await;
        let connection =
            connected.map_err(|_| Broken::new("Redis did not answer in time"))?.map_err(broken)?;
        Ok(RedisListener { frames, _connection: connection })
    }
}

impl Listener for RedisListener {
    async fn next(&mut self) -> Result<String, Broken> {
        self.frames.recv().await.ok_or_else(|| Broken::new("the connection to Redis was lost"))
    }
}

/// Queues a frame. Those that do not fit are lost: the frames after them have numbers that show it.
fn queue(frames: &Sender<String>, push: PushInfo) -> Result<(), RedisError> {
    if let Some(message) = Msg::from_push_info(push) {
        // If nobody listens any more, nobody misses it.
        let _ = frames.try_send(message.get_payload()?);
    }
    Ok(())
}

/// Without the address.
fn broken(err: RedisError) -> Broken {
    Broken::new(err.category())
}

#[cfg(test)]
mod tests {
    use redis::{PushKind, Value};

    use super::*;

    #[tokio::test]
    async fn a_listener_that_does_not_keep_up_loses_frames_and_no_memory() {
        let (sender, mut frames) = mpsc::channel(WAITING);
        let publish = |frame: usize| {
            let data =
                vec![Value::SimpleString("channel".to_owned()), Value::BulkString(frame.to_string().into())];
            queue(&sender, PushInfo { kind: PushKind::Message, data }).expect("a text");
        };
        (0..WAITING + 10).for_each(publish);
        for frame in 0..WAITING {
            assert_eq!(frames.try_recv(), Ok(frame.to_string()));
        }
        publish(WAITING + 10);
        assert_eq!(frames.recv().await, Some((WAITING + 10).to_string()), "it goes on after the gap");
        let other = PushInfo { kind: PushKind::Subscribe, data: Vec::new() };
        queue(&sender, other).expect("nothing");
        assert!(frames.try_recv().is_err(), "only what was published");
    }
}
