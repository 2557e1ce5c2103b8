//! Do an explanation's contributions name the parts whose removal matters?

use serde::Serialize;

use super::{
    Figure,
    landmark::check_length,
    terms::{ratio, share},
};
use crate::MetricsError;

/// Below this share of the score, its drop counts as nothing (Hesse et al.).
pub const RELEVANT_DROP: f64 = 0.05;

/// One rendered image, its explanation, and what the performer says without parts.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletionImage {
    /// Source photograph, or number of the rendered scene.
    pub photo: usize,
    /// What the explanation says each part gave.
    pub contributions: Vec<f64>,
    /// By how much the performer's score of the class drops when the renderer removes each part.
    pub drops: Vec<f64>,
    /// The performer's decision.
    pub decision: usize,
    /// Its decision without the parts that are said to matter; `None` if not tried.
    pub without_important: Option<usize>,
    /// Its decision without the parts that are said not to; `None` if not tried.
    pub without_others: Option<usize>,
}

/// Result of [`deletion`]. `None`: not measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deletion {
    /// Single deletion.
    pub single: Option<Figure>,
    /// Deletion check.
    pub deletion: Option<Figure>,
    /// Preservation check.
    pub preservation: Option<Figure>,
}

/// Single deletion, deletion and preservation (FunnyBirds: Hesse, Schaub-Meyer and Roth,
/// arXiv:2308.06248, ICCV 2023). All are shares, 1 is best.
///
/// - **single deletion**: the mean over images of `½ + ½ ρ`, ρ Spearman's rank correlation over
///   the parts between contributions and drops. Equal values share their mean rank. ½ is chance.
///   An image with fewer than two parts, or in which all contributions or all drops are equal,
///   has no ρ and is left out.
/// - **deletion**: the share of images in which the decision changes without the parts that are
///   said to matter;
/// - **preservation**: the share in which it does not change without the others. Which parts are
///   said to matter depends on a threshold: see [`important_parts`].
///
/// # Errors
///
/// [`MetricsError::Length`] if an image has not one drop for each contribution,
/// [`MetricsError::BadValue`] if one of them is not finite.
pub fn deletion(images: &[DeletionImage]) -> Result<Deletion, MetricsError> {
    for (index, image) in images.iter().enumerate() {
        check_length("drops of the parts", image.contributions.len(), image.drops.len())?;
        check_finite("a contribution", index, &image.contributions)?;
        check_finite("a drop of the score", index, &image.drops)?;
    }
    let of_image = |image: &DeletionImage| {
        let rho = spearman(&image.contributions, &image.drops)?;
        Some((image.photo, 0.5 + 0.5 * rho, 1.0))
    };
    let changed = |image: &DeletionImage| Some((image.photo, image.without_important? != image.decision));
    let kept = |image: &DeletionImage| Some((image.photo, image.without_others? == image.decision));
    Ok(Deletion {
        single: ratio(images.iter().filter_map(of_image)),
        deletion: share(images.iter().filter_map(changed)),
        preservation: share(images.iter().filter_map(kept)),
    })
}

/// The parts that an explanation says matter: those with a contribution above
/// `threshold · total`, where `total` is what it attributes in all (FunnyBirds tries thresholds
/// from 0.01 to 0.5).
pub fn important_parts(contributions: &[f64], total: f64, threshold: f64) -> Vec<usize> {
    (0..contributions.len()).filter(|&part| contributions[part] > threshold * total).collect()
}

/// One rendered image, and the performer's score of its class without one thing at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct DistractionImage {
    /// Source photograph, or number of the rendered scene.
    pub photo: usize,
    /// The score of the whole image.
    pub score: f64,
    /// The score without each part.
    pub without_part: Vec<f64>,
    /// The score without each object of the background.
    pub without_background: Vec<f64>,
    /// Whether the explanation says that a thing matters: the parts, then the objects of the
    /// background; `None` if there is no explanation.
    pub important: Option<Vec<bool>>,
}

impl DistractionImage {
    /// Whether the score drops, by at least [`RELEVANT_DROP`] of its size.
    fn relevant(&self, without: f64) -> bool {
        let drop = self.score - without;
        drop > 0.0 && drop >= RELEVANT_DROP * self.score.abs()
    }
}

/// Background independence (Hesse et al.): the share of the background's objects, over all
/// images, whose removal drops the score by less than 5% of its size (or raises it). 1: the
/// performer looks at the object alone. Not measured without such objects.
///
/// # Errors
///
/// [`MetricsError::BadValue`] if a score is not finite.
pub fn background_independence(images: &[DistractionImage]) -> Result<Option<Figure>, MetricsError> {
    check_scores(images)?;
    Ok(ratio(images.iter().map(|image| {
        let irrelevant = image.without_background.iter().filter(|&&score| !image.relevant(score));
        (image.photo, irrelevant.count() as f64, image.without_background.len() as f64)
    })))
}

/// Distractibility (Hesse et al.): one minus the share of the irrelevant things that the
/// explanation says matter, averaged over images. As in their code, 1 is best: the explanation
/// is not distracted.
///
/// Irrelevant are the parts and objects of the background whose removal drops the score by less
/// than 5% of its size (or raises it). Images without any, or without an explanation, are left
/// out.
///
/// # Errors
///
/// [`MetricsError::BadValue`] if a score is not finite, [`MetricsError::Length`] if an
/// explanation does not have one value for each part and object.
pub fn distractibility(images: &[DistractionImage]) -> Result<Option<Figure>, MetricsError> {
    check_scores(images)?;
    for image in images {
        let things = image.without_part.len() + image.without_background.len();
        if let Some(important) = &image.important {
            check_length("parts and objects said to matter or not", things, important.len())?;
        }
    }
    let of_image = |image: &DistractionImage| {
        let things = image.without_part.iter().chain(&image.without_background);
        let important = things.zip(image.important.as_ref()?).filter(|(score, _)| !image.relevant(**score));
        let (irrelevant, named) = important
            .fold((0.0, 0.0), |(all, named), (_, named_too)| (all + 1.0, named + f64::from(*named_too)));
        (irrelevant > 0.0).then_some((image.photo, 1.0 - named / irrelevant, 1.0))
    };
    Ok(ratio(images.iter().filter_map(of_image)))
}

fn check_scores(images: &[DistractionImage]) -> Result<(), MetricsError> {
    for (index, image) in images.iter().enumerate() {
        check_finite("the score", index, &[image.score])?;
        check_finite("the score without a part", index, &image.without_part)?;
        check_finite("the score without an object of the background", index, &image.without_background)?;
    }
    Ok(())
}

fn check_finite(what: &'static str, index: usize, values: &[f64]) -> Result<(), MetricsError> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(MetricsError::BadValue { what, index, value, expected: "a finite number" }),
    }
}

/// Spearman's rank correlation; `None` of fewer than two values, or where one list is constant.
fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = (values.len() as f64 + 1.0) / 2.0;
        ranks(values).into_iter().map(|rank| rank - mean).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = (dot(&a, &a) * dot(&b, &b)).sqrt();
    (scale > 0.0).then(|| dot(&a, &b) / scale)
}

/// Ranks from 1; equal values share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 15.0]), Some(0.5));
        // Centred ranks −1, ½, ½ and −1, 0, 1: 1.5 / √(1.5 · 2).
        let tied = spearman(&[0.0, 1.0, 1.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((tied - 1.5 / 3.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0], &[1.0]), None);
        assert_eq!(spearman(&[], &[]), None);
    }
}
