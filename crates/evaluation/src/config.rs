//! How much is looked at.

use burn::config::Config;

use crate::EvaluationError;

/// Settings of a measurement of evidence.
#[derive(Config, Debug, PartialEq)]
pub struct EvidenceConfig {
    /// Images with landmarks that are looked at, at most; evenly spaced if the set has more.
    #[config(default = 300)]
    pub images: usize,
    /// Images of one pass of the performer.
    #[config(default = 32)]
    pub batch_size: usize,
    /// Atoms of the control *k-means of the target layer*.
    #[config(default = 32)]
    pub atoms: usize,
    /// Units of the target layer on which these atoms are found, at most.
    #[config(default = 20_000)]
    pub vectors: usize,
    /// Images of which the pictures are kept, with the peaks on them, for people to look at ([`Example`](crate::Example)).
    #[config(default = 4)]
    pub examples: usize,
    /// Seed of the halves of photos, of the atoms and of the nulls.
    #[config(default = 0)]
    pub seed: u64,
    /// Whether standard error has a bar (if it is a terminal).
    #[config(default = true)]
    pub progress: bool,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl EvidenceConfig {
    pub(crate) fn check(&self) -> Result<(), EvaluationError> {
        let Self { images, batch_size, atoms, vectors, .. } = *self;
        let settings = [
            ("images", images, 1, "1 or more"),
            ("batch_size", batch_size, 1, "1 or more"),
            ("atoms", atoms, 1, "1 or more"),
            ("vectors", vectors, atoms, "as many as atoms, or more"),
        ];
        match settings.into_iter().find(|&(_, value, least, _)| value < least) {
            None => Ok(()),
            Some((setting, found, _, expected)) => {
                Err(EvaluationError::Config { config: "EvidenceConfig", setting, expected, found })
            }
        }
    }
}

/// `count` numbers below `of`, evenly spaced; all of them if there are no more.
pub(crate) fn spaced(of: usize, count: usize) -> Vec<usize> {
    let count = count.min(of);
    (0..count).map(|at| at * of / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_evenly_spaced() {
        assert_eq!(spaced(3, 9), [0, 1, 2]);
        assert_eq!(spaced(9, 3), [0, 3, 6]);
        assert_eq!(spaced(0, 3), [0; 0]);
    }

    #[test]
    fn settings_that_cannot_be_met_are_named() {
        assert!(EvidenceConfig::new().check().is_ok());
        let error = EvidenceConfig::new().with_vectors(31).check().unwrap_err().to_string();
        assert_eq!(error, "EvidenceConfig::vectors: expected as many as atoms, or more, found 31");
        assert!(EvidenceConfig::new().with_images(0).check().is_err());
    }
}
