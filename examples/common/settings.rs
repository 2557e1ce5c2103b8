//! Settings of a fit and of an explainer by their names, for ablations.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failure;

/// One of them, as `parts.parts=8`, `fit.gradient=Exact` or `explainer.masks=["None"]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Setting {
    /// The names from the root on.
    path: Vec<String>,
    value: Value,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
        let path: Vec<String> = path.split('.').map(str::to_string).collect();
        if path.len() < 2 || !["parts", "fit", "explainer"].contains(&path[0].as_str()) {
            return Err(format!(
                "expected a name that starts with `parts.`, `fit.` or `explainer.`, found {text}"
            ));
        }
        // What is not JSON is a word, so that it needs no quotation marks within those of a shell.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_string()));
        Ok(Self { path, value })
    }
}

impl TryFrom<String> for Setting {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path.join("."))
    }
}

impl Setting {
    /// Whether it is one of a form that is trained.
    pub fn is_of_trained(&self) -> bool {
        self.path[0] != "parts"
    }

    fn put(&self, root: &mut Value) -> Result<(), Failure> {
        let mut slot = root;
        for name in &self.path[1..] {
            let names = slot.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>().join(", "));
            slot = slot.get_mut(name).ok_or_else(|| {
                let among = names.unwrap_or_else(|| "none".to_string());
                format!("--set {self}: expected one of the settings {among}; found {name}")
            })?;
        }
        *slot = self.value.clone();
        Ok(())
    }
}

/// `config` with the settings whose names start with `root`.
pub fn changed<T>(config: T, root: &str, settings: &[Setting]) -> Result<T, Failure>
where
    T: Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(&config)?;
    for setting in settings.iter().filter(|setting| setting.path[0] == root) {
        setting.put(&mut value)?;
        // Setting by setting, so that the error is told of the right one.
        let read = serde_json::from_value::<T>(value.clone())
            .map_err(|error| format!("--set {setting}: {error}"))?;
        if let Some(name) = dropped(&value, &serde_json::to_value(&read)?) {
            return Err(format!("--set {setting}: there is no setting {name}").into());
        }
    }
    Ok(serde_json::from_value(value)?)
}

/// The first name in `given` that is not in what was read of it.
fn dropped(given: &Value, read: &Value) -> Option<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, value)| {
            let inner = read.get(name).map(|read| dropped(value, read));
            // What is left out when it is written is nothing that was given.
            inner.unwrap_or_else(|| (!value.is_null()).then(|| name.clone()))
        }),
        (Value::Array(given), Value::Array(read)) => {
            given.iter().zip(read).find_map(|(given, read)| dropped(given, read))
        }
        _ => None,
    }
}
