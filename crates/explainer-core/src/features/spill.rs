//! Where rows go that memory does not hold.

use std::fs;
use std::path::{Path, PathBuf};

/// Types of file systems that are kept in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The first of the system's temporary folder, `/var/tmp` and the current folder that is on a disk and can be
/// written; the system's temporary folder if none is. On many systems `/tmp` lies in memory, where a spill file would
/// fill up what it is to relieve.
pub(super) fn folder() -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let temporary = std::env::temp_dir();
    let candidates = [temporary.clone(), PathBuf::from("/var/tmp"), PathBuf::from(".")];
    let on_disk = |folder: &PathBuf| {
        fs::canonicalize(folder).is_ok_and(|folder| !in_memory(&folder, &mounts))
            && tempfile::tempfile_in(folder).is_ok()
    };
    candidates.into_iter().find(on_disk).unwrap_or(temporary)
}

/// Whether a folder is on a file system in memory, by the system's table of mounts.
fn in_memory(folder: &Path, mounts: &str) -> bool {
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?.replace("\\040", " "), fields.next()?.to_string());
        folder.starts_with(&place).then_some((place.len(), kind))
    };
    // Of two in one place the later one counts, as `max_by_key` has it.
    let nearest = mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length);
    nearest.is_some_and(|(_, kind)| IN_MEMORY.contains(&kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_where_the_nearest_mount_is() {
        let mounts =
            "/dev/sda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/sdb /tmp/big\\040disk xfs rw 0 0\n";
        let found = ["/var/tmp", "/tmp", "/tmp/a", "/tmpfs", "/tmp/big disk/a"]
            .map(|folder| in_memory(Path::new(folder), mounts));
        assert_eq!(found, [false, true, true, false, false]);
        assert!(
            !in_memory(Path::new("/tmp"), &format!("{mounts}/dev/sdc /tmp ext4 rw 0 0\n")),
            "mounted over"
        );
        assert!(!in_memory(Path::new("/tmp"), ""), "nothing is known");
    }

    #[test]
    fn the_folder_can_be_written() {
        tempfile::tempfile_in(folder()).unwrap();
    }
}
