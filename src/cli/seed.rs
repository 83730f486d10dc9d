//! `parlor seed`: creates demo users and conversations. Everything goes through the core, as requests of real
//! users do. Names and client message ids are fixed, so a second run finds what the first one created.

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use entity::message::Kind;
use serde_json::{Map, Value};

use super::{
    terminal::print,
    with_app::{NoDatabase, with_app},
};
use crate::{
    app::App,
    auth::{Credential, Device},
    chat::{
        Draft, GroupRef, NewGroup, NewUser, Place, UserChange,
        model::{Group, Message},
    },
    clock::Clock,
    config::{Config, Mode},
    error::{AuthError, Conflict, Error, Forbidden},
    identity::Caller,
    values::{Body, ClientMessageId, GroupName, Username},
};

/// Create demo users, two groups with passwords, and some messages.
///
/// Creates the users ada, bob and cyd with names, pictures and roles; the group "Tea room" with all three as
/// members; the group "Library" with only bob, for others to join; and private, group and lobby messages.
/// Prints the passwords, what it created, what existed already, and where to go next. A second run creates
/// only what is missing. You can run it while a server runs: connected users see the changes after they
/// reconnect.
#[derive(Debug, Args)]
pub struct Seed {
    /// Also run in production mode, although everyone can know the passwords.
    #[arg(long)]
    yes_in_production: bool,
}

/// The password of every demo user. `examples/terminal-chat` also contains it.
const PASSWORD: &str = "parlor-demo";

struct DemoUser {
    username: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    /// Front ends with roles show users of one role to users of the other, so there are two roles.
    role: &'static str,
    /// A data URL with a picture of 64 by 64 pixels, so that nothing has to be fetched.
    img: &'static str,
}

const PEOPLE: [DemoUser; 3] = [
    DemoUser { username: "ada", first_name: "Ada", last_name: "Lovelace", role: "host", img: "user1.png" },
    DemoUser { username: "bob", first_name: "Bob", last_name: "Kahn", role: "guest", img: "user2.png" },
    DemoUser { username: "cyd", first_name: "Cyd", last_name: "Charisse", role: "guest", img: "user3.png" },
];

struct DemoGroup {
    name: &'static str,
    password: &'static str,
    /// Indices into [`PEOPLE`]. The first member creates the group.
    members: &'static [usize],
    /// The prefix of the client message ids.
    id: &'static str,
    /// The sender (an index into [`PEOPLE`]) and the text of each message.
    messages: &'static [(usize, &'static str)],
}

const GROUPS: [DemoGroup; 2] = [
    DemoGroup {
        name: "Tea room",
        password: "darjeeling",
        members: &[0, 1, 2],
        id: "seed-tea",
        messages: &[
            (0, "Welcome to the tea room! The kettle is on."),
            (1, "Wonderful. Is there any darjeeling left?"),
            (2, "There is, I bought some yesterday."),
            (1, "Then I am on my way."),
            (0, "Bring biscuits, please."),
        ],
    },
    // This group has one member, so that there is a group to join.
    DemoGroup {
        name: "Library",
        password: "whisper",
        members: &[1],
        id: "seed-library",
        messages: &[(1, "Whoever knows the password is welcome. Please keep your voice down.")],
    },
];

/// The sender and the text of each lobby message.
const IN_THE_LOBBY: [(usize, &str); 3] = [
    (0, "Good morning, everyone!"),
    (2, "Good morning! Who else is here?"),
    (1, "I am, just looking around."),
];

/// Private messages: sender and receiver as indices into [`PEOPLE`], and the text.
const IN_PRIVATE: [(usize, usize, &str); 4] = [
    (0, 1, "Hi Bob, shall we surprise Cyd on Friday?"),
    (1, 0, "Yes! I will see to the cake."),
    (0, 1, "And I to the music."),
    (2, 0, "Ada, why is everyone whispering?"),
];

pub async fn run(config: Config, command: Seed) -> anyhow::Result<()> {
    if config.mode == Mode::Production && !command.yes_in_production {
        bail!(
            "seed makes accounts whose password everyone can know; in production say --yes-in-production if that is meant"
        );
    }
    let where_to_go = where_to_go(&config);
    with_app(config, NoDatabase::Make, seed).await?;
    Ok(print(where_to_go)?)
}

