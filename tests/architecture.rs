//! Who may know whom: the picture in CONTRIBUTING.md, held against every path that stands in `src/`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each part of `src/` may use. An arrow that nobody uses is to be removed here, and in the picture.
const MAY_USE: [(&str, &[&str]); 33] = [
    ("main", &["cli"]),
    ("lib", &[]),
    (
        "cli",
        &[
            "app",
            "auth",
            "chat",
            "clock",
            "config",
            "db",
            "descriptors",
            "error",
            "identity",
            "telemetry",
            "values",
        ],
    ),
    (
        "app",
        &[
            "auth",
            "backlog",
            "chat",
            "clock",
            "config",
            "counts",
            "db",
            "descriptors",
            "gateway",
            "jobs",
            "limits",
            "metrics",
            "password",
            "rates",
            "shutdown",
            "telemetry",
        ],
    ),
    (
        "gateway",
        &[
            "auth",
            "backlog",
            "chat",
            "clock",
            "config",
            "counts",
            "error",
            "identity",
            "limits",
            "metrics",
            "random",
            "rates",
            "room_view",
            "shutdown",
            "sweep",
            "values",
        ],
    ),
    ("jobs", &["auth", "chat", "clock", "db", "error", "identity", "shutdown"]),
    (
        "auth",
        &[
            "clock", "db", "error", "identity", "limits", "metrics", "password", "random", "shutdown",
            "values",
        ],
    ),
    (
        "chat",
        &[
            "backlog",
            "bus",
            "clock",
            "config",
            "counts",
            "db",
            "error",
            "identity",
            "limits",
            "message_extras",
            "message_marks",
            "metrics",
            "password",
            "rates",
            "room_settings",
            "room_view",
            "shutdown",
            "sweep",
            "system_message",
            "values",
        ],
    ),
    ("bus", &["config", "db"]),
    ("db", &["config", "error", "metrics", "shutdown"]),
    ("limits", &["clock", "counts", "db", "error"]),
    ("rates", &["clock", "error"]),
    ("password", &["error"]),
    ("values", &["error"]),
    ("backlog", &["counts", "metrics", "shutdown", "sweep"]),
    ("identity", &[]),
    ("config", &["random"]),
    ("clock", &[]),
    ("counts", &[]),
    ("descriptors", &[]),
    ("error", &[]),
    ("message_extras", &[]),
    ("message_marks", &[]),
    ("metrics", &["error"]),
    ("random", &[]),
    ("room_settings", &["values"]),
    ("room_view", &[]),
    ("system_message", &["values"]),
    ("shutdown", &[]),
    ("sweep", &[]),
    ("telemetry", &[]),
    ("entity", &[]),
    ("migration", &[]),
];

/// The same inside `gateway`. Engines know no front end: those reach them through a trait.
const GATEWAYS_MAY_USE: [(&str, &[&str]); 14] = [
    ("contract", &["credential", "dialects", "events", "http", "native", "rest", "socketio", "wire"]),
    ("dialects", &["credential", "events", "http", "socketio", "websocket", "wire"]),
    ("socketio", &["credential", "events", "http", "native", "tcp", "wire"]),
    ("websocket", &["credential", "events", "http", "native", "tcp"]),
    ("rest", &["credential", "http", "wire"]),
    ("web", &["client_script", "credential", "http", "wire"]),
    ("client_script", &["http"]),
    ("native", &["events", "wire"]),
    ("http", &["credential", "tcp", "wire"]),
    ("events", &[]),
    ("wire", &[]),
    ("credential", &[]),
    ("tcp", &[]),
    ("mod", &[]),
];

/// Modules that know each other, with the reason. All others form no circle.
const CIRCLES: [&[&str]; 1] = [
    // A connection keeps its rooms in memory, and a room writes to the connections that subscribe to it.
    &["chat::connections::connection", "chat::room"],
];

/// A file's module path (`gateway::rest::rooms`; empty for `lib.rs`), its text without tests and comments, and the
/// modules that it uses.
struct Source {
    module: String,
    code: String,
    uses: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    assert!(files.len() > 30, "the sources are somewhere else");
    let mut sources: Vec<Source> = files.iter().map(|file| read(file)).collect();
    let modules: BTreeSet<String> = sources.iter().map(|source| source.module.clone()).collect();
    for source in &mut sources {
        let named = paths(&source.code);
        let absolute = named.iter().filter_map(|path| absolute(path, &source.module, &modules));
        let owners = absolute.map(|path| owner(&path, &modules, &source.module));
        source.uses = owners.filter(|used| *used != source.module).collect();
    }
    sources
}

