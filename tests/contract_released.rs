//! Nothing that front ends of the last release rely on has gone: `contract/released/` has the documents of that
//! release. CONTRIBUTING.md says when they are replaced.

use std::{collections::BTreeSet, fs, path::Path};

use parlor::app::contract::Document;
use serde_json::Value as Json;

/// What people read, and limits, which may be widened.
const MAY_DIFFER: [&str; 13] = [
    "description",
    "discriminator",
    "example",
    "examples",
    "info",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "servers",
    "summary",
    "tags",
    "title",
];

/// Objects whose keys are names that the contract chooses.
const MAPS: [&str; 8] =
    ["channels", "content", "messages", "operations", "paths", "properties", "responses", "schemas"];

/// Keywords that make a schema narrower when they are added.
const NARROW: [&str; 6] = ["$ref", "allOf", "anyOf", "enum", "oneOf", "type"];

/// What a client of the old document would miss in the new one.
struct Comparison<'a> {
    old: &'a Json,
    /// The named schemas that clients send: they may not have more required fields.
    sent: BTreeSet<String>,
    missing: Vec<String>,
}

fn missing(old: &Json, new: &Json) -> Vec<String> {
    let mut comparison = Comparison { old, sent: sent(old), missing: Vec::new() };
    comparison.compare(old, new, "#", false);
    comparison.missing
}

/// The names of all schemas that can stand in something that clients send.
fn sent(document: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = Vec::new();
    for operation in entries(&document["operations"]).filter(|operation| operation["action"] == "receive") {
        for message in operation["messages"].as_array().into_iter().flatten() {
            let pointer = message["$ref"].as_str().unwrap().trim_start_matches('#');
            next.push(&document.pointer(pointer).unwrap()["payload"]);
        }
    }
    let operations = entries(&document["paths"]).flat_map(entries);
    next.extend(operations.map(|operation| &operation["requestBody"]));
    while let Some(schema) = next.pop() {
        match schema {
            Json::Object(object) => {
                let name = object.get("$ref").and_then(Json::as_str).and_then(|to| to.rsplit('/').next());
                if let Some(name) = name.filter(|name| found.insert((*name).to_owned())) {
                    next.push(&document["components"]["schemas"][name]);
                }
                next.extend(object.values());
            }
            Json::Array(items) => next.extend(items),
            _ => {}
        }
    }
    found
}

fn entries(object: &Json) -> impl Iterator<Item = &Json> {
    object.as_object().into_iter().flat_map(serde_json::Map::values)
}

impl Comparison<'_> {
    fn compare(&mut self, old: &Json, new: &Json, path: &str, is_map: bool) {
        match (old, new) {
            (Json::Object(before), Json::Object(after)) => {
                for (key, value) in before {
                    let path = format!("{path}/{key}");
                    match after.get(key) {
                        _ if !is_map && MAY_DIFFER.contains(&&**key) => {}
                        None => self.missing.push(format!("{path} is gone")),
                        Some(other) if !is_map && key == "required" && value.is_array() => {
                            self.required(value, other, new, old, &path);
                        }
                        Some(other) => {
                            let is_map = !is_map && MAPS.contains(&&**key);
                            self.compare(value, other, &path, is_map);
                        }
                    }
                }
                let narrower =
                    NARROW.iter().find(|key| !before.contains_key(**key) && after.contains_key(**key));
                if let (false, Some(key)) = (is_map, narrower) {
                    self.missing.push(format!("{path} has {key} now"));
                }
                if !is_map && before.contains_key("properties") && !before.contains_key("required") {
                    self.required(
                        &Json::Array(Vec::new()),
                        &new["required"],
                        new,
                        old,
                        &format!("{path}/required"),
                    );
                }
            }
            // A message has no fewer forms, and a field no fewer values.
            (Json::Array(before), Json::Array(after)) => {
                for (number, value) in before.iter().enumerate() {
                    let has = after.iter().any(|other| self.is_kept(value, other));
                    if !has {
                        self.missing.push(format!("{path}/{number} is gone or has another type: {value}"));
                    }
                }
                if path.ends_with("/type") && before.len() != after.len() {
                    self.missing.push(format!("{path} has other types now"));
                }
            }
            (old, new) if old == new => {}
            (old, new) => self.missing.push(format!("{path} was {old} and is {new}")),
        }
    }

    fn is_kept(&self, old: &Json, new: &Json) -> bool {
        let mut part = Comparison { old: self.old, sent: self.sent.clone(), missing: Vec::new() };
        part.compare(old, new, "", false);
        part.missing.is_empty()
    }

    /// What was always there is always there. What is sent needs no more than before.
    fn required(&mut self, old: &Json, new: &Json, new_schema: &Json, old_schema: &Json, path: &str) {
        let names = |list: &Json| -> BTreeSet<String> {
            list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let (old, new) = (names(old), names(new));
        let schema = path.split("/schemas/").nth(1).and_then(|rest| rest.split('/').next());
        let is_sent = schema.is_none_or(|schema| self.sent.contains(schema));
        for field in old.difference(&new).filter(|field| new_schema["properties"][field.as_str()].is_object())
        {
            if !schema.is_some_and(|schema| self.sent.contains(schema)) {
                self.missing.push(format!("{path}: {field} may be missing now"));
            }
        }
        for field in new.difference(&old) {
            if is_sent || old_schema["properties"][field.as_str()].is_null() && schema.is_none() {
                self.missing.push(format!("{path}: {field} is needed now"));
            }
        }
    }
}

