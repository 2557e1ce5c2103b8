//! Text files of one record a line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::str::FromStr;

use crate::DatasetError;

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 16;

/// One line of a file.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    path: &'a Path,
    pub number: usize,
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// The error that the line is not what it should be.
    pub fn error(&self, expected: impl Into<String>) -> DatasetError {
        let found: String = self.text.chars().take(80).collect();
        DatasetError::format(self.path, format!("line {}", self.number), expected, format!("{found:?}"))
    }

    /// A number, and the rest of the line.
    pub fn number_and_rest(&self, what: &str) -> Result<(u32, &'a str), DatasetError> {
        let split = self.text.split_once(|c: char| c.is_ascii_whitespace());
        let parsed = split.and_then(|(number, rest)| Some((number.parse().ok()?, rest.trim())));
        parsed.filter(|(_, rest)| !rest.is_empty()).ok_or_else(|| self.error(what))
    }

    /// So many fields of one kind, set apart by white space.
    pub fn fields<T: FromStr, const N: usize>(&self, what: &str) -> Result<[T; N], DatasetError> {
        let mut words = self.text.split_ascii_whitespace();
        let fields: [Option<T>; N] = std::array::from_fn(|_| words.next().and_then(|word| word.parse().ok()));
        let complete = words.next().is_none() && fields.iter().all(Option::is_some);
        let values = fields.into_iter().flatten().collect::<Vec<T>>().try_into();
        values.ok().filter(|_| complete).ok_or_else(|| self.error(what))
    }
}

/// Hands over each line of a file that is not blank, without its end.
///
/// # Errors
///
/// If the file cannot be read, a line is no UTF-8 or too long, and what `each` returns.
pub(crate) fn each_line(
    path: &Path,
    each: impl FnMut(Line<'_>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let file = explainer_files::open(path).map_err(|e| DatasetError::io(path, e))?;
    each_line_of(path, BufReader::new(file), each)
}

/// The same of any reader; the path is for messages.
pub(crate) fn each_line_of(
    path: &Path,
    mut reader: impl BufRead,
    mut each: impl FnMut(Line<'_>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes);
        if read.map_err(|e| DatasetError::io(path, e))? == 0 {
            break;
        }
        let error = |expected: String, found: &str| {
            Err(DatasetError::format(path, format!("line {number}"), expected, found))
        };
        if bytes.len() as u64 == MAX_LINE && bytes.last() != Some(&b'\n') {
            return error(format!("at most {MAX_LINE} bytes"), "more");
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => each(Line { path, number, text: text.trim() })?,
            Err(_) => return error("text in UTF-8".to_owned(), "other bytes"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let each = |line: Line<'_>| {
            found.push(format!("{}:{}", line.number, line.text));
            Ok(())
        };
        each_line_of(Path::new("a.txt"), bytes, each).map_err(|e| e.to_string())?;
        Ok(found)
    }

    #[test]
    fn lines_are_counted_from_one_blank_ones_too() {
        assert_eq!(lines(b"one\r\n\n  two words \nthree").unwrap(), ["1:one", "3:two words", "4:three"]);
        assert_eq!(lines(b"").unwrap(), [""; 0]);
    }

    #[test]
    fn bytes_that_are_no_text_and_lines_without_end_are_errors() {
        let error = lines(b"one\n\xff\n").unwrap_err();
        assert_eq!(error, "a.txt: at line 2: expected text in UTF-8, found other bytes");
        let error = lines(&vec![b'x'; MAX_LINE as usize + 1]).unwrap_err();
        assert!(error.contains("line 1: expected at most 65536 bytes"), "{error}");
    }

    #[test]
    fn fields_are_all_there_or_an_error() {
        let line = |text| Line { path: Path::new("a.txt"), number: 7, text };
        assert_eq!(line("1 2.5\t3").fields::<f32, 3>("three").unwrap(), [1.0, 2.5, 3.0]);
        assert_eq!(line("12 left eye").number_and_rest("a part").unwrap(), (12, "left eye"));
        for wrong in ["1 2", "1 2 3 4", "1 2 x", ""] {
            let error = line(wrong).fields::<f32, 3>("three numbers").unwrap_err().to_string();
            assert_eq!(error, format!("a.txt: at line 7: expected three numbers, found {wrong:?}"));
        }
        for wrong in ["12", "x y", "-1 y", "99999999999 y"] {
            assert!(line(wrong).number_and_rest("a part").is_err(), "{wrong}");
        }
    }
}
