//! What performer and explainer decide, and how often they are wrong.

use explainer_metrics::{agreement, classification_error};

use super::Failure;
use super::figures::ClassificationError;

/// The performer's classes of a dataset. A performer of a single score has class 1 above 0, and class 0.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Of each of its categories.
    pub categories: Vec<usize>,
    /// Of images without a category, if there is a class of them.
    pub negative: Option<usize>,
}

impl Labels {
    /// One category, and everything else.
    pub fn of_one(category: usize, negative: usize) -> Self {
        Self { categories: vec![category], negative: Some(negative) }
    }

    /// The class of an image of a category, or of none.
    pub fn of(&self, category: Option<usize>) -> Result<usize, Failure> {
        let class = category.map_or(self.negative, |category| self.categories.get(category).copied());
        class.ok_or_else(|| format!("the performer has no class of images of category {category:?}").into())
    }

    /// All of them.
    pub fn all(&self) -> Vec<usize> {
        self.categories.iter().copied().chain(self.negative).collect()
    }
}

/// How often performer and explainer are wrong, and how often they decide alike.
pub struct Decisions {
    /// Among all classes of the performer.
    pub all: ClassificationError,
    /// Among those that the dataset has.
    pub among: ClassificationError,
    /// The share of the images for which both decide for the same of these.
    pub agreement_among: f64,
}

impl Decisions {
    /// From scores `[images, classes]` of the performer and with the explainer's features, where the images are
    /// of the classes `labels`, and the dataset has the classes `present`.
    pub fn new(
        performer: &[f32],
        explainer: &[f32],
        labels: &[usize],
        present: &[usize],
    ) -> Result<Self, Failure> {
        let errors = |performer: &[f32], explainer: &[f32], labels: &[usize]| {
            Ok::<_, Failure>(ClassificationError {
                performer: classification_error(performer, labels)?,
                explainer: classification_error(explainer, labels)?,
            })
        };
        let all = errors(performer, explainer, labels)?;
        let classes = performer.len() / labels.len().max(1);
        if classes == 1 {
            let agreement_among = agreement(performer, explainer, classes)?;
            return Ok(Self { among: all.clone(), all, agreement_among });
        }
        let only = |scores: &[f32]| -> Vec<f32> {
            scores.chunks_exact(classes).flat_map(|row| present.iter().map(|&class| row[class])).collect()
        };
        let (performer, explainer) = (only(performer), only(explainer));
        let place = |label: &usize| present.iter().position(|class| class == label);
        let labels: Option<Vec<usize>> = labels.iter().map(place).collect();
        let labels = labels.ok_or("an image is of none of the classes that the dataset has")?;
        let among = errors(&performer, &explainer, &labels)?;
        Ok(Self { all, among, agreement_among: agreement(&performer, &explainer, present.len())? })
    }
}
