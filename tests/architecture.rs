//! The picture of who may know whom, held against the `use` lines under `src/`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A file's module path (`gateway::rest::rooms`) and its text without its tests and comments.
struct Source {
    module: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 30, "the sources are somewhere else");
    files
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap().with_extension("");
            let module = path.to_str().unwrap().replace('/', "::");
            let module = module.strip_suffix("::mod").unwrap_or(&module).to_owned();
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            Source { module, code }
        })
        .collect()
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_stem().is_none_or(|stem| stem != "tests")
        {
            files.push(path);
        }
    }
}

/// Every path that a file names under `crate::`, groups taken apart, two segments deep.
fn arrows(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in source.code.match_indices("crate::") {
        let rest = &source.code[at + "crate::".len()..];
        for path in expand(rest) {
            let mut segments = path.split("::");
            let first = segments.next().unwrap_or_default().to_owned();
            let second = segments.next().unwrap_or_default();
            found.insert(if second.is_empty() { first } else { format!("{first}::{second}") });
        }
    }
    found
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let prefix = &text[..end];
    if !text[end..].starts_with('{') {
        return vec![prefix.trim_end_matches("::").to_owned()];
    }
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut start = end + 1;
    for (at, c) in text[end..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            let part = text[start..end + at].trim();
            if !part.is_empty() {
                parts.extend(expand(part).into_iter().map(|part| format!("{prefix}{part}")));
            }
            start = end + at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    parts
}

/// Whether a file names a library.
fn names(source: &Source, library: &str) -> bool {
    [format!("{library}::"), format!("use {library};"), format!("use {library} ")].iter().any(|text| {
        source.code.match_indices(text.as_str()).any(|(at, _)| {
            let before = source.code[..at].chars().next_back();
            before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'))
        })
    })
}

fn part(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

#[test]
fn nobody_knows_more_than_the_picture_shows() {
    // Who may know whom: cli -> app -> gateway, auth, jobs -> chat -> the ground.
    let ground = [
        "backlog",
        "clock",
        "config",
        "counts",
        "db",
        "error",
        "limits",
        "listing",
        "password",
        "rates",
        "shutdown",
        "telemetry",
        "together",
    ];
    let may = |from: &str, to: &str| match from {
        "lib" | "main" => true,
        "cli" => true,
        "app" => to != "cli",
        "gateway" => {
            matches!(to, "gateway" | "chat" | "auth" | "limits" | "error" | "shutdown" | "clock" | "counts")
                || matches!(to, "backlog" | "rates")
        }
        "jobs" => matches!(to, "chat" | "auth" | "jobs" | "db" | "clock" | "shutdown" | "error"),
        "auth" => {
            matches!(to, "auth" | "chat" | "clock" | "db" | "error")
                || matches!(to, "limits" | "password" | "shutdown" | "together")
        }
        "cluster" => matches!(to, "chat" | "cluster" | "error" | "shutdown"),
        "chat" => {
            matches!(to, "backlog" | "chat" | "clock" | "counts" | "db" | "error")
                || matches!(to, "limits" | "listing" | "password" | "rates" | "shutdown" | "together")
        }
        "config" => to == "config",
        _ => ground.contains(&to) && to != "config",
    };
    let mut wrong = Vec::new();
    for source in sources() {
        let from = part(&source.module);
        for arrow in arrows(&source) {
            if part(&arrow) != from && !may(from, part(&arrow)) {
                wrong.push(format!("{} uses crate::{arrow}", source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not drawn:\n{}", wrong.join("\n"));
}

#[test]
fn auth_knows_of_the_core_only_who_calls() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| part(&source.module) == "auth") {
        let of_chat = arrows(source).into_iter().filter(|arrow| part(arrow) == "chat");
        wrong.extend(
            of_chat
                .filter(|arrow| arrow != "chat::caller")
                .map(|arrow| format!("{}: {arrow}", source.module)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_knows_no_transport_and_no_wire() {
    for source in sources().iter().filter(|source| part(&source.module) == "chat") {
        for library in
            ["axum", "socketioxide", "engineioxide", "serde_json", "http", "hyper", "tower", "jsonwebtoken"]
        {
            assert!(!names(source, library), "{} names {library}", source.module);
        }
    }
}

#[test]
fn gateways_know_no_database_and_no_other_gateway() {
    const SHARED: [&str; 7] = [
        "gateway::bounded",
        "gateway::wire",
        "gateway::credential",
        "gateway::line",
        "gateway::http",
        "gateway::events",
        "gateway::native",
    ];
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| part(&source.module) == "gateway") {
        if names(source, "sea_orm") {
            wrong.push(format!("{} names sea_orm", source.module));
        }
        let Some(own) = source.module.split("::").nth(1) else { continue };
        for arrow in arrows(source).into_iter().filter(|arrow| part(arrow) == "gateway") {
            if arrow != format!("gateway::{own}") && !SHARED.contains(&arrow.as_str()) {
                wrong.push(format!("{} uses crate::{arrow}", source.module));
            }
        }
        let above = source.code.matches("super::super::super").count();
        if above > 0 {
            wrong.push(format!("{} climbs three floors", source.module));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tables_know_nothing_but_the_database() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (package, forbidden) in
        [("entity", ["parlor", "axum", "serde_json"]), ("migration", ["parlor", "entity", "serde_json"])]
    {
        let manifest = fs::read_to_string(root.join(package).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        for name in forbidden {
            let depends =
                dependencies.lines().any(|line| line.split(['=', '.']).next().map(str::trim) == Some(name));
            assert!(!depends, "{package} depends on {name}");
        }
    }
}

#[test]
fn a_use_line_is_taken_apart_as_it_is_meant() {
    let text = "a::{b, c::{d, e as f}, self}, x";
    assert_eq!(expand(text), ["a::b", "a::c::d", "a::c::e", "a::self"]);
    assert_eq!(expand("chat::Chat;"), ["chat::Chat"]);
}
