//! Folders of checkpoints, of whatever is fitted.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::features::floats;
use crate::lock::{STAGING, sync_file};
use crate::{CoreError, FolderLock, sync_folder};

const PREFIX: &str = "epoch-";

/// A folder with a folder for the newest epoch, which is there whole or not at all. One fit at a time has it, for as
/// long as this is kept.
#[derive(Debug)]
pub struct Checkpoints {
    lock: FolderLock,
}

impl Checkpoints {
    /// Those of `folder`, which is locked, and made if it does not exist.
    ///
    /// # Errors
    /// As [`FolderLock::take`].
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, CoreError> {
        Ok(Self { lock: FolderLock::take(folder)? })
    }

    /// Has `write` put files into a new folder, waits until they are on the disk, has `read` read back what was
    /// written, gives the folder its name, and only then removes the checkpoints of earlier epochs. If anything
    /// fails, those stay.
    ///
    /// # Errors
    /// Those of `write` and `read`; [`CoreError::Io`] for what cannot be written or removed.
    pub fn save<E: From<CoreError>>(
        &self,
        epoch: usize,
        write: impl FnOnce(&Path) -> Result<(), E>,
        read: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let folder = self.lock.folder();
        let staging = tempfile::Builder::new()
            .prefix(STAGING)
            .tempdir_in(folder)
            .map_err(CoreError::io(folder, "making a temporary folder"))?;
        write(staging.path())?;
        sync_below(staging.path())?;
        read(staging.path())?;
        let place = folder.join(format!("{PREFIX}{epoch:04}"));
        fs::rename(staging.path(), &place)
            .map_err(CoreError::io(&place, "moving a checkpoint into place"))?;
        sync_folder(folder).map_err(CoreError::io(folder, "syncing"))?;
        for (older, path) in self.list()? {
            if older < epoch {
                fs::remove_dir_all(&path).map_err(CoreError::io(&path, "removing an older checkpoint"))?;
            }
        }
        Ok(())
    }

    /// The newest checkpoint, if there is one: its epoch and its folder.
    ///
    /// # Errors
    /// [`CoreError::Io`] if the folder cannot be listed.
    pub fn newest(&self) -> Result<Option<(usize, PathBuf)>, CoreError> {
        Ok(self.list()?.into_iter().max())
    }

    /// The folder of all of them.
    pub fn folder(&self) -> &Path {
        self.lock.folder()
    }

    /// Checkpoints by epoch.
    fn list(&self) -> Result<Vec<(usize, PathBuf)>, CoreError> {
        let epoch = |(name, path): (String, PathBuf)| Some((name.strip_prefix(PREFIX)?.parse().ok()?, path));
        Ok(entries(self.lock.folder())?.into_iter().filter_map(epoch).collect())
    }
}

/// Names and paths in a folder.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, CoreError> {
    let listing = || CoreError::io(folder, "listing checkpoints");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(listing())? {
        let entry = entry.map_err(listing())?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    Ok(found)
}

/// Waits until all in a folder is on the disk, and the folder itself.
fn sync_below(folder: &Path) -> Result<(), CoreError> {
    for (_, path) in entries(folder)? {
        if path.is_dir() {
            sync_below(&path)?;
        } else {
            sync_file(&path).map_err(CoreError::io(path, "syncing"))?;
        }
    }
    sync_folder(folder).map_err(CoreError::io(folder, "syncing"))
}

/// A checksum of all parameters of a module, by which a checkpoint knows what it was made from.
pub fn checksum(module: &impl Module) -> u32 {
    struct Parameters(crc32fast::Hasher);
    impl ModuleVisitor for Parameters {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.update(bytemuck::cast_slice(&floats(parameter.val())));
        }
    }
    let mut parameters = Parameters(crc32fast::Hasher::new());
    module.visit(&mut parameters);
    parameters.0.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of the newest checkpoint.
    fn newest(checkpoints: &Checkpoints) -> (usize, Vec<String>) {
        let (epoch, place) = checkpoints.newest().unwrap().unwrap();
        (epoch, entries(&place).unwrap().into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn what_cannot_be_read_back_does_not_replace_what_could() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(folder.path()).unwrap();
        let write = |place: &Path| {
            fs::create_dir(place.join("below")).unwrap();
            fs::write(place.join("below/file"), "whole").map_err(CoreError::io(place, "writing"))
        };
        checkpoints.save(1, write, |_| Ok::<_, CoreError>(())).unwrap();
        let unreadable = |place: &Path| {
            assert!(place.join("below/file").is_file(), "it is read where it was written");
            Err(CoreError::Checkpoint { path: place.into(), what: "not as it was written".into() })
        };
        let error = checkpoints.save(2, write, unreadable).unwrap_err();
        assert!(error.to_string().contains("not as it was written"), "{error}");
        assert_eq!(newest(&checkpoints), (1, vec!["below".to_string()]));
        let names: Vec<_> = entries(folder.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name.starts_with(STAGING)), "{names:?}");
        checkpoints.save(2, write, |_| Ok::<_, CoreError>(())).unwrap();
        assert_eq!(newest(&checkpoints).0, 2);
        assert!(!folder.path().join("epoch-0001").exists());
    }

    #[test]
    fn two_fits_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Checkpoints::open(folder.path()).unwrap();
        let error = Checkpoints::open(folder.path()).map(|_| ()).unwrap_err();
        assert!(matches!(error, CoreError::InUse { .. }), "{error}");
        assert_eq!(first.folder(), folder.path());
        drop(first);
        assert!(Checkpoints::open(folder.path()).unwrap().newest().unwrap().is_none());
    }
}
