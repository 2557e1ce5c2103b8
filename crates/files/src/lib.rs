//! Files from outside: opened only if they are regular files, read only up to a limit, and named by what they
//! hold.
//!
//! A path may lead to a device, a FIFO or a socket. Their size reads as 0, so that a check of the size lets
//! `/dev/zero` through, and a FIFO blocks whoever opens it. [`open`] and [`read`] refuse them.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("settings.json");
//! # std::fs::write(&path, "{}")?;
//! let bytes = explainer_files::read(&path, 1 << 20)?;
//! assert_eq!(bytes, b"{}");
//! assert!(explainer_files::read(&path, 1).is_err(), "larger than the limit");
//! # Ok(())
//! # }
//! ```

mod content;

use std::fs::{File, FileType, Metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

pub use content::content;

/// Opens a regular file, or a link to one, for reading.
///
/// # Errors
///
/// If the file cannot be opened, or is a folder, device, FIFO or socket.
pub fn open(path: &Path) -> Result<File> {
    // Before it is opened: opening a FIFO waits for a writer.
    check(path)?;
    let file = File::open(path)?;
    // And after: another file may have taken its place.
    check_kind(&file.metadata()?)?;
    Ok(file)
}

/// Checks that there is a regular file, or a link to one, without opening it.
///
/// # Errors
///
/// If there is nothing, or a folder, device, FIFO or socket.
pub fn check(path: &Path) -> Result<()> {
    check_kind(&std::fs::metadata(path)?)
}

/// Reads a regular file of at most `most` bytes; at most `most + 1` are read, whatever its stated size.
///
/// # Errors
///
/// Those of [`open`], and [`ErrorKind::FileTooLarge`] beyond the limit.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let stated = file.metadata()?.len();
    let too_large =
        || Error::new(ErrorKind::FileTooLarge, format!("expected at most {most} bytes, found more"));
    if stated > most {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stated).unwrap_or_default());
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// Refuses what is no regular file.
fn check_kind(metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let found = format!("expected a regular file, found {}", kind(metadata.file_type()));
    Err(Error::new(ErrorKind::InvalidInput, found))
}

fn kind(kind: FileType) -> &'static str {
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a FIFO";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "a device"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read(&path, 10).unwrap(), [7; 10]);
        let error = read(&path, 9).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "expected at most 9 bytes, found more");
        assert_eq!(read(&folder.path().join("b"), 9).unwrap_err().kind(), ErrorKind::NotFound);
        let error = read(folder.path(), 9).unwrap_err().to_string();
        assert_eq!(error, "expected a regular file, found a folder");
    }

    /// Both would never end: the one has no end, the other no writer.
    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let error = read(Path::new("/dev/zero"), 1 << 40).unwrap_err().to_string();
        assert_eq!(error, "expected a regular file, found a device");
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let error = open(&fifo).unwrap_err().to_string();
        assert_eq!(error, "expected a regular file, found a FIFO");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        assert!(open(&link).unwrap_err().to_string().contains("a FIFO"));
    }

    /// Files under /proc state a size of 0 and hold more.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_stated_size_is_not_believed() {
        let path = Path::new("/proc/self/status");
        assert!(read(path, 1 << 20).unwrap().len() > 100);
        assert_eq!(read(path, 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
