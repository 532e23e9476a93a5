//! Entries of a seed's lists: a text, or a map with more fields.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

/// A position in a seed's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedPlace {
    /// The line, from 1.
    pub line: u64,
    /// The column in characters, from 1.
    pub column: u64,
}

impl From<serde_saphyr::Location> for SeedPlace {
    fn from(location: serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// An entry with its position in the text.
#[derive(Clone, Debug)]
pub struct SeedEntry<T> {
    pub value: T,
    /// `None` for an entry that was not parsed.
    pub place: Option<SeedPlace>,
}

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for SeedEntry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: TextOrMap(value), referenced, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { value, place: Some(referenced.into()) })
    }
}

impl<T: JsonSchema> JsonSchema for SeedEntry<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Entry_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<T>()] })
    }
}

struct TextOrMap<T>(T);

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for TextOrMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrMapVisitor(PhantomData))
    }
}

struct TextOrMapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + From<String>> Visitor<'de> for TextOrMapVisitor<T> {
    type Value = TextOrMap<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an email address, an id (in quotes if it looks like a number), or a map")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOrMap(T::from(text.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOrMap)
    }
}
