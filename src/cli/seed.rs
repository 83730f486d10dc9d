//! `parlor seed`: people to talk to. Everything goes through the core, as if they had come by and
//! written; names and client message ids are fixed, so a second run finds what the first one made.

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use entity::message::Kind;

use super::{terminal::print, with_app::with_app};
use crate::{
    app::App,
    auth::Credential,
    chat::{
        Draft, GroupRef, NewGroup, NewUser, Place,
        caller::Caller,
        nouns::{Group, Message},
        text::{Body, ClientMessageId, GroupName, Username},
    },
    clock::Clock,
    config::{Config, Mode},
    error::{Clash, Denial, Error, Why},
};

/// Make demo users, a group with a password, and some history.
///
/// Makes the users ada, bob and cyd, the group "Tea room" with all three in it, and some messages.
/// Prints the passwords, what it made and what was there already; a second run makes only what is
/// missing. Works while a server runs: who is connected then sees all of it after connecting anew.
#[derive(Debug, Args)]
pub struct Seed {
    /// Do it in production mode too, although everyone can know the passwords.
    #[arg(long)]
    yes_in_production: bool,
}

/// Of every demo user. `examples/terminal-chat` knows it too.
const PASSWORD: &str = "parlor-demo";
const GROUP: &str = "Tea room";
const GROUP_PASSWORD: &str = "darjeeling";

/// Username, first and last name. The first one makes the group.
const PEOPLE: [(&str, &str, &str); 3] =
    [("ada", "Ada", "Lovelace"), ("bob", "Bob", "Kahn"), ("cyd", "Cyd", "Charisse")];

/// Who says what in the group: indices into [`PEOPLE`].
const IN_THE_GROUP: [(usize, &str); 5] = [
    (0, "Welcome to the tea room! The kettle is on."),
    (1, "Wonderful. Is there any darjeeling left?"),
    (2, "There is, I bought some yesterday."),
    (1, "Then I am on my way."),
    (0, "Bring biscuits, please."),
];

/// Who says what to whom in private.
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
    with_app(config, seed).await
}

async fn seed(app: &App) -> anyhow::Result<()> {
    // All of them first: where one name is a real person's, nothing at all is made.
    for (name, _, _) in PEOPLE {
        check_is_ours(app, name).await?;
    }
    for person in PEOPLE {
        let (name, first_name, last_name) = person;
        let made = make_user(app, person).await.with_context(|| format!("user {name}"))?;
        print(format_args!("user {name} ({first_name} {last_name}), password {PASSWORD}: {}", told(made)))?;
    }
    let mut callers = Vec::new();
    for (name, _, _) in PEOPLE {
        callers.push(sign_in(app, name).await?);
    }
    let done = make_conversations(app, &callers).await;
    // These logins were for the writing alone.
    for caller in &callers {
        app.auth.logout(caller).await?;
    }
    let (made, there) = done?;
    print(format_args!("messages: {made} made, {there} were there already"))?;
    Ok(())
}

fn told(made: bool) -> &'static str {
    if made { "made" } else { "was there already" }
}

/// Refuses a person of the same name, in whose name nothing may be written.
async fn check_is_ours(app: &App, name: &str) -> anyhow::Result<()> {
    match app.chat.user(&Caller::operator(), name).await {
        Err(Error::NotFound(_)) => return Ok(()),
        found => drop(found?),
    }
    match sign_in(app, name).await {
        Ok(caller) => Ok(app.auth.logout(&caller).await?),
        Err(Error::Unauthenticated(Why::WrongLogin)) => Err(anyhow!(
            "there is a user {name} with a password of their own: seed makes nothing, lest it write in their name"
        )),
        Err(err) => Err(err.into()),
    }
}

/// Whether the account had to be made.
async fn make_user(app: &App, (name, first_name, last_name): (&str, &str, &str)) -> anyhow::Result<bool> {
    let new = NewUser {
        username: Username::parse(name)?,
        password: Some(PASSWORD.into()),
        first_name: Some(first_name.to_owned()),
        last_name: Some(last_name.to_owned()),
        email: None,
        phone: None,
        profile: None,
        is_admin: false,
    };
    match app.chat.register(new).await {
        Ok(_) => Ok(true),
        Err(Error::Conflict(Clash::UsernameTaken)) => match app.chat.user(&Caller::operator(), name).await {
            Ok(_) => Ok(false),
            Err(Error::NotFound(_)) => bail!("was deleted, and a deleted account's name stays taken"),
            Err(err) => Err(err.into()),
        },
        Err(err) => Err(err.into()),
    }
}

async fn sign_in(app: &App, name: &str) -> crate::error::Result<Caller> {
    let here = Caller::operator().address;
    let sign_in = app.auth.login(here, name, PASSWORD.into()).await?;
    app.auth.credential(Credential::Token(sign_in.token), here).await
}

/// How many messages were made, and how many were there.
async fn make_conversations(app: &App, callers: &[Caller]) -> anyhow::Result<(usize, usize)> {
    let started = Clock::real().now();
    let (group, made) = make_group(app, callers).await.with_context(|| format!("group \"{GROUP}\""))?;
    print(format_args!("group \"{GROUP}\", password {GROUP_PASSWORD}: {}", told(made)))?;
    let mut count = Count { started, made: 0, there: 0 };
    for (number, (from, text)) in IN_THE_GROUP.into_iter().enumerate() {
        let id = format!("seed-tea-{number}");
        count.add(&say(app, &callers[from], Place::Room(group.row.id), &id, text).await?);
    }
    for (number, (from, to, text)) in IN_PRIVATE.into_iter().enumerate() {
        let id = format!("seed-private-{number}");
        let to = Place::User(PEOPLE[to].0.to_owned());
        count.add(&say(app, &callers[from], to, &id, text).await?);
    }
    Ok((count.made, count.there))
}

/// The group with everyone in it, and whether it had to be made.
async fn make_group(app: &App, callers: &[Caller]) -> anyhow::Result<(Group, bool)> {
    let new = NewGroup {
        name: GroupName::parse(GROUP)?,
        users: PEOPLE.iter().map(|(name, _, _)| (*name).to_owned()).collect(),
        password: Some(GROUP_PASSWORD.into()),
    };
    let group = match app.chat.create_group(&callers[0], new).await {
        Ok(group) => return Ok((group, true)),
        Err(Error::Conflict(Clash::GroupNameTaken)) => GroupRef::Name(GROUP.to_owned()),
        Err(err) => return Err(err.into()),
    };
    let mut found = None;
    for caller in callers {
        // Whoever is in it stays; whoever has left comes back.
        match app.chat.join(caller, group.clone(), Some(GROUP_PASSWORD.into())).await {
            Ok(group) => found = Some(group),
            Err(Error::Forbidden(Denial::WrongPassword)) => {
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
    };
    let (reply, replied) = tokio::sync::oneshot::channel();
    let answer = Box::new(move |answer| drop(reply.send(answer)));
    app.chat.send(caller, None, place, draft, answer).await;
    let message = replied.await.context("the writer went away")??;
    Ok(message.as_ref().clone())
}

/// A repeated message is answered with the stored one, which is older than this run.
struct Count {
    started: DateTime<Utc>,
    made: usize,
    there: usize,
}

impl Count {
    fn add(&mut self, message: &Message) {
        if message.row.created_at >= self.started {
            self.made += 1;
        } else {
            self.there += 1;
        }
    }
}
