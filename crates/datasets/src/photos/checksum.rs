//! What tells one state of a set from another.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::Crc;

use super::PhotoSet;
use crate::{Dataset, DatasetError};

/// What is read at a time.
const CHUNK: usize = 1 << 16;

impl PhotoSet {
    /// A checksum of what the set holds: the bytes of every picture, with what is known of it, in the order of the
    /// samples. Nothing is decoded; neither the folder's place counts, nor files in it that are no samples.
    ///
    /// # Errors
    ///
    /// If a picture's file cannot be read.
    pub fn checksum(&self) -> Result<u32, DatasetError> {
        let mut all = Crc::new();
        all.update(format!("{:?}", (&self.categories, &self.landmark_names, &self.coordinates)).as_bytes());
        for (index, entry) in self.entries.iter().enumerate() {
            let picture = match self.image_path(index) {
                Some(path) => file_checksum(path)
                    .map_err(|source| DatasetError::Io { path: path.to_owned(), source })?,
                None => 0,
            };
            let known = (picture, self.category(index), self.split(index), &entry.frame, &entry.landmarks);
            all.update(format!("{known:?}\n").as_bytes());
        }
        Ok(all.sum())
    }
}

/// The CRC-32 of a regular file.
fn file_checksum(path: &Path) -> std::io::Result<u32> {
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("expected a file"));
    }
    let (mut file, mut sum, mut bytes) = (File::open(path)?, Crc::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(sum.sum()),
            read => sum.update(&bytes[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{Cub, CubConfig, Landmark, SyntheticSpecies, SyntheticSpeciesConfig, write_cub};

    #[test]
    fn a_checksum_is_of_the_contents_and_not_of_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, seed: u64| {
            let birds = SyntheticSpeciesConfig::new(3, 0).with_size(32).with_seed(seed);
            let root = folder.path().join(name);
            write_cub(&SyntheticSpecies::new(birds).unwrap(), &root, None).unwrap();
            root
        };
        let parts = ["beak", "crest", "wing", "tail", "feet"];
        let config = CubConfig::new().with_landmarks(parts.map(|part| Landmark::new(part, [part])).to_vec());
        let sum = |root| Cub::open(root, &config).unwrap().checksum().unwrap();
        let (first, again, other) = (write("a", 1), write("b", 1), write("c", 2));
        let whole = sum(&first);
        assert_eq!(sum(&again), whole);
        assert_ne!(sum(&other), whole);
        // What is no sample does not count; a picture's bytes and a landmark do.
        fs::write(first.join("images/notes.txt"), "nothing").unwrap();
        assert_eq!(sum(&first), whole);
        let places = fs::read_to_string(first.join("parts/part_locs.txt")).unwrap();
        fs::write(first.join("parts/part_locs.txt"), places.replacen(" 1\n", " 0\n", 1)).unwrap();
        assert_ne!(sum(&first), whole);
        let picture =
            fs::read_dir(again.join("images/001.crowned-lancer")).unwrap().next().unwrap().unwrap().path();
        let bytes = fs::read(&picture).unwrap();
        fs::write(&picture, [&bytes[..], &[0]].concat()).unwrap();
        assert_ne!(sum(&again), whole);
    }
}