fn read(file: &Path) -> Source {
    let path = file.strip_prefix(root()).unwrap().with_extension("");
    let module = path.to_str().unwrap().replace('/', "::");
    let module = match module.strip_suffix("::mod").unwrap_or(&module) {
        "lib" => "",
        module => module,
    };
    let text = fs::read_to_string(file).unwrap();
    let code = without_tests(&text);
    let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    Source { module: module.to_owned(), code: code.join("\n"), uses: BTreeSet::new() }
}

/// Leaves out every item that is compiled for tests only.
fn without_tests(text: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]\n";
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(ATTRIBUTE) {
        kept.push_str(before);
        let ends = [after.find(";\n").map(|at| at + 2), after.find("\n}\n").map(|at| at + 3)];
        let end = ends.into_iter().flatten().min().unwrap_or(after.len());
        // A block may hold a semicolon before its end.
        let opens = after.find("{\n").is_some_and(|open| open < end);
        let end = if opens { ends[1].unwrap_or(after.len()) } else { end };
        rest = &after[end..];
    }
    kept + rest
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

/// Every path in a `use` line, and every other one that begins with `crate::`, `super::` or `self::`.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in ["use ", "pub use ", "pub(super) use ", "pub(in crate::chat) use "] {
        for (at, _) in code.match_indices(line) {
            let starts_a_line = code[..at].chars().next_back().is_none_or(|c| c == '\n');
            if starts_a_line && let Some((tree, _)) = code[at + line.len()..].split_once(';') {
                found.extend(expand(tree));
            }
        }
    }
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let begins = code[..at].chars().next_back().is_none_or(|c| !is_part_of_a_path(c));
            if begins {
                found.extend(expand(&code[at..]));
            }
        }
    }
    found
}

