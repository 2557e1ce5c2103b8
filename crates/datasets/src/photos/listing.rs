//! The pictures in a folder.

use std::fs::{DirEntry, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use image::ImageFormat;

use crate::{DatasetError, Report};

/// Endings of files that are taken for pictures without a look into them, in any case. A picture is decoded by
/// its contents, whatever its ending; a file of another ending is a picture if its first bytes are those of one.
/// TIFF files are not read: one is an error that says so.
const ENDINGS: [&str; 15] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "bmp", "dib", "gif", "pnm", "pbm", "pgm",
    "ppm",
];
/// Formats with a signature of three bytes or more. That of BMP and PNM is two letters, as text may begin with.
const SIGNED: [ImageFormat; 4] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif];
/// Deepest nesting of folders.
const MAX_DEPTH: usize = 16;
/// Bytes by which a file is known.
const START: u64 = 300;

/// The pictures of a folder, and what else is in it.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// As paths from the folder, sorted.
    pub pictures: Vec<PathBuf>,
    pub report: Report,
    besides: Option<PathBuf>,
}

/// All pictures in a folder and the folders in it. Links are followed. What is no picture and what starts with
/// a dot is noted in the report, and so are folders without a picture; but not the file `besides`, which has its
/// use.
pub(crate) fn pictures(root: &Path, besides: Option<&Path>) -> Result<Listing, DatasetError> {
    let besides = besides.and_then(|path| path.canonicalize().ok());
    let mut listing = Listing { besides, ..Listing::default() };
    walk(root, Path::new(""), &mut Vec::new(), &mut listing)?;
    listing.pictures.sort();
    Ok(listing)
}

/// `above`: the folders that this one is in, without links.
fn walk(
    root: &Path,
    below: &Path,
    above: &mut Vec<PathBuf>,
    listing: &mut Listing,
) -> Result<(), DatasetError> {
    let folder = root.join(below);
    let io = |e| DatasetError::io(&folder, e);
    if above.len() > MAX_DEPTH {
        let expected = format!("at most {MAX_DEPTH} folders within each other");
        return Err(DatasetError::format(root, below.display().to_string(), expected, "one more"));
    }
    let real = folder.canonicalize().map_err(io)?;
    if above.contains(&real) {
        let found = format!("a link to {}, which it is in", real.display());
        return Err(DatasetError::format(root, below.display().to_string(), "a folder", found));
    }
    above.push(real);
    let before = listing.pictures.len();
    // In the order of names, so that what is told first does not depend on the file system.
    let mut entries = std::fs::read_dir(&folder).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            listing.report.note("hidden files or folders", || id(&path));
            continue;
        }
        match std::fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_dir() => walk(root, &path, above, listing)?,
            found => add(root, path, found, listing)?,
        }
    }
    above.pop();
    if listing.pictures.len() == before && !below.as_os_str().is_empty() {
        listing.report.note("folders without a picture", || id(below));
    }
    Ok(())
}

/// Adds a picture, or counts what is none.
fn add(
    root: &Path,
    path: PathBuf,
    metadata: std::io::Result<Metadata>,
    listing: &mut Listing,
) -> Result<(), DatasetError> {
    let what = match metadata {
        // A link that leads nowhere, or a file that has just gone: if it is to be a picture, reading it says so.
        Err(_) if has_picture_ending(&path) => None,
        Err(_) => Some("links that lead nowhere"),
        Ok(metadata) if !metadata.is_file() => Some("devices, FIFOs or sockets"),
        Ok(_) if has_picture_ending(&path) => None,
        Ok(_) => unread(&root.join(&path)).map_err(|e| DatasetError::io(&root.join(&path), e))?,
    };
    match what {
        None => listing.pictures.push(path),
        Some(_) if listing.besides.is_some() && listing.besides == root.join(&path).canonicalize().ok() => {}
        Some(kind) => listing.report.note(kind, || id(&path)),
    }
    Ok(())
}

fn has_picture_ending(path: &Path) -> bool {
    path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
}

