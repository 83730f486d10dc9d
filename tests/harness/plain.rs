//! A plain WebSocket client, like a browser's `WebSocket`. It sends and receives JSON texts, and records the
//! code with which it was closed.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use http::header::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};

use super::{A_WHILE, PATIENCE, Person, in_time, succeeded};

enum Command {
    Say(Message),
    /// Disconnects without a close frame.
    Vanish,
}

/// A handshake that did not end in an upgrade.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub problem: Json,
}

impl Refused {
    #[track_caller]
    pub fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, &self.problem["code"]), (status, &json!(code)), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
    }
}

/// An open WebSocket, whatever its protocol. Dropping it closes it as a client does.
pub struct Frames {
    commands: mpsc::UnboundedSender<Command>,
    reading: watch::Sender<bool>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    frames: Vec<Received>,
    /// Whether `response` frames with an id are answered.
    acknowledges: bool,
    /// The code of the close frame, or none if the TCP connection just ended.
    ended: Option<Option<u16>>,
}

struct Received {
    text: String,
    json: Json,
    taken: bool,
}

impl Frames {
    pub async fn try_open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        acknowledges: bool,
    ) -> Result<Self, Refused> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let mut line = match in_time("a handshake", tokio_tungstenite::connect_async(request)).await {
            Ok((line, response)) => {
                assert!(!response.headers().contains_key("sec-websocket-extensions"), "{response:?}");
                line
            }
            Err(Error::Http(response)) => {
                let (head, body) = response.into_parts();
                let problem = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
                return Err(Refused { status: head.status.as_u16(), headers: head.headers, problem });
            }
            Err(err) => panic!("no handshake: {err}"),
        };
        let (commands, mut orders) = mpsc::unbounded_channel::<Command>();
        let (reading, mut read) = watch::channel(true);
        let shared = Arc::new(Shared::default());
        shared.state.lock().acknowledges = acknowledges;
        let (told, answers) = (shared.clone(), commands.downgrade());
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    order = orders.recv() => match order {
                        Some(Command::Say(message)) => {
                            if line.send(message).await.is_err() {
                                break told.end(None);
                            }
                            continue;
                        }
                        Some(Command::Vanish) => return told.end(None),
                        None => {
                            let _ = line.close(None).await;
                            break told.end(None);
                        }
                    },
                    message = async {
                        let _ = read.wait_for(|reading| *reading).await;
                        line.next().await
                    } => message,
                };
                match message {
                    Some(Ok(Message::Text(text))) => {
                        told.receive(text.as_str(), |answer| {
                            if let Some(commands) = answers.upgrade() {
                                let _ = commands.send(Command::Say(Message::text(answer)));
                            }
                        });
                    }
                    Some(Ok(Message::Close(frame))) => {
                        told.end(frame.map(|frame| frame.code.into()));
                        // The library answers a close frame while it is read.
                        while let Some(Ok(_)) = line.next().await {}
                        break;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break told.end(None),
                }
            }
        });
        Ok(Self { commands, reading, shared })
    }

    pub async fn open(address: SocketAddr, path: &str) -> Self {
        match Self::try_open(address, path, &[], true).await {
            Ok(frames) => frames,
            Err(refused) => panic!("the connection was refused: {refused:?}"),
        }
    }

    /// Sends a text frame unchanged.
    pub fn says(&self, text: impl Into<String>) {
        let _ = self.commands.send(Command::Say(Message::text(text.into())));
    }

    pub fn says_message(&self, message: Message) {
        let _ = self.commands.send(Command::Say(message));
    }

    /// Waits for a matching frame that no earlier wait has returned.
    pub async fn sees_frame(&self, what: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        self.find(PATIENCE, what, |state| {
            let mut fresh = state.frames.iter_mut().filter(|received| !received.taken);
            let found = fresh.find(|received| wanted(&received.json))?;
            found.taken = true;
            Some(found.json.clone())
        })
        .await
    }

    async fn find<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> T {
        let found = tokio::time::timeout(patience, async {
            loop {
                let mut changed = std::pin::pin!(self.shared.changed.notified());
                changed.as_mut().enable();
                if let Some(found) = look(&mut self.shared.state.lock()) {
                    return found;
                }
                changed.await;
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => {
                let texts = self.texts();
                let last: Vec<_> = texts.iter().rev().take(10).collect();
                panic!(
                    "waited {patience:?} in vain for {what}; ended: {:?}; last {last:#?}",
                    self.has_ended()
                );
            }
        }
    }

    /// All frames so far, as text.
    pub fn texts(&self) -> Vec<String> {
        self.shared.state.lock().frames.iter().map(|received| received.text.clone()).collect()
    }

    pub fn all(&self) -> Vec<Json> {
        self.shared.state.lock().frames.iter().map(|received| received.json.clone()).collect()
    }

    /// Checks that no further matching frame arrives.
    pub async fn sees_nothing_more(&self, wanted: impl Fn(&Json) -> bool) {
        tokio::time::sleep(A_WHILE).await;
        let state = self.shared.state.lock();
        let came: Vec<_> =
            state.frames.iter().filter(|received| !received.taken && wanted(&received.json)).collect();
        assert!(came.is_empty(), "should not have come: {}", came[0].text);
    }

    /// Waits for the end, and returns the code of the close frame; none if there was no close frame.
    pub async fn ends(&self) -> Option<u16> {
        self.find(PATIENCE, "the end", |state| state.ended).await
    }

    pub fn has_ended(&self) -> bool {
        self.shared.state.lock().ended.is_some()
    }

    pub fn stops_reading(&self) {
        let _ = self.reading.send(false);
    }

    pub fn reads_again(&self) {
        let _ = self.reading.send(true);
    }

    pub fn leaves(self) {}

    pub fn vanishes(self) {
        let _ = self.commands.send(Command::Vanish);
    }
}

impl Shared {
    /// Records a frame. Passes the answer to `reply` before that, if the frame needs one, so that whoever sees
    /// the frame sends behind the answer.
    fn receive(&self, text: &str, reply: impl FnOnce(String)) {
        // Text that is not JSON is recorded for the test; no wait expects it.
        let json: Json = serde_json::from_str(text).unwrap_or_else(|_| json!({ "unreadable": text }));
        let mut state = self.state.lock();
        if state.acknowledges && json["event"] == "response" && !json["id"].is_null() {
            reply(json!({ "reply": json["id"], "data": { "success": true } }).to_string());
        }
        state.frames.push(Received { text: text.to_owned(), json, taken: false });
        drop(state);
        self.changed.notify_waiters();
    }

    fn end(&self, code: Option<u16>) {
        self.state.lock().ended.get_or_insert(code);
        self.changed.notify_waiters();
    }
}

/// A person's native connection on `/ws`. It acknowledges `response` events unless a test says otherwise. It
/// can do everything that a [`Person`] can.
pub struct Plain {
    pub person: Person,
    pub frames: Frames,
    next_id: AtomicU64,
}

impl Deref for Plain {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.person
    }
}

