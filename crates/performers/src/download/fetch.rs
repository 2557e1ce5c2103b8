//! From a name to a whole file.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::transfer::{Agent, Outcome};
use super::{DownloadError, PublicFile};

/// Where torchvision's files are.
const SERVER: &str = "https://download.pytorch.org/models";
/// The folder below the platform's cache folder.
const FOLDER: &str = "explainer-performers";
/// How long nothing may come before a transfer counts as stalled.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest file that is received: 4 GiB, several times the largest of torchvision's.
const MAX_BYTES: u64 = 4 << 30;
/// How often in a row a transfer may break off without coming further.
const TRIES: usize = 4;

/// A folder of downloaded files and the server that they come from.
#[derive(Clone, Debug)]
pub struct Downloads {
    folder: PathBuf,
    server: String,
    patience: Duration,
    limit: u64,
    network: Network,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    On,
    Off,
}

/// What is in a file's place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Present {
    Whole,
    Damaged,
    Absent,
}

impl Downloads {
    /// torchvision's files in the platform's cache folder (on Linux `$XDG_CACHE_HOME` or `~/.cache`).
    ///
    /// # Errors
    /// [`DownloadError::NoFolder`].
    pub fn new() -> Result<Self, DownloadError> {
        let cache = dirs::cache_dir().ok_or(DownloadError::NoFolder)?;
        Ok(Self::in_folder(cache.join(FOLDER)))
    }

    /// torchvision's files in a folder, which is made if it does not exist.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            server: SERVER.to_string(),
            patience: PATIENCE,
            limit: MAX_BYTES,
            network: Network::On,
        }
    }

    /// Another server: the URL below which the files are.
    pub fn with_server(mut self, url: &str) -> Self {
        self.server = url.trim_end_matches('/').to_string();
        self
    }

    /// How long nothing may come before a transfer counts as stalled; 30 s unless told otherwise.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The most bytes of a file, however many responses bring them; 4 GiB unless told otherwise.
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Uses what is there and leaves the network alone.
    pub fn offline(mut self) -> Self {
        self.network = Network::Off;
        self
    }

    /// The path of a file that is there, whole; it is downloaded if it is not. Of several programs that
    /// fetch the same file at once one downloads it, and the others wait.
    ///
    /// # Errors
    /// See [`DownloadError`]. What was received so far is kept, unless it proved to be something else.
    pub fn fetch(&self, file: &PublicFile) -> Result<PathBuf, DownloadError> {
        let path = self.folder.join(&file.name);
        let present = present(&path, file)?;
        if present == Present::Whole {
            return Ok(path);
        }
        if self.network == Network::Off {
            let found = if present == Present::Damaged { "damaged" } else { "absent" };
            return Err(DownloadError::Offline { path, found });
        }
        fs::create_dir_all(&self.folder).map_err(DownloadError::io(&self.folder))?;
        // Not the part itself, which gets another name in the end: whoever waited for a lock on it would hold the
        // whole file, or one that is nobody's any more.
        let lock = self.folder.join(format!(".{}.lock", file.name));
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let locked = options.open(&lock).map_err(DownloadError::io(&lock))?;
        locked.lock().map_err(DownloadError::io(&lock))?;
        // Whoever had the lock may have finished.
        if self::present(&path, file)? == Present::Whole {
            return Ok(path);
        }
        let part = self.folder.join(format!("{}.part", file.name));
        let mut received = options.open(&part).map_err(DownloadError::io(&part))?;
        let outcome = self.receive(file, &mut received, &part);
        if matches!(outcome, Err(DownloadError::Checksum { .. } | DownloadError::TooLarge { .. })) {
            fs::remove_file(&part).map_err(DownloadError::io(&part))?;
        }
        outcome?;
        fs::rename(&part, &path).map_err(DownloadError::io(&path))?;
        explainer_core::sync_folder(&self.folder).map_err(DownloadError::io(&self.folder))?;
        Ok(path)
    }

    /// Fills the part that was received, until it is the whole file.
    fn receive(&self, file: &PublicFile, received: &mut File, part: &Path) -> Result<(), DownloadError> {
        let url = format!("{}/{}", self.server, file.name);
        let agent = Agent::new(self.patience, self.limit, url.starts_with("https://"));
        let io = DownloadError::io(part);
        let mut furthest = received.metadata().map_err(&io)?.len();
        let mut from_start = furthest == 0;
        let mut tries = 0;
        loop {
            match agent.transfer(&url, &file.name, received).map_err(&io)? {
                Outcome::Refused(status) => return Err(DownloadError::Refused { url, status }),
                Outcome::TooLarge => return Err(DownloadError::TooLarge { url, limit: self.limit }),
                Outcome::Broken(reason) => {
                    // Only tries that came no further are counted.
                    let length = received.metadata().map_err(&io)?.len();
                    tries = if length > furthest { 1 } else { tries + 1 };
                    furthest = furthest.max(length);
                    if tries >= TRIES {
                        return Err(DownloadError::Transfer { url, reason });
                    }
                    continue;
                }
                Outcome::Complete => {}
            }
            received.sync_all().map_err(&io)?;
            let found = checksum(part).map_err(&io)?;
            if found.starts_with(&file.sha256) {
                return Ok(());
            }
            if from_start {
                return Err(DownloadError::Checksum { url, expected: file.sha256.clone(), found });
            }
            // What was there before may have been of another file: once more without it.
            received.set_len(0).map_err(&io)?;
            from_start = true;
        }
    }
}

/// What is in the place of a file.
fn present(path: &Path, file: &PublicFile) -> Result<Present, DownloadError> {
    if !path.is_file() {
        return Ok(Present::Absent);
    }
    let found = checksum(path).map_err(DownloadError::io(path))?;
    Ok(if found.starts_with(&file.sha256) { Present::Whole } else { Present::Damaged })
}

/// The SHA-256 of a file in hexadecimal digits.
fn checksum(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
