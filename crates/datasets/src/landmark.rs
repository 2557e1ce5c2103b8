//! Which annotated parts make up a landmark.

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// A landmark and the parts of a set that it is made of, by their names there: one, or several that count as
/// one, as those of the left and the right do.
///
/// ```
/// use explainer_datasets::Landmark;
///
/// let head = Landmark::new("head", ["forehead"]);
/// let ears = Landmark::new("ears", ["lear", "rear"]);
/// # assert_eq!((head.parts.len(), ears.parts.len()), (1, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landmark {
    /// Its name in [`Dataset::landmark_names`](crate::Dataset::landmark_names).
    pub name: String,
    /// The parts' names in the set.
    pub parts: Vec<String>,
}

impl Landmark {
    /// A landmark of these parts.
    pub fn new<S: Into<String>>(name: impl Into<String>, parts: impl IntoIterator<Item = S>) -> Self {
        Self { name: name.into(), parts: parts.into_iter().map(Into::into).collect() }
    }
}

/// Checks that each name and each part stands once.
pub(crate) fn check(landmarks: &[Landmark]) -> Result<(), DatasetError> {
    let mut seen = std::collections::HashSet::new();
    for landmark in landmarks {
        let names = std::iter::once((true, &landmark.name)).chain(landmark.parts.iter().map(|p| (false, p)));
        if landmark.parts.is_empty() || names.into_iter().any(|name| !seen.insert(name)) {
            let expected = "landmarks of other names, each of parts of its own";
            return Err(DatasetError::config("landmarks", expected, format!("{landmarks:?}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_parts_stand_once() {
        let head = Landmark::new("head", ["forehead"]);
        assert!(check(&[]).is_ok());
        assert!(check(&[head.clone(), Landmark::new("forehead", ["head"])]).is_ok());
        for wrong in [
            Landmark::new("head", ["crown"]),
            Landmark::new("brow", ["forehead"]),
            Landmark::new("legs", ["leg", "leg"]),
            Landmark::new("nothing", [""; 0]),
        ] {
            let error = check(&[head.clone(), wrong]).unwrap_err().to_string();
            assert!(error.starts_with("landmarks: expected"), "{error}");
        }
    }
}
