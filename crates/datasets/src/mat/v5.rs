//! MAT files of version 5: a header of 128 bytes, then tagged elements.
//!
//! An element is a tag (kind and size, 4 bytes each) and that many bytes, padded to 8; or, if it has
//! 4 bytes or fewer, both packed into 8. A variable is an element of kind `matrix`, whose own
//! elements are its flags, dimensions and name and then, depending on its class, numbers, text or
//! further matrices. Each variable is usually wrapped into an element of zlib-compressed bytes.

use std::path::Path;

use super::tags::{Cursor, inflate, kind};
use super::value::{MatStruct, MatValue, TEXT_UNIT_BYTES, UTF8_BYTES};
use super::{Budget, HEADER, MAX_DEPTH, MAX_DIMENSIONS, element_count};
use crate::DatasetError;

/// Classes of matrices: the lowest byte of the flags.
const CELL: u8 = 1;
const STRUCT: u8 = 2;
const CHAR: u8 = 4;
const UINT8: u8 = 9;
const NUMERIC: std::ops::RangeInclusive<u8> = 6..=15;
const OPAQUE: u8 = 17;
const CLASS_NAMES: [&str; 18] = [
    "0", "cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8", "int16",
    "uint16", "int32", "uint32", "int64", "uint64", "function", "opaque",
];
/// The flag of complex numbers.
const COMPLEX: u32 = 0x0800;

/// Reads all variables.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    budget: &mut Budget<'_>,
) -> Result<Vec<(String, MatValue)>, DatasetError> {
    check_header(path, bytes)?;
    let mut file = Cursor { path, bytes, at: HEADER, inflated_from: None };
    let mut variables = Vec::new();
    while file.at < bytes.len() {
        let start = file.at;
        let (name, value) = match file.element()? {
            (kind::COMPRESSED, packed) => {
                let inflated = inflate(path, start, packed, budget)?;
                let mut inner = Cursor { path, bytes: &inflated, at: 0, inflated_from: Some(start) };
                let data = inner.expect(&[kind::MATRIX], "a matrix")?;
                matrix(inner.inside(data), 0, budget)?
            }
            (kind::MATRIX, data) => matrix(file.inside(data), 0, budget)?,
            // The format leaves room for other elements between the variables.
            _ => continue,
        };
        // Without a name: MATLAB's own data for functions and objects.
        if !name.is_empty() {
            budget.charge(&file.place(), 1, size_of::<(String, MatValue)>())?;
            variables.push((name, value));
        }
    }
    Ok(variables)
}

fn check_header(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    const VERSION_5_LITTLE_ENDIAN: &[u8] = &[0x00, 0x01, b'I', b'M'];
    let expected = "a MAT file of version 7.3, or of version 5 in little-endian order";
    match bytes.get(HEADER - 4..HEADER) {
        Some(VERSION_5_LITTLE_ENDIAN) => Ok(()),
        Some(other) => {
            Err(DatasetError::format(path, "byte 124", expected, format!("\"{}\"", other.escape_ascii())))
        }
        None => Err(DatasetError::format(path, "byte 0", expected, format!("{} bytes", bytes.len()))),
    }
}

/// Reads one matrix, of which `data` is the inside, and returns its name and value.
fn matrix(
    mut data: Cursor<'_>,
    depth: usize,
    budget: &mut Budget<'_>,
) -> Result<(String, MatValue), DatasetError> {
    if depth > MAX_DEPTH {
        return Err(data.error(format!("at most {MAX_DEPTH} levels"), "one more"));
    }
    if data.bytes.is_empty() {
        budget.charge(&data.place(), 2, size_of::<usize>())?;
        return Ok((String::new(), MatValue::Empty { dims: vec![0, 0] }));
    }
    let flags = data.expect(&[kind::UINT32], "flags")?;
    let flags = match flags.first_chunk::<4>() {
        Some(word) if flags.len() == 8 => u32::from_le_bytes(*word),
        _ => return Err(data.error("8 bytes of flags", format!("{} bytes", flags.len()))),
    };
    let class = (flags & 0xff) as u8;
    let dims = if class == OPAQUE { vec![] } else { dimensions(&mut data, budget)? };
    let name = data.expect(&[kind::INT8, kind::UINT8, kind::UTF8], "a name")?;
    budget.charge(&data.place(), name.len(), UTF8_BYTES)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let Some(count) = element_count(&dims) else {
        return Err(data.error("a number of elements", format!("{dims:?}")));
    };
    let value = match class {
        CELL | STRUCT => {
            let fields = if class == STRUCT { field_names(&mut data, budget)? } else { vec![] };
            let width = if class == STRUCT { fields.len() } else { 1 };
            let values = matrices(&mut data, count.checked_mul(width), depth, budget)?;
            match class {
                _ if count == 0 => MatValue::Empty { dims },
                STRUCT => MatValue::Struct(MatStruct::new(dims, fields, values)),
                _ => MatValue::Cell { dims, values },
            }
        }
        CHAR => text(&mut data, &dims, count, budget)?,
        _ if NUMERIC.contains(&class) && flags & COMPLEX == 0 => {
            numbers(&mut data, dims, count, class, budget)?
        }
        _ => {
            let class = CLASS_NAMES.get(usize::from(class)).copied().unwrap_or("unknown");
            let class = if flags & COMPLEX != 0 { format!("complex {class}") } else { class.to_owned() };
            MatValue::Unsupported { class }
        }
    };
    Ok((name, value))
}

