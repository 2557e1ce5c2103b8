//! What can go wrong between a server and the disk.

use std::path::{Path, PathBuf};

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// No public file has this name.
    #[error("{name}: expected one of {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Those that are known.
        known: Vec<&'static str>,
    },
    /// The platform has no cache folder.
    #[error("this platform names no folder for caches: state one")]
    NoFolder,
    /// The file is not there, or damaged, and the network is not to be used.
    #[error("{}: {found}, and downloads are switched off", path.display())]
    Offline {
        /// Where it should be.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// The server cannot be reached, broke off, stalled, or says something that makes no sense.
    #[error("{url}: {reason}")]
    Transfer {
        /// What was asked for.
        url: String,
        /// What happened, at the last try.
        reason: String,
    },
    /// The server refuses.
    #[error("{url}: the server answered {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// HTTP's status code.
        status: u16,
    },
    /// The file is larger than any that is expected.
    #[error("{url}: expected at most {limit} bytes, and there are more")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The most bytes of a file.
        limit: u64,
    },
    /// What was received is not the file.
    #[error("{url}: expected the SHA-256 {expected}, found {found}")]
    Checksum {
        /// What was asked for.
        url: String,
        /// The digits that are known: all of them, or the first.
        expected: String,
        /// Those of what was received.
        found: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl DownloadError {
    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path: path.clone(), source }
    }
}
