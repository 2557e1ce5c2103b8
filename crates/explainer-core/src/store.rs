//! Rows of `f32` kept in memory or, when they would not fit, in a memory-mapped file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::CoreError;

/// Fixed-width rows, written once and then read in any order.
pub(crate) struct RowStore {
    width: usize,
    storage: Storage,
}

enum Storage {
    Memory(Vec<f32>),
    Mapped(Mmap),
}

/// A [`RowStore`] that is still being filled.
pub(crate) struct RowWriter {
    width: usize,
    limit_bytes: usize,
    directory: PathBuf,
    memory: Vec<f32>,
    file: Option<BufWriter<File>>,
}

impl RowWriter {
    /// Rows of `width` values; up to `limit_bytes` stay in memory, more go to an unnamed file in
    /// `directory`.
    pub(crate) fn new(width: usize, limit_bytes: usize, directory: &Path) -> Self {
        Self { width, limit_bytes, directory: directory.to_path_buf(), memory: Vec::new(), file: None }
    }

    /// Appends whole rows.
    pub(crate) fn push(&mut self, values: &[f32]) -> Result<(), CoreError> {
        assert_eq!(values.len() % self.width, 0, "{} values are not rows of {}", values.len(), self.width);
        if self.file.is_none() && size_of_val(&self.memory[..]) + size_of_val(values) > self.limit_bytes {
            self.spill()?;
        }
        match &mut self.file {
            Some(file) => file
                .write_all(bytemuck::cast_slice(values))
                .map_err(CoreError::io(&self.directory, "writing the feature cache")),
            None => {
                self.memory.extend_from_slice(values);
                Ok(())
            }
        }
    }

    fn spill(&mut self) -> Result<(), CoreError> {
        let doing = "making the file of the feature cache";
        let file = tempfile::tempfile_in(&self.directory).map_err(CoreError::io(&self.directory, doing))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let memory = std::mem::take(&mut self.memory);
        file.write_all(bytemuck::cast_slice(&memory)).map_err(CoreError::io(&self.directory, doing))?;
        self.file = Some(file);
        Ok(())
    }

    /// No more rows: makes them readable.
    pub(crate) fn finish(self) -> Result<RowStore, CoreError> {
        let storage = match self.file {
            None => Storage::Memory(self.memory),
            Some(file) => {
                let doing = "mapping the file of the feature cache";
                let file = file.into_inner().map_err(|error| error.into_error());
                Storage::Mapped(
                    file.and_then(|file| map(&file)).map_err(CoreError::io(&self.directory, doing))?,
                )
            }
        };
        Ok(RowStore { width: self.width, storage })
    }
}

/// Maps a file that this process alone can reach.
#[expect(unsafe_code, reason = "mapping a file is unsafe where someone else may shorten it")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the file was made by `tempfile_in`, which leaves it without a name, and it is never
    // written again: nobody can truncate or change it while it is mapped.
    unsafe { Mmap::map(file) }
}

impl RowStore {
    /// Row `index`.
    pub(crate) fn row(&self, index: usize) -> &[f32] {
        let values: &[f32] = match &self.storage {
            Storage::Memory(values) => values,
            Storage::Mapped(bytes) => bytemuck::cast_slice(bytes),
        };
        &values[index * self.width..(index + 1) * self.width]
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        let values = match &self.storage {
            Storage::Memory(values) => values.len(),
            Storage::Mapped(bytes) => bytes.len() / size_of::<f32>(),
        };
        values / self.width
    }

    /// Whether the rows are on disk.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.storage, Storage::Mapped(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(limit: usize) -> RowStore {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = RowWriter::new(3, limit, directory.path());
        writer.push(&[1.0, 2.0, 3.0]).unwrap();
        writer.push(&[4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).unwrap();
        writer.push(&[10.0, 11.0, 12.0]).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn rows_come_back_alike_from_memory_and_from_disk() {
        for (limit, mapped) in [(1 << 20, false), (36, true), (0, true)] {
            let store = filled(limit);
            assert_eq!(store.is_mapped(), mapped, "limit {limit}");
            assert_eq!(store.row(0), [1.0, 2.0, 3.0]);
            assert_eq!(store.row(2), [7.0, 8.0, 9.0]);
            assert_eq!(store.row(3), [10.0, 11.0, 12.0]);
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let mut writer = RowWriter::new(1, 0, Path::new("/nowhere/at/all"));
        let error = writer.push(&[1.0]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
