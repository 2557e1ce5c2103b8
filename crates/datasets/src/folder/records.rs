//! Records of comma-separated values, one a line.
//!
//! RFC 4180 lets a quoted field go on over lines. Here it may not: a stray quotation mark would take everything
//! behind it for one field, and no name or number has a line end in it.

use std::borrow::Cow;

/// Most fields of a record.
const MAX_FIELDS: usize = 4096;

/// The records of a file, from its bytes.
pub(super) struct Records<'a> {
    rest: &'a [u8],
    line: usize,
}

/// One record.
pub(super) struct Record<'a> {
    /// Its line, counted from 1.
    pub line: usize,
    fields: Vec<Cow<'a, str>>,
}

/// What is wrong with a line: what was expected and what found.
pub(super) type Wrong = (usize, [&'static str; 2]);

impl Record<'_> {
    /// The fields, without white space around them.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.trim())
    }

    /// The field of a column, empty if there is none.
    pub fn get(&self, column: usize) -> &str {
        self.fields.get(column).map_or("", |field| field.trim())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, line: 0 }
    }

    /// The next line without its end, which may be that of any system.
    fn next_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = self.rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(b"\r\n").unwrap_or_else(|| rest.get(1..).unwrap_or_default());
        Some(line)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Blank lines are no records, but are counted.
            let bytes = self.next_line()?;
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let line = self.line;
            let Ok(text) = std::str::from_utf8(bytes) else {
                return Some(Err((line, ["text in UTF-8", "other bytes"])));
            };
            return Some(match fields(text) {
                Ok(fields) => Ok(Record { line, fields }),
                Err(wrong) => Err((line, wrong)),
            });
        }
    }
}

/// The fields of a line, unquoted.
fn fields(line: &str) -> Result<Vec<Cow<'_, str>>, [&'static str; 2]> {
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        if fields.len() == MAX_FIELDS {
            return Err(["as many fields as there are columns", "more fields than any table has"]);
        }
        let (field, behind) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (field, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if field.contains('"') {
                    return Err([BALANCED, "a quotation mark within a field"]);
                }
                (Cow::Borrowed(field), behind)
            }
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

const BALANCED: &str = "quotation marks around whole fields, in pairs, on one line";

/// A field behind its opening quotation mark, and what comes behind the closing one. Two marks stand for one.
fn unquoted(text: &str) -> Result<(Cow<'_, str>, &str), [&'static str; 2]> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let Some((before, behind)) = rest.split_once('"') else {
            return Err([BALANCED, "a quotation mark that is never closed"]);
        };
        field += before;
        if let Some(behind) = behind.strip_prefix('"') {
            field.push('"');
            rest = behind;
            continue;
        }
        let behind = behind.trim_start();
        if !behind.is_empty() && !behind.starts_with(',') {
            return Err([BALANCED, "text behind a closing quotation mark"]);
        }
        return Ok((Cow::Owned(field), behind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: impl AsRef<[u8]>) -> Vec<String> {
        let told = |record: Result<Record<'_>, Wrong>| match record {
            Ok(record) => format!("{}:{}", record.line, record.fields().collect::<Vec<_>>().join("|")),
            Err((line, [_, found])) => format!("{line}: {found}"),
        };
        Records::new(text.as_ref()).map(told).collect()
    }

    #[test]
    fn fields_are_unquoted_and_lines_counted() {
        let text = "a, b ,c\r\n\r\n\"one, two\",\"say \"\"x\"\"\",\r \"x\" ,2,3\n\n \nlast";
        assert_eq!(records(text), ["1:a|b|c", "3:one, two|say \"x\"|", "4:x|2|3", "7:last"]);
        assert_eq!(records(""), [""; 0]);
        assert_eq!(records("\n\r\n"), [""; 0]);
    }

    #[test]
    fn a_stray_quotation_mark_costs_its_own_line_only() {
        let never = "2: a quotation mark that is never closed";
        assert_eq!(records("a,b\n\"c,d\ne,f\n"), ["1:a|b", never, "3:e|f"]);
        assert_eq!(
            records("a,b\n\"c,d\ne,\"f\n"),
            ["1:a|b", never, "3: a quotation mark that is never closed"]
        );
        assert_eq!(records("a,b\nc\",d\ne,f"), ["1:a|b", "2: a quotation mark within a field", "3:e|f"]);
        assert_eq!(records("\"a\"b,c\nd"), ["1: text behind a closing quotation mark", "2:d"]);
    }

    #[test]
    fn what_is_no_text_is_told_and_the_rest_read() {
        assert_eq!(records(b"a,b\n\xff,1\nc,d\n"), ["1:a|b", "2: other bytes", "3:c|d"]);
        // A letter of two bytes, torn apart by a comma.
        assert_eq!(records(b"\xc3,\xa4\n"), ["1: other bytes"]);
        assert_eq!(records(",".repeat(MAX_FIELDS)), ["1: more fields than any table has"]);
    }
}
