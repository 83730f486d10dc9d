//! A client's way to the server, for Engine.IO packets: one WebSocket, or HTTP long polling.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

use crate::polling::Polling;

/// See the module.
pub enum Line {
    Socket(Box<WebSocketStream<TcpStream>>),
    Polling(Polling),
}

impl Line {
    pub async fn over_websocket(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Small buffers, because ten thousand connections are open at a time.
        let config = WebSocketConfig::default().read_buffer_size(8 * 1024);
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (line, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await?;
        Ok(Self::Socket(Box::new(line)))
    }

    pub async fn over_polling(address: SocketAddr) -> Result<Self> {
        Ok(Self::Polling(Polling::open(address).await?))
    }

    /// The next packet. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Utf8Bytes> {
        let line = match self {
            Self::Polling(polling) => return polling.next().await,
            Self::Socket(line) => line,
        };
        loop {
            match line.next().await {
                Some(Ok(Message::Text(packet))) => return Ok(packet),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                None | Some(Ok(Message::Close(_))) => bail!("the server hung up"),
                Some(Ok(other)) => bail!("a strange message: {other}"),
                Some(Err(err)) => return Err(err.into()),
            }
        }
    }

    /// Adds a packet to what [`flush`](Self::flush) sends.
    pub async fn feed(&mut self, packet: String) -> Result<()> {
        match self {
            Self::Socket(line) => line.feed(Message::text(packet)).await?,
            Self::Polling(polling) => polling.feed(&packet),
        }
        Ok(())
    }

    pub async fn flush(&mut self) -> Result<()> {
        match self {
            Self::Socket(line) => line.flush().await?,
            Self::Polling(polling) => polling.flush()?,
        }
        Ok(())
    }
}
