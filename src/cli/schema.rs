//! `parlor schema`: the contract as documents, for front ends and generators.

use clap::Subcommand;

use super::terminal::print;
use crate::app::contract::Document;

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum SchemaCommand {
    /// The HTTP API: OpenAPI 3.1 (JSON), as at /openapi.json.
    Openapi,
    /// The events: AsyncAPI 3 (JSON), as at /asyncapi.json.
    Asyncapi,
    /// The types of both for TypeScript, as at /parlor.d.ts.
    #[command(after_help = "Example:\n  parlor schema typescript > src/parlor.d.ts")]
    Typescript,
}

pub fn run(command: SchemaCommand) -> anyhow::Result<()> {
    let document = match command {
        SchemaCommand::Openapi => Document::OpenApi,
        SchemaCommand::Asyncapi => Document::AsyncApi,
        SchemaCommand::Typescript => Document::TypeScript,
    };
    print(document.text()?.trim_end())?;
    Ok(())
}
