//! The synthetic species with a landmark for each shape of each part.

use super::species::{PARTS, Part, SHAPES};
use super::{SyntheticSpecies, SyntheticSpeciesConfig};
use crate::{Change, Dataset, DatasetError, Rendered, Sample, Split};

/// [`SyntheticSpecies`] whose landmarks are the shapes of the parts: `crest, spikes` where a crest of spikes is seen, and
/// `crest, ball` where one with a ball is.
///
/// A network that tells species by the shapes of their parts has no need to know that two shapes are of one part. What it
/// knows is asked for here shape by shape.
#[derive(Clone, Debug)]
pub struct SpeciesByShape {
    species: SyntheticSpecies,
    landmark_names: Vec<String>,
}

impl SpeciesByShape {
    /// As [`SyntheticSpecies::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(config: SyntheticSpeciesConfig) -> Result<Self, DatasetError> {
        let names = Part::ALL.into_iter().zip(SHAPES);
        let landmark_names = names
            .flat_map(|(part, shapes)| shapes.map(|shape| format!("{}, {shape}", part.name())))
            .collect();
        Ok(Self { species: SyntheticSpecies::new(config)?, landmark_names })
    }

    /// Whether a category has the part of a landmark in the landmark's shape.
    fn has(&self, category: usize, landmark: usize) -> bool {
        self.species.shape(category, landmark / 2) == landmark % 2
    }

    fn by_shape(&self, sample: Sample) -> Sample {
        let Some(category) = sample.category else {
            let (landmarks, masks) = (vec![None; 2 * PARTS], vec![None; 2 * PARTS]);
            return Sample { landmarks, masks, ..sample };
        };
        let own = |landmark: &usize| self.has(category, *landmark);
        let landmarks = (0..2 * PARTS).map(|l| sample.landmarks[l / 2].filter(|_| own(&l))).collect();
        let masks = (0..2 * PARTS).map(|l| sample.masks[l / 2].clone().filter(|_| own(&l))).collect();
        Sample { landmarks, masks, ..sample }
    }

    /// The change of the part of a landmark; `None` where the image has it in another shape, so that nothing is to change.
    fn change(&self, index: usize, change: Change) -> Result<Option<Change>, DatasetError> {
        let (part, on_part): (usize, &dyn Fn(usize) -> Change) = match &change {
            Change::Without { part } => (*part, &|part| Change::Without { part }),
            &Change::Moved { part, by } => (part, &move |part| Change::Moved { part, by }),
            &Change::Exchanged { part, category } => {
                (part, &move |part| Change::Exchanged { part, category })
            }
            Change::WithoutObject { .. } | Change::WithoutBackground => return Ok(Some(change)),
        };
        match self.category(index) {
            Some(category) if part < 2 * PARTS && !self.has(category, part) => Ok(None),
            // What does not exist is refused by the species.
            _ => Ok(Some(on_part(part / 2))),
        }
    }
}

impl Dataset for SpeciesByShape {
    fn name(&self) -> &str {
        "synthetic species, by shape"
    }

    fn len(&self) -> usize {
        self.species.len()
    }

    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        Ok(self.by_shape(self.species.sample(index)?))
    }

    fn categories(&self) -> &[String] {
        self.species.categories()
    }

    fn landmark_names(&self) -> &[String] {
        &self.landmark_names
    }

    fn states_visibility(&self) -> bool {
        self.species.states_visibility()
    }

    fn rendered(&self) -> Option<&dyn Rendered> {
        Some(self)
    }

    fn split(&self, index: usize) -> Split {
        self.species.split(index)
    }

    fn source(&self, index: usize) -> usize {
        self.species.source(index)
    }

    fn box_extent(&self, index: usize) -> Option<[f32; 2]> {
        self.species.box_extent(index)
    }

    fn category(&self, index: usize) -> Option<usize> {
        self.species.category(index)
    }

    fn has_landmark(&self, index: usize, landmark: usize) -> bool {
        let category = self.category(index);
        category.is_some_and(|category| self.has(category, landmark))
            && self.species.has_landmark(index, landmark / 2)
    }

    fn has_landmarks(&self, index: usize) -> bool {
        self.species.has_landmarks(index)
    }
}

impl Rendered for SpeciesByShape {
    fn objects(&self, index: usize) -> usize {
        self.species.objects(index)
    }

    fn changed(&self, index: usize, changes: &[Change]) -> Result<Sample, DatasetError> {
        if index >= self.len() {
            return self.species.changed(index, changes);
        }
        let mut own = Vec::with_capacity(changes.len());
        for &change in changes {
            own.extend(self.change(index, change)?);
        }
        Ok(self.by_shape(self.species.changed(index, &own)?))
    }

    /// 1 where the category has the landmark's shape, and 0 where it has the other.
    fn shape(&self, category: usize, part: usize) -> usize {
        usize::from(self.has(category, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_the_landmark_of_its_shape() {
        let config = SyntheticSpeciesConfig::new(16, 2).with_size(64);
        let (by_part, by_shape) =
            (SyntheticSpecies::new(config.clone()).unwrap(), SpeciesByShape::new(config).unwrap());
        assert_eq!(by_shape.landmark_names()[..2], ["beak, straight", "beak, hooked"]);
        for index in 0..18 {
            let (part, shape) = (by_part.sample(index).unwrap(), by_shape.sample(index).unwrap());
            assert_eq!(part.image, shape.image);
            for (at, landmark) in part.landmarks.iter().enumerate() {
                let own = part.category.map_or(0, |species| by_part.shape(species, at));
                assert_eq!(shape.landmarks[2 * at + own], *landmark);
                assert_eq!(shape.landmarks[2 * at + 1 - own], None);
                assert_eq!(by_shape.has_landmark(index, 2 * at + own), landmark.is_some());
                if part.category.is_none() {
                    continue;
                }
                let without =
                    |set: &dyn Rendered, part| set.changed(index, &[Change::Without { part }]).unwrap();
                assert_eq!(without(&by_shape, 2 * at + own).image, without(&by_part, at).image);
                assert_eq!(
                    without(&by_shape, 2 * at + 1 - own).image,
                    part.image,
                    "the other shape is not there"
                );
            }
        }
        assert!(by_shape.changed(0, &[Change::Without { part: 10 }]).is_err());
        assert!(by_shape.changed(18, &[]).is_err());
    }
}
