//! Which folders are categories, and what is in them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::annotations::Annotations;
use super::config::ImageFolderConfig;
use crate::DatasetError;
use crate::faults::Sieve;
use crate::photos::entry::check_file;
use crate::photos::listing;

/// The pictures of each category, by its folder's name.
pub(super) fn listed(
    root: &Path,
    pictures: impl IntoIterator<Item = PathBuf>,
    sieve: &mut Sieve,
) -> Result<BTreeMap<String, Vec<PathBuf>>, DatasetError> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for picture in pictures {
        let mut parts = picture.components();
        let category =
            parts.next().and_then(|part| part.as_os_str().to_str()).filter(|_| parts.next().is_some());
        let category = category.ok_or_else(|| {
            let expected = "pictures in folders with names in UTF-8, one for each category";
            DatasetError::format(root, listing::id(&picture), expected, "a picture outside of one")
        });
        let Some(category) = sieve.pass(category)? else {
            continue;
        };
        match found.get_mut(category) {
            Some(pictures) => pictures.push(picture),
            None => {
                found.insert(category.to_owned(), vec![picture]);
            }
        }
    }
    if found.is_empty() {
        let what = "pictures in a category's folder".to_owned();
        return Err(DatasetError::Count { path: root.to_owned(), what, expected: 1, found: 0 });
    }
    Ok(found)
}

/// Checks that the pictures that annotations name exist.
pub(super) fn check_named(
    root: &Path,
    listed: &BTreeMap<String, Vec<PathBuf>>,
    annotations: &Annotations,
    sieve: &mut Sieve,
) -> Result<(), DatasetError> {
    let listed: HashSet<String> = listed.values().flatten().map(|picture| listing::id(picture)).collect();
    let mut missing: Vec<&str> = annotations.images().filter(|&image| !listed.contains(image)).collect();
    missing.sort_unstable();
    for image in missing {
        sieve.pass(check_file(&root.join(image)))?;
    }
    Ok(())
}

/// The categories, and those whose pictures are wanted as negatives.
pub(super) fn chosen(
    root: &Path,
    config: &ImageFolderConfig,
    of_category: &BTreeMap<String, Vec<PathBuf>>,
) -> Result<(Vec<String>, Vec<String>), DatasetError> {
    let others = config.photos.negatives.categories();
    let named: BTreeSet<&String> = config.categories.iter().chain(others.unwrap_or_default()).collect();
    if let Some(missing) = named.into_iter().find(|&name| !of_category.contains_key(name)) {
        let found = format!("{:?}", of_category.keys().take(30).collect::<Vec<_>>());
        return Err(DatasetError::value(root, "categories", format!("a folder {missing:?}"), found));
    }
    let names = || of_category.keys().cloned();
    let without = |taken: &[String]| names().filter(|name| !taken.contains(name)).collect::<Vec<_>>();
    let categories = match &config.categories[..] {
        [] => without(others.unwrap_or_default()),
        chosen => chosen.to_vec(),
    };
    let repeated = categories.iter().enumerate().any(|(i, name)| categories[..i].contains(name));
    let others = match others {
        None => vec![],
        Some([]) => without(&categories),
        Some(names) => names.to_vec(),
    };
    if repeated || categories.is_empty() || others.iter().any(|name| categories.contains(name)) {
        let expected = "one category or more, each once and not among the negatives";
        return Err(DatasetError::config(
            "categories",
            expected,
            format!("{categories:?}, negatives {others:?}"),
        ));
    }
    Ok((categories, others))
}
