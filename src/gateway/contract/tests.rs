//! The documents are complete, and every name in them stands for one thing.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::*;

fn asyncapi() -> Json {
    serde_json::from_str(&Document::AsyncApi.text().unwrap()).unwrap()
}

#[test]
fn a_name_stands_for_one_schema() {
    let mut known: BTreeMap<String, Json> = BTreeMap::new();
    let namespaces = namespaces();
    let described =
        namespaces.iter().flat_map(Namespace::described).flat_map(|described| described.named.clone());
    let others = [of::<Failure>(), of::<RootFailure>(), of::<Refusal>(), of::<ConnectParameters>()];
    let of_http = rest::description().components.unwrap().schemas;
    for (name, schema) in described.chain(others.into_iter().flat_map(|other| other.named)).chain(of_http) {
        let schema = serde_json::to_value(schema).unwrap();
        let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
        assert_eq!(*first, schema, "{name} is two things");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = asyncapi();
    for refers in document.to_string().split("\"$ref\":\"#").skip(1) {
        let pointer = refers.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let declarations = Document::TypeScript.text().unwrap();
    for name in Contract::new().schemas.keys() {
        let declares = ["interface", "type"].map(|word| format!("export {word} {name} "));
        let count: usize = declares.iter().map(|text| declarations.matches(text.as_str()).count()).sum();
        assert_eq!(count, 1, "{name} is declared once");
    }
}

#[test]
fn every_event_is_in_every_document() {
    let document = asyncapi();
    let declarations = Document::TypeScript.text().unwrap();
    for namespace in namespaces() {
        let messages = document["channels"][namespace.channel]["messages"].as_object().unwrap();
        let client = namespace.client.iter().map(|event| event.name);
        for name in client.chain(namespace.server.iter().map(|event| event.name)) {
            assert!(messages.values().any(|message| message["name"] == name), "{name}");
            assert!(declarations.contains(&format!("  {}: (payload: ", types::key(name))), "{name}");
        }
    }
    assert_eq!(document["channels"].as_object().unwrap().len(), 3);
}

#[test]
fn a_client_event_has_one_row_in_the_table() {
    for namespace in namespaces() {
        let mut names: Vec<_> = namespace.client.iter().map(|event| event.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}
