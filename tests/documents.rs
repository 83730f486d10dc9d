//! What the documents promise is proven by a test, and the test is there.

use std::{collections::BTreeSet, fs, path::Path};

/// The documents that name the test of each promise.
const DOCUMENTS: [&str; 2] = ["docs/security.md", "docs/guarantees.md"];

/// What stands between backticks, code blocks left out, as `file: name of a test`.
fn named(document: &str) -> BTreeSet<(String, String)> {
    let mut in_block = false;
    let mut named = BTreeSet::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let quoted = line.split('`').skip(1).step_by(2);
            let references = quoted.filter_map(|quoted| quoted.split_once(": "));
            let of_tests = references.filter(|(file, _)| file.ends_with(".rs") || file.ends_with(".mjs"));
            named.extend(of_tests.map(|(file, test)| (file.to_owned(), test.to_owned())));
        }
    }
    named
}

/// Why this test is not there, if it is not.
fn missing(root: &Path, file: &str, test: &str) -> Option<String> {
    let Ok(source) = fs::read_to_string(root.join(file)) else {
        return Some(format!("{file} is not there"));
    };
    let lines: Vec<&str> = source.lines().collect();
    let is_test = if file.ends_with(".mjs") {
        // Its title, in whatever quotes.
        lines.iter().any(|line| line.contains("test(") && line.contains(test))
    } else {
        let begins = |line: &str| {
            let line = line.trim_start();
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("fn ")
                .and_then(|line| line.strip_prefix(test))
                .is_some_and(|rest| rest.starts_with('('))
        };
        let at = lines.iter().position(|line| begins(line));
        // The attribute stands right above, with others perhaps in between.
        let has_attribute = at.is_some_and(|at| {
            let above = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with("#["));
            above.into_iter().any(|line| line.contains("test"))
        });
        // Or it stands in the list of a macro that makes tests of functions.
        has_attribute || at.is_some() && lines.contains(&format!("    {test},").as_str())
    };
    (!is_test).then(|| format!("{file} has no test {test}"))
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let Ok(text) = fs::read_to_string(root.join(document)) else { continue };
        let named = named(&text);
        assert!(named.len() > 10, "{document} names {} tests", named.len());
        wrong.extend(named.iter().filter_map(|(file, test)| missing(root, file, test)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let text = "- one `tests/documents.rs: every_test_that_a_document_names_is_there`, `cargo test: x`\n\
        ```\n`tests/a.rs: b`\n```\n| `tests/documents.rs: named`, `tests/nowhere.rs: x` |";
    let named = named(text);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wrong: Vec<_> = named.iter().filter_map(|(file, test)| missing(root, file, test)).collect();
    assert_eq!(wrong, ["tests/documents.rs has no test named", "tests/nowhere.rs is not there"]);
}