/// What a file is if it is no picture that is read, by its first bytes.
fn unread(path: &Path) -> std::io::Result<Option<&'static str>> {
    let mut start = Vec::new();
    File::open(path)?.take(START).read_to_end(&mut start)?;
    if image::guess_format(&start).is_ok_and(|format| SIGNED.contains(&format)) {
        return Ok(None);
    }
    let is_picture = explainer_files::content(&start).is_some_and(|what| what.ends_with(" picture"));
    Ok(Some(if is_picture { "pictures of a format that is not read" } else { "files that are no pictures" }))
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

    const WEBP: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 ";

    fn names(listing: &Listing) -> Vec<String> {
        listing.pictures.iter().map(|path| id(path)).collect()
    }

    #[test]
    fn pictures_are_found_by_their_endings_or_contents_and_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("b/deep")).unwrap();
        std::fs::create_dir_all(root.join("empty/too")).unwrap();
        for name in ["b/deep/1.PNG", "b/2.jpeg", "a.JPG", "c.webp", "d.TIF", "e.jfif", "f.bmp", "g.gif"] {
            std::fs::write(root.join(name), "").unwrap();
        }
        let others: [(&str, &[u8]); 6] = [
            ("note.txt", b"P1 and BM are words here"),
            ("b/.hidden.jpg", b""),
            ("jpg", b""),
            ("h.JPEG_original", b"\xff\xd8\xff\xe0"),
            ("i", WEBP),
            ("j.heic", b"\0\0\0\x20ftypheic"),
        ];
        for (name, contents) in others {
            std::fs::write(root.join(name), contents).unwrap();
        }
        let listing = pictures(root, None).unwrap();
        let expected = [
            "a.JPG",
            "b/2.jpeg",
            "b/deep/1.PNG",
            "c.webp",
            "d.TIF",
            "e.jfif",
            "f.bmp",
            "g.gif",
            "h.JPEG_original",
            "i",
        ];
        assert_eq!(names(&listing), expected);
        let notes: Vec<_> = listing.report.notes().collect();
        let expected = [
            ("files that are no pictures", 2),
            ("folders without a picture", 2),
            ("hidden files or folders", 1),
            ("pictures of a format that is not read", 1),
        ];
        assert_eq!(notes, expected);
        assert_eq!(id(Path::new("b/deep/1.PNG")), "b/deep/1.PNG");
        let missing = root.join("c");
        assert!(
            matches!(pictures(&missing, None), Err(DatasetError::Io { path, .. }) if path.starts_with(missing))
        );
        let deep = root.join("d/".repeat(MAX_DEPTH + 1));
        std::fs::create_dir_all(deep).unwrap();
        assert!(pictures(root, None).unwrap_err().to_string().contains("at most 16 folders"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_round_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (folder.path().join("set"), folder.path().join("elsewhere"));
        std::fs::create_dir_all(root.join("gull")).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("1.png"), "").unwrap();
        symlink(&elsewhere, root.join("tern")).unwrap();
        symlink("../../elsewhere/1.png", root.join("gull/2.png")).unwrap();
        symlink("nowhere.png", root.join("gull/3.png")).unwrap();
        symlink("nowhere.txt", root.join("gull/4.txt")).unwrap();
        symlink("/dev/zero", root.join("gull/5")).unwrap();
        let listing = pictures(&root, None).unwrap();
        assert_eq!(names(&listing), ["gull/2.png", "gull/3.png", "tern/1.png"]);
        let notes: Vec<_> = listing.report.notes().collect();
        assert_eq!(notes, [("devices, FIFOs or sockets", 1), ("links that lead nowhere", 1)]);
        symlink("..", root.join("gull/up")).unwrap();
        let error = pictures(&root, None).unwrap_err().to_string();
        assert!(error.contains("at gull/up: expected a folder, found a link to"), "{error}");
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
        let found = pictures(folder.path(), None).unwrap().pictures;
        assert_eq!(folder.path().join(&found[0]), path);
    }
}
