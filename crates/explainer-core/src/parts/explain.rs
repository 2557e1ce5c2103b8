//! The parts of one picture.

use super::explainer::PartExplainer;
use crate::explain::decide_alike;
use crate::features::floats;
use crate::{Contributions, CoreError, Performer};

/// A part in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPart {
    /// Its detector.
    pub part: usize,
    /// The unit of the largest evidence: row and column (of equal units the first in row order).
    pub unit: [usize; 2],
    /// Its place in the performer's input: x and y in pixels, 0-based.
    pub center: [f64; 2],
    /// The evidence there, a logit: above 0 the part is likelier there than nowhere.
    pub evidence: f32,
    /// The probability that the part is in the picture.
    pub presence: f32,
    /// What it gave to the score of the performer's class.
    pub contribution: f64,
}

/// What a [`PartExplainer`] says of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PartExplanation {
    /// Every part that is likelier in the picture than not, the largest contribution first.
    pub parts: Vec<FoundPart>,
    /// Detectors whose part is not in the picture.
    pub absent: Vec<usize>,
    /// The performer's scores.
    pub scores: Vec<f32>,
    /// The performer's scores of what the parts carry, with the mean of the training pictures elsewhere.
    pub scores_of_parts: Vec<f32>,
    /// The score of the performer's class, taken apart.
    pub contributions: Contributions,
}

impl PartExplanation {
    /// The `count` parts that gave most.
    pub fn top_parts(&self, count: usize) -> &[FoundPart] {
        &self.parts[..count.min(self.parts.len())]
    }

    /// Whether the parts alone lead the performer to its decision.
    pub fn parts_suffice(&self) -> bool {
        decide_alike(&self.scores, &self.scores_of_parts)
    }
}

/// A part is said to be in a picture from this probability on.
const PRESENT: f32 = 0.5;

impl PartExplainer {
    /// Explains one decoded picture (8-bit RGB, interleaved, of the performer's input size).
    ///
    /// # Errors
    /// [`CoreError::ImageSize`] if it has another size; as [`contributions`](Self::contributions).
    pub fn explain<P: Performer>(&self, performer: &P, pixels: &[u8]) -> Result<PartExplanation, CoreError> {
        let images = performer.preprocessing().batch(&[pixels], &self.device())?;
        let target = performer.target_features(images);
        let scores = floats(performer.forward_from_target(target.clone()).scores);
        let tracks = self.tracks(target.clone());
        let scores_of_parts = floats(self.scores_of_parts(performer, target.clone()));
        let class = (0..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best });
        let mut contributions = self.contributions(performer, target, &[class])?;
        let contributions = contributions.pop().expect("one picture was taken apart");
        let [_, _, height, width] = tracks.evidence.dims();
        let (evidence, presence) = (floats(tracks.evidence), floats(tracks.presence));
        let field = performer.target_field();
        let (mut parts, mut absent) = (Vec::new(), Vec::new());
        for (part, (map, &presence)) in evidence.chunks_exact(height * width).zip(&presence).enumerate() {
            if presence < PRESENT {
                absent.push(part);
                continue;
            }
            let at = (0..map.len()).fold(0, |best, at| if map[at] > map[best] { at } else { best });
            let unit = [at / width, at % width];
            let center = [field.pixel(unit[1]), field.pixel(unit[0])];
            let contribution = contributions.filters[part];
            parts.push(FoundPart { part, unit, center, evidence: map[at], presence, contribution });
        }
        parts.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        Ok(PartExplanation { parts, absent, scores, scores_of_parts, contributions })
    }
}
