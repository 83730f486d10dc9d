//! Schemas as types of TypeScript.

use utoipa::openapi::{
    RefOr,
    schema::{AdditionalProperties, ArrayItems, Object, Schema, SchemaType, Type},
};

use super::name;

/// A declaration of a named type.
pub fn declaration(name: &str, schema: &RefOr<Schema>) -> String {
    match schema {
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => {
            format!("{}export interface {name} {}\n", comment(&object.description, 0), fields(object, 0))
        }
        schema => format!("{}export type {name} = {};\n", comment(description(schema), 0), of(schema, 0)),
    }
}

/// A schema as a type, at a depth of nested braces.
pub fn of(schema: &RefOr<Schema>, depth: usize) -> String {
    match schema {
        RefOr::Ref(reference) => name(&reference.ref_location).to_owned(),
        RefOr::T(Schema::Object(object)) => of_object(object, depth),
        RefOr::T(Schema::Array(array)) => {
            let entries = match &array.items {
                ArrayItems::RefOrSchema(items) => format!("{}[]", grouped(&of(items, depth))),
                ArrayItems::False => "[]".to_owned(),
            };
            let may_be_null =
                matches!(&array.schema_type, SchemaType::Array(kinds) if kinds.contains(&Type::Null));
            if may_be_null { format!("{entries} | null") } else { entries }
        }
        RefOr::T(Schema::OneOf(one)) => union(&one.items, " | ", depth),
        RefOr::T(Schema::AnyOf(any)) => union(&any.items, " | ", depth),
        RefOr::T(Schema::AllOf(all)) => union(&all.items, " & ", depth),
        _ => "unknown".to_owned(),
    }
}

fn union(items: &[RefOr<Schema>], with: &str, depth: usize) -> String {
    items.iter().map(|item| of(item, depth)).collect::<Vec<_>>().join(with)
}

fn grouped(text: &str) -> String {
    if text.contains(" | ") || text.contains(" & ") { format!("({text})") } else { text.to_owned() }
}

fn of_object(object: &Object, depth: usize) -> String {
    if let Some(values) = &object.enum_values {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    let of_type = |kind: &Type| match kind {
        Type::Object if !object.properties.is_empty() => fields(object, depth),
        Type::Object => match object.additional_properties.as_deref() {
            Some(AdditionalProperties::RefOr(value)) => format!("Record<string, {}>", of(value, depth)),
            _ => "Record<string, unknown>".to_owned(),
        },
        Type::String => "string".to_owned(),
        Type::Integer | Type::Number => "number".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::Null => "null".to_owned(),
        Type::Array => "unknown[]".to_owned(),
    };
    match &object.schema_type {
        SchemaType::Type(kind) => of_type(kind),
        SchemaType::Array(kinds) => kinds.iter().map(of_type).collect::<Vec<_>>().join(" | "),
        SchemaType::AnyValue => "unknown".to_owned(),
    }
}

fn fields(object: &Object, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    let field = |(field, schema): (&String, &RefOr<Schema>)| {
        let optional = if object.required.contains(field) { "" } else { "?" };
        let about = comment(description(schema), depth + 1);
        format!("{about}{indent}{}{optional}: {};\n", key(field), of(schema, depth + 1))
    };
    format!("{{\n{}{}}}", object.properties.iter().map(field).collect::<String>(), "  ".repeat(depth))
}

/// A name of a field, in quotes if it needs them.
pub fn key(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { format!("{name:?}") }
}

/// A comment before a declaration or a field.
pub fn comment(about: &Option<String>, depth: usize) -> String {
    let Some(about) = about else { return String::new() };
    let words = about.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /");
    let indent = "  ".repeat(depth);
    if words.is_empty() { String::new() } else { format!("{indent}/** {words} */\n") }
}

fn description(schema: &RefOr<Schema>) -> &Option<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => &object.description,
        RefOr::T(Schema::Array(array)) => &array.description,
        RefOr::T(Schema::OneOf(one)) => &one.description,
        RefOr::T(Schema::AnyOf(any)) => &any.description,
        RefOr::T(Schema::AllOf(all)) => &all.description,
        _ => &None,
    }
}
