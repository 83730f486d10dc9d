//! Objects that have one of several forms: the content of a message depends on its kind, and a group is named by
//! its id or by its name. One Rust type has all fields. Its forms say which of them belong together.

use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AnyOfBuilder, Discriminator, Object, ObjectBuilder, OneOfBuilder, Schema, Type},
    },
};

/// A type whose values have one of several forms.
pub trait Forms: ToSchema {
    const NAME: &'static str;
    /// The field whose value tells the form, with a constant in every form. Such forms have names.
    const TOLD_BY: Option<&'static str> = None;

    fn forms() -> Vec<Form>;
}

/// One form: which fields of the type it has.
pub struct Form {
    /// Its name in the contract. A form without a name stands where the type stands.
    name: Option<&'static str>,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    fixed: Vec<(&'static str, Object)>,
}

impl Form {
    pub fn new(required: &'static [&'static str], optional: &'static [&'static str]) -> Self {
        Self { name: None, required, optional, fixed: Vec::new() }
    }

    pub fn named(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// A field that has another schema in this form than in the type.
    pub fn with(mut self, field: &'static str, schema: ObjectBuilder) -> Self {
        self.fixed.push((field, schema.build()));
        self
    }

    /// The fields that are in no schema of the type.
    #[cfg(test)]
    pub fn unknown<T: Forms>(&self) -> Vec<&'static str> {
        let object = fields::<T>();
        let named = self.required.iter().chain(self.optional).copied();
        named.filter(|field| !object.properties.contains_key(*field)).collect()
    }

    fn schema<T: Forms>(&self) -> Schema {
        let all = fields::<T>();
        let mut object = ObjectBuilder::new().schema_type(Type::Object).description(all.description);
        for field in self.required.iter().chain(self.optional) {
            let other = self.fixed.iter().find(|(name, _)| name == field);
            let Some(schema) = all.properties.get(*field) else { continue };
            object = object.property(
                *field,
                match other {
                    Some((_, other)) => described(other.clone(), schema),
                    None => schema.clone(),
                },
            );
        }
        for field in self.required {
            object = object.required(*field);
        }
        object.into()
    }
}

/// What the type says about a field holds for every form.
fn described(mut object: Object, of: &RefOr<Schema>) -> RefOr<Schema> {
    if let RefOr::T(Schema::Object(field)) = of {
        object.description = object.description.or_else(|| field.description.clone());
    }
    Schema::Object(object).into()
}

/// The schema with all fields. Only structs have forms.
fn fields<T: Forms>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        _ => Object::new(),
    }
}

/// A text with one value.
pub fn constant(value: &'static str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([value]))
}

/// `true`, or `false`, and never the other.
pub fn exactly(value: bool) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([value]))
}

/// Any text.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A value in one of the forms of its type. The name stands for all forms in the contract.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct AnyForm<T>(pub T);

impl<T: Forms> PartialSchema for AnyForm<T> {
    fn schema() -> RefOr<Schema> {
        let forms = T::forms();
        let description = fields::<T>().description;
        let item = |form: &Form| match form.name {
            Some(name) => RefOr::Ref(Ref::from_schema_name(name)),
            None => form.schema::<T>().into(),
        };
        let Some(told_by) = T::TOLD_BY else {
            let any = forms.iter().fold(AnyOfBuilder::new(), |any, form| any.item(item(form)));
            return any.description(description).into();
        };
        let values = forms.iter().filter_map(|form| {
            let (_, constant) = form.fixed.iter().find(|(field, _)| *field == told_by)?;
            let value = constant.enum_values.as_ref()?.first()?.as_str()?.to_owned();
            Some((value, Ref::from_schema_name(form.name?).ref_location))
        });
        let discriminator = Discriminator::with_mapping(told_by, values);
        let one = forms.iter().fold(OneOfBuilder::new(), |one, form| one.item(item(form)));
        one.description(description).discriminator(Some(discriminator)).into()
    }
}

impl<T: Forms> ToSchema for AnyForm<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        T::NAME.into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let named = T::forms()
            .into_iter()
            .filter_map(|form| Some((form.name?.to_owned(), form.schema::<T>().into())));
        schemas.extend(named);
        T::schemas(schemas);
    }
}
