//! Checkpoints of PyTorch: what `torch.save` writes, today (a ZIP archive with a pickle) and before 1.6 (pickles and
//! the storages behind them).
//!
//! Nothing in a pickle is executed. Whatever stands beside the weights may be of any class; what stands for a tensor
//! is read exactly, or is an error that names it.

mod pickle;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod value;
mod zip;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use self::source::{Source, Storages};
use self::value::{Value, Values};
use self::zip::{Entry, directory, read_entry};
use super::file::{Fault, StateDict};

/// Largest pickle: it has names and shapes, not the numbers.
const MAX_PICKLE: u64 = 100 << 20;
/// Largest entry of text.
const MAX_TEXT: u64 = 4096;
/// The number that begins files of before 1.6, `0x1950a86a20f9469cfc6c`, as it is stored.
const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Where it may start: behind the pickle's own first instructions.
const LEGACY_WITHIN: usize = 32;
const LEGACY_PROTOCOL: i64 = 1001;

/// The layouts of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Zip,
    Legacy,
    /// Of before 0.1.10.
    Tar,
}

impl Layout {
    /// The layout that a file begins like.
    pub fn of(start: &[u8]) -> Option<Self> {
        if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            Some(Self::Zip)
        } else if start.get(257..262) == Some(b"ustar") {
            Some(Self::Tar)
        } else {
            let within = &start[..start.len().min(LEGACY_WITHIN)];
            within.windows(LEGACY.len()).any(|bytes| bytes == LEGACY).then_some(Self::Legacy)
        }
    }
}

/// Reads the names and shapes of a checkpoint's tensors; their numbers are read when they are used.
pub(super) fn read(path: &Path, layout: Layout) -> Result<StateDict, Fault> {
    let file = explainer_files::open(path).map_err(|error| Fault::Reason(error.to_string()))?;
    match layout {
        Layout::Zip => zipped(file),
        Layout::Legacy => legacy(file),
        Layout::Tar => Err(Fault::Reason("a TAR archive".to_string())),
    }
}

fn zipped(mut file: File) -> Result<StateDict, Fault> {
    let entries = directory(&mut file).map_err(Fault::Reason)?;
    let roots = entries.keys().filter_map(|name| name.strip_suffix("data.pkl"));
    let root = roots.filter(|root| root.is_empty() || root.ends_with('/')).min_by_key(|root| root.len());
    let Some(root) = root.map(str::to_string) else {
        return Err(Fault::Reason("a ZIP archive without the data.pkl of a checkpoint".to_string()));
    };
    if entries.contains_key(&format!("{root}constants.pkl")) {
        let what =
            "a TorchScript program; save its state dict: torch.save(torch.jit.load(FILE).state_dict(), NEW)";
        return Err(Fault::Reason(what.to_string()));
    }
    let mut text = |name: &str| -> Result<Option<Vec<u8>>, Fault> {
        let name = format!("{root}{name}");
        let read = |entry: &Entry| read_entry(&mut file, &name, entry, 0, MAX_TEXT).map_err(Fault::Reason);
        entries.get(&name).map(read).transpose()
    };
    if let Some(order) = text("byteorder")?
        && order.trim_ascii() != b"little"
    {
        let order = String::from_utf8_lossy(&order).trim().to_string();
        return Err(Fault::Reason(format!("expected little-endian numbers, found {order}-endian ones")));
    }
    let name = format!("{root}data.pkl");
    let entry = entries.get(&name).ok_or_else(|| Fault::Reason(format!("there is no {name}")))?;
    if entry.size > MAX_PICKLE {
        return Err(Fault::Reason(format!(
            "{name}: expected at most {MAX_PICKLE} bytes, found {}",
            entry.size
        )));
    }
    let pickle = read_entry(&mut file, &name, entry, 0, MAX_PICKLE).map_err(Fault::Reason)?;
    let mut values = Values::default();
    let found = pickle::read(&mut Cursor::new(pickle), &mut values).map_err(unpickled)?;
    let source = Arc::new(Source::new(file, Storages::Zip { root, entries }));
    state::state(&values, found, &source)
}

fn unpickled(reason: String) -> Fault {
    Fault::Reason(format!("its pickle: {reason}"))
}

/// Pickles of a number, a version, facts of the system, the object and the keys of the storages, and then these.
fn legacy(file: File) -> Result<StateDict, Fault> {
    let io = |error: std::io::Error| Fault::Reason(error.to_string());
    let mut values = Values::default();
    let mut source = BufReader::new(file);
    // Pickles are read one behind the other, all together within the limit.
    let mut pickles = source.by_ref().take(MAX_PICKLE);
    let mut next = |values: &mut Values| pickle::read(&mut pickles, values).map_err(unpickled);
    next(&mut values)?;
    let version = next(&mut values)?;
    if !matches!(values.get(version), Value::Int(LEGACY_PROTOCOL)) {
        return Err(Fault::Reason(format!("expected protocol {LEGACY_PROTOCOL}, found another")));
    }
    let system = next(&mut values)?;
    if values.entry(system, "little_endian").is_some_and(|it| matches!(values.get(it), Value::Bool(false))) {
        return Err(Fault::Reason("expected little-endian numbers, found big-endian ones".to_string()));
    }
    let root = next(&mut values)?;
    let keys = next(&mut values)?;
    let mut widths = HashMap::new();
    for storage in values.storages() {
        let width = storage.dtype.map_or(1, |dtype| dtype.size());
        widths.insert(storage.key.to_string(), (width, storage.class.clone(), storage.dtype.is_some()));
    }
    let mut places = HashMap::new();
    for &key in values.sequence(keys).unwrap_or_default() {
        let key = values.key(key).unwrap_or_default().to_string();
        let (width, class, known) = widths.get(&key).cloned().unwrap_or((1, "no class".into(), false));
        if !known {
            // What is behind it could not be found.
            return Err(Fault::Reason(format!("a storage of {class}, whose elements are of unknown size")));
        }
        let mut length = [0; 8];
        source.read_exact(&mut length).map_err(io)?;
        let length = u64::from_le_bytes(length).checked_mul(width as u64);
        let start = source.stream_position().map_err(io)?;
        let end = length.and_then(|length| start.checked_add(length));
        let (Some(length), Some(end)) = (length, end) else {
            return Err(Fault::Reason(format!("storage {key} is too large")));
        };
        if end > source.get_ref().metadata().map_err(io)?.len() {
            return Err(Fault::Reason(format!("the file ends within storage {key}")));
        }
        source.seek(std::io::SeekFrom::Start(end)).map_err(io)?;
        places.insert(key, [start, length]);
    }
    let source = Arc::new(Source::new(source.into_inner(), Storages::Legacy(places)));
    state::state(&values, root, &source)
}