fn document(document: Document) -> Json {
    serde_json::from_str(&document.text().unwrap()).unwrap()
}

#[test]
fn nothing_of_the_last_release_is_gone_or_has_another_type() {
    for (now, file) in [(Document::OpenApi, "openapi.json"), (Document::AsyncApi, "asyncapi.json")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/released").join(file);
        let released = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let missing = missing(&released, &document(now));
        assert!(
            missing.is_empty(),
            "front ends of the last release rely on it ({file}):\n{}",
            missing.join("\n")
        );
    }
}

#[test]
fn a_change_that_breaks_a_front_end_is_noticed() {
    let released = document(Document::AsyncApi);
    let changed = |pointer: &str, change: &dyn Fn(&mut Json)| {
        let mut now = released.clone();
        change(now.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")));
        missing(&released, &now)
    };
    let remove =
        |key: &'static str| move |object: &mut Json| drop(object.as_object_mut().unwrap().remove(key));
    let set = |value: Json| move |place: &mut Json| *place = value.clone();
    let without = |name: &'static str| {
        move |list: &mut Json| list.as_array_mut().unwrap().retain(|item| item.as_str() != Some(name))
    };
    let schemas = "/components/schemas";
    for (pointer, change) in [
        (format!("{schemas}/Group/properties"), &remove("owner") as &dyn Fn(&mut Json)),
        (format!("{schemas}/Group/properties/memberCount/type"), &set("string".into())),
        (
            format!("{schemas}/Group/properties/owner"),
            &set(serde_json::json!({ "type": ["string", "null"] })),
        ),
        (format!("{schemas}/Group/required"), &without("owner")),
        (format!("{schemas}/MarkRead/properties"), &remove("seq")),
        (format!("{schemas}/Typing/required"), &|list| list.as_array_mut().unwrap().push("device".into())),
        (
            format!("{schemas}/EncryptedMessage/properties/content"),
            &set(serde_json::json!({ "type": "string" })),
        ),
        (format!("{schemas}/TextMessage/properties/kind/enum/0"), &set("plain".into())),
        (format!("{schemas}/ErrorCode/enum"), &without("conflict")),
        (format!("{schemas}/Message/oneOf"), &|forms| drop(forms.as_array_mut().unwrap().pop())),
        (format!("{schemas}/HistoryRequest/anyOf/1/properties"), &remove("lobby")),
        (format!("{schemas}/User/properties/lastSeen"), &set(serde_json::json!({ "type": "string" }))),
        ("/channels/chat/messages".to_owned(), &remove("typing.event")),
        (
            "/channels/chat/messages/listUsers.answer/payload/oneOf/0/properties/response".to_owned(),
            &remove("items"),
        ),
        ("/operations".to_owned(), &remove("ws.privateMessage")),
        ("/channels".to_owned(), &remove("root")),
    ] {
        let missing = changed(&pointer, change);
        assert!(!missing.is_empty(), "{pointer} has changed, and nobody notices");
    }
}

#[test]
fn what_is_only_added_breaks_nobody() {
    let released = document(Document::AsyncApi);
    let mut now = released.clone();
    let mut at = |pointer: &str, key: &str, value: Json| {
        let object = now.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}"));
        object.as_object_mut().unwrap().insert(key.to_owned(), value);
    };
    let text = serde_json::json!({ "type": "string" });
    at("/components/schemas/Group/properties", "topic", text.clone());
    at("/components/schemas/Group", "description", "Another sentence.".into());
    at("/components/schemas/MarkRead/properties", "device", text.clone());
    at(
        "/components/schemas",
        "Poll",
        serde_json::json!({ "type": "object", "required": ["a"], "properties": { "a": text } }),
    );
    assert_eq!(missing(&released, &now), Vec::<String>::new());
}
