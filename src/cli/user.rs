//! `parlor user`: manages accounts, for operators with access to the database.

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{
    signals::to_its_end,
    terminal::{confirm, new_password, print},
    with_app::{NoDatabase, with_app},
};
use crate::{
    app::App,
    chat::{
        ListUsers, NewUser, UserChange,
        model::{self, After},
    },
    config::Config,
    identity::Caller,
    values::Username,
};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum UserCommand {
    /// Create an account, even if sign-up is switched off.
    Create(CreateUser),
    /// Give an account a new password and end its logins.
    ///
    /// A running server closes the user's connections within 10 seconds.
    Passwd {
        /// A username or an id.
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Make an account an admin's: it may see and change other users' accounts.
    Promote {
        /// A username or an id.
        name: String,
    },
    /// Make an account an ordinary user's again, and end its logins.
    ///
    /// A running server closes the user's connections within 10 seconds.
    Demote {
        /// A username or an id.
        name: String,
    },
    /// Keep an account from signing in, and end its logins. `enable` is the way back.
    ///
    /// A running server refuses its tokens at once, and closes the user's connections within 10 seconds. The
    /// account stays in its rooms, and its messages stay.
    Disable {
        /// A username or an id.
        name: String,
    },
    /// Let a disabled account sign in again.
    Enable {
        /// A username or an id.
        name: String,
    },
    /// Delete an account and end its logins. Its messages stay, and its name stays taken.
    ///
    /// A running server closes the user's connections within 10 seconds.
    Delete {
        /// A username or an id.
        name: String,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Print the accounts in the order of their names.
    List {
        /// Only accounts with this text in their username, first name or last name.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  parlor user create ada --admin --first-name Ada
  openssl rand -base64 18 | tee ada.txt | parlor user create ada --password-stdin
  parlor user passwd ada
  parlor user promote ada
  parlor user disable mallory
  parlor user list --search love";

#[derive(Debug, Args)]
pub struct CreateUser {
    /// The username: 3 to 64 characters. It never changes.
    name: String,
    /// The user may see and change other users' accounts.
    #[arg(long)]
    admin: bool,
    /// First name, shown to others. Without it, they see the username.
    #[arg(long, value_name = "NAME")]
    first_name: Option<String>,
    /// Last name, shown to others.
    #[arg(long, value_name = "NAME")]
    last_name: Option<String>,
    /// Email address, shown only to admins and to the user.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    #[command(flatten)]
    password: Password,
}

/// There is no option for the password itself, because other users of the machine can see arguments.
#[derive(Debug, Args)]
pub struct Password {
    /// Read the password (one line) from standard input instead of asking on the terminal.
    #[arg(long)]
    password_stdin: bool,
}

pub async fn run(config: Config, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create(new) => create(config, new).await,
        UserCommand::Passwd { name, password } => passwd(config, &name, password).await,
        UserCommand::Promote { name } => set_admin(config, &name, true).await,
        UserCommand::Demote { name } => set_admin(config, &name, false).await,
        UserCommand::Disable { name } => set_disabled(config, &name, true).await,
        UserCommand::Enable { name } => set_disabled(config, &name, false).await,
        UserCommand::Delete { name, yes } => delete(config, &name, yes).await,
        UserCommand::List { search } => {
            with_app(config, NoDatabase::Refuse, async |app| list(app, search).await).await
        }
    }
}

async fn create(config: Config, new: CreateUser) -> anyhow::Result<()> {
    // Checks the name before it asks for the password.
    let username = Username::parse(&new.name)?;
    let password = new_password(new.password.password_stdin)?;
    let user = NewUser {
        username,
        password: Some(password),
        first_name: new.first_name,
        last_name: new.last_name,
        email: new.email,
        phone: None,
        profile: None,
        is_admin: new.admin,
    };
    let user =
        with_app(config, NoDatabase::Make, async |app| Ok(to_its_end(app.chat.register(user)).await??)).await;
    let row = user.with_context(|| new.name)?.row;
    let role = if row.is_admin { "admin" } else { "user" };
    Ok(print(format_args!("created {role} {} ({})", row.username, row.id))?)
}

async fn passwd(config: Config, name: &str, password: Password) -> anyhow::Result<()> {
    let password = new_password(password.password_stdin)?;
    let change = UserChange { password: Some(password), ..UserChange::default() };
    let changed = with_app(config, NoDatabase::Refuse, async |app| {
        let user = to_its_end(app.chat.change_user(&Caller::operator(), name, change)).await??.row;
        Ok(user.username)
    });
    let username = changed.await.with_context(|| name.to_owned())?;
    Ok(print(format_args!("changed the password of {username}, and ended all logins"))?)
}

async fn set_admin(config: Config, name: &str, is_admin: bool) -> anyhow::Result<()> {
    let changed = with_app(config, NoDatabase::Refuse, async |app| {
        Ok(to_its_end(app.chat.set_admin(&Caller::operator(), name, is_admin)).await??.row.username)
    });
    let username = changed.await.with_context(|| name.to_owned())?;
    Ok(print(match is_admin {
        true => format!("{username} is an admin; open connections know it when they reconnect"),
        false => format!("{username} is no admin, and all logins are ended"),
    })?)
}

async fn set_disabled(config: Config, name: &str, is_disabled: bool) -> anyhow::Result<()> {
    let changed = with_app(config, NoDatabase::Refuse, async |app| {
        Ok(to_its_end(app.chat.set_disabled(&Caller::operator(), name, is_disabled)).await??.row.username)
    });
    let username = changed.await.with_context(|| name.to_owned())?;
    Ok(print(match is_disabled {
        true => format!("disabled {username}, and ended all logins"),
        false => format!("enabled {username}"),
    })?)
}

async fn delete(config: Config, name: &str, yes: bool) -> anyhow::Result<()> {
    let deleted = with_app(config, NoDatabase::Refuse, async |app| {
        let user = app.chat.user(&Caller::operator(), name).await?.row;
        if !yes {
            confirm(&format!("Delete {} ({}) for good?", user.username, user.id), "--yes")?;
        }
        // Uses the id, so that it deletes the account that the question was about.
        to_its_end(app.chat.delete_user(&Caller::operator(), &user.id.to_string())).await??;
        Ok(user.username)
    });
    let username = deleted.await.with_context(|| name.to_owned())?;
    Ok(print(format_args!("deleted {username}, and ended all logins"))?)
}

async fn list(app: &App, search: Option<String>) -> anyhow::Result<()> {
    let mut rows = vec![["USERNAME", "NAME", "ROLE", "CREATED", "LAST SEEN"].map(str::to_owned)];
    let mut after = None;
    loop {
        let part = ListUsers {
            search: search.clone(),
            limit: Some(200),
            after: after.map(After::Key),
            whole_profiles: false,
        };
        let page = app.chat.users(&Caller::operator(), part).await?;
        rows.extend(page.items.into_iter().map(columns));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        print(cells.collect::<String>().trim_end())?;
    }
    Ok(())
}

fn columns(user: model::User) -> [String; 5] {
    let row = user.row;
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%SZ").to_string();
    let role = if row.is_admin { "admin" } else { "user" };
    let state = if row.disabled_at.is_some() { ", disabled" } else { "" };
    let name = [row.first_name, row.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    [
        row.username,
        if name.is_empty() { "-".to_owned() } else { name },
        format!("{role}{state}"),
        time(row.created_at),
        row.last_seen_at.map_or_else(|| "-".to_owned(), time),
    ]
}
