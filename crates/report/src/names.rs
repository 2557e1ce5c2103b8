//! Names that people give to parts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::ReportError;
use crate::groups::Groups;

/// Largest file of names.
const MAX_BYTES: u64 = 1 << 20;

/// Names of groups, from a TOML file. A name belongs to the group that has the filter it stands beside:
///
/// ```toml
/// [names]
/// 17 = "beak"
/// 203 = "left wing"
/// ```
///
/// So a name stays where it is when the groups are put in another order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartNames {
    path: PathBuf,
    names: BTreeMap<usize, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    names: BTreeMap<String, String>,
}

impl PartNames {
    /// Reads a file of names.
    ///
    /// # Errors
    /// [`ReportError::Io`] if it cannot be read, [`ReportError::Names`] if it is no such file.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let io = |source| ReportError::Io { path: path.into(), doing: "reading the names of parts", source };
        let text = explainer_files::read(path, MAX_BYTES).map_err(io)?;
        let bad = |expected: &str, found: String| ReportError::Names {
            path: path.into(),
            expected: expected.to_string(),
            found,
        };
        let text = str::from_utf8(&text).map_err(|error| bad("text in UTF-8", error.to_string()))?;
        let file: File = toml::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| bad("a table [names] of filters and texts", error.to_string()))?;
        let mut names = BTreeMap::new();
        for (filter, name) in file.names {
            let number = filter.parse().map_err(|_| bad("the number of a filter", filter.clone()))?;
            if name.trim().is_empty() {
                return Err(bad("a name", format!("nothing beside filter {filter}")));
            }
            if let Some(other) = names.insert(number, name.trim().to_string()) {
                return Err(bad(
                    "one name for each filter",
                    format!("{other:?} and {name:?} beside {number}"),
                ));
            }
        }
        Ok(Self { path: path.into(), names })
    }

    /// Checks that each name stands beside a filter that an explainer of so many has, before it is fitted. Whether the
    /// filter is in a group shows when there are groups.
    ///
    /// # Errors
    /// [`ReportError::Names`] for the first that it does not have.
    pub fn check(&self, filters: usize) -> Result<(), ReportError> {
        match self.names.range(filters..).next() {
            None => Ok(()),
            Some((filter, name)) => Err(ReportError::Names {
                path: self.path.clone(),
                expected: format!("a filter below {filters}, as many as the explainer has"),
                found: format!("filter {filter}, {name:?}"),
            }),
        }
    }

    /// The names of the groups, in their order.
    ///
    /// # Errors
    /// [`ReportError::Names`] if a filter is of no group, or two names are of one.
    pub(crate) fn of(&self, groups: &Groups) -> Result<Vec<Option<String>>, ReportError> {
        let mut named = vec![None; groups.groups.len()];
        let bad = |expected, found| ReportError::Names { path: self.path.clone(), expected, found };
        for (&filter, name) in &self.names {
            let group = groups.group_of(filter).ok_or_else(|| {
                let typical: Vec<_> = groups.groups.iter().map(|group| group.filters[0]).collect();
                bad(format!("a filter of a group, as {typical:?}"), format!("filter {filter}, {name:?}"))
            })?;
            if let Some(other) = named[group].replace(name.clone()) {
                return Err(bad("one name for each group".into(), format!("{other:?} and {name:?}")));
            }
        }
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Group;

    fn read(text: &str) -> Result<PartNames, ReportError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        PartNames::read(file.path())
    }

    fn groups() -> Groups {
        let group = |filters: &[usize]| Group { filters: filters.to_vec(), width: 0.0, landmark: None };
        Groups { groups: vec![group(&[3, 1]), group(&[7, 8])], scattered: vec![2] }
    }

    #[test]
    fn a_name_belongs_to_the_group_of_its_filter() {
        let names = read("[names]\n8 = \"beak\"\n").unwrap().of(&groups()).unwrap();
        assert_eq!(names, [None, Some("beak".to_string())]);
        assert_eq!(PartNames::default().of(&groups()).unwrap(), [None, None]);
        let names = read("\u{feff}[names]\n8 = \"beak\"\n").unwrap();
        assert!(names.check(9).is_ok() && PartNames::default().check(0).is_ok());
        let error = names.check(8).unwrap_err().to_string();
        assert!(error.contains("a filter below 8") && error.contains("filter 8, \"beak\""), "{error}");
    }

    #[test]
    fn what_is_no_file_of_names_is_refused() {
        for (text, expected) in [
            ("", "[names]"),
            ("[names]\n8 = 1", "[names]"),
            ("[names]\nhead = \"beak\"", "head"),
            ("[names]\n8 = \" \"", "nothing beside filter 8"),
            ("[names]\n[other]", "[names]"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = PartNames::read(Path::new("/no/such/file.toml")).unwrap_err();
        assert!(error.to_string().contains("/no/such/file.toml"), "{error}");
        for (text, expected) in [("2 = \"a\"", "filter 2"), ("1 = \"a\"\n3 = \"b\"", "\"a\" and \"b\"")] {
            let error = read(&format!("[names]\n{text}")).unwrap().of(&groups()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
