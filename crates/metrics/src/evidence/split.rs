//! Halves and folds of the source photographs.

use rand::seq::SliceRandom;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::MetricsError;

/// The two halves of the source photographs: filters are matched on one and measured on the other.
///
/// All images of a photograph are in one half. Make it once, of the photographs of all landmarks,
/// and use it for every landmark and every set of detectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halves {
    /// Photograph and half, ascending by photograph.
    halves: Vec<(usize, usize)>,
}

impl Halves {
    /// Splits the distinct ones of `photos` at random; the same `seed` gives the same halves. Of
    /// an odd number, the first half has one more.
    pub fn new(photos: &[usize], seed: u64) -> Self {
        Self { halves: deal(photos, 2, seed) }
    }

    /// The half, 0 or 1, of a photograph; `None` if it is in neither.
    pub fn of(&self, photo: usize) -> Option<usize> {
        look_up(&self.halves, photo)
    }

    /// The images of each half, by the photograph of each image.
    pub(super) fn images(&self, photos: &[usize]) -> Result<[Vec<usize>; 2], MetricsError> {
        let mut images = [Vec::new(), Vec::new()];
        for (image, &photo) in photos.iter().enumerate() {
            let half = self.of(photo).ok_or(MetricsError::UnknownPhoto { image, photo })?;
            images[half].push(image);
        }
        Ok(images)
    }
}

/// The fold, below `folds`, of each image: all images of a photograph are in one fold.
pub(super) fn folds(photos: &[usize], folds: usize, seed: u64) -> Vec<usize> {
    let dealt = deal(photos, folds, seed);
    photos.iter().filter_map(|&photo| look_up(&dealt, photo)).collect()
}

/// The distinct photographs, ascending, and the pile, below `piles`, to which each was dealt.
fn deal(photos: &[usize], piles: usize, seed: u64) -> Vec<(usize, usize)> {
    let mut distinct = photos.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut dealt: Vec<_> = distinct.into_iter().enumerate().map(|(at, photo)| (photo, at % piles)).collect();
    dealt.sort_unstable();
    dealt
}

fn look_up(dealt: &[(usize, usize)], photo: usize) -> Option<usize> {
    let at = dealt.binary_search_by_key(&photo, |&(photo, _)| photo).ok()?;
    Some(dealt[at].1)
}