fn is_part_of_a_path(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(text: &str) -> Vec<String> {
    let text = text.trim_start();
    let end = text.find(|c: char| !is_part_of_a_path(c)).unwrap_or(text.len());
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

/// A path of this package from its root; none for one into a library.
fn absolute(path: &str, module: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut base: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    match *parts.peek()? {
        "crate" => {
            parts.next();
            base.clear();
        }
        "self" => drop(parts.next()),
        "super" => {
            while parts.next_if_eq(&"super").is_some() {
                base.pop()?;
            }
        }
        // `parlor::` in main.rs, and a child of the module itself.
        "parlor" => {
            parts.next();
            base.clear();
        }
        first => {
            let child: Vec<&str> = base.iter().copied().chain([first]).collect();
            if !modules.contains(&child.join("::")) {
                return None;
            }
        }
    }
    base.extend(parts);
    Some(base.join("::"))
}

/// The module that a path leads to.
fn owner(path: &str, modules: &BTreeSet<String>, from: &str) -> String {
    let parts: Vec<&str> = path.split("::").collect();
    let owner =
        (1..=parts.len()).rev().map(|length| parts[..length].join("::")).find(|it| modules.contains(it));
    match owner {
        Some(owner) => owner,
        // What lib.rs itself has.
        None if parts.len() == 1 && parts[0].is_empty() => String::new(),
        None => panic!("{from} names `{path}`, which is in no module of src/"),
    }
}

fn part(module: &str) -> &str {
    if module.is_empty() { "lib" } else { module.split("::").next().unwrap_or_default() }
}

/// Holds arrows against a table; both ways, so that the table says no more than what is used.
fn check(used: &BTreeSet<(String, String)>, table: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (from, to) in used {
        match table.iter().find(|(name, _)| name == from) {
            None => wrong.push(format!("{from} is not in the table")),
            Some((_, allowed)) if !allowed.contains(&to.as_str()) => wrong.push(format!("{from} uses {to}")),
            Some(_) => {}
        }
    }
    for (from, allowed) in table {
        for to in *allowed {
            if !used.contains(&((*from).to_owned(), (*to).to_owned())) {
                wrong.push(format!("{from} may use {to}, and does not"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nobody_knows_more_than_the_picture_shows() {
    let sources = sources();
    let mut used = BTreeSet::new();
    for source in &sources {
        let from = part(&source.module);
        assert!(MAY_USE.iter().any(|(name, _)| *name == from), "{from} is not in the table");
        let others = source.uses.iter().map(|to| part(to)).filter(|to| *to != from);
        used.extend(others.map(|to| (from.to_owned(), to.to_owned())));
    }
    check(&used, &MAY_USE);
}

#[test]
fn gateways_know_no_database_and_no_other_gateway_than_the_picture_shows() {
    let mut used = BTreeSet::new();
    for source in sources().iter().filter(|source| part(&source.module) == "gateway") {
        assert!(!names(source, "sea_orm"), "{} names sea_orm", source.module);
        let from = source.module.split("::").nth(1).unwrap_or("mod");
        for to in source.uses.iter().filter(|to| part(to) == "gateway") {
            let inner = to.split("::").nth(1).unwrap_or("mod");
            if inner != from && inner != "mod" {
                used.insert((from.to_owned(), inner.to_owned()));
            }
            let is_engine = to.starts_with("gateway::socketio") && !to.starts_with("gateway::socketio::root");
            assert!(!(from == "dialects" && is_engine), "{} uses {to}", source.module);
        }
    }
    check(&used, &GATEWAYS_MAY_USE);
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let sources = sources();
    let is_related = |a: &str, b: &str| {
        a.is_empty() || b.is_empty() || a.starts_with(&format!("{b}::")) || b.starts_with(&format!("{a}::"))
    };
    // A folder and what is in it are one thing here.
    let uses: BTreeMap<&str, Vec<&str>> = sources
        .iter()
        .map(|source| {
            let others = source.uses.iter().map(String::as_str);
            (&*source.module, others.filter(|to| !is_related(&source.module, to)).collect())
        })
        .collect();
    let reachable = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(module) = next.pop() {
            for to in uses.get(module).into_iter().flatten() {
                if seen.insert(*to) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
    for module in uses.keys() {
        let from_here = reachable(module);
        if from_here.contains(module) {
            circles.insert(from_here.into_iter().filter(|other| reachable(other).contains(module)).collect());
        }
    }
    assert_eq!(circles.into_iter().collect::<Vec<_>>(), CIRCLES);
}

/// Whether a file names a library.
fn names(source: &Source, library: &str) -> bool {
    [format!("{library}::"), format!("use {library};"), format!("use {library} ")].iter().any(|text| {
        source.code.match_indices(text.as_str()).any(|(at, _)| {
            let before = source.code[..at].chars().next_back();
            before.is_none_or(|c| !is_part_of_a_path(c))
        })
    })
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
fn sql_text_stands_in_folders_of_that_name() {
    let mut wrong = Vec::new();
    for source in sources() {
        let is_sql = source.module.split("::").any(|name| name == "sql" || name == "db");
        let has_text = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "]
            .iter()
            .any(|word| source.code.contains(&format!("\"{word}")));
        if has_text && !is_sql {
            wrong.push(source.module);
        }
    }
    assert!(wrong.is_empty(), "SQL text outside `sql`: {wrong:?}");
}

#[test]
fn a_file_has_no_more_than_400_lines_without_its_tests() {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let lines = without_tests(&text).lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}

/// The name of a type that this line of a module begins to define.
fn defined(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub") {
        Some(rest) => rest.trim_start_matches("(super)").trim_start_matches("(in crate::chat)").trim_start(),
        None => line,
    };
    let (keyword, rest) = line.split_once(' ')?;
    let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
    ["struct", "enum", "trait", "type"].contains(&keyword).then_some(name)
}

/// The entities are left out: SeaORM gives their types the same names, and they are written with their module.
#[test]
fn no_name_stands_for_two_types() {
    let mut defined_in: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        for name in source.code.lines().filter_map(defined) {
            defined_in.entry(name.to_owned()).or_default().insert(source.module.clone());
        }
    }
    assert!(defined_in.contains_key("Room") && defined_in.contains_key("Result"), "types are found");
    let twice: Vec<_> = defined_in.iter().filter(|(_, modules)| modules.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn tables_know_nothing_but_the_database() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (package, forbidden) in [
        ("entity", ["parlor", "axum", "serde_json"]),
        ("migration", ["parlor", "entity", "serde_json"]),
        ("text", ["parlor", "entity", "sea-orm"]),
    ] {
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
fn tests_inside_the_sources_do_not_count() {
    let text = "a;\n#[cfg(test)]\nmod tests;\nb;\n#[cfg(test)]\nimpl X {\n    c;\n}\nd\n#[cfg(test)]\nmod tests {\n    e;\n}\n";
    assert_eq!(without_tests(text), "a;\nb;\nd\n");
}

#[test]
fn a_use_line_is_taken_apart_as_it_is_meant() {
    let text = "a::{b, c::{d, e as f}, self}, x";
    assert_eq!(expand(text), ["a::b", "a::c::d", "a::c::e", "a::self"]);
    assert_eq!(expand("chat::Chat;"), ["chat::Chat"]);
    let modules = ["a", "a::b", "a::b::c", "d"].map(str::to_owned).into();
    for (path, expected) in [
        ("super::X", Some("a::X")),
        ("super::super::d::X", Some("d::X")),
        ("self::c::X", Some("a::b::c::X")),
        ("c::X", Some("a::b::c::X")),
        ("crate::d", Some("d")),
        ("serde::Serialize", None),
    ] {
        assert_eq!(absolute(path, "a::b", &modules).as_deref(), expected, "{path}");
    }
}
