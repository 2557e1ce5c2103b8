//! The parsers of this crate on bytes that nobody vouches for. Each function either reads them or not, and
//! never panics; `fuzz/` and `tests/fuzz.rs` call them.

use std::path::Path;

use crate::animal_part::annotations;
use crate::cub::{self, tables::Tables};
use crate::faults::Sieve;
use crate::folder::Annotations;
use crate::lines::each_line_of;
use crate::mat::parse_bytes;
use crate::pascal_part::objects;
use crate::photos::names;
use crate::picture::decode;
use crate::{DatasetError, Faults, Landmark, Orientation};

/// A MAT file of either version, and in it the annotations of Animal-Part and Pascal-Part. Returns whether
/// it was read.
pub fn mat(bytes: &[u8]) -> bool {
    let Ok(file) = parse_bytes(bytes) else {
        return false;
    };
    let boxes = annotations::boxes(&file).map_or(0, |boxes| boxes.len());
    let _ = annotations::landmarks(&file, boxes);
    let landmarks = [Landmark::new("head", ["head"]), Landmark::new("ears", ["lear", "rear"])];
    let _ = objects::of(&file, &landmarks, &|_| true);
    true
}

/// CUB's text files, set apart by bytes of 0: the parts, then the others in the order in which they are
/// read. Returns the number of photos of which they say everything.
pub fn cub(bytes: &[u8]) -> usize {
    let mut sieve = Sieve::new(Faults::Skip);
    let read = |sieve: &mut Sieve| -> Result<usize, DatasetError> {
        let mut tables = Tables::new(["back", "left eye"].map(str::to_owned));
        let mut files = bytes.split(|&b| b == 0);
        each_line_of(Path::new("parts.txt"), files.next().unwrap_or_default(), |line| tables.part(line))?;
        for (&(name, read), file) in cub::FILES.iter().zip(files) {
            each_line_of(Path::new(name), file, |line| sieve.pass(read(&mut tables, line)).map(drop))?;
        }
        Ok(tables.complete(Path::new("cub"), sieve)?.len())
    };
    read(&mut sieve).unwrap_or(0)
}

/// A folder's annotations as comma-separated values. Returns whether they were read.
pub fn csv(bytes: &[u8]) -> bool {
    annotated(Path::new("annotations.csv"), bytes)
}

/// A folder's annotations in JSON. Returns whether they were read.
pub fn json(bytes: &[u8]) -> bool {
    annotated(Path::new("annotations.json"), bytes)
}

fn annotated(path: &Path, bytes: &[u8]) -> bool {
    let strict = Annotations::parse(path, bytes, &mut Sieve::new(Faults::Stop)).is_ok();
    let mut sieve = Sieve::new(Faults::Skip);
    let Ok(annotations) = Annotations::parse(path, bytes, &mut sieve) else {
        assert!(!strict, "read when told to stop, and not when told to skip");
        return false;
    };
    assert_eq!(strict, sieve.report.is_empty());
    for (image, _) in annotations.images() {
        assert_eq!(names::normalised(image).as_deref(), Some(image), "names are normalised once");
    }
    true
}

/// A picture. Returns whether it was decoded.
pub fn picture(bytes: &[u8]) -> bool {
    decode(bytes, Orientation::Upright).is_ok()
}
