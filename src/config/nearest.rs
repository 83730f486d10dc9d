//! The known name that a mistyped one was probably meant to be. What to do with it is left to the caller.

/// The closest of `known`, if any is close: a slip of the fingers, or the right key in the wrong section.
pub(super) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let slips = (wanted.len() / 5).max(2);
    known
        .clone()
        .map(|name| (distance(wanted, name), name))
        .min()
        .filter(|(distance, _)| *distance <= slips)
        .map(|(_, name)| name)
        .or_else(|| known.clone().find(|name| last_part(name) == last_part(wanted)))
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Levenshtein: how many characters to insert, remove or replace. Two rows of the usual table.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row[1..].iter_mut().zip(&b) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        row[0] = i + 1;
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("über", "uber", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn close_names_and_the_same_key_elsewhere_are_found() {
        let known = ["server.listen", "auth.jwt_secret", "writer.queue"];
        for (wanted, expected) in [
            ("server.lisen", Some("server.listen")),
            ("sever.listen", Some("server.listen")),
            ("auth_jwt_secret", Some("auth.jwt_secret")),
            ("jwt_secret", Some("auth.jwt_secret")),
            ("limits.queue", Some("writer.queue")),
            ("cluster.redis", None),
        ] {
            assert_eq!(nearest(wanted, known.into_iter()), expected, "{wanted}");
        }
    }
}
