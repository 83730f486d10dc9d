//! A bus that is not to be relied upon. It speaks as much of the protocol of NATS as a client needs that publishes and
//! subscribes, and loses, repeats or delays every tenth message each; what is delayed comes after later ones.

use std::{io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

/// The most that a message is delayed.
const DELAY: u64 = 100;

/// A subscription: the client's number of it, and the way to the client.
struct Subscriber {
    subject: String,
    id: String,
    client: UnboundedSender<Vec<u8>>,
}

type Subscribers = Arc<Mutex<Vec<Subscriber>>>;

/// Starts one, and returns its address. It ends with the test.
pub async fn faulty_bus() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let subscribers = Subscribers::default();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let subscribers = subscribers.clone();
            tokio::spawn(async move { drop(serve(client, &subscribers).await) });
        }
    });
    url
}

async fn serve(client: TcpStream, subscribers: &Subscribers) -> io::Result<()> {
    let (read, mut write) = client.into_split();
    let (client, mut outgoing) = unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    drop(
        client.send(
            b"INFO {\"server_id\":\"faulty\",\"version\":\"2.9.0\",\"max_payload\":1048576}\r\n".to_vec(),
        ),
    );
    let mut lines = BufReader::new(read);
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["PING"] => drop(client.send(b"PONG\r\n".to_vec())),
            ["SUB", subject, .., id] => {
                let (subject, id) = ((*subject).to_owned(), (*id).to_owned());
                subscribers.lock().push(Subscriber { subject, id, client: client.clone() });
            }
            ["PUB", subject, .., length] => {
                let payload = payload(&mut lines, length.parse().unwrap()).await?;
                for subscriber in subscribers.lock().iter().filter(|other| other.subject == *subject) {
                    deliver(subscriber, &payload);
                }
            }
            _ => {}
        }
    }
}

async fn payload(lines: &mut BufReader<OwnedReadHalf>, length: usize) -> io::Result<Vec<u8>> {
    // With its line break.
    let mut payload = vec![0; length + 2];
    lines.read_exact(&mut payload).await?;
    payload.truncate(length);
    Ok(payload)
}

fn deliver(subscriber: &Subscriber, payload: &[u8]) {
    let mut bytes =
        format!("MSG {} {} {}\r\n", subscriber.subject, subscriber.id, payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(b"\r\n");
    let client = subscriber.client.clone();
    match fastrand::u8(..30) {
        0..3 => {}
        3..6 => drop([client.send(bytes.clone()), client.send(bytes)]),
        6..9 => {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..DELAY))).await;
                drop(client.send(bytes));
            });
        }
        _ => drop(client.send(bytes)),
    }
}
