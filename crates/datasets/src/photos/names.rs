//! Names of pictures in files of annotations, and which of them mean the same.

use std::path::Path;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::listing;

/// A name in the one form in which names are compared: `/` between folders, neither `.` nor empty parts, letters
/// composed (Unicode's NFC; macOS stores them decomposed). `None` if it names nothing below the folder it is
/// meant to be in.
pub(crate) fn normalised(name: &str) -> Option<String> {
    // What starts so is a path from the root, here or on Windows.
    let absolute =
        name.starts_with(['/', '\\']) || name.get(1..3).is_some_and(|drive| matches!(drive, ":/" | ":\\"));
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !matches!(*part, "" | ".")).collect();
    if absolute || parts.is_empty() || parts.contains(&"..") {
        return None;
    }
    let name = parts.join("/");
    Some(if is_nfc(&name) { name } else { name.nfc().collect() })
}

/// The name by which a picture on disk is looked up: normalised, or its [id](listing::id) where that is no name.
pub(crate) fn key(picture: &Path) -> String {
    let id = listing::id(picture);
    normalised(&id).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_spellings_are_one_name() {
        for name in
            ["gull/é/1.jpg", "gull//é/1.jpg", "./gull/./é/1.jpg", "gull\\é\\1.jpg", "gull/e\u{301}/1.jpg"]
        {
            assert_eq!(normalised(name).as_deref(), Some("gull/é/1.jpg"), "{name}");
        }
        assert_eq!(normalised("c:d.jpg").as_deref(), Some("c:d.jpg"), "a colon is a letter like others");
    }

    #[test]
    fn what_leaves_the_folder_is_no_name() {
        for name in ["", ".", "/", "..", "a/../b", "..\\b", "/a/b", "\\a", "c:\\a", "C:/a"] {
            assert_eq!(normalised(name), None, "{name:?}");
        }
    }
}