fn dimensions(data: &mut Cursor<'_>, budget: &mut Budget<'_>) -> Result<Vec<usize>, DatasetError> {
    let bytes = data.expect(&[kind::INT32], "dimensions")?;
    let (words, rest) = bytes.as_chunks::<4>();
    if !(2..=MAX_DIMENSIONS).contains(&words.len()) || !rest.is_empty() {
        let expected = format!("2 to {MAX_DIMENSIONS} dimensions of 4 bytes");
        return Err(data.error(expected, format!("{} bytes", bytes.len())));
    }
    budget.charge(&data.place(), words.len(), size_of::<usize>())?;
    let stated: Vec<i32> = words.iter().map(|w| i32::from_le_bytes(*w)).collect();
    let dims: Option<Vec<usize>> = stated.iter().map(|&d| usize::try_from(d).ok()).collect();
    dims.ok_or_else(|| data.error("dimensions, none negative", format!("{stated:?}")))
}

/// The fields' names: their common length, then all of them, each filled up with zeros.
fn field_names(data: &mut Cursor<'_>, budget: &mut Budget<'_>) -> Result<Vec<String>, DatasetError> {
    let length = data.expect(&[kind::INT32], "the length of field names")?;
    let names = data.expect(&[kind::INT8], "field names")?;
    let length = length.first_chunk::<4>().and_then(|w| usize::try_from(i32::from_le_bytes(*w)).ok());
    match length {
        _ if names.is_empty() => Ok(vec![]),
        Some(length) if length > 0 && names.len() % length == 0 => {
            let size = size_of::<String>() + UTF8_BYTES * length;
            budget.charge(&data.place(), names.len() / length, size)?;
            let name = |name: &[u8]| {
                let name = name.split(|&b| b == 0).next().unwrap_or_default();
                String::from_utf8_lossy(name).into_owned()
            };
            Ok(names.chunks_exact(length).map(name).collect())
        }
        other => {
            Err(data.error(format!("field names in {} bytes", names.len()), format!("a length of {other:?}")))
        }
    }
}

/// Reads `count` matrices that follow each other: cells, or the fields of structs.
fn matrices(
    data: &mut Cursor<'_>,
    count: Option<usize>,
    depth: usize,
    budget: &mut Budget<'_>,
) -> Result<Vec<MatValue>, DatasetError> {
    // Each takes up a tag at least, so that a count which lies is found out here.
    let room = data.bytes.len().saturating_sub(data.at) / 8;
    let count = count
        .filter(|&n| n <= room)
        .ok_or_else(|| data.error(format!("at most {room} values"), format!("{count:?}")))?;
    budget.charge(&data.place(), count, size_of::<MatValue>())?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let inner = data.expect(&[kind::MATRIX], "a matrix")?;
        values.push(matrix(data.inside(inner), depth + 1, budget)?.1);
    }
    Ok(values)
}

fn text(
    data: &mut Cursor<'_>,
    dims: &[usize],
    count: usize,
    budget: &mut Budget<'_>,
) -> Result<MatValue, DatasetError> {
    let (kind, bytes) = data.element()?;
    budget.charge(&data.place(), bytes.len(), TEXT_UNIT_BYTES)?;
    let units: Vec<u16> = match kind {
        kind::INT8 | kind::UINT8 => bytes.iter().map(|&b| b.into()).collect(),
        kind::UINT16 | kind::UTF16 => {
            bytes.as_chunks::<2>().0.iter().map(|&b| u16::from_le_bytes(b)).collect()
        }
        kind::UTF8 => String::from_utf8_lossy(bytes).encode_utf16().collect(),
        other => return Err(data.error("text", format!("an element of kind {other}"))),
    };
    if units.len() != count {
        return Err(data.error(format!("{count} characters"), units.len().to_string()));
    }
    Ok(MatValue::Char(super::value::text(&units, dims.first().copied().unwrap_or(1))))
}

