//! Sets whose images are drawn, so that nothing but one part need change.

use crate::{Dataset, DatasetError, Sample};

/// What is different in an image that is drawn again from the same random state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The part of that landmark is not drawn.
    Without {
        /// Position in [`Dataset::landmark_names`].
        part: usize,
    },
    /// The part of that landmark is drawn elsewhere.
    Moved {
        /// Position in [`Dataset::landmark_names`].
        part: usize,
        /// By how many pixels of the sample, to the right and down.
        by: [f32; 2],
    },
    /// The part of that landmark has the shape that it has in another category.
    Exchanged {
        /// Position in [`Dataset::landmark_names`].
        part: usize,
        /// Position in [`Dataset::categories`].
        category: usize,
    },
    /// One object of the background is not drawn.
    WithoutObject {
        /// Which one, from 0 up to [`Rendered::objects`].
        object: usize,
    },
    /// None of the background's objects is drawn, and the ground is one colour.
    WithoutBackground,
}

/// A set that draws its images, each landmark being that of one part. [`Dataset::rendered`] hands it out.
///
/// From the same random state, an image is drawn again with [`Change`]s: everything else in it stays, to the pixel, but
/// for what the part hid or hides, and the sensor's noise, which is the same at each pixel.
pub trait Rendered: Dataset {
    /// Number of objects in the background of a sample, each of which can be left out.
    ///
    /// # Panics
    /// If there is no such sample.
    fn objects(&self, index: usize) -> usize;

    /// The sample with all of these changes at once; with none, the sample as it is. Of two changes to one thing the
    /// later counts. Its landmarks and masks are those of the changed image: `None` for a part that is not drawn or not
    /// seen.
    ///
    /// # Errors
    /// If there is no such sample, part, object or category, or the sample shows no object of a category and a part of it is
    /// asked for.
    fn changed(&self, index: usize, changes: &[Change]) -> Result<Sample, DatasetError>;

    /// Position of the shape of a part among all of its shapes, in a category. Categories that share it have the same part.
    ///
    /// # Panics
    /// If there is no such category or part.
    fn shape(&self, category: usize, part: usize) -> usize;
}
