//! Damage in a set: stop at the first, or leave out what is damaged and report it; and what else to know of a set.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Most messages that a report keeps.
const MESSAGES: usize = 20;

/// What to do about an image that is damaged, missing or wrongly annotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Faults {
    /// The first one is an error.
    #[default]
    Stop,
    /// It is left out, and the [`Report`] says so.
    Skip,
}

/// How many images, or lines about them, were left out, and why; and notes of what was found but is not used.
///
/// All are counted, by kind; the first twenty faults are kept in words, and the first note of each kind, so that
/// a report of a million faults is no larger than one of twenty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    counts: BTreeMap<&'static str, usize>,
    messages: Vec<String>,
    notes: BTreeMap<&'static str, Note>,
}

/// Things of one kind that are worth a note.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    count: usize,
    first: String,
}

impl Report {
    /// How many were left out because something is wrong with them.
    pub fn len(&self) -> usize {
        self.counts.values().sum()
    }

    /// Whether there is nothing to tell: nothing was left out, and all that was found is used.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.notes.is_empty()
    }

    /// What is not used, or not as one might think, though nothing is wrong with it, and how much of each kind:
    /// files that are no pictures, pictures without a row, empty folders, small boxes.
    pub fn notes(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.notes.iter().map(|(&kind, note)| (kind, note.count))
    }

    /// Counts something of which there is a note; `which` is told of the first of its kind.
    pub(crate) fn note(&mut self, kind: &'static str, which: impl FnOnce() -> String) {
        self.notes.entry(kind).or_insert_with(|| Note { count: 0, first: which() }).count += 1;
    }

    /// How many of each kind ([`DatasetError::kind`]), in the order of their names.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.counts.iter().map(|(&kind, &count)| (kind, count))
    }

    /// The first errors, twenty at most.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// Adds an error.
    pub fn push(&mut self, error: &DatasetError) {
        *self.counts.entry(error.kind()).or_default() += 1;
        if self.messages.len() < MESSAGES {
            self.messages.push(error.to_string());
        }
    }

    /// Adds the errors of another report.
    pub fn merge(&mut self, other: Report) {
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        let free = MESSAGES - self.messages.len();
        self.messages.extend(other.messages.into_iter().take(free));
        for (kind, Note { count, first }) in other.notes {
            self.notes.entry(kind).or_insert(Note { count: 0, first }).count += count;
        }
    }
}

/// One line of counts, a line for each message, and a line for each kind of notes.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} left out", self.len())?;
        for (i, (kind, count)) in self.counts().enumerate() {
            write!(f, "{}{count} {kind}", if i == 0 { ": " } else { ", " })?;
        }
        for message in &self.messages {
            write!(f, "\n  {message}")?;
        }
        match self.len() - self.messages.len() {
            0 => {}
            more => write!(f, "\n  and {more} more")?,
        }
        for (kind, Note { count, first }) in &self.notes {
            write!(f, "\n  note: {count} {kind}, the first {first}")?;
        }
        Ok(())
    }
}

/// Lets results through and does with errors as the caller chose.
#[derive(Clone, Debug)]
pub(crate) struct Sieve {
    faults: Faults,
    pub report: Report,
}

impl Sieve {
    pub fn new(faults: Faults) -> Self {
        Self { faults, report: Report::default() }
    }

    /// The value, or `None` if it is left out.
    pub fn pass<T>(&mut self, result: Result<T, DatasetError>) -> Result<Option<T>, DatasetError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.faults == Faults::Stop => Err(error),
            Err(error) => {
                self.report.push(&error);
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fault(line: usize) -> DatasetError {
        DatasetError::format(Path::new("a.txt"), format!("line {line}"), "two words", "one")
    }

    #[test]
    fn a_report_counts_all_and_tells_the_first() {
        let mut sieve = Sieve::new(Faults::Skip);
        assert!(sieve.report.is_empty());
        assert_eq!(sieve.pass(Ok(3)).unwrap(), Some(3));
        for line in 1..=25 {
            assert_eq!(sieve.pass(Err::<(), _>(fault(line))).unwrap(), None);
        }
        let missing = DatasetError::io(Path::new("b.jpg"), std::io::ErrorKind::NotFound.into());
        sieve.pass(Err::<(), _>(missing)).unwrap();
        let text = sieve.report.to_string();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("26 left out: 1 cannot be read, 25 not in the expected format"));
        assert_eq!(lines.next(), Some("  a.txt: at line 1: expected two words, found one"));
        assert_eq!(lines.last(), Some("  and 6 more"));
        let mut both = sieve.report.clone();
        both.merge(sieve.report);
        assert_eq!((both.len(), both.messages().len()), (52, 20));
        assert_eq!(both.counts().collect::<Vec<_>>()[1], ("not in the expected format", 50));
    }

    #[test]
    fn notes_are_counted_by_kind_and_the_first_told() {
        let mut report = Report::default();
        for name in ["a.txt", "b.txt"] {
            report.note("files that are no pictures", || name.to_owned());
        }
        assert_eq!((report.is_empty(), report.len()), (false, 0), "nothing is wrong with them");
        let mut both = report.clone();
        both.merge(report);
        assert_eq!(both.notes().collect::<Vec<_>>(), [("files that are no pictures", 4)]);
        let text = both.to_string();
        assert_eq!(text, "0 left out\n  note: 4 files that are no pictures, the first a.txt");
    }

    #[test]
    fn by_default_the_first_error_is_the_answer() {
        let error = Sieve::new(Faults::default()).pass(Err::<(), _>(fault(7))).unwrap_err();
        assert!(error.to_string().contains("line 7"), "{error}");
    }
}
