//! Finished cells of a plan, a line of JSON each.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde_json::Value;

use crate::common::Failure;
use crate::common::program::files;

/// A file to which any number of processes add whole lines. A line that a process could not finish is taken
/// off by the next one that adds to the file; until then it does not count.
pub struct Cells {
    path: PathBuf,
}

impl Cells {
    /// Those of a file, which need not be there yet.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        files::check(&path)?;
        Ok(Self { path })
    }

    /// All that are finished by now.
    pub fn read(&self) -> Result<Vec<Value>, Failure> {
        let text = match self.path.exists() {
            true => fs::read(&self.path).map_err(|error| self.at(&error))?,
            false => Vec::new(),
        };
        // Bytes: the last line may be torn within a character.
        let Some(end) = text.iter().rposition(|&byte| byte == b'\n') else { return Ok(Vec::new()) };
        let cell = |(index, line)| {
            serde_json::from_slice(line)
                .map_err(|error| self.at(&format!("line {}: {error}", index + 1)).into())
        };
        text[..end].split(|&byte| byte == b'\n').enumerate().map(cell).collect()
    }

    /// Adds one, on disk before this returns.
    pub fn push(&self, cell: &Value) -> Result<(), Failure> {
        let pushed = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options.read(true).write(true).create(true).truncate(false).open(&self.path)?;
            // Until the file is closed.
            file.lock()?;
            let end = whole_lines(&mut file)?;
            file.set_len(end)?;
            file.seek(SeekFrom::Start(end))?;
            file.write_all(format!("{cell}\n").as_bytes())?;
            file.sync_all()?;
            // The file may be new.
            explainer_core::sync_folder(files::folder_of(&self.path))
        };
        pushed().map_err(|error| self.at(&error).into())
    }

    fn at(&self, what: &dyn std::fmt::Display) -> String {
        format!("{}: {what}", self.path.display())
    }
}

/// Where the last whole line ends.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1))
}

/// The last finished cell of an identity: one that has the same value under each of its keys.
pub fn find<'a>(cells: &'a [Value], identity: &Value) -> Option<&'a Value> {
    let same = |cell: &&Value| {
        let keys = identity.as_object().into_iter().flatten();
        keys.into_iter().all(|(key, value)| cell["identity"][key] == *value)
    };
    cells.iter().rev().find(same)
}
