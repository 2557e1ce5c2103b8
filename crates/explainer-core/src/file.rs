//! Explainers on disk.

use std::path::Path;

use burn::module::Module;
use burn::store::{ModuleRecord, RecordError};

use crate::lock::sync_file;
use crate::{CoreError, Explainer, sync_folder};

impl Explainer {
    /// Writes all weights and the norm-layers' α to a burnpack file, which appears whole or not at
    /// all.
    ///
    /// # Errors
    /// [`CoreError::Checkpoint`] or [`CoreError::Io`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), CoreError> {
        self.valid().into_record().save(path).map_err(bad(path))?;
        let synced = sync_file(path).and_then(|()| sync_folder(path.parent().unwrap_or(Path::new("."))));
        synced.map_err(CoreError::io(path, "syncing"))
    }

    /// The explainer with weights read from a file of [`save`](Self::save); it must have the same
    /// sizes.
    ///
    /// # Errors
    /// [`CoreError::Checkpoint`] if the file cannot be read or holds other tensors or shapes.
    pub fn load(self, path: &Path) -> Result<Self, CoreError> {
        let record = ModuleRecord::load(path).map_err(bad(path))?;
        self.try_load_record(record).map_err(bad(path))
    }
}

/// The error of a record, with its file.
pub(crate) fn bad(path: &Path) -> impl FnOnce(RecordError) -> CoreError {
    let path = path.to_path_buf();
    move |error| CoreError::Checkpoint { path, what: error.to_string() }
}
