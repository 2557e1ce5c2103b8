//! The pictures in a folder.

use std::path::{Path, PathBuf};

use crate::DatasetError;

/// Endings of the pictures that are read, in any case.
const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];
/// Deepest nesting of folders.
const MAX_DEPTH: usize = 16;

/// All pictures in a folder and the folders in it, as paths from there, sorted. What is no picture by its
/// ending, and what starts with a dot, is passed over; folders that are links are not followed.
pub(crate) fn pictures(root: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = Vec::new();
    walk(root, Path::new(""), MAX_DEPTH, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(root: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    let folder = root.join(below);
    let io = |e| DatasetError::io(&folder, e);
    for entry in std::fs::read_dir(&folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(io)?);
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = below.join(name);
        if kind.is_dir() && depth > 0 {
            walk(root, &path, depth - 1, found)?;
        } else if kind.is_dir() {
            let expected = format!("at most {MAX_DEPTH} folders within each other");
            return Err(DatasetError::format(root, path.display().to_string(), expected, "one more"));
        } else if is_picture(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether the ending is one of a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
}

/// The name of a picture, with `/` between folders; bytes that are no UTF-8 are spelled out, so that
/// different files have different names.
pub(crate) fn id(path: &Path) -> String {
    let part = |part: &std::ffi::OsStr| match part.to_str() {
        Some(part) => part.to_owned(),
        None => format!("{part:?}"),
    };
    path.iter().map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_by_their_endings_and_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("b/deep")).unwrap();
        for name in ["b/deep/1.PNG", "b/2.jpeg", "a.JPG", "note.txt", "b/.hidden.jpg", "jpg"] {
            std::fs::write(root.join(name), "").unwrap();
        }
        assert_eq!(pictures(root).unwrap(), ["a.JPG", "b/2.jpeg", "b/deep/1.PNG"].map(PathBuf::from));
        assert_eq!(id(Path::new("b/deep/1.PNG")), "b/deep/1.PNG");
        let missing = root.join("c");
        assert!(
            matches!(pictures(&missing), Err(DatasetError::Io { path, .. }) if path.starts_with(missing))
        );
        let deep = root.join("d/".repeat(MAX_DEPTH + 1));
        std::fs::create_dir_all(deep).unwrap();
        assert!(pictures(root).unwrap_err().to_string().contains("at most 16 folders"));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_told_apart() {
        use std::os::unix::ffi::OsStrExt;
        let name = |bytes: &[u8]| id(Path::new(std::ffi::OsStr::from_bytes(bytes)));
        assert_ne!(name(b"a/\xff.jpg"), name(b"a/\xfe.jpg"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.png"));
        std::fs::write(&path, "").unwrap();
        let found = pictures(folder.path()).unwrap();
        assert_eq!(folder.path().join(&found[0]), path);
    }
}
