//! The pictures without an object.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Picture, Places};
use super::{listing, split};
use crate::{DatasetError, Report};

/// Where the pictures without an object come from, and how many there are: as many as make the positives
/// three quarters of the set, if no other number is asked for.
///
/// ```
/// use explainer_datasets::Negatives;
///
/// let from_a_folder = Negatives::folder("places").with_count(2000);
/// let other_species = Negatives::other_categories(["002.Laysan_Albatross"]);
/// let drawn = Negatives::synthetic(7).with_positive_share(0.5);
/// # assert_ne!(from_a_folder, drawn);
/// # assert_ne!(other_species, drawn);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negatives {
    source: Source,
    amount: Amount,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Source {
    None,
    Own,
    Folder(PathBuf),
    OtherCategories(Vec<String>),
    Synthetic { seed: u64 },
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Amount {
    Count(usize),
    PositiveShare(f64),
}

impl Negatives {
    fn from(source: Source) -> Self {
        Self { source, amount: Amount::PositiveShare(0.75) }
    }

    /// None at all.
    pub fn none() -> Self {
        Self::from(Source::None)
    }

    /// Those that the set is published with (Animal-Part has some).
    pub fn own() -> Self {
        Self::from(Source::Own)
    }

    /// All pictures in a folder and the folders in it.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self::from(Source::Folder(path.into()))
    }

    /// Objects of other categories of the same set, cropped like the positives; of all others, if no name is
    /// given.
    pub fn other_categories<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::from(Source::OtherCategories(names.into_iter().map(Into::into).collect()))
    }

    /// Scenes without a bird, drawn by the rules of [`SyntheticSpecies`](crate::SyntheticSpecies).
    pub fn synthetic(seed: u64) -> Self {
        Self::from(Source::Synthetic { seed })
    }

    /// So many, evenly spread over those there are; fewer are an error.
    pub fn with_count(self, count: usize) -> Self {
        Self { amount: Amount::Count(count), ..self }
    }

    /// So many that the positives are this share of the set (above 0, at most 1), or as many as there are. None at
    /// all is an error unless the share is 1.
    pub fn with_positive_share(self, share: f64) -> Self {
        Self { amount: Amount::PositiveShare(share), ..self }
    }

    /// The names of the categories that are asked for; `None` if negatives come from elsewhere.
    pub(crate) fn categories(&self) -> Option<&[String]> {
        match &self.source {
            Source::OtherCategories(names) => Some(names),
            _ => None,
        }
    }

    /// The seed, if they are drawn.
    pub(super) fn seed(&self) -> Option<u64> {
        match self.source {
            Source::Synthetic { seed } => Some(seed),
            _ => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), DatasetError> {
        match self.amount {
            Amount::PositiveShare(share) if !(share > 0.0 && share <= 1.0) => {
                let expected = "a share above 0 and at most 1";
                Err(DatasetError::config("negatives", expected, share.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The negatives of a set with so many positives: from `own`, the set's folder of them, or among
    /// `others`, its objects of other categories, each on the side of the split that it is on.
    pub(super) fn entries(
        &self,
        own: Option<&Path>,
        others: Vec<Entry>,
        positives: usize,
        report: &mut Report,
    ) -> Result<Vec<Entry>, DatasetError> {
        let found = match (&self.source, own) {
            (Source::None, _) => return Ok(vec![]),
            (Source::Own, None) => {
                let expected = "a folder, other categories, or synthetic ones: this set has none of its own";
                return Err(DatasetError::config("negatives", expected, "the set's own"));
            }
            (Source::Own, Some(folder)) => of_folder(folder, report)?,
            (Source::Folder(folder), _) => of_folder(folder, report)?,
            (Source::OtherCategories(_), _) => others.into_iter().map(Entry::into_negative).collect(),
            (Source::Synthetic { .. }, _) => {
                (0..self.count(positives, usize::MAX)?).map(Entry::synthetic).collect()
            }
        };
        let count = self.count(positives, found.len())?;
        if count == 0 && self.wants_some() {
            let at = match (&self.source, own) {
                (Source::Folder(folder), _) => folder.as_path(),
                (Source::Own, Some(folder)) => folder,
                _ => Path::new("negatives"),
            };
            let what = format!("pictures without an object for {positives} with one");
            return Err(DatasetError::Count { path: at.to_owned(), what, expected: 1, found: found.len() });
        }
        let mut chosen = split::spread(found.len(), count).into_iter().peekable();
        let kept = found.into_iter().enumerate().filter(|(i, _)| chosen.next_if_eq(i).is_some());
        Ok(kept.map(|(_, entry)| entry).collect())
    }

    /// Whether a set without a single one is not what was asked for.
    fn wants_some(&self) -> bool {
        match self.amount {
            Amount::Count(count) => count > 0,
            Amount::PositiveShare(share) => share < 1.0,
        }
    }

    /// How many of those at hand there are to be.
    fn count(&self, positives: usize, at_hand: usize) -> Result<usize, DatasetError> {
        match self.amount {
            Amount::Count(count) if count > at_hand => Err(DatasetError::Count {
                path: match &self.source {
                    Source::Folder(folder) => folder.clone(),
                    _ => PathBuf::from("negatives"),
                },
                what: "negatives".to_owned(),
                expected: count,
                found: at_hand,
            }),
            Amount::Count(count) => Ok(count),
            Amount::PositiveShare(share) => {
                let wanted = positives as f64 * (1.0 - share) / share;
                Ok((wanted.round() as usize).min(at_hand))
            }
        }
    }
}

/// Whole pictures.
fn of_folder(folder: &Path, report: &mut Report) -> Result<Vec<Entry>, DatasetError> {
    let entry = |file: PathBuf| Entry {
        id: format!("neg/{}", listing::id(&file)).into(),
        ..Entry::whole(Picture::File(folder.join(file).into()), None)
    };
    let listing = listing::pictures(folder, None)?;
    report.merge(listing.report);
    Ok(listing.pictures.into_iter().map(entry).collect())
}

impl Entry {
    fn into_negative(self) -> Self {
        Self { category: None, landmarks: Places::default(), masks: Box::default(), ..self }
    }

    fn synthetic(index: usize) -> Self {
        Self { id: format!("synthetic/{index:06}").into(), ..Self::whole(Picture::Synthetic(index), None) }
    }
}
