//! The parts of one image.

use burn::tensor::Tensor;
use explainer_metrics::{ReceptiveField, agreement};

use crate::features::floats;
use crate::{CoreError, Explainer, Performer};

/// One filter's part in one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Filter of the last interpretable conv-layer.
    pub filter: usize,
    /// Strongest unit: row and column (of equal units the first in row order).
    pub unit: [usize; 2],
    /// Its place in the performer's input: x and y in pixels, 0-based.
    pub center: [f64; 2],
    /// Activation of that unit.
    pub activation: f32,
    /// The activation over the filter's α_k: comparable between filters.
    pub strength: f32,
}

/// What an explainer says of one image.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// A part for every filter that fired, by descending strength.
    pub parts: Vec<Part>,
    /// Maps of the last interpretable conv-layer, after the ReLU, `[D, L, L]`.
    pub features: Tensor<3>,
    /// The performer's scores.
    pub scores: Vec<f32>,
    /// The scores of the performer's head with the explainer's features.
    pub explained_scores: Vec<f32>,
}

impl Explanation {
    /// The `count` strongest parts.
    pub fn top_parts(&self, count: usize) -> &[Part] {
        &self.parts[..count.min(self.parts.len())]
    }

    /// Whether performer and explainer [decide alike](decide_alike).
    pub fn agrees(&self) -> bool {
        decide_alike(&self.scores, &self.explained_scores)
    }
}

/// Whether two sets of scores of one image are highest for the same class; where there is a single score,
/// whether both are above 0 or neither is. A score that is NaN decides nothing.
///
/// # Panics
/// If there are not as many scores of the one as of the other, or none.
pub fn decide_alike(scores: &[f32], others: &[f32]) -> bool {
    agreement(scores, others, others.len()).is_ok_and(|share| share == 1.0)
}

impl Explainer {
    /// Explains one decoded image (8-bit RGB, interleaved, of the performer's input size).
    ///
    /// # Errors
    /// [`CoreError::ImageSize`] if the image has another size.
    pub fn explain<P: Performer>(&self, performer: &P, pixels: &[u8]) -> Result<Explanation, CoreError> {
        let device = self.interpretable_norm.alpha().device();
        let images = performer.preprocessing().batch(&[pixels], &device)?;
        let tapped = performer.tap(images);
        let encoding = self.forward(tapped.target);
        let head = encoding.upper.last().expect("there is a decoder layer").clone();
        let maps = encoding.interpretable.last().expect("there is an interpretable layer").clone();
        let [_, filters, height, width] = maps.dims();
        let features = maps.reshape([filters, height, width]);
        let parts = self.parts(&features, performer.target_field());
        Ok(Explanation {
            parts,
            features,
            scores: floats(tapped.scores),
            explained_scores: floats(self.scores(performer, head)),
        })
    }

    fn parts(&self, features: &Tensor<3>, field: ReceptiveField) -> Vec<Part> {
        let [_, height, width] = features.dims();
        let alpha = floats(self.interpretable_norm.alpha());
        let maps = floats(features.clone());
        let mut parts: Vec<Part> = maps
            .chunks_exact(height * width)
            .zip(alpha)
            .enumerate()
            .filter_map(|(filter, (map, alpha))| {
                let at = best(map)?;
                let (unit, activation) = ([at / width, at % width], map[at]);
                (activation > 0.0).then(|| Part {
                    filter,
                    unit,
                    center: [field.pixel(unit[1]), field.pixel(unit[0])],
                    activation,
                    strength: activation / alpha,
                })
            })
            .collect();
        parts.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        parts
    }
}

/// Position of the largest value, the first of equals.
fn best(values: &[f32]) -> Option<usize> {
    (0..values.len()).reduce(|best, at| if values[at] > values[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn agreement_is_of_the_class_or_of_the_sign_of_a_single_score() {
        let explanation = |scores: &[f32], explained: &[f32]| Explanation {
            parts: Vec::new(),
            features: Tensor::zeros([1, 1, 1], &Device::flex()),
            scores: scores.to_vec(),
            explained_scores: explained.to_vec(),
        };
        for (scores, explained, agrees) in [
            (&[0.1, 0.3][..], &[-2.0, -1.0][..], true),
            (&[0.1, 0.3], &[0.2, 0.1], false),
            (&[0.5], &[0.1], true),
            (&[0.5], &[-0.1], false),
            (&[-0.5], &[-3.0], true),
        ] {
            assert_eq!(explanation(scores, explained).agrees(), agrees, "{scores:?} {explained:?}");
        }
        assert!(!decide_alike(&[f32::NAN, 0.3], &[0.1, 0.3]));
    }
}
