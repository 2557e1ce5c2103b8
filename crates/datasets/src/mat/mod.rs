//! MATLAB's MAT files, versions 5 and 7.3, read whole into a tree of values.
//!
//! Two formats share one ending. Version 5 is a list of tagged elements, usually each compressed by
//! zlib; version 7.3 is HDF5 behind a block of 512 bytes. Both become the same
//! [`MatValue`]s, so that what reads annotations need not know which one it has before it.
//!
//! A file is not trusted: sizes that it states are checked against the bytes that are there before
//! anything is allocated, nesting ends at [`MAX_DEPTH`], dimensions at [`MAX_DIMENSIONS`], and the
//! values together, names and text included, may take up [`MAX_BYTES`] at most. What does not fit is a
//! [`DatasetError`], never a panic.

mod field;
mod hdf5;
mod tags;
mod v5;
mod v73;
mod value;

use std::path::{Path, PathBuf};

pub use field::MatField;
pub use value::{MatStruct, MatValue};

use crate::DatasetError;

/// Largest file that is read: 1 GiB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The most that a file's values may take up in memory, inflated bytes included: 512 MiB.
pub const MAX_BYTES: usize = 512 << 20;

/// Deepest nesting of structs and cells.
pub const MAX_DEPTH: usize = 32;

/// Most dimensions of an array: those of HDF5 (its `H5S_MAX_RANK`).
pub const MAX_DIMENSIONS: usize = 32;

/// Length of the text and version block that starts a file of either version.
const HEADER: usize = 128;
/// Where HDF5 starts in version 7.3, and how.
const USER_BLOCK: usize = 512;
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// A MAT file's variables.
#[derive(Clone, Debug)]
pub struct MatFile {
    path: PathBuf,
    variables: Vec<(String, MatValue)>,
}

impl MatFile {
    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The variables and their names, in the order of the file.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &MatValue)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The variable of this name, ready to be looked into.
    ///
    /// # Errors
    ///
    /// If the file has no such variable.
    pub fn variable(&self, name: &str) -> Result<MatField<'_>, DatasetError> {
        match self.variables.iter().find(|(n, _)| n == name) {
            Some((_, value)) => Ok(MatField::new(&self.path, name.to_owned(), value)),
            None => {
                let names: Vec<_> = self.variables.iter().map(|(n, _)| n.as_str()).collect();
                Err(DatasetError::Value {
                    path: self.path.clone(),
                    field: name.to_owned(),
                    expected: "a variable of this name".into(),
                    found: format!("{names:?}"),
                })
            }
        }
    }
}

/// Reads all variables of a MAT file of version 5 or 7.3.
///
/// # Errors
///
/// If the file cannot be read, is of another format, is damaged, or exceeds [`MAX_FILE_BYTES`],
/// [`MAX_BYTES`] or [`MAX_DEPTH`].
///
/// # Example
///
/// ```no_run
/// let file = explainer_datasets::read_mat("truth_part01.mat")?;
/// let truth = file.variable("truth")?;
/// for i in 0..truth.len() {
///     let centre = truth.element(i, "pHW_center")?;
///     if !centre.is_empty() {
///         println!("{i}: {:?}", centre.numbers()?.1);
///     }
/// }
/// # Ok::<(), explainer_datasets::DatasetError>(())
/// ```
pub fn read_mat(path: impl AsRef<Path>) -> Result<MatFile, DatasetError> {
    read_mat_within(path, MAX_BYTES)
}

/// [`read_mat`] with another limit than [`MAX_BYTES`], for files that are known to be large.
///
/// # Errors
///
/// Those of [`read_mat`].
pub fn read_mat_within(path: impl AsRef<Path>, bytes: usize) -> Result<MatFile, DatasetError> {
    let path = path.as_ref();
    let file =
        explainer_files::read(path, MAX_FILE_BYTES).map_err(|source| DatasetError::io(path, source))?;
    parse(path, file, bytes)
}

/// Reads a file's bytes; the path is for messages only.
fn parse(path: &Path, bytes: Vec<u8>, limit: usize) -> Result<MatFile, DatasetError> {
    let mut budget = Budget::new(path, limit);
    let variables = if bytes.get(USER_BLOCK..USER_BLOCK + 8) == Some(HDF5_SIGNATURE) {
        v73::read(path, bytes, &mut budget)?
    } else {
        v5::read(path, &bytes, &mut budget)?
    };
    Ok(MatFile { path: path.to_owned(), variables })
}

/// Reads bytes that came from nowhere in particular.
pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<MatFile, DatasetError> {
    parse(Path::new("bytes.mat"), bytes.to_vec(), MAX_BYTES)
}

/// What may still be allocated for one file.
struct Budget<'a> {
    path: &'a Path,
    left: usize,
}

impl<'a> Budget<'a> {
    fn new(path: &'a Path, left: usize) -> Self {
        Self { path, left }
    }

    /// Takes `count` items of `size` bytes off, before they are allocated.
    fn charge(&mut self, at: &str, count: usize, size: usize) -> Result<(), DatasetError> {
        match count.checked_mul(size).and_then(|bytes| self.left.checked_sub(bytes)) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(DatasetError::format(
                self.path,
                at,
                format!("at most {} bytes more of values", self.left),
                format!("{count} items of {size} bytes"),
            )),
        }
    }
}

/// The number of elements of an array, if it can be counted.
fn element_count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the bytes, which may succeed or fail, but not panic; returns whether they were read.
    fn is_read(bytes: Vec<u8>) -> bool {
        match parse(Path::new("damaged.mat"), bytes, MAX_BYTES) {
            Ok(_) => true,
            Err(error) => {
                assert!(error.to_string().starts_with("damaged.mat: "), "{error}");
                false
            }
        }
    }

    #[test]
    fn damaged_files_never_panic() {
        for name in ["values_v5.mat", "values_v5_plain.mat", "values_v73.mat"] {
            let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
            let sound = std::fs::read(path).unwrap();
            for length in (0..sound.len()).step_by(97) {
                is_read(sound[..length].to_vec());
            }
            // In version 7.3 nobody looks at the block in front.
            let start = if name == "values_v73.mat" { USER_BLOCK } else { HEADER - 4 };
            let mut read = 0;
            for at in start..sound.len() {
                let mut damaged = sound.clone();
                damaged[at] = [0xff, sound[at] ^ 0x80, sound[at].wrapping_add(1)][at % 3];
                read += usize::from(is_read(damaged));
            }
            println!("{name}: of {} damaged bytes, {read} went unnoticed", sound.len() - start);
        }
    }

    #[test]
    fn the_budget_is_for_all_values_together() {
        let mut budget = Budget::new(Path::new("a.mat"), 100);
        budget.charge("x", 10, 8).unwrap();
        let error = budget.charge("y(2)", 3, 8).unwrap_err().to_string();
        assert_eq!(
            error,
            "a.mat: at y(2): expected at most 20 bytes more of values, found 3 items of 8 bytes"
        );
        assert!(budget.charge("z", usize::MAX, 2).is_err());
        budget.charge("z", 20, 1).unwrap();
    }
}
