//! ZIP archives as `torch.save` writes them: where each entry is, from the directory at the file's end.
//!
//! Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

/// Records' signatures.
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const DIRECTORY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// Lengths of the records' fixed parts.
const END_LENGTH: usize = 22;
const END_64_LENGTH: usize = 56;
const LOCATOR_LENGTH: usize = 20;
const DIRECTORY_LENGTH: usize = 46;
const LOCAL_LENGTH: u64 = 30;
/// Longest comment behind the last record.
const MAX_COMMENT: u64 = 0xffff;
/// Largest directory that is read: some million entries.
const MAX_DIRECTORY: u64 = 128 << 20;
/// Tag of the extra field with sizes and offset in eight bytes.
const EXTRA_64: u16 = 1;

/// An entry of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    method: Method,
    crc: u32,
    stored: u64,
    pub size: u64,
    header: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Stored,
    Deflated,
}

/// Little-endian numbers, one behind the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("the ZIP directory ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length(&mut self) -> Result<usize, String> {
        Ok(self.number(2)? as usize)
    }
}

/// So many bytes from an offset; fewer are an error. They must lie within the file, so that no more is set aside than
/// it has.
pub(super) fn read_at(file: &mut File, offset: u64, length: u64) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| error.to_string();
    let end = file.metadata().map_err(told)?.len();
    if offset.checked_add(length).is_none_or(|last| last > end) {
        return Err(format!("{length} bytes at {offset} are beyond the end of the file, {end}"));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| "larger than the memory".to_string())?];
    file.seek(SeekFrom::Start(offset)).map_err(told)?;
    file.read_exact(&mut bytes).map_err(told)?;
    Ok(bytes)
}

/// The entries of an archive by their names.
pub(super) fn directory(file: &mut File) -> Result<BTreeMap<String, Entry>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let tail_start = length.saturating_sub(MAX_COMMENT + END_LENGTH as u64);
    let tail = read_at(file, tail_start, length - tail_start)?;
    // From the back: the first record whose comment reaches to the end.
    let is_end = |&at: &usize| {
        let record = &tail[at..];
        record.starts_with(END)
            && record.len() - END_LENGTH == usize::from(u16::from_le_bytes([record[20], record[21]]))
    };
    let last = (tail.len() + 1).saturating_sub(END_LENGTH);
    let at =
        (0..last).rev().find(is_end).ok_or("no directory at the end of the ZIP archive: it is cut off")?;
    let mut record = Fields(&tail[at + 4..]);
    let disks = [record.number(2)?, record.number(2)?];
    let (_, mut count) = (record.number(2)?, record.number(2)?);
    let (mut size, mut offset) = (record.number(4)?, record.number(4)?);
    if let Some(locator) = at.checked_sub(LOCATOR_LENGTH).map(|start| &tail[start..at])
        && locator.starts_with(LOCATOR_64)
    {
        let place = Fields(&locator[8..]).number(8)?;
        let record = read_at(file, place, END_64_LENGTH as u64)?;
        if !record.starts_with(END_64) {
            return Err("no ZIP64 directory where the ZIP archive says that it is".to_string());
        }
        let mut record = Fields(&record[32..]);
        (count, size, offset) = (record.number(8)?, record.number(8)?, record.number(8)?);
    } else if disks != [0, 0] {
        return Err("a ZIP archive in several parts".to_string());
    }
    if size > MAX_DIRECTORY {
        return Err(format!("a ZIP directory of {size} bytes"));
    }
    let directory = read_at(file, offset, size)?;
    entries(&directory, count)
}

fn entries(directory: &[u8], count: u64) -> Result<BTreeMap<String, Entry>, String> {
    let (mut entries, mut rest) = (BTreeMap::new(), directory);
    for _ in 0..count {
        if !rest.starts_with(DIRECTORY) || rest.len() < DIRECTORY_LENGTH {
            return Err(format!("expected {count} entries in the ZIP directory, found {}", entries.len()));
        }
        let mut record = Fields(&rest[8..]);
        let (flags, method) = (record.number(2)?, record.number(2)?);
        record.take(4)?;
        let crc = record.number(4)? as u32;
        let (stored, size) = (record.number(4)?, record.number(4)?);
        let [name, extra, comment] = [record.length()?, record.length()?, record.length()?];
        record.take(8)?;
        let header = record.number(4)?;
        let name = String::from_utf8_lossy(record.take(name)?).into_owned();
        let [size, stored, header] = widened([size, stored, header], record.take(extra)?)?;
        record.take(comment)?;
        rest = record.0;
        let method = match (flags & 1, method) {
            (0, 0) => Method::Stored,
            (0, 8) => Method::Deflated,
            (0, other) => return Err(format!("{name}: compressed by method {other}")),
            _ => return Err(format!("{name}: encrypted")),
        };
        let entry = Entry { method, crc, stored, size, header };
        if entries.insert(name.clone(), entry).is_some() {
            return Err(format!("{name} stands twice in the ZIP archive"));
        }
    }
    Ok(entries)
}

/// Numbers of which those that do not fit into four bytes stand in the extra fields.
fn widened(numbers: [u64; 3], extra: &[u8]) -> Result<[u64; 3], String> {
    let mut fields = Fields(extra);
    let mut wide = None;
    while fields.0.len() >= 4 {
        let (tag, length) = (fields.number(2)?, fields.length()?);
        // Padding for alignment may be cut short.
        let Ok(content) = fields.take(length) else { break };
        if tag == u64::from(EXTRA_64) {
            wide = Some(Fields(content));
        }
    }
    let mut all = numbers;
    for number in all.iter_mut().filter(|number| **number == u64::from(u32::MAX)) {
        *number = wide.as_mut().ok_or("a ZIP entry without its sizes")?.number(8)?;
    }
    Ok(all)
}

/// At most `length` bytes of an entry from `skip` on. The whole of it is checked against its checksum, if it has one.
pub(super) fn read_entry(
    file: &mut File,
    name: &str,
    entry: &Entry,
    skip: u64,
    length: u64,
) -> Result<Vec<u8>, String> {
    let header = read_at(file, entry.header, LOCAL_LENGTH)?;
    if !header.starts_with(LOCAL) {
        return Err(format!("{name}: not where the ZIP directory says that it is"));
    }
    let mut lengths = Fields(&header[26..]);
    let start = entry.header + LOCAL_LENGTH + lengths.number(2)? + lengths.number(2)?;
    let skip = skip.min(entry.size);
    let length = length.min(entry.size - skip);
    let bytes = match entry.method {
        Method::Stored if entry.stored != entry.size => {
            return Err(format!("{name}: states {} bytes and stores {}", entry.size, entry.stored));
        }
        Method::Stored => read_at(file, start.saturating_add(skip), length)?,
        Method::Deflated => {
            file.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
            inflated(file.take(entry.stored), skip, length).map_err(|error| format!("{name}: {error}"))?
        }
    };
    // Saved with `compute_crc32=False`, the checksum is 0.
    if entry.crc != 0 && length == entry.size {
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        if crc.sum() != entry.crc {
            return Err(format!("{name}: wrong checksum, the file is damaged"));
        }
    }
    Ok(bytes)
}

fn inflated(source: impl Read, skip: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut source = DeflateDecoder::new(source);
    std::io::copy(&mut source.by_ref().take(skip), &mut std::io::sink())?;
    // Grows with what there is: the stated size is not believed.
    let mut bytes = Vec::new();
    source.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}
