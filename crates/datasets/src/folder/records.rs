//! Records of comma-separated values (RFC 4180), with the lines they start at.

use std::ops::Range;

use csv_core::{ReadRecordResult, Reader};

/// Most fields of a record.
const MAX_FIELDS: usize = 4096;

/// The records of a file, from its bytes.
pub(super) struct Records<'a> {
    parser: Reader,
    rest: &'a [u8],
    line: usize,
    /// Fields, unquoted; none is longer than the file.
    output: Vec<u8>,
    ends: Vec<usize>,
}

/// One record.
pub(super) struct Record {
    /// Where it starts, counted from 1.
    pub line: usize,
    text: String,
    fields: Vec<Range<usize>>,
}

impl Record {
    /// The fields, without white space around them.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| self.text[field.clone()].trim())
    }

    /// The field of a column, empty if there is none.
    pub fn get(&self, column: usize) -> &str {
        self.fields.get(column).map_or("", |field| self.text[field.clone()].trim())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let (output, ends) = (vec![0; bytes.len()], vec![0; MAX_FIELDS]);
        Self { parser: Reader::new(), rest: bytes, line: 1, output, ends }
    }

    fn advance(&mut self, bytes: usize) {
        self.line += self.rest[..bytes].iter().filter(|&&b| b == b'\n').count();
        self.rest = &self.rest[bytes..];
    }
}

impl Iterator for Records<'_> {
    /// A record, or the line of one that is no text or has too many fields, and which of the two.
    type Item = Result<Record, (usize, &'static str)>;

    fn next(&mut self) -> Option<Self::Item> {
        // Blank lines are no records; they are passed over here, so that they are counted.
        let blank = self.rest.iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        self.advance(blank);
        let (line, mut written, mut ended) = (self.line, 0, 0);
        loop {
            let (output, ends) = (&mut self.output[written..], &mut self.ends[ended..]);
            let (result, read, more, further) = self.parser.read_record(self.rest, output, ends);
            self.advance(read);
            (written, ended) = (written + more, ended + further);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    self.rest = &[];
                    self.parser.reset();
                    return Some(Err((line, "more fields than any table has")));
                }
            }
        }
        let ends = &self.ends[..ended];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let fields: Vec<Range<usize>> = starts.zip(ends.iter().copied()).map(|(a, b)| a..b).collect();
        // Each field by itself: what is no text in one may be in two that touch.
        let is_text = |field: &Range<usize>| std::str::from_utf8(&self.output[field.clone()]).is_ok();
        let text = String::from_utf8(self.output[..written].to_vec());
        match (fields.iter().all(is_text), text) {
            (true, Ok(text)) => Some(Ok(Record { line, text, fields })),
            _ => Some(Err((line, "other bytes than UTF-8"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: impl AsRef<[u8]>) -> Vec<String> {
        let told = |record: Result<Record, (usize, &str)>| match record {
            Ok(record) => format!("{}:{}", record.line, record.fields().collect::<Vec<_>>().join("|")),
            Err((line, what)) => format!("{line}: {what}"),
        };
        Records::new(text.as_ref()).map(told).collect()
    }

    #[test]
    fn fields_are_unquoted_and_lines_counted() {
        let text = "a, b ,c\r\n\r\n\"one, two\",\"say \"\"x\"\"\",\n\"over\nlines\",2,3\n\n\nlast";
        assert_eq!(records(text), ["1:a|b|c", "3:one, two|say \"x\"|", "4:over\nlines|2|3", "8:last"]);
        assert_eq!(records("\u{feff}a,b\n1,2"), ["1:a|b", "2:1|2"]);
        assert_eq!(records(""), [""; 0]);
        assert_eq!(records("\n\r\n"), [""; 0]);
    }

    #[test]
    fn what_is_no_text_is_told_and_the_rest_read() {
        assert_eq!(records(b"a,b\n\xff,1\nc,d\n"), ["1:a|b", "2: other bytes than UTF-8", "3:c|d"]);
        // A letter of two bytes, torn apart by a comma.
        assert_eq!(records(b"\xc3,\xa4\n"), ["1: other bytes than UTF-8"]);
        assert_eq!(records(",".repeat(MAX_FIELDS + 1)), ["1: more fields than any table has"]);
    }
}
