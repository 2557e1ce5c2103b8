//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::ReportError;

/// Writes a file that others may read, and that has all its contents or is not there.
pub(crate) fn write(text: &str, path: &Path) -> Result<(), ReportError> {
    let io = |source| ReportError::Io { path: path.into(), doing: "writing the report", source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io)?;
    let mut builder = tempfile::Builder::new();
    // By which a run that has the folder knows what a killed one left.
    builder.prefix(".writing-");
    // Temporary files are for their owner only unless told otherwise. The umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(folder).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    // The file has its name for good once its folder is on the disk.
    explainer_core::sync_folder(folder).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_and_what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/report.html");
        write("one", &path).unwrap();
        write("two", &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(
            std::fs::read_dir(folder.path().join("new")).unwrap().count(),
            1,
            "nothing is left behind"
        );
        let error = write("three", &path.join("below")).unwrap_err().to_string();
        assert!(error.contains("report.html") && error.contains("writing the report"), "{error}");
        assert!(write("three", &folder.path().join("new")).is_err(), "a folder is no file");
    }
}
