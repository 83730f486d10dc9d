//! `parlor user`: accounts, by whoever has the database at hand.

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{
    signals::to_its_end,
    terminal::{confirm, new_password, print},
    with_app::with_app,
};
use crate::{
    app::App,
    chat::{ListUsers, NewUser, UserChange, caller::Caller, nouns, nouns::After, text::Username},
    config::Config,
};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum User {
    /// Create an account, also where people cannot sign up by themselves.
    Create(Create),
    /// Give an account a new password and end its logins.
    ///
    /// A running server ends the user's sockets within 10 seconds.
    Passwd {
        /// A username, or an id.
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Delete an account and end its logins. What it wrote stays, and its name stays taken.
    ///
    /// A running server ends the user's sockets within 10 seconds.
    Delete {
        /// A username, or an id.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Print the accounts in order of their names.
    List {
        /// Only those with this in their username, first or last name.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  parlor user create ada --admin --first-name Ada
  openssl rand -base64 18 | tee ada.txt | parlor user create ada --password-stdin
  parlor user passwd ada
  parlor user list --search love";

#[derive(Debug, Args)]
pub struct Create {
    /// The username: 3 to 64 characters. It never changes.
    name: String,
    /// May see and change other users' accounts.
    #[arg(long)]
    admin: bool,
    /// Shown to others; the username where it is missing.
    #[arg(long, value_name = "NAME")]
    first_name: Option<String>,
    /// Shown to others.
    #[arg(long, value_name = "NAME")]
    last_name: Option<String>,
    /// Shown to admins and the user alone.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    #[command(flatten)]
    password: Password,
}

/// There is no option that takes the password itself: arguments are for all to see.
#[derive(Debug, Args)]
pub struct Password {
    /// Read the password (one line) from standard input instead of asking on the terminal.
    #[arg(long)]
    password_stdin: bool,
}

pub async fn run(config: Config, command: User) -> anyhow::Result<()> {
    match command {
        User::Create(new) => create(config, new).await,
        User::Passwd { name, password } => passwd(config, &name, password).await,
        User::Delete { name, yes } => delete(config, &name, yes).await,
        User::List { search } => with_app(config, async |app| list(app, search).await).await,
    }
}

async fn create(config: Config, new: Create) -> anyhow::Result<()> {
    // Before the password is asked for.
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
    let user = with_app(config, async |app| Ok(to_its_end(app.chat.register(user)).await??)).await;
    let row = user.with_context(|| new.name)?.row;
    let role = if row.is_admin { "admin" } else { "user" };
    Ok(print(format_args!("created {role} {} ({})", row.username, row.id))?)
}

async fn passwd(config: Config, name: &str, password: Password) -> anyhow::Result<()> {
    let password = new_password(password.password_stdin)?;
    let change = UserChange { password: Some(password), ..UserChange::default() };
    let changed = with_app(config, async |app| {
        let user = to_its_end(app.chat.change_user(&Caller::operator(), name, change)).await??.row;
        Ok(user.username)
    });
    let username = changed.await.with_context(|| name.to_owned())?;
    Ok(print(format_args!("changed the password of {username}, and ended all logins"))?)
}

async fn delete(config: Config, name: &str, yes: bool) -> anyhow::Result<()> {
    let deleted = with_app(config, async |app| {
        let user = app.chat.user(&Caller::operator(), name).await?.row;
        if !yes {
            confirm(&format!("Delete {} ({}) for good?", user.username, user.id), "--yes")?;
        }
        // By id, so that it is the account that was asked about.
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

fn columns(user: nouns::User) -> [String; 5] {
    let row = user.row;
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%SZ").to_string();
    let name = [row.first_name, row.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
    [
        row.username,
        if name.is_empty() { "-".to_owned() } else { name },
        if row.is_admin { "admin" } else { "user" }.to_owned(),
        time(row.created_at),
        row.last_seen_at.map_or_else(|| "-".to_owned(), time),
    ]
}
