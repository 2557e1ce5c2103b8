//! Folders that one run at a time writes into.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::CoreError;

/// The file that is locked. It stays where it is: were it removed, two runs could each lock a file of that name.
const LOCK: &str = ".lock";
/// How the names of files and folders begin that are still being written.
pub(crate) const STAGING: &str = ".writing-";

/// A folder that one run has for itself.
///
/// The lock is the system's own, on a file in the folder. It ends when this is dropped or when the process ends, in
/// whatever way: a killed run leaves no lock behind.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    _locked: File,
}

impl FolderLock {
    /// Locks `folder`, which is made if it does not exist, and removes what killed runs left half-written in it.
    /// Writes a file without a name into it, so that a folder that cannot be written is found now.
    ///
    /// # Errors
    /// [`CoreError::InUse`] if another run, or another part of this one, has the folder; [`CoreError::Io`] if it
    /// cannot be made, locked or written.
    pub fn take(folder: impl Into<PathBuf>) -> Result<Self, CoreError> {
        let folder = folder.into();
        make_folder(&folder).map_err(CoreError::io(&folder, "making the folder"))?;
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(CoreError::io(&path, "opening the lock of the folder"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CoreError::InUse { folder }),
            Err(TryLockError::Error(error)) => {
                return Err(CoreError::io(path, "locking the folder")(error));
            }
        }
        tempfile::tempfile_in(&folder).map_err(CoreError::io(&folder, "writing into the folder"))?;
        sweep(&folder)?;
        Ok(Self { folder, _locked: file })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Removes what killed runs were writing.
fn sweep(folder: &Path) -> Result<(), CoreError> {
    let listing = || CoreError::io(folder, "listing the folder");
    for entry in fs::read_dir(folder).map_err(listing())? {
        let entry = entry.map_err(listing())?;
        if !entry.file_name().to_string_lossy().starts_with(STAGING) {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type().map_err(listing())?);
        let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(CoreError::io(path, "removing what was not finished"))?;
    }
    Ok(())
}

/// Makes a folder and those it is in, all of them on the disk before this returns.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let made: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    made.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Waits until the names in a folder are on the disk: a new or renamed file lasts only then. Elsewhere than on Unix
/// a folder cannot be opened, and the system takes care of it.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Waits until the contents of a file are on the disk. It is opened for writing: Windows syncs no other.
pub(crate) fn sync_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_had_once_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let lock = FolderLock::take(&folder).unwrap();
        assert_eq!(lock.folder(), folder);
        let error = FolderLock::take(&folder).unwrap_err();
        assert!(matches!(&error, CoreError::InUse { folder: found } if *found == folder), "{error}");
        assert!(error.to_string().contains("in use by another run"), "{error}");
        drop(lock);
        FolderLock::take(&folder).unwrap();
    }

    #[test]
    fn what_was_half_written_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".writing-a/b")).unwrap();
        fs::write(folder.path().join(".writing-c"), "half").unwrap();
        fs::write(folder.path().join("kept"), "whole").unwrap();
        let _lock = FolderLock::take(folder.path()).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [LOCK, "kept"]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = FolderLock::take(file.join("below")).unwrap_err();
        assert!(matches!(error, CoreError::Io { .. }) && error.to_string().contains("below"), "{error}");
    }
}
