//! What performer and explainer decide, and how often they are wrong.

use explainer_core::Labels;
use explainer_metrics::{agreement, classification_error};

use super::Failure;
use super::figures::ClassificationError;

/// Number of the synthetic species.
#[allow(dead_code, reason = "not every example explains them")]
const SPECIES: usize = 8;

/// The classes of one category and of everything else.
pub fn one_against(category: usize, negative: usize) -> Labels {
    Labels { categories: vec![category], negative: Some(negative) }
}

/// The classes of the synthetic species, and of images without a bird, as the shipped performer has them.
#[allow(dead_code, reason = "not every example explains them")]
pub fn species_labels() -> Labels {
    Labels { categories: (0..SPECIES).collect(), negative: Some(SPECIES) }
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
    /// From scores `[images, classes]` of the performer and with the explainer's features, and the images'
    /// categories.
    pub fn new(
        performer: &[f32],
        explainer: &[f32],
        categories: &[Option<usize>],
        labels: &Labels,
    ) -> Result<Self, Failure> {
        let present: Vec<usize> = labels.categories.iter().copied().chain(labels.negative).collect();
        let labels: Option<Vec<usize>> = categories.iter().map(|&category| labels.class(category)).collect();
        let labels = labels.ok_or("the performer has no class of some of the images")?;
        let errors = |performer: &[f32], explainer: &[f32], labels: &[usize]| {
            Ok::<_, Failure>(ClassificationError {
                performer: classification_error(performer, labels)?,
                explainer: classification_error(explainer, labels)?,
            })
        };
        let all = errors(performer, explainer, &labels)?;
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
        let labels: Vec<usize> = labels.iter().filter_map(place).collect();
        let among = errors(&performer, &explainer, &labels)?;
        Ok(Self { all, among, agreement_among: agreement(&performer, &explainer, present.len())? })
    }
}
