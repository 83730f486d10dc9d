//! A command of the real program, beside a server or alone.

use std::process::Stdio;

use tokio::process::Command;

use super::Database;

/// What a command has said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a command on this database.
pub async fn parlor(database: &Database, arguments: &[&str]) -> Said {
    parlor_with(database, arguments, &[]).await
}

pub async fn parlor_with(database: &Database, arguments: &[&str], env: &[(&str, &str)]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_parlor"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("PARLOR__DATABASE__URL", &database.url)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the program can be run");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    /// Its output.
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// The reason that it gives.
    #[track_caller]
    pub fn refuses(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        assert!(self.err.contains("parlor: "), "{}", self.err);
        self.err
    }
}