impl Plain {
    /// With additions to the query besides the token, each beginning with `&`.
    pub async fn connects(person: &Person, query: &str) -> Self {
        Self::by(person, query, true).await
    }

    /// Connects, and does not acknowledge `response` events.
    pub async fn connects_without_acknowledging(person: &Person, query: &str) -> Self {
        Self::by(person, query, false).await
    }

    async fn by(person: &Person, query: &str, acknowledges: bool) -> Self {
        let path = format!("/ws?token={}{query}", person.token);
        let frames = Frames::try_open(person.door.address, &path, &[], acknowledges).await;
        let frames = frames.unwrap_or_else(|refused| panic!("the connection was refused: {refused:?}"));
        Self { person: person.clone(), frames, next_id: AtomicU64::new(1) }
    }

    pub async fn is_refused_connection(person: &Person, query: &str) -> Refused {
        let path = format!("/ws?token={}{query}", person.token);
        match Frames::try_open(person.door.address, &path, &[], true).await {
            Ok(_) => panic!("the connection was not refused"),
            Err(refused) => refused,
        }
    }

    /// Sends an event now. The returned future waits for its answer.
    pub fn sends(&self, event: &str, data: Json) -> impl Future<Output = Json> + use<'_> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.frames.says(json!({ "event": event, "data": data, "id": id }).to_string());
        async move { self.frames.sees_frame("a reply", |frame| frame["reply"] == id).await["data"].clone() }
    }

    pub async fn asks(&self, event: &str, data: Json) -> Json {
        succeeded(self.sends(event, data).await)
    }

    pub async fn is_refused(&self, event: &str, data: Json, code: &str) -> Json {
        let answer = self.sends(event, data).await;
        assert_eq!((&answer["success"], &answer["error"]["code"]), (&json!(false), &json!(code)), "{answer}");
        answer["error"].clone()
    }

    pub async fn posts_to(&self, receiver: &str, content: &str) -> Json {
        self.asks("privateMessage", json!({ "receiver": receiver, "content": content })).await
    }

    pub async fn posts_in(&self, group: &str, content: &str) -> Json {
        self.asks("groupMessage", json!({ "receiver": group, "content": content })).await
    }

    /// Waits for a matching event that no earlier wait has returned, and returns its data.
    pub async fn sees(&self, event: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let is_it = |frame: &Json| frame["event"] == event && wanted(&frame["data"]);
        self.frames.sees_frame(event, is_it).await["data"].clone()
    }

    pub async fn sees_message(&self, content: &str) -> Json {
        self.sees("response", |data| data["response"]["content"] == content).await["response"].clone()
    }

    pub async fn sees_delivered(&self, message: &Json) -> Json {
        let is_it = |data: &Json| data["response"]["messageId"] == message["messageId"];
        let told = self.sees("updateDeliveryStatusOnConnection", is_it).await;
        assert_eq!(told["response"]["deliveredToAll"], true, "{told}");
        told["response"].clone()
    }

    pub async fn sees_no_event(&self, event: &str) {
        self.frames.sees_nothing_more(|frame| frame["event"] == event).await;
    }

    /// The seqs of all `response` events of a room, in the order of arrival.
    pub fn seqs(&self, room: &Json) -> Vec<i64> {
        let frames = self.frames.all();
        let of_room = frames
            .iter()
            .filter(|frame| frame["event"] == "response" && frame["data"]["response"]["roomId"] == *room);
        of_room.map(|frame| frame["data"]["response"]["seq"].as_i64().unwrap()).collect()
    }

    pub async fn sees_seqs(&self, room: &Json, count: usize) -> Vec<i64> {
        let look = |state: &mut State| {
            let of_room = |received: &&Received| {
                received.json["event"] == "response" && received.json["data"]["response"]["roomId"] == *room
            };
            (state.frames.iter().filter(of_room).count() >= count).then_some(())
        };
        self.frames.find(PATIENCE * 2, &format!("{count} messages"), look).await;
        self.seqs(room)
    }

    /// Checks that the server still receives its events and answers.
    pub async fn is_alive(&self) {
        self.asks("listRooms", json!({})).await;
    }

    pub async fn ends(&self) -> Option<u16> {
        self.frames.ends().await
    }
}