async fn seed(app: &App) -> anyhow::Result<()> {
    // Checks all names first: if one belongs to a real user, nothing is created.
    for user in &PEOPLE {
        check_is_ours(app, user.username).await?;
    }
    for user in &PEOPLE {
        let DemoUser { username, first_name, last_name, role, .. } = user;
        let outcome = make_user(app, user).await.with_context(|| format!("user {username}"))?;
        print(format_args!(
            "user {username} ({first_name} {last_name}, {role}), password {PASSWORD}: {outcome}"
        ))?;
    }
    let mut callers = Vec::new();
    for user in &PEOPLE {
        callers.push(sign_in(app, user.username).await?);
    }
    let done = make_conversations(app, &callers).await;
    // These logins were only for sending.
    for caller in &callers {
        app.auth.logout(caller).await?;
    }
    let (made, there) = done?;
    print(format_args!("messages: {made} made, {there} were there already"))?;
    Ok(())
}

/// What to try next, with the dialects that are switched on.
fn where_to_go(config: &Config) -> String {
    let dialects = &config.dialects;
    let server = config.server.listen.first().map(|address| format!("http://{address}")).unwrap_or_default();
    let DemoUser { username, .. } = PEOPLE[0];
    let library = &GROUPS[1];
    let mut lines = vec![format!("where to go while the server runs, at {server}:")];
    lines.push(format!(
        "  API        /docs; sign in with {{\"username\":\"{username}\",\"password\":\"{PASSWORD}\"}}"
    ));
    if dialects.lobby {
        lines.push(format!(
            "  lobby      {server}/?jwt=TOKEN, the token from `parlor token issue {username}`"
        ));
    }
    if dialects.rooms {
        lines.push(format!(
            "  rooms app  join the room \"{}\" with the password {}",
            library.name, library.password
        ));
    }
    if dialects.angular {
        lines.push("  Angular    the login page lists them; it asks for no password".to_owned());
    }
    if dialects.encrypted {
        lines.push(format!("  encrypted  /api/users/login/{username}"));
    }
    lines.join("\n")
}

fn outcome(made: bool) -> &'static str {
    if made { "made" } else { THERE }
}

const THERE: &str = "was there already";

/// Refuses if a real user has this name: nothing may be written in their name.
async fn check_is_ours(app: &App, name: &str) -> anyhow::Result<()> {
    match app.chat.user(&Caller::operator(), name).await {
        Err(Error::NotFound(_)) => return Ok(()),
        found => drop(found?),
    }
    match sign_in(app, name).await {
        Ok(caller) => Ok(app.auth.logout(&caller).await?),
        Err(Error::Unauthenticated(AuthError::WrongLogin)) => Err(anyhow!(
            "there is a user {name} with a password of their own: seed makes nothing, lest it write in their name"
        )),
        Err(err) => Err(err.into()),
    }
}

/// Creates the account, or adds what is missing, because an older version added less. Returns which of the
/// two.
async fn make_user(app: &App, user: &DemoUser) -> anyhow::Result<&'static str> {
    let new = NewUser {
        username: Username::parse(user.username)?,
        password: Some(PASSWORD.into()),
        first_name: Some(user.first_name.to_owned()),
        last_name: Some(user.last_name.to_owned()),
        email: None,
        phone: None,
        profile: Some(profile(user, Map::new()).to_string()),
        is_admin: false,
    };
    match app.chat.register(new).await {
        Ok(_) => Ok(outcome(true)),
        Err(Error::Conflict(Conflict::UsernameTaken)) => {
            match app.chat.user(&Caller::operator(), user.username).await {
                Ok(found) => complete(app, user, found.row).await,
                Err(Error::NotFound(_)) => bail!("was deleted, and a deleted account's name stays taken"),
                Err(err) => Err(err.into()),
            }
        }
        Err(err) => Err(err.into()),
    }
}

/// Adds what is missing, and changes nothing that is there.
async fn complete(app: &App, user: &DemoUser, row: entity::user::Model) -> anyhow::Result<&'static str> {
    let known: Map<String, Value> = match &row.profile {
        Some(profile) => serde_json::from_str(profile)?,
        None => Map::new(),
    };
    let profile = profile(user, known.clone());
    let change = UserChange {
        first_name: row.first_name.is_none().then(|| Some(user.first_name.to_owned())),
        last_name: row.last_name.is_none().then(|| Some(user.last_name.to_owned())),
        profile: (profile != Value::Object(known)).then(|| Some(profile.to_string())),
        ..UserChange::default()
    };
    if change.first_name.is_none() && change.last_name.is_none() && change.profile.is_none() {
        return Ok(outcome(false));
    }
    app.chat.change_user(&Caller::operator(), user.username, change).await?;
    Ok("completed")
}

