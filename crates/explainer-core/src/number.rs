//! Numbers in JSON, which knows none that are not finite: those are written as `"NaN"`, `"inf"` and `"-inf"`.
//!
//! For `#[serde(with = "…")]`. Written as they come, such numbers would become `null` and could not be read back.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number on its way.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value => serializer.serialize_str(if value > 0.0 { "inf" } else { "-inf" }),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Number(value) => value,
            Written::Word(word) => match word.as_str() {
                "NaN" => f64::NAN,
                "inf" => f64::INFINITY,
                "-inf" => f64::NEG_INFINITY,
                _ => return Err(D::Error::custom(format!("expected a number, found {word:?}"))),
            },
        }))
    }
}

pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number(*value).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Number::deserialize(deserializer).map(|number| number.0)
}

/// Numbers that need not be there.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Number).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
    }
}

/// Lists of numbers.
pub(crate) mod list {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().copied().map(Number))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Number>::deserialize(deserializer)?.into_iter().map(|number| number.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Numbers {
        #[serde(with = "crate::number")]
        one: f64,
        #[serde(with = "crate::number::option")]
        maybe: Option<f64>,
        #[serde(with = "crate::number::list")]
        many: Vec<f64>,
    }

    #[test]
    fn every_number_comes_back_and_what_is_none_is_refused() {
        let many = vec![0.1, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1e300];
        for (one, maybe) in [(f64::NAN, Some(f64::INFINITY)), (0.1 + 0.2, None)] {
            let json = serde_json::to_string(&Numbers { one, maybe, many: many.clone() }).unwrap();
            let back: Numbers = serde_json::from_str(&json).unwrap();
            assert_eq!((back.one.to_bits(), back.maybe), (one.to_bits(), maybe), "{json}");
            assert_eq!(back.many, many);
        }
        let wrong = r#"{"one": "much", "maybe": null, "many": []}"#;
        let error = serde_json::from_str::<Numbers>(wrong).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("expected a number, found \"much\""), "{error}");
        let null = r#"{"one": null, "maybe": null, "many": []}"#;
        assert!(serde_json::from_str::<Numbers>(null).is_err());
    }
}
