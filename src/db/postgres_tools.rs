//! How PostgreSQL's own programs, such as `pg_dump`, reach the same database: by arguments without secrets, and an
//! environment with them.

use std::{ffi::OsString, str::FromStr};

use percent_encoding::percent_decode_str;
use sea_orm::{
    DbErr,
    sqlx::postgres::{PgConnectOptions, PgSslMode},
};

use super::failed;
use crate::config::DatabaseUrl;

/// How pg_dump's custom format begins.
pub const PG_DUMP_MAGIC: &[u8] = b"PGDMP";

/// What the programs are given.
pub struct PostgresTools {
    /// Where the database is: `--host`, `--port`, `--username`, `--dbname`.
    pub arguments: Vec<String>,
    /// The password, TLS and the options of the session.
    pub environment: Vec<(&'static str, OsString)>,
}

impl PostgresTools {
    pub fn of(url: &DatabaseUrl) -> Result<Self, DbErr> {
        let named = PgConnectOptions::from_str(url.expose()).map_err(failed)?;
        let host = match named.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => named.get_host().to_owned(),
        };
        let database = named.get_database().unwrap_or(named.get_username());
        let arguments = vec![
            format!("--host={host}"),
            format!("--port={}", named.get_port()),
            format!("--username={}", named.get_username()),
            format!("--dbname={database}"),
        ];
        let mut environment: Vec<(&'static str, OsString)> =
            vec![("PGSSLMODE", ssl_mode(named.get_ssl_mode()).into())];
        if let Some(options) = named.get_options() {
            environment.push(("PGOPTIONS", options.into()));
        }
        if let Ok(parts) = reqwest::Url::parse(url.expose()) {
            if let Some(password) = parts.password() {
                let password = percent_decode_str(password).decode_utf8_lossy().into_owned();
                environment.push(("PGPASSWORD", password.into()));
            }
            for (key, value) in parts.query_pairs() {
                let variable = match &*key {
                    "password" => "PGPASSWORD",
                    "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
                    "sslcert" | "ssl-cert" => "PGSSLCERT",
                    "sslkey" | "ssl-key" => "PGSSLKEY",
                    _ => continue,
                };
                environment.push((variable, value.into_owned().into()));
            }
        }
        Ok(Self { arguments, environment })
    }
}

fn ssl_mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_argument() {
        let url = "postgres://ada:hunt%23er2@db:6432/chat?options[search_path]=parlor&sslmode=require&sslrootcert=/ca.pem";
        let tools = PostgresTools::of(&url.into()).unwrap();
        assert_eq!(tools.arguments, ["--host=db", "--port=6432", "--username=ada", "--dbname=chat"]);
        let expected = [
            ("PGSSLMODE", "require"),
            ("PGOPTIONS", "-c search_path=parlor"),
            ("PGPASSWORD", "hunt#er2"),
            ("PGSSLROOTCERT", "/ca.pem"),
        ];
        assert_eq!(tools.environment, expected.map(|(name, value)| (name, value.into())));
        let tools = PostgresTools::of(&"postgres:///chat?host=/run/postgresql&user=ada".into()).unwrap();
        assert_eq!(tools.arguments[0], "--host=/run/postgresql");
        assert_eq!(tools.arguments[3], "--dbname=chat");
    }
}
