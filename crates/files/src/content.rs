//! What a file is, by its first bytes.

/// Bytes at an offset, and what begins so.
type Signature = (usize, &'static [u8], &'static str);

/// Sources: the formats' specifications, and the magic numbers of `file(1)`.
const SIGNATURES: [Signature; 29] = [
    (0, b"version https://git-lfs.github.com/", "a Git LFS pointer (fetch the file itself: git lfs pull)"),
    (0, b"version https://hawser.github.com/", "a Git LFS pointer (fetch the file itself: git lfs pull)"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"GIF87a", "a GIF picture"),
    (0, b"GIF89a", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (0, b"qoif", "a QOI picture"),
    (0, b"8BPS", "a Photoshop picture"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIC picture"),
    (4, b"ftyp", "a video"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (257, b"ustar", "a TAR archive"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"MATLAB ", "a MAT file"),
    (0, b"\0\x05\x16\x07", "an AppleDouble file of macOS, not the file itself"),
];

/// What a file holds, judged by its first bytes (some 300 suffice); `None` where they are not known.
///
/// For messages: a file that is not what its name says is told as what it is.
pub fn content(start: &[u8]) -> Option<&'static str> {
    let begins = |&&(at, magic, _): &&Signature| start.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some(&(_, _, what)) = SIGNATURES.iter().find(begins) {
        return Some(what);
    }
    if start.is_empty() {
        return Some("an empty file");
    }
    // A header of JSON stands behind its length in eight bytes.
    if let Some((length, b"{")) =
        start.split_first_chunk::<8>().map(|(l, rest)| (l, &rest[..rest.len().min(1)]))
        && u64::from_le_bytes(*length) <= 100_000_000
    {
        return Some("a safetensors file");
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let begins =
        |word: &str| text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word.as_bytes());
    if begins("<!doctype html") || begins("<html") || begins("<head") {
        return Some("an HTML page (such as a server's answer in place of the file)");
    }
    if begins("<?xml") || begins("<svg") {
        return Some("an XML or SVG document");
    }
    if begins("{") || begins("[") {
        return Some("JSON or other text");
    }
    start.iter().all(|&byte| byte == 0).then_some("zeros only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        for (start, what) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid"[..], "a Git LFS pointer"),
            (b"\n <!DOCTYPE HTML><head>", "an HTML page"),
            (b"\xef\xbb\xbf<html>", "an HTML page"),
            (b"GIF89a\x01\0", "a GIF picture"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP picture"),
            (b"\0\0\0\x20ftypavif", "an AVIF picture"),
            (b"\x80\0\0\0\0\0\0\0{\"a\":", "a safetensors file"),
            (b"PK\x03\x04", "a ZIP archive"),
            (b"", "an empty file"),
            (b"\0\0\0\0", "zeros only"),
            (b"{\"a\": 1}", "JSON"),
        ] {
            assert!(
                content(start).is_some_and(|found| found.starts_with(what)),
                "{what}: {:?}",
                content(start)
            );
        }
        for unknown in [&b"\x80\x02}q"[..], b"image,left,top", b"\xff\xff\xff\xff\xff\xff\xff\xff{"] {
            assert_eq!(content(unknown), None, "{unknown:?}");
        }
    }
}
