//! The tagged elements that MAT files of version 5 are made of.

use std::io::Read;
use std::path::Path;

use super::Budget;
use crate::DatasetError;

/// Kinds of elements ("data types" in MathWorks' description of the format).
pub(super) mod kind {
    pub const INT8: u32 = 1;
    pub const UINT8: u32 = 2;
    pub const INT16: u32 = 3;
    pub const UINT16: u32 = 4;
    pub const INT32: u32 = 5;
    pub const UINT32: u32 = 6;
    pub const SINGLE: u32 = 7;
    pub const DOUBLE: u32 = 9;
    pub const INT64: u32 = 12;
    pub const UINT64: u32 = 13;
    pub const MATRIX: u32 = 14;
    pub const COMPRESSED: u32 = 15;
    pub const UTF8: u32 = 16;
    pub const UTF16: u32 = 17;
}

/// Inflates an element; its size is known only afterwards, so the output is cut off at the budget.
pub(super) fn inflate(
    path: &Path,
    start: usize,
    packed: &[u8],
    budget: &mut Budget<'_>,
) -> Result<Vec<u8>, DatasetError> {
    let at = format!("byte {start}");
    let mut inflated = Vec::new();
    flate2::read::ZlibDecoder::new(packed)
        .take(budget.left as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|e| DatasetError::format(path, &at, "a zlib stream", e.to_string()))?;
    budget.charge(&at, inflated.len(), 1)?;
    Ok(inflated)
}

/// A position in bytes that are the file itself, or were inflated from it.
pub(super) struct Cursor<'a> {
    pub path: &'a Path,
    pub bytes: &'a [u8],
    pub at: usize,
    /// Where in the file the compressed element starts.
    pub inflated_from: Option<usize>,
}

impl<'a> Cursor<'a> {
    /// Reads a tag and returns the element's kind and bytes.
    pub fn element(&mut self) -> Result<(u32, &'a [u8]), DatasetError> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let Some((&tag, tail)) = rest.split_first_chunk::<8>() else {
            return Err(self.error("a tag of 8 bytes", format!("{} bytes", rest.len())));
        };
        let [a, b, c, d, size @ ..] = tag;
        let (low, high) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        if high != 0 {
            // Both in one: the size in the upper half of the first word, and up to 4 bytes.
            let size = usize::from(high);
            let data = (size <= 4).then(|| &rest[4..4 + size]);
            let data = data.ok_or_else(|| self.error("4 bytes at most", format!("{size} bytes")))?;
            self.at += 8;
            return Ok((low.into(), data));
        }
        let size = u32::from_le_bytes(size) as usize;
        let Some(data) = tail.get(..size) else {
            return Err(self.error(format!("{size} bytes"), format!("{} bytes", tail.len())));
        };
        let kind = u32::from(low);
        self.at += 8 + if kind == kind::COMPRESSED { size } else { size.next_multiple_of(8) };
        Ok((kind, data))
    }

    /// Reads an element that is of one of these kinds.
    pub fn expect(&mut self, kinds: &[u32], what: &str) -> Result<&'a [u8], DatasetError> {
        let start = self.at;
        match self.element()? {
            (kind, data) if kinds.contains(&kind) => Ok(data),
            (kind, _) => {
                self.at = start;
                Err(self.error(what, format!("an element of kind {kind}")))
            }
        }
    }

    /// A cursor at the start of an element that this one has read.
    pub fn inside(&self, data: &'a [u8]) -> Cursor<'a> {
        Cursor { path: self.path, bytes: data, at: 0, inflated_from: self.inflated_from }
    }

    pub fn place(&self) -> String {
        match self.inflated_from {
            Some(start) => format!("byte {} of what is inflated from byte {start}", self.at),
            None => format!("byte {}", self.at),
        }
    }

    pub fn error(&self, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        DatasetError::format(self.path, self.place(), expected, found)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_inflates_without_end_is_cut_off() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < 2000);
        let path = Path::new("a.mat");
        assert_eq!(inflate(path, 128, &packed, &mut Budget::new(path, 1 << 20)).unwrap().len(), 1 << 20);
        let error = inflate(path, 128, &packed, &mut Budget::new(path, 5000)).unwrap_err().to_string();
        let expected = "byte 128: expected at most 5000 bytes more of values, found 5001 items of 1 bytes";
        assert!(error.contains(expected), "{error}");
        let error = inflate(path, 128, &packed[..20], &mut Budget::new(path, 1 << 20)).unwrap_err();
        assert!(error.to_string().contains("expected a zlib stream"), "{error}");
    }

    #[test]
    fn small_elements_are_packed_into_eight_bytes() {
        let bytes = [1, 0, 3, 0, b'a', b'b', b'c', 0, 2, 0, 5, 0, 0, 0, 0, 0];
        let mut cursor = Cursor { path: Path::new("a.mat"), bytes: &bytes, at: 0, inflated_from: Some(128) };
        assert_eq!(cursor.element().unwrap(), (kind::INT8, &b"abc"[..]));
        let error = cursor.element().unwrap_err().to_string();
        let expected = "byte 8 of what is inflated from byte 128: expected 4 bytes at most, found 5 bytes";
        assert!(error.contains(expected), "{error}");
    }
}
