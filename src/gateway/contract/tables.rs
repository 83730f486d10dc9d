//! The parts of the documentation that come from the contract: the tables of events, and the shapes of the nouns.

use utoipa::openapi::Ref;

use super::{Contract, Namespace, lines, shorthand};

/// The nouns of docs/events.md, in its order.
const SHAPES: [&str; 5] = ["User", "Group", "Message", "Conversation", "Refusal"];

/// The longest line of the documentation.
const WIDTH: usize = 118;

/// The generated sections of docs/events.md, by name. The file has each between `<!-- contract: <name> -->` and
/// `<!-- /contract -->`.
pub fn sections() -> Vec<(&'static str, String)> {
    let contract = Contract::new();
    let Some(chat) = contract.namespaces.first() else { return Vec::new() };
    vec![
        ("client", client(&contract, chat)),
        ("server", server(&contract, chat)),
        ("shapes", shapes(&contract)),
    ]
}

fn client(contract: &Contract, namespace: &Namespace) -> String {
    let head = ["| event | payload | `response` | |", "|---|---|---|---|"].map(str::to_owned);
    let rows = namespace.client.iter().map(|event| {
        let payload = shorthand::payload(contract, &event.payload.schema);
        let response = shorthand::response(contract, &event.response.schema);
        format!("| `{}` | {payload} | {response} | {} |", event.name, event.about)
    });
    lines(head.into_iter().chain(rows))
}

fn server(contract: &Contract, namespace: &Namespace) -> String {
    let head = ["| event | payload | who receives it, and when |", "|---|---|---|"].map(str::to_owned);
    let rows = namespace.server.iter().map(|event| {
        let payload = shorthand::payload(contract, &event.payload.schema);
        let ack = event
            .acknowledgement
            .as_ref()
            .map(|ack| format!("; acknowledge with {}", shorthand::payload(contract, &ack.schema)));
        format!("| `{}` | {payload}{} | {} |", event.name, ack.unwrap_or_default(), event.about)
    });
    lines(head.into_iter().chain(rows))
}

fn shapes(contract: &Contract) -> String {
    let widest = SHAPES.iter().map(|name| name.len()).max().unwrap_or_default();
    let shape = |name: &&str| {
        let forms = shorthand::forms(contract, &Ref::from_schema_name(*name).into());
        let form = |(number, form): (usize, &String)| {
            let start = if number == 0 { (*name).to_owned() } else { "  or".to_owned() };
            wrapped(&format!("{start:widest$} {form}"), widest + 3)
        };
        forms.iter().enumerate().map(form).collect::<String>()
    };
    format!("```\n{}```\n", SHAPES.iter().map(shape).collect::<String>())
}

/// A text in lines that are not too long. All but the first are indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(", ") {
        let line = lines.last_mut();
        match line {
            Some(line) if line.len() + word.trim_end().len() <= WIDTH => line.push_str(word),
            _ => lines.push(format!("{}{word}", " ".repeat(indent))),
        }
    }
    super::lines(lines.iter().map(|line| line.trim_end()))
}
