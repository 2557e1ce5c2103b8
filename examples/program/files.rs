//! Files that appear whole or not at all.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use tempfile::{Builder, NamedTempFile};

use super::Failure;

/// Checks that [`write`] will be able to write `path`, before the work whose result goes there. Makes
/// its folder.
pub fn check(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(format!("{}: cannot be written: it is a folder", path.display()).into());
    }
    check_folder(folder_of(path))
}

/// Checks that files can be written into `folder`, which is made if it does not exist.
pub fn check_folder(folder: &Path) -> Result<(), Failure> {
    staged(folder).map(drop)
}

/// Writes a file that others may read, and that has all its contents or is not there.
pub fn write(
    path: &Path,
    contents: impl FnOnce(&mut BufWriter<NamedTempFile>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut file = BufWriter::new(staged(folder_of(path))?);
    let written = contents(&mut file).and_then(|()| {
        // Flushes: a buffer that is merely dropped swallows its error.
        let file = file.into_inner().map_err(|error| error.into_error())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The file has its name for good once its folder is on the disk.
        Ok(explainer_core::sync_folder(folder_of(path))?)
    });
    written.map_err(|error| format!("{}: cannot be written: {error}", path.display()).into())
}

/// Writes a value as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    write(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        Ok(writeln!(file)?)
    })
}

/// A file without its final name, in a folder that is made if it does not exist.
fn staged(folder: &Path) -> Result<NamedTempFile, Failure> {
    let mut builder = Builder::new();
    // By which a run that has the folder knows what a killed one left.
    builder.prefix(".writing-");
    // Temporary files are for their owner only unless told otherwise. The umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    fs::create_dir_all(folder)
        .and_then(|()| builder.tempfile_in(folder))
        .map_err(|error| format!("{}: files cannot be written there: {error}", folder.display()).into())
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
