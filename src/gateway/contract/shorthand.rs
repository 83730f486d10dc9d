//! Schemas as people write them in a table: `{ receiver, content, kind? }`, `Message`, `User[]`.

use utoipa::openapi::{
    RefOr,
    schema::{ArrayItems, Object, Schema, SchemaType, Type},
};

use super::{Contract, name};

/// An answer of at most so many fields is shown with its fields, a larger one by its name.
const SMALL: usize = 3;

/// A payload, with its fields.
pub fn payload(contract: &Contract, schema: &RefOr<Schema>) -> String {
    forms(contract, schema).iter().map(|form| format!("`{form}`")).collect::<Vec<_>>().join(" or ")
}

/// A response: by its name, unless it is small.
pub fn response(contract: &Contract, schema: &RefOr<Schema>) -> String {
    match schema {
        RefOr::T(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(items) => format!("{}[]", response(contract, items)),
            ArrayItems::False => "[]".to_owned(),
        },
        RefOr::Ref(reference) => {
            let is_small = contract.resolve(schema).is_some_and(|schema| match schema {
                Schema::Object(object) => object.properties.len() <= SMALL,
                Schema::AnyOf(_) => true,
                _ => false,
            });
            if is_small { payload(contract, schema) } else { name(&reference.ref_location).to_owned() }
        }
        RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null) => {
            "null".to_owned()
        }
        _ => payload(contract, schema),
    }
}

/// The forms with different fields.
pub fn forms(contract: &Contract, schema: &RefOr<Schema>) -> Vec<String> {
    let items = match contract.resolve(schema) {
        Some(Schema::OneOf(one)) => &one.items,
        Some(Schema::AnyOf(any)) => &any.items,
        Some(Schema::Object(object)) => return vec![object_form(contract, object)],
        _ => return Vec::new(),
    };
    let mut forms: Vec<String> = Vec::new();
    for form in items.iter().flat_map(|item| self::forms(contract, item)) {
        // Two forms that differ only in what is optional are one here.
        if !forms.iter().any(|known| known.replace('?', "") == form.replace('?', "")) {
            forms.push(form);
        }
    }
    forms
}

fn object_form(contract: &Contract, object: &Object) -> String {
    if object.properties.is_empty() {
        return match object.schema_type {
            SchemaType::Type(Type::String) => "string".to_owned(),
            _ => "{}".to_owned(),
        };
    }
    let field = |(field, schema): (&String, &RefOr<Schema>)| {
        let optional = if object.required.contains(field) { "" } else { "?" };
        match of_field(contract, schema) {
            Some(named) => format!("{field}{optional}: {named}"),
            None => format!("{field}{optional}"),
        }
    };
    format!("{{ {} }}", object.properties.iter().map(field).collect::<Vec<_>>().join(", "))
}

/// The type of a field, if it has a name that people have to look up.
fn of_field(contract: &Contract, schema: &RefOr<Schema>) -> Option<String> {
    match schema {
        RefOr::Ref(reference) => match contract.resolve(schema)? {
            Schema::Object(object) if object.properties.is_empty() => None,
            // A text, or something that stands for it.
            Schema::OneOf(one) if one.discriminator.is_none() => None,
            _ => Some(name(&reference.ref_location).to_owned()),
        },
        RefOr::T(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(items) => of_field(contract, items).map(|named| format!("{named}[]")),
            ArrayItems::False => None,
        },
        _ => None,
    }
}
