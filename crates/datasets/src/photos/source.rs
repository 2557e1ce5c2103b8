//! Which samples show the same photograph.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::SplitRule;
use super::entry::{Copies, Entry};
use crate::DatasetError;

/// Gives the entries the numbers of their photographs: told by the bytes of their files where a set stores
/// photographs several times, or is split by photograph, else by their paths.
pub(super) fn number_photos(
    copies: Copies,
    rule: Option<SplitRule>,
    entries: &mut [Entry],
) -> Result<(), DatasetError> {
    let paths: Vec<Option<&Path>> = entries.iter().map(|e| e.path()).collect();
    let photos = match (copies, rule) {
        (Copies::Stored, _) | (_, Some(SplitRule::ByPhoto)) => identical_files(&paths)?,
        (Copies::None, _) => identical_paths(&paths),
    };
    entries.iter_mut().zip(photos).for_each(|(entry, photo)| entry.source = photo);
    Ok(())
}

/// Numbers files such that those of the same path have the same number; what is no file (`None`) has its own.
fn identical_paths(paths: &[Option<&Path>]) -> Vec<usize> {
    let mut of_path: HashMap<&Path, usize> = HashMap::new();
    let number = |(i, path): (usize, &Option<_>)| path.map_or(i, |path| *of_path.entry(path).or_insert(i));
    paths.iter().enumerate().map(number).collect()
}

/// Numbers files such that those with identical bytes have the same number; what is no file (`None`) has
/// its own.
fn identical_files(paths: &[Option<&Path>]) -> Result<Vec<usize>, DatasetError> {
    let mut numbers: Vec<usize> = (0..paths.len()).collect();
    let mut of_path: HashMap<&Path, usize> = HashMap::new();
    let mut of_size: BTreeMap<u64, Vec<(usize, &Path)>> = BTreeMap::new();
    for (i, path) in paths.iter().enumerate().filter_map(|(i, &path)| Some((i, path?))) {
        numbers[i] = *of_path.entry(path).or_insert(i);
        if numbers[i] == i {
            let size = std::fs::metadata(path).map_err(|e| DatasetError::io(path, e))?.len();
            of_size.entry(size).or_default().push((i, path));
        }
    }
    // Each file starts out as its own; only those of the same size have to be looked into.
    for members in of_size.into_values().filter(|members| members.len() > 1) {
        let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
        for (i, path) in members {
            let bytes = std::fs::read(path).map_err(|e| DatasetError::io(path, e))?;
            numbers[i] = *seen.entry(bytes).or_insert(i);
        }
    }
    // A path that occurs again goes by its first entry, whose own number may have changed by now.
    for i in 0..numbers.len() {
        numbers[i] = numbers[numbers[i]];
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = ["one", "two", "one", "three", "two"]
            .iter()
            .enumerate()
            .map(|(i, text)| {
                let path = folder.path().join(i.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let mut paths: Vec<Option<&Path>> = paths.iter().map(|p| Some(p.as_path())).collect();
        assert_eq!(identical_files(&paths).unwrap(), [0, 1, 0, 3, 1]);
        paths.extend([None, paths[4], paths[3], None]);
        assert_eq!(identical_files(&paths).unwrap(), [0, 1, 0, 3, 1, 5, 1, 3, 8]);
        // By their paths, only the two that occur twice.
        assert_eq!(identical_paths(&paths), [0, 1, 2, 3, 4, 5, 4, 3, 8]);
        let missing = folder.path().join("5");
        assert!(
            matches!(identical_files(&[Some(&missing)]), Err(DatasetError::Io { path, .. }) if path == missing)
        );
    }
}
