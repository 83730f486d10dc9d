//! Statements over a list of rows, as SQL text in few lengths. A database caches a compiled statement by its
//! text, and compiling a long list takes as long as running it. SeaORM builds a new text each time, and a
//! different one for every length.

use std::fmt::Write;

use sea_orm::{DbBackend, Statement, Value};

/// What fills the unused positions of a padded list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// The last row again, for statements where a repeated row changes nothing.
    Last,
    /// Null values, for statements that skip rows that are null.
    Null,
}

/// Replaces `(rows)` in `text` by the list of rows, of which there must be at least one. One column gives
/// `(?,?)`, several give `(VALUES (?,?),(?,?))`. Both databases name the columns of such a list column1,
/// column2, …
pub fn statement<const COLUMNS: usize>(
    backend: DbBackend,
    text: &str,
    rows: impl ExactSizeIterator<Item = [Value; COLUMNS]>,
    rest: Pad,
) -> Statement {
    let places = places(rows.len());
    let mut values: Vec<Value> = Vec::with_capacity(places * COLUMNS);
    values.extend(rows.flatten());
    while values.len() < places * COLUMNS {
        let last = values.get(values.len().saturating_sub(COLUMNS)).cloned();
        let Some(last) = last else { break };
        values.push(if rest == Pad::Null { last.as_null() } else { last });
    }
    let text = text.replacen("(rows)", &list(backend, places, COLUMNS), 1);
    Statement::from_sql_and_values(backend, text, values)
}

/// The padded length: 1, 2, 3, 4, 6, 8, 12, 16, 24, … Up to the longest commit there are fewer than two dozen
/// lengths, few enough for a connection to keep each statement prepared in all of them. At most a third of
/// the values is padding.
fn places(rows: usize) -> usize {
    let power = rows.next_power_of_two();
    let less = power / 4 * 3;
    if rows <= less { less } else { power }
}

fn list(backend: DbBackend, places: usize, columns: usize) -> String {
    let mut list = String::with_capacity(places * (columns * 6 + 3) + 9);
    if columns > 1 {
        list.push_str("(VALUES ");
    }
    list.push('(');
    for place in 0..places * columns {
        match place {
            0 => {}
            _ if columns > 1 && place % columns == 0 => list.push_str("),("),
            _ => list.push(','),
        }
        match backend {
            // Writing into a string does not fail.
            DbBackend::Postgres => drop(write!(list, "${}", place + 1)),
            _ => list.push('?'),
        }
    }
    list.push_str(if columns > 1 { "))" } else { ")" });
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers<const COLUMNS: usize>(rows: &[[i64; COLUMNS]]) -> Vec<[Value; COLUMNS]> {
        rows.iter().map(|row| row.map(Value::from)).collect()
    }

    #[test]
    fn a_list_comes_in_few_lengths() {
        let lengths: std::collections::BTreeSet<usize> = (1..=512).map(places).collect();
        let lengths: Vec<usize> = lengths.into_iter().collect();
        assert_eq!(lengths[..9], [1, 2, 3, 4, 6, 8, 12, 16, 24]);
        assert_eq!(lengths.len(), 18);
        assert!((1..=512).all(|rows| places(rows) >= rows && places(rows) * 2 <= rows * 3));

        let ask = |rows: &[[i64; 1]]| {
            let text = "SELECT a FROM t WHERE a IN (rows) ORDER BY a";
            statement(DbBackend::Sqlite, text, numbers(rows).into_iter(), Pad::Last)
        };
        assert_eq!(ask(&[[1]]).sql, "SELECT a FROM t WHERE a IN (?) ORDER BY a");
        let five = ask(&[[1], [2], [3], [4], [5]]);
        assert_eq!(five.sql, "SELECT a FROM t WHERE a IN (?,?,?,?,?,?) ORDER BY a");
        assert_eq!(five.values.unwrap().0, [1_i64, 2, 3, 4, 5, 5].map(Value::from));
    }

    #[test]
    fn what_is_too_many_is_the_last_row_again_or_null() {
        let rows = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]];
        let ask = |rest| {
            let text = "SELECT * FROM (rows) AS listed";
            statement(DbBackend::Postgres, text, numbers(&rows).into_iter(), rest)
        };
        let sql = "SELECT * FROM (VALUES ($1,$2),($3,$4),($5,$6),($7,$8),($9,$10),($11,$12)) AS listed";
        let last = ask(Pad::Last);
        assert_eq!(last.sql, sql);
        assert_eq!(last.values.unwrap().0[8..], [9_i64, 10, 9, 10].map(Value::from));
        let null = ask(Pad::Null);
        assert_eq!(null.sql, sql);
        assert_eq!(null.values.unwrap().0[10..], [Value::BigInt(None), Value::BigInt(None)]);
    }
}
