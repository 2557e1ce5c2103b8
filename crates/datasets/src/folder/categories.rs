//! Which folders are categories, and what is in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::annotations::Annotations;
use super::config::ImageFolderConfig;
use crate::DatasetError;
use crate::faults::Sieve;
use crate::photos::entry::check_file;
use crate::photos::{listing, names};

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

/// What the rows of a file of annotations that match no picture are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// An error: all pictures are listed.
    Wrong,
    /// A note, where the picture exists: the list may be a part of what there is.
    Unlisted,
}

/// Checks that each row is about one picture, and notes pictures without a row and rows that are not asked for.
pub(super) fn check_named(
    [root, file]: [&Path; 2],
    listed: &BTreeMap<String, Vec<PathBuf>>,
    chosen: &BTreeSet<&str>,
    annotations: &Annotations,
    unmatched: Unmatched,
    sieve: &mut Sieve,
) -> Result<(), DatasetError> {
    let mut pictures: HashMap<String, Vec<(bool, &Path)>> = HashMap::new();
    for (category, files) in listed {
        let chosen = chosen.contains(category.as_str());
        for picture in files {
            pictures.entry(names::key(picture)).or_default().push((chosen, picture));
        }
    }
    let mut rows: Vec<(&str, usize)> = annotations.images().collect();
    rows.sort_unstable_by_key(|&(_, line)| line);
    for (image, line) in rows {
        let wrong = |expected: &str, found: String| {
            DatasetError::value(file, format!("line {line}, {image}"), expected, found)
        };
        match pictures.get(image).map(Vec::as_slice) {
            Some([(true, _)]) => {}
            Some([(false, _)]) => {
                let kind = "rows about pictures of categories that are not asked for";
                sieve.report.note(kind, || format!("line {line}, {image}"));
            }
            Some(several) => {
                let names: Vec<_> = several.iter().map(|(_, path)| listing::id(path)).collect();
                sieve.pass::<()>(Err(wrong("one picture of this name", format!("{names:?}"))))?;
            }
            None if unmatched == Unmatched::Unlisted && check_file(&root.join(image)).is_ok() => {
                sieve
                    .report
                    .note("rows about pictures that are not listed", || format!("line {line}, {image}"));
            }
            None => {
                let found = match check_file(&root.join(image)) {
                    Err(DatasetError::Io { source, .. }) => source.to_string(),
                    _ => "a file that is no picture, or hidden".to_owned(),
                };
                let expected = format!("a picture below {}", root.display());
                sieve.pass::<()>(Err(wrong(&expected, found)))?;
            }
        }
    }
    let silent = |name: &&String| annotations.of(name).is_empty() && !annotations.is_damaged(name);
    let mut without: Vec<&String> = pictures.keys().filter(silent).collect();
    without.sort_unstable();
    for name in without {
        if pictures[name].iter().any(|&(chosen, _)| chosen) {
            sieve.report.note("pictures without a row, taken whole and without landmarks", || name.clone());
        }
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
