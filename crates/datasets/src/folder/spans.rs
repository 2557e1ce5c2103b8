//! Where the values of a JSON file are: one object of pictures is parsed at a time, so that a fault in one does not
//! hide the others, the place of each is known, and no tree of the whole file is built.

use std::ops::Range;

/// A value's bytes, and the line that it starts on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub bytes: Range<usize>,
    pub line: usize,
}

/// Goes through a file value by value, without looking into them further than their ends need.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    /// The members of the object that comes next: spans of names and values. `None` if it is no object, or ends
    /// nowhere.
    pub fn members(&mut self) -> Option<Vec<[Span; 2]>> {
        self.items(*b"{}", |scanner| {
            let name = scanner.value()?;
            scanner.take(b':')?;
            Some([name, scanner.value()?])
        })
    }

    /// The elements of the array that comes next; `None` if it is none, or ends nowhere.
    pub fn elements(&mut self) -> Option<Vec<Span>> {
        self.items(*b"[]", Self::value)
    }

    /// Goes on within a value.
    pub fn within(bytes: &'a [u8], span: &Span) -> Self {
        Self { bytes: &bytes[..span.bytes.end], at: span.bytes.start, line: span.line }
    }

    /// Whether nothing but white space is left.
    pub fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.bytes.len()
    }

    fn items<T>(&mut self, [open, close]: [u8; 2], item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.take(open)?;
        self.skip_space();
        if self.peek()? == close {
            self.at += 1;
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            self.skip_space();
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => {}
                _ if next == close => return Some(items),
                _ => return None,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn skip_space(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.line += usize::from(byte == b'\n');
            self.at += 1;
        }
    }

    /// The next value: a text, a number or word, or all up to the bracket that closes what it opens.
    fn value(&mut self) -> Option<Span> {
        self.skip_space();
        let (start, line) = (self.at, self.line);
        match self.peek()? {
            b'"' => self.text()?,
            b'{' | b'[' => self.brackets()?,
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
                self.at += self.bytes[start..].iter().position(ends).unwrap_or(self.bytes.len() - start);
            }
        }
        (self.at > start).then_some(Span { bytes: start..self.at, line })
    }

    fn text(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                byte => {
                    self.line += usize::from(byte == b'\n');
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Some(())
    }

    /// Which bracket closes which is left to the parser of the value.
    fn brackets(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'\n' => self.line += 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// The bytes of a value with `null` for each `NaN` outside of texts, as Python's `json` writes it; `None` if there
/// is none.
pub(super) fn without_nan(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut found, mut at, mut copied) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let mut scanner = Scanner { bytes, at, line: 0 };
                scanner.text()?;
                at = scanner.at;
            }
            b'N' if bytes[at..].starts_with(b"NaN") => {
                found.extend_from_slice(&bytes[copied..at]);
                found.extend_from_slice(b"null");
                at += 3;
                copied = at;
            }
            _ => at += 1,
        }
    }
    found.extend_from_slice(&bytes[copied..]);
    (copied > 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(all: &'a [u8], span: &Span) -> &'a str {
        std::str::from_utf8(&all[span.bytes.clone()]).unwrap()
    }

    #[test]
    fn values_are_found_with_their_lines() {
        let all = b" {\"a\\\"}\": [1,\n {\"b\": \"]\"}, NaN ,\n\"x\"],\n\"c\":{}}\n";
        let mut scanner = Scanner::new(all);
        let members = scanner.members().unwrap();
        assert!(scanner.is_at_end());
        let found: Vec<_> = members.iter().map(|[name, value]| (text(all, name), value.line)).collect();
        assert_eq!(found, [("\"a\\\"}\"", 1), ("\"c\"", 4)]);
        let elements = Scanner::within(all, &members[0][1]).elements().unwrap();
        let found: Vec<_> = elements.iter().map(|span| (text(all, span), span.line)).collect();
        assert_eq!(found, [("1", 1), ("{\"b\": \"]\"}", 2), ("NaN", 2), ("\"x\"", 3)]);
        assert_eq!(Scanner::within(all, &members[1][1]).members(), Some(vec![]));
    }

    #[test]
    fn what_ends_nowhere_is_nothing() {
        let sound = b"{\"a\": [1, \"x\\\\\"], \"b\": {\"c\": []}}";
        assert!(Scanner::new(sound).members().is_some());
        for length in 0..sound.len() {
            assert_eq!(Scanner::new(&sound[..length]).members(), None, "{length}");
        }
        for wrong in ["[]", "{1 2}", "{\"a\" 1}", "{\"a\": }", "{\"a\": 1 \"b\": 2}", "{\"a\\"] {
            assert_eq!(Scanner::new(wrong.as_bytes()).members(), None, "{wrong}");
        }
    }

    #[test]
    fn nan_is_nothing_but_not_in_texts() {
        let found = without_nan(b"{\"NaN\": [NaN,\"a\\\"NaN\", NaN]}").unwrap();
        assert_eq!(found, b"{\"NaN\": [null,\"a\\\"NaN\", null]}");
        assert_eq!(without_nan(b"{\"NaN\": 1}"), None);
    }
}
