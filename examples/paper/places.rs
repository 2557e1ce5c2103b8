//! Files and folders that a plan names without knowing where they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of the folder of what ships with the examples.
const SHIPPED: &str = "examples";
const SHIPPED_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data");

/// `name`, a folder that `--data` gives; or `name:path`, something in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Place(String);

impl Place {
    /// The place with `{key}` replaced by its value.
    pub fn with(&self, values: &[(&str, &str)]) -> Self {
        let replaced = |text: String, (key, value): &(&str, &str)| text.replace(&format!("{{{key}}}"), value);
        Self(values.iter().fold(self.0.clone(), replaced))
    }
}

/// `--data NAME=DIR`.
#[derive(Clone, Debug)]
pub struct Given {
    pub name: String,
    pub folder: PathBuf,
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, folder) = text.split_once('=').ok_or("expected NAME=DIR")?;
        Ok(Self { name: name.to_string(), folder: folder.into() })
    }
}

/// What a plan needs and is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// No flag says where it is.
    #[error("{needs}: {place} is needed, but where {name} is nobody says; --data {name}=DIR does")]
    Given {
        /// Who needs it.
        needs: String,
        /// As the plan names it.
        place: String,
        /// The name to be given.
        name: String,
    },
    /// There is nothing.
    #[error("{needs}: {place} is needed, but there is no {}", path.display())]
    Path {
        /// Who needs it.
        needs: String,
        /// As the plan names it.
        place: String,
        /// Where it should be.
        path: PathBuf,
    },
}

/// Where things are.
#[derive(Debug)]
pub struct Places(BTreeMap<String, PathBuf>);

impl Places {
    pub fn new(given: &[Given]) -> Self {
        let shipped = (SHIPPED.to_string(), PathBuf::from(SHIPPED_FOLDER));
        Self(given.iter().map(|given| (given.name.clone(), given.folder.clone())).chain([shipped]).collect())
    }

    /// Where `place` is, which must exist; `needs` says who needs it.
    pub fn find(&self, place: &Place, needs: &str) -> Result<PathBuf, Missing> {
        let (name, below) = place.0.split_once(':').unwrap_or((&place.0, ""));
        let (needs, place) = (needs.to_string(), place.0.clone());
        let Some(folder) = self.0.get(name) else {
            return Err(Missing::Given { needs, place, name: name.to_string() });
        };
        let path = if below.is_empty() { folder.clone() } else { folder.join(below) };
        if path.exists() { Ok(path) } else { Err(Missing::Path { needs, place, path }) }
    }
}
