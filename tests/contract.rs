//! The contract with front ends: the files in `contract/` and the tables of docs/events.md are what the program says,
//! a server hands out the same, and nothing of the last release has gone.
//!
//! After a change on purpose, `PARLOR_REWRITE=1 cargo test --test parlor contract` writes the files anew.

use std::{env, fs, path::PathBuf, process::Command};

use parlor::app::contract::{Document, sections};

use crate::harness::{Answer, Server};

const DOCUMENTS: [(Document, &str, &str, &str); 3] = [
    (Document::OpenApi, "openapi", "openapi.json", "application/json"),
    (Document::AsyncApi, "asyncapi", "asyncapi.json", "application/json"),
    (Document::TypeScript, "typescript", "parlor.d.ts", "application/typescript; charset=utf-8"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Fails unless a file of this repository has this text. With `PARLOR_REWRITE`, gives it the text.
fn is_in_step(file: &str, text: &str) {
    let path = root().join(file);
    if env::var_os("PARLOR_REWRITE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).position(|(found, wanted)| found != wanted);
    assert!(
        found == text,
        "{file} differs from the program at line {}. If that is on purpose: PARLOR_REWRITE=1 cargo test --test parlor \
         contract",
        differs.map_or(found.lines().count().min(text.lines().count()), |line| line) + 1
    );
}

#[test]
fn the_files_of_the_contract_are_what_the_program_says() {
    for (document, _, file, _) in DOCUMENTS {
        is_in_step(&format!("contract/{file}"), &document.text().unwrap());
    }
}

#[test]
fn the_tables_of_the_documentation_are_what_the_program_says() {
    let text = fs::read_to_string(root().join("docs/events.md")).unwrap();
    let mut wanted = text.clone();
    for (name, section) in sections() {
        let begin = format!("<!-- contract: {name} -->\n");
        let (before, rest) =
            wanted.split_once(&begin).unwrap_or_else(|| panic!("docs/events.md lacks {begin}"));
        let (_, after) = rest.split_once("<!-- /contract -->").unwrap();
        wanted = format!("{before}{begin}{section}<!-- /contract -->{after}");
    }
    is_in_step("docs/events.md", &wanted);
}

#[test]
fn the_command_prints_the_same_documents() {
    for (document, command, ..) in DOCUMENTS {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_parlor"))
            .args(["schema", command])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), document.text().unwrap(), "{command}");
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "it needs no database");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_hands_out_the_same_documents_to_everyone() {
    let server = Server::start().await;
    for (document, _, file, kind) in DOCUMENTS {
        let answer = server.http.get(&format!("/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("content-type"), kind);
        match document {
            // The library that serves it writes it without line breaks.
            Document::OpenApi => {
                let wanted: serde_json::Value = serde_json::from_str(&document.text().unwrap()).unwrap();
                assert_eq!(serde_json::from_str::<serde_json::Value>(&answer.text).unwrap(), wanted);
            }
            _ => assert_eq!(answer.text, document.text().unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_events_needs_nothing_from_elsewhere() {
    let server = Server::start().await;
    let page = server.http.get("/docs/events").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let mut files = 0;
    let references = ["src=\"", "href=\""].into_iter().flat_map(|at| page.text.split(at).skip(1));
    for reference in references {
        let file = reference.split('"').next().unwrap();
        assert!(file.starts_with('/') || file == "data:,", "{file}");
        if file.starts_with("/docs/events") {
            files += 1;
            let answer = server.http.get(file).await;
            assert_eq!(answer.status, 200, "{file}");
            has_the_policy(&answer);
        }
    }
    assert!(files >= 2, "{}", page.text);
    has_the_policy(&page);
    for inline in page.text.split("<script").skip(1) {
        assert!(inline.contains("src="), "the policy forbids inline scripts: {inline}");
    }
}

fn has_the_policy(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("script-src 'self';") && policy.contains("connect-src 'self';"), "{policy}");
}
