//! The probe with which a client tries a websocket before it upgrades its session (Engine.IO protocol,
//! "Upgrade"). The engine would exchange it by itself, and would end the session if that fails. Here, a
//! client whose websocket fails keeps its polling session, as with Socket.IO's own server.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::sessions::{Probing, Switching};

/// How long the client may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The first byte of a frame that is a whole message or a control frame (RFC 6455, section 5.2).
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const IS_MASKED: u8 = 0x80;
/// The most payload bytes of a control frame. The two packets of the client are shorter.
const MOST: u8 = 125;
/// Protocol error.
const CODE: u16 = 1002;

/// Exchanges the probe, and waits for the client to upgrade its session. `None` if it does something else.
/// Its websocket is then closed.
pub async fn exchange<S>(stream: &mut S, probing: Probing) -> Option<Switching>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(WITHIN, upgraded(stream, &probing)).await {
        Ok(Ok(true)) => return Some(probing.switch().await),
        Ok(Ok(false)) => drop(timeout(WITHIN, frame(stream, CLOSE, &CODE.to_be_bytes())).await),
        // The client is gone, or has closed the websocket.
        Ok(Err(_)) | Err(_) => {}
    }
    None
}

/// Whether the client has sent its probe and the packet that upgrades the session, and nothing else.
async fn upgraded<S>(stream: &mut S, probing: &Probing) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if packet(stream).await?.as_deref() != Some(b"2probe") {
        return Ok(false);
    }
    probing.probed();
    frame(stream, TEXT, b"3probe").await?;
    Ok(packet(stream).await?.as_deref() == Some(b"5"))
}

/// The next packet, if it is a short text in one frame. Answers pings of the websocket itself.
async fn packet<S>(stream: &mut S) -> io::Result<Option<Vec<u8>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let [kind, length] = bytes(stream).await?;
        if length & IS_MASKED == 0 || length & !IS_MASKED > MOST {
            return Ok(None);
        }
        let mask: [u8; 4] = bytes(stream).await?;
        let mut payload = vec![0; usize::from(length & !IS_MASKED)];
        stream.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        match kind {
            TEXT => return Ok(Some(payload)),
            PING => frame(stream, PONG, &payload).await?,
            PONG => {}
            CLOSE => {
                frame(stream, CLOSE, &payload).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            _ => return Ok(None),
        }
    }
}

async fn bytes<const COUNT: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn frame(stream: &mut (impl AsyncWrite + Unpin), kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u8::try_from(payload.len()).map_err(io::Error::other)?;
    stream.write_all(&[&[kind, length], payload].concat()).await?;
    stream.flush().await
}
