//! A TCP line that a test can close and make deaf.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

/// What a [`Line`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    Everything,
    /// It takes everything and delivers nothing, and nobody is told: a half-open connection.
    Nothing,
    /// All connections are closed, and new ones, too.
    Closed,
}

/// A TCP line to an address.
pub struct Line {
    pub address: SocketAddr,
    carries: watch::Sender<Carries>,
    listening: AbortHandle,
}

impl Line {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (carries, carried) = watch::channel(Carries::Everything);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                for stream in [&client, &server] {
                    // Otherwise small packets wait for each other.
                    drop(stream.set_nodelay(true));
                }
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(carry(from_client, to_server, carried.clone()));
                tokio::spawn(carry(from_server, to_client, carried.clone()));
            }
        });
        Self { address, carries, listening: listening.abort_handle() }
    }

    pub fn now(&self, carries: Carries) {
        self.carries.send_replace(carries);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
        self.now(Carries::Closed);
    }
}

/// A connection that was there while nothing was carried stays so: what it was given is lost.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut carries: watch::Receiver<Carries>) {
    let (mut buffer, mut is_deaf) = (vec![0; 65_536], false);
    loop {
        let read = tokio::select! {
            _ = carries.wait_for(|carries| *carries == Carries::Closed) => return,
            read = from.read(&mut buffer) => read,
        };
        let Ok(length @ 1..) = read else { return };
        is_deaf |= *carries.borrow() == Carries::Nothing;
        if !is_deaf && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