/// A profile with what front ends show of a user: a picture and a role.
fn profile(user: &DemoUser, mut known: Map<String, Value>) -> Value {
    for (key, value) in [("img", user.img), ("role", user.role)] {
        known.entry(key).or_insert_with(|| value.into());
    }
    known.into()
}

async fn sign_in(app: &App, name: &str) -> crate::error::Result<Caller> {
    let here = Device::new(Caller::operator().address, Some("parlor seed"));
    let sign_in = app.auth.login(&here, None, name, PASSWORD.into()).await?;
    app.auth.credential(Credential::Token(sign_in.token), &here).await
}

/// Returns how many messages were created, and how many existed.
async fn make_conversations(app: &App, callers: &[Caller]) -> anyhow::Result<(usize, usize)> {
    let mut progress = Progress { started: Clock::real().now(), made: 0, there: 0 };
    for demo in &GROUPS {
        let DemoGroup { name, password, .. } = demo;
        let (group, made) =
            make_group(app, callers, demo).await.with_context(|| format!("group \"{name}\""))?;
        print(format_args!("group \"{name}\", password {password}: {}", outcome(made)))?;
        for (number, (from, text)) in demo.messages.iter().enumerate() {
            let id = format!("{}-{number}", demo.id);
            progress.add(&say(app, &callers[*from], Place::Room(group.row.id), &id, text).await?);
        }
    }
    for (number, (from, to, text)) in IN_PRIVATE.into_iter().enumerate() {
        let id = format!("seed-private-{number}");
        let to = Place::User(PEOPLE[to].username.to_owned());
        progress.add(&say(app, &callers[from], to, &id, text).await?);
    }
    for (number, (from, text)) in IN_THE_LOBBY.into_iter().enumerate() {
        let id = format!("seed-lobby-{number}");
        progress.add(&say(app, &callers[from], Place::Lobby, &id, text).await?);
    }
    Ok((progress.made, progress.there))
}

/// Returns the group with its members, and whether it was created.
async fn make_group(app: &App, callers: &[Caller], demo: &DemoGroup) -> anyhow::Result<(Group, bool)> {
    let (maker, others) = demo.members.split_first().context("nobody to make it")?;
    let new = NewGroup {
        name: GroupName::parse(demo.name)?,
        users: others.iter().map(|member| PEOPLE[*member].username.to_owned()).collect(),
        password: Some(demo.password.into()),
    };
    let group = match app.chat.create_group(&callers[*maker], None, new).await {
        Ok(group) => return Ok((group, true)),
        Err(Error::Conflict(Conflict::GroupNameTaken)) => GroupRef::Name(demo.name.to_owned()),
        Err(err) => return Err(err.into()),
    };
    let mut found = None;
    for caller in demo.members.iter().map(|member| &callers[*member]) {
        // Members stay members. A demo user who has left joins again.
        match app.chat.join(caller, group.clone(), Some(demo.password.into())).await {
            Ok(group) => found = Some(group),
            Err(Error::Forbidden(Forbidden::WrongPassword)) => {
                bail!("there is one already, with another password, and {} is not in it", caller.username)
            }
            Err(err) => return Err(err.into()),
        }
    }
    found.map(|group| (group, false)).context("nobody to make it for")
}

async fn say(app: &App, caller: &Caller, place: Place, id: &str, text: &str) -> anyhow::Result<Message> {
    let json = serde_json::to_string(text)?;
    let draft = Draft {
        body: Body::parse(Kind::Text, &json, app.chat.content_bytes())?,
        client_message_id: Some(ClientMessageId::parse(id)?),
        reply_to: None,
        extras: None,
        written: None,
        seen: None,
    };
    let (reply, replied) = tokio::sync::oneshot::channel();
    let answer = Box::new(move |answer| drop(reply.send(answer)));
    app.chat.send(caller, None, place, draft, answer).await;
    let message = replied.await.context("the writer went away")??;
    Ok(message.as_ref().clone())
}

/// The answer to a repeated message is the stored one, which is older than this run.
struct Progress {
    started: DateTime<Utc>,
    made: usize,
    there: usize,
}

impl Progress {
    fn add(&mut self, message: &Message) {
        if message.row.created_at >= self.started {
            self.made += 1;
        } else {
            self.there += 1;
        }
    }
}
