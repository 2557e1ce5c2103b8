//! What a position knows of an image, without looking for a part.

use explainer_metrics::{Covariates, PresenceImages};

use crate::EvaluationError;
use crate::pass::Seen;

/// Scales of objects are told apart by so many classes of equal size.
const SCALES: usize = 3;

impl Seen {
    /// Covariates of some images: where the object was found, the extent of its box, and the side it faces; what is not
    /// known of all images of the measurement is left out.
    pub(crate) fn covariates(&self, images: &[usize]) -> Result<Covariates, EvaluationError> {
        let roots = self.images.iter().all(|image| image.root.is_some());
        let extents = self.images.iter().all(|image| image.extent.is_some());
        let row = |&at: &usize| {
            let image = &self.images[at];
            let root = image.root.filter(|_| roots).into_iter().flatten();
            let extent = image.extent.filter(|_| extents).into_iter().flatten().map(f64::from);
            root.chain(extent).collect::<Vec<f64>>()
        };
        let sides = images.iter().map(|&at| self.sides[at]).collect();
        Ok(Covariates::new(images.iter().map(row).collect(), sides)?)
    }

    /// In which images a landmark is visible, among those of one side faced and like scale.
    pub(crate) fn presence(&self, landmark: usize) -> Result<PresenceImages, EvaluationError> {
        let visible = self.images.iter().map(|image| image.points[landmark].is_some()).collect();
        let scales = scales(&self.areas());
        let strata = self.sides.iter().zip(scales).map(|(side, scale)| SCALES * side + scale).collect();
        let photos = self.images.iter().map(|image| image.photo).collect();
        Ok(PresenceImages::new(visible, strata, photos)?)
    }

    /// Areas of the objects' boxes; the same for all where one is not known.
    fn areas(&self) -> Vec<f64> {
        let area = |[width, height]: [f32; 2]| f64::from(width) * f64::from(height);
        let known: Option<Vec<f64>> = self.images.iter().map(|image| image.extent.map(area)).collect();
        known.unwrap_or_else(|| vec![1.0; self.images.len()])
    }
}

/// The class of each area, from the smallest; equal areas are of one class.
fn scales(areas: &[f64]) -> Vec<usize> {
    let mut sorted = areas.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    areas.iter().map(|area| sorted.partition_point(|other| other < area) * SCALES / areas.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_of_equal_size() {
        assert_eq!(scales(&[5.0, 1.0, 4.0, 2.0, 6.0, 3.0]), [2, 0, 1, 0, 2, 1]);
        assert_eq!(scales(&[7.0; 4]), [0; 4]);
        assert_eq!(scales(&[]), [0; 0]);
    }
}
