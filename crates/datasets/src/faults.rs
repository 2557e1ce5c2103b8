//! Damage in a set: stop at the first, or leave out what is damaged and report it.

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

/// How many images, or lines about them, were left out, and why.
///
/// All are counted, by kind; the first twenty are kept in words, so that a report of a million faults is
/// no larger than one of twenty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    counts: BTreeMap<&'static str, usize>,
    messages: Vec<String>,
}

impl Report {
    /// How many were left out.
    pub fn len(&self) -> usize {
        self.counts.values().sum()
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
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
    }
}

/// One line of counts, then a line for each message.
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
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
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
    fn by_default_the_first_error_is_the_answer() {
        let error = Sieve::new(Faults::default()).pass(Err::<(), _>(fault(7))).unwrap_err();
        assert!(error.to_string().contains("line 7"), "{error}");
    }
}
