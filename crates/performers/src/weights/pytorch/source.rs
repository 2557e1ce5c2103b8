//! Where the bytes of storages are, and how tensors are cut out of them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Mutex, PoisonError};

use super::zip::{Entry, read_at, read_entry};

/// A checkpoint's storages.
pub(super) struct Source {
    file: Mutex<File>,
    storages: Storages,
}

pub(super) enum Storages {
    /// Entries of a ZIP archive; storages are those in the folder `data` of `root`.
    Zip { root: String, entries: BTreeMap<String, Entry> },
    /// Places in the file and lengths, in bytes, by the storages' keys.
    Legacy(HashMap<String, [u64; 2]>),
}

impl Source {
    pub fn new(file: File, storages: Storages) -> Self {
        Self { file: Mutex::new(file), storages }
    }

    /// The length of a storage, in bytes.
    fn length(&self, key: &str) -> Option<u64> {
        match &self.storages {
            Storages::Zip { root, entries } => Some(entries.get(&format!("{root}data/{key}"))?.size),
            Storages::Legacy(places) => Some(places.get(key)?[1]),
        }
    }

    fn read(&self, key: &str, skip: u64, length: u64) -> Result<Vec<u8>, String> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.storages {
            Storages::Zip { root, entries } => {
                let name = format!("{root}data/{key}");
                let entry = entries.get(&name).ok_or_else(|| format!("there is no {name}"))?;
                read_entry(&mut file, &name, entry, skip, length)
            }
            Storages::Legacy(places) => {
                let [start, _] = places.get(key).ok_or_else(|| format!("there is no storage {key}"))?;
                read_at(&mut file, start + skip, length)
            }
        }
    }
}

/// Which elements of a storage make up a tensor.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub key: String,
    /// Bytes of an element.
    pub width: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
    /// Elements from the first to the last that are used.
    extent: usize,
    count: usize,
}

/// Largest tensor: 16 GiB.
const MAX_TENSOR: usize = 16 << 30;

impl View {
    /// A view that lies within its storage.
    pub fn new(
        source: &Source,
        key: &str,
        width: usize,
        offset: usize,
        [shape, stride]: [&[usize]; 2],
    ) -> Result<Self, String> {
        if shape.len() != stride.len() {
            return Err(format!("{} strides for {} dimensions", stride.len(), shape.len()));
        }
        let too_large = || format!("a shape of {shape:?} is too large");
        let count = shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side)).ok_or_else(too_large)?;
        count.checked_mul(width).filter(|&bytes| bytes <= MAX_TENSOR).ok_or_else(too_large)?;
        let last = shape
            .iter()
            .zip(stride)
            .try_fold(0usize, |at, (&side, &step)| at.checked_add(side.saturating_sub(1).checked_mul(step)?));
        let extent =
            if count == 0 { 0 } else { last.and_then(|last| last.checked_add(1)).ok_or_else(too_large)? };
        let stored = source.length(key).ok_or_else(|| format!("its storage {key} is not there"))?;
        let end = offset.checked_add(extent).and_then(|end| end.checked_mul(width)).ok_or_else(too_large)?;
        if end as u64 > stored {
            return Err(format!("needs {end} bytes of its storage {key}, which has {stored}"));
        }
        let (shape, stride) = (shape.to_vec(), stride.to_vec());
        Ok(Self { key: key.to_string(), width, offset, shape, stride, extent, count })
    }

    /// One past the last element of the storage that is used.
    pub fn end(&self) -> usize {
        self.offset + self.extent
    }

    /// Bytes of the tensor.
    pub fn bytes(&self) -> usize {
        self.count * self.width
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.stride).rev().all(|(&side, &step)| {
            let fits = side <= 1 || step == expected;
            expected *= side;
            fits
        })
    }

    /// The tensor's bytes, row by row.
    pub fn read(&self, source: &Source) -> Result<Vec<u8>, String> {
        let [skip, length] = [self.offset, self.extent].map(|elements| (elements * self.width) as u64);
        let mut window = source.read(&self.key, skip, length)?;
        if self.count > 0 && !self.is_contiguous() {
            window = self.gathered(&window);
        }
        if cfg!(target_endian = "big") {
            window.chunks_exact_mut(self.width).for_each(<[u8]>::reverse);
        }
        Ok(window)
    }

    fn gathered(&self, window: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes());
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..self.count {
            bytes.extend_from_slice(&window[at * self.width..(at + 1) * self.width]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.stride[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= index[axis] * self.stride[axis];
                index[axis] = 0;
            }
        }
        bytes
    }
}
