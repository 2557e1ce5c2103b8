//! Annotated positions of object parts.

use rand::seq::SliceRandom;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Where the named landmarks lie in each image; a landmark may be missing.
///
/// Units: `[x, y]` in 0-based pixels of the network's input (after cropping and resizing), the
/// same frame as [`ReceptiveField::pixel`](crate::ReceptiveField::pixel). Annotations that count
/// from 1 lose 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmarks {
    names: Vec<String>,
    /// Per image, per landmark.
    positions: Vec<Vec<Option<[f64; 2]>>>,
}

impl Landmarks {
    /// A table of landmarks with these names and no image yet.
    ///
    /// # Panics
    ///
    /// If there is no name.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        assert!(!names.is_empty(), "landmarks need at least one name");
        Self { names, positions: Vec::new() }
    }

    /// Adds one image: the position `[x, y]` of each landmark, `None` where it is missing.
    ///
    /// # Panics
    ///
    /// If there are more or fewer positions than names, or a coordinate is not finite.
    pub fn push(&mut self, positions: impl Into<Vec<Option<[f64; 2]>>>) {
        let positions = positions.into();
        assert_eq!(
            positions.len(),
            self.names.len(),
            "one image has a position for each of the landmarks {:?}, got {}",
            self.names,
            positions.len()
        );
        assert!(
            positions.iter().flatten().flatten().all(|v| v.is_finite()),
            "image {}: landmarks {positions:?} are not finite; a missing one is None",
            self.positions.len()
        );
        self.positions.push(positions);
    }

    /// The position of `landmark` in `image`.
    ///
    /// # Panics
    ///
    /// If either is out of range.
    pub fn get(&self, image: usize, landmark: usize) -> Option<[f64; 2]> {
        self.positions[image][landmark]
    }

    /// The names of the landmarks.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of landmarks.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no landmark: never, see [`new`](Self::new).
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Number of images so far.
    pub fn images(&self) -> usize {
        self.positions.len()
    }

    /// The table of the given images only, in the given order.
    ///
    /// # Panics
    ///
    /// If an image is out of range.
    #[must_use]
    pub fn select_images(&self, images: &[usize]) -> Self {
        Self {
            names: self.names.clone(),
            positions: images.iter().map(|&i| self.positions[i].clone()).collect(),
        }
    }

    /// The same table with the images in a random order: the null hypothesis that a filter's
    /// peak has nothing to do with its image's landmarks.
    ///
    /// An image's landmarks stay together (also what is missing), so that the landmarks' joint
    /// distribution and their numbers are kept. The same `seed` gives the same order.
    #[must_use]
    pub fn permuted(&self, seed: u64) -> Self {
        self.permuted_within(&vec![0; self.images()], seed)
    }

    /// As [`permuted`](Self::permuted), but images are exchanged only with images of the same
    /// category: `categories` holds one for each image.
    ///
    /// # Panics
    ///
    /// If the number of categories is not the number of images.
    #[must_use]
    pub fn permuted_within(&self, categories: &[usize], seed: u64) -> Self {
        assert_eq!(
            categories.len(),
            self.images(),
            "one category per image: got {} categories, {} images",
            categories.len(),
            self.images()
        );
        self.select_images(&order_within(categories, seed))
    }
}

/// The images `0..categories.len()` in a random order that exchanges them only with images of the
/// same category.
pub(crate) fn order_within(categories: &[usize], seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut distinct = categories.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut order: Vec<usize> = (0..categories.len()).collect();
    for category in distinct {
        let members: Vec<usize> =
            (0..categories.len()).filter(|&image| categories[image] == category).collect();
        let mut shuffled = members.clone();
        shuffled.shuffle(&mut rng);
        for (to, from) in members.into_iter().zip(shuffled) {
            order[to] = from;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(images: usize) -> Landmarks {
        let mut landmarks = Landmarks::new(["head", "tail"]);
        for i in 0..images {
            let x = i as f64;
            landmarks.push([Some([x, -x]), (i % 3 == 0).then_some([x + 0.5, x])]);
        }
        landmarks
    }

    #[test]
    fn permutations_keep_an_images_landmarks_together() {
        let (plain, permuted) = (table(60), table(60).permuted(3));
        assert_ne!(plain, permuted);
        assert_eq!(permuted, table(60).permuted(3));
        let mut seen = Vec::new();
        for image in 0..60 {
            let x = permuted.get(image, 0).unwrap()[0];
            assert_eq!(permuted.get(image, 1), plain.get(x as usize, 1));
            seen.push(x as usize);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn categories_do_not_mix() {
        let categories: Vec<usize> = (0..60).map(|i| (i * i) % 4).collect();
        let permuted = table(60).permuted_within(&categories, 3);
        for image in 0..60 {
            let from = permuted.get(image, 0).unwrap()[0] as usize;
            assert_eq!(categories[from], categories[image]);
        }
    }

    #[test]
    #[should_panic(expected = "got 1")]
    fn every_landmark_is_given() {
        table(1).push([None]);
    }

    #[test]
    #[should_panic(expected = "not finite")]
    fn positions_are_finite() {
        table(1).push([None, Some([f64::NAN, 0.0])]);
    }
}