/// Numbers, which are stored in the smallest kind that holds them, whatever their class.
fn numbers(
    data: &mut Cursor<'_>,
    dims: Vec<usize>,
    count: usize,
    class: u8,
    budget: &mut Budget<'_>,
) -> Result<MatValue, DatasetError> {
    let (kind, bytes) = data.element()?;
    let width = match kind {
        kind::INT8 | kind::UINT8 => 1,
        kind::INT16 | kind::UINT16 => 2,
        kind::INT32 | kind::UINT32 | kind::SINGLE => 4,
        kind::DOUBLE | kind::INT64 | kind::UINT64 => 8,
        other => return Err(data.error("numbers", format!("an element of kind {other}"))),
    };
    if count.checked_mul(width) != Some(bytes.len()) {
        return Err(data.error(format!("{count} numbers of {width} bytes"), format!("{} bytes", bytes.len())));
    }
    if count == 0 {
        return Ok(MatValue::Empty { dims });
    }
    if class == UINT8 && kind == kind::UINT8 {
        budget.charge(&data.place(), count, 1)?;
        return Ok(MatValue::Bytes { dims, data: bytes.to_vec() });
    }
    budget.charge(&data.place(), count, size_of::<f64>())?;
    let data = match kind {
        kind::INT8 => bytes.iter().map(|&b| f64::from(b as i8)).collect(),
        kind::UINT8 => bytes.iter().map(|&b| b.into()).collect(),
        kind::INT16 => decode(bytes, |b| i16::from_le_bytes(b).into()),
        kind::UINT16 => decode(bytes, |b| u16::from_le_bytes(b).into()),
        kind::INT32 => decode(bytes, |b| i32::from_le_bytes(b).into()),
        kind::UINT32 => decode(bytes, |b| u32::from_le_bytes(b).into()),
        kind::SINGLE => decode(bytes, |b| f32::from_le_bytes(b).into()),
        kind::INT64 => decode(bytes, |b| i64::from_le_bytes(b) as f64),
        kind::UINT64 => decode(bytes, |b| u64::from_le_bytes(b) as f64),
        _ => decode(bytes, f64::from_le_bytes),
    };
    Ok(MatValue::Double { dims, data })
}

fn decode<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|&b| number(b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    /// Reads a matrix with these dimensions, name and inside, for which there are so many bytes.
    fn read_matrix(
        class: u8,
        dims: &[i32],
        name: &[u8],
        rest: &[Vec<u8>],
        budget: usize,
    ) -> Result<MatValue, String> {
        let flags = element(kind::UINT32, &[class, 0, 0, 0, 0, 0, 0, 0]);
        let dims: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
        let bytes = [flags, element(kind::INT32, &dims), element(kind::INT8, name), rest.concat()].concat();
        let path = Path::new("a.mat");
        let data = Cursor { path, bytes: &bytes, at: 0, inflated_from: None };
        match matrix(data, 0, &mut Budget::new(path, budget)) {
            Ok((_, value)) => Ok(value),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn field_names_are_charged() {
        let read = |names: &[u8]| {
            let fields = [element(kind::INT32, &1i32.to_le_bytes()), element(kind::INT8, names)];
            read_matrix(STRUCT, &[0, 0], b"x", &fields, 10_000)
        };
        assert_eq!(read(b"abc"), Ok(MatValue::Empty { dims: vec![0, 0] }));
        let error = read(&[b'f'; 1000]).unwrap_err();
        assert!(error.contains("more of values, found 1000 items of 27 bytes"), "{error}");
    }

    #[test]
    fn rows_of_text_are_charged() {
        let read = |rows: usize| {
            let text = element(kind::UTF8, &vec![b'a'; rows]);
            read_matrix(CHAR, &[rows as i32, 1], b"x", &[text], 5000)
        };
        assert_eq!(read(3), Ok(MatValue::Char("a\na\na".into())));
        // A byte, 2 as UTF-16, and again up to 3 as UTF-8, and a newline.
        let error = read(1000).unwrap_err();
        assert!(error.contains("found 1000 items of 6 bytes"), "{error}");
    }

    #[test]
    fn the_name_is_charged() {
        let number = element(kind::DOUBLE, &1f64.to_le_bytes());
        let error = read_matrix(6, &[1, 1], &[0xff; 1000], &[number], 1000).unwrap_err();
        assert!(error.contains("found 1000 items of 3 bytes"), "{error}");
    }

    #[test]
    fn dimensions_are_few_and_the_message_short() {
        let read = |dims: &[i32]| {
            let number = element(kind::DOUBLE, &1f64.to_le_bytes());
            read_matrix(6, dims, b"x", &[number], 1 << 20)
        };
        assert!(read(&[1; MAX_DIMENSIONS]).is_ok());
        for dims in [&[1; MAX_DIMENSIONS + 1][..], &[-1; 50_000], &[1]] {
            let error = read(dims).unwrap_err();
            let expected = format!("expected 2 to 32 dimensions of 4 bytes, found {} bytes", 4 * dims.len());
            assert!(error.contains(&expected) && error.len() < 100, "{} long", error.len());
        }
        let error = read(&[2, -3]).unwrap_err();
        assert!(error.contains("expected dimensions, none negative, found [2, -3]"), "{error}");
    }
}
