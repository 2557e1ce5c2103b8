//! Annotations as a table of comma-separated values.

use std::path::Path;

use super::annotations::{MAX_LANDMARKS, Row, Rows};
use super::records::{Record, Records, Wrong};
use crate::DatasetError;
use crate::faults::Sieve;

/// The sides of a box, as the columns are called.
const SIDES: [&str; 4] = ["left", "top", "right", "bottom"];

/// Which column holds what.
#[derive(Debug)]
struct Columns {
    image: usize,
    split: Option<usize>,
    sides: Option<[usize; 4]>,
    names: Vec<String>,
    landmarks: Vec<[usize; 2]>,
}

/// Reads all rows.
pub(super) fn rows(path: &Path, bytes: &[u8], sieve: &mut Sieve) -> Result<Rows, DatasetError> {
    let at = |line: usize, [expected, found]: [String; 2]| {
        DatasetError::format(path, format!("line {line}"), expected, found)
    };
    let no_record = |(line, wrong): Wrong| at(line, wrong.map(str::to_owned));
    let mut records = Records::new(bytes);
    let Some(header) = records.next().transpose().map_err(no_record)? else {
        return Err(at(1, ["the names of the columns".to_owned(), "nothing".to_owned()]));
    };
    let mut columns = Columns::of(&header).map_err(|error| at(header.line, error))?;
    let landmark_names = std::mem::take(&mut columns.names);
    let mut rows = Rows { landmark_names, ..Rows::default() };
    for record in records {
        // A row of fewer or more fields, or that is none, names no picture for sure.
        let record = record.map_err(no_record).and_then(|record| match record.len() {
            len if len == header.len() => Ok(record),
            len => Err(at(record.line, [header.len(), len].map(|fields| format!("{fields} fields")))),
        });
        if let Some(record) = sieve.pass(record)? {
            let row = columns.row(&record);
            rows.push(record.get(columns.image), row, |error| at(record.line, error), sieve)?;
        }
    }
    Ok(rows)
}

impl Columns {
    fn of(header: &Record<'_>) -> Result<Self, [String; 2]> {
        let header: Vec<&str> = header.fields().collect();
        let mut names: Vec<Option<&str>> = header.iter().copied().map(Some).collect();
        if let Some(twice) = header.iter().enumerate().find(|&(i, name)| names[..i].contains(&Some(*name))) {
            return Err(["each column once".to_owned(), format!("{:?} again", twice.1)]);
        }
        let mut take = |name: &str| {
            let column = names.iter().position(|n| *n == Some(name))?;
            names[column] = None;
            Some(column)
        };
        let image = take("image").ok_or_else(|| ["a column image".to_owned(), format!("{header:?}")])?;
        let split = take("split");
        let sides = match SIDES.map(&mut take) {
            [Some(left), Some(top), Some(right), Some(bottom)] => Some([left, top, right, bottom]),
            [None, None, None, None] => None,
            _ => return Err([format!("all of the columns {SIDES:?} or none"), format!("{header:?}")]),
        };
        let (mut landmark_names, mut landmarks) = (Vec::new(), Vec::new());
        let both = |name: &&str| header.iter().any(|column| column.strip_suffix(".y") == Some(name));
        for name in header.iter().filter_map(|column| column.strip_suffix(".x")).filter(both) {
            if let (Some(x), Some(y)) = (take(&format!("{name}.x")), take(&format!("{name}.y"))) {
                landmark_names.push(name.to_owned());
                landmarks.push([x, y]);
            }
        }
        if landmark_names.len() > MAX_LANDMARKS {
            return Err([format!("at most {MAX_LANDMARKS} landmarks"), landmark_names.len().to_string()]);
        }
        match header.iter().zip(&names).find(|(_, left)| left.is_some()) {
            None => Ok(Self { image, split, sides, names: landmark_names, landmarks }),
            Some((column, _)) => {
                let expected = "the columns image, split, left, top, right, bottom, and for landmarks \
                                <name>.x with <name>.y";
                Err([expected.to_owned(), format!("{column:?}")])
            }
        }
    }

    fn row(&self, record: &Record<'_>) -> Result<Row, [String; 2]> {
        let text = |column: usize| record.get(column);
        let landmark = |(index, &columns): (u32, &[usize; 2])| {
            numbers(columns.map(text)).map(|p| p.map(|p| (index, p))).transpose()
        };
        Ok(Row {
            image: text(self.image).to_owned(),
            split: self.split.map(|column| text(column).to_owned()),
            sides: self.sides.map(|columns| numbers(columns.map(text))).transpose()?.flatten(),
            landmarks: (0..).zip(&self.landmarks).filter_map(landmark).collect::<Result<_, _>>()?,
            line: record.line,
        })
    }
}

/// So many numbers, or none if all cells are empty or NaN, as pandas writes what is missing.
fn numbers<const N: usize>(cells: [&str; N]) -> Result<Option<[f32; N]>, [String; 2]> {
    if cells.iter().all(|cell| cell.is_empty() || cell.eq_ignore_ascii_case("nan")) {
        return Ok(None);
    }
    let parsed = cells.map(|cell| cell.parse::<f32>().ok());
    match parsed.iter().all(Option::is_some) {
        true => Ok(Some(parsed.map(Option::unwrap_or_default))),
        false => Err([format!("{N} numbers, or empty cells"), format!("{cells:?}")]),
    }
}
