//! `parlor licences`: the licence of Parlor, and the notices that have to go along with the program.

use super::terminal::print;
use crate::app::client_notice;

const OWN: &str = include_str!("../../LICENSE-MIT");

pub fn run() -> anyhow::Result<()> {
    print(text(client_notice()).trim_end())?;
    Ok(())
}

fn text(client: Option<(String, &str)>) -> String {
    let own = format!(
        "Parlor {}: MIT or Apache 2.0, at your choice\n\n{}\n",
        env!("CARGO_PKG_VERSION"),
        OWN.trim_end()
    );
    match client {
        Some((name, notice)) => format!("{own}\n----\n\n{name}\n\n{}\n", notice.trim_end()),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_of_the_client_stands_where_the_client_is() {
        let alone = text(None);
        assert!(alone.starts_with("Parlor ") && alone.contains("Permission is hereby granted"));
        assert!(!alone.contains("----"));
        let with = text(Some(("socket.io-client 4.8.4".to_owned(), "MIT (a name)\n")));
        assert!(with.starts_with(&alone) && with.ends_with("\nsocket.io-client 4.8.4\n\nMIT (a name)\n"));
    }
}
