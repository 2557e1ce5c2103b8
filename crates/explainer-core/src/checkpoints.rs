//! Folders of checkpoints, of whatever is fitted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::CoreError;
use crate::features::floats;

const PREFIX: &str = "epoch-";
/// Folders that are still being written.
const STAGING: &str = ".writing-";

/// A folder with a folder for the newest epoch, which is there whole or not at all. One fit at a time has it.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// In `folder`, which is made when the first checkpoint is written.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Has `write` put files into a new folder, gives that its name once they are on the disk, and removes
    /// the checkpoints of earlier epochs and what killed runs were writing.
    ///
    /// # Errors
    /// Those of `write`; [`CoreError::Io`] for what cannot be written or removed.
    pub fn save<E: From<CoreError>>(
        &self,
        epoch: usize,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let folder = &self.folder;
        fs::create_dir_all(folder).map_err(CoreError::io(folder, "making the folder of checkpoints"))?;
        self.sweep()?;
        let staging = tempfile::Builder::new()
            .prefix(STAGING)
            .tempdir_in(folder)
            .map_err(CoreError::io(folder, "making a temporary folder"))?;
        write(staging.path())?;
        for (_, path) in entries(staging.path())? {
            File::open(&path).and_then(|file| file.sync_all()).map_err(CoreError::io(path, "syncing"))?;
        }
        sync_folder(staging.path())?;
        let place = folder.join(format!("{PREFIX}{epoch:04}"));
        fs::rename(staging.path(), &place)
            .map_err(CoreError::io(&place, "moving a checkpoint into place"))?;
        sync_folder(folder)?;
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

    /// Checkpoints by epoch.
    fn list(&self) -> Result<Vec<(usize, PathBuf)>, CoreError> {
        let epoch = |(name, path): (String, PathBuf)| Some((name.strip_prefix(PREFIX)?.parse().ok()?, path));
        Ok(entries(&self.folder)?.into_iter().filter_map(epoch).collect())
    }

    /// Removes what killed runs were writing.
    fn sweep(&self) -> Result<(), CoreError> {
        for (name, path) in entries(&self.folder)? {
            if name.starts_with(STAGING) {
                fs::remove_dir_all(&path)
                    .map_err(CoreError::io(&path, "removing an unfinished checkpoint"))?;
            }
        }
        Ok(())
    }
}

/// Names and paths in a folder; none if it does not exist.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, CoreError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let listing = || CoreError::io(folder, "listing checkpoints");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(listing())? {
        let entry = entry.map_err(listing())?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    Ok(found)
}

/// Names in a folder, and a renamed folder, last only when the folder they are in was synced; elsewhere
/// than on Unix a folder cannot be opened, and the system takes care of it.
fn sync_folder(folder: &Path) -> Result<(), CoreError> {
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(CoreError::io(folder, "syncing"))?;
    }
    Ok(())
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
