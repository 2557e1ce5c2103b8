//! What all sets have in common: a sample, and the trait that hands samples out.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::{DatasetError, Intervened, Interventions, PartMask, Rendered};

/// A position in an image: pixels, 0-based, a pixel's centre at whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// To the right; 0 is the centre of the leftmost column.
    pub x: f32,
    /// Downwards; 0 is the centre of the topmost row.
    pub y: f32,
}

/// A 0-based box in pixels, `[left, right) × [top, bottom)`: it covers the columns from `left` up
/// to, but without, `right`. The whole of an image is `0, 0, width, height`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// The first column.
    pub left: f32,
    /// The first row.
    pub top: f32,
    /// One past the last column.
    pub right: f32,
    /// One past the last row.
    pub bottom: f32,
}

impl BoundingBox {
    /// Width times height; 0 where right is not beyond left, or bottom not beyond top.
    pub fn area(&self) -> f64 {
        let side = |low: f32, high: f32| (f64::from(high) - f64::from(low)).max(0.0);
        side(self.left, self.right) * side(self.top, self.bottom)
    }

    /// The box with this share of its width added left and right, and of its height above and below.
    pub fn widened(&self, margin: f32) -> BoundingBox {
        let [across, down] = [margin * (self.right - self.left), margin * (self.bottom - self.top)];
        BoundingBox {
            left: self.left - across,
            top: self.top - down,
            right: self.right + across,
            bottom: self.bottom + down,
        }
    }
}

/// One cropped and resized image with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// A name that is unique in its set.
    pub id: String,
    /// The picture, 8-bit RGB.
    pub image: RgbImage,
    /// An index into [`Dataset::categories`]; `None` is a negative.
    pub category: Option<usize>,
    /// The object's box, in the sample's own pixels.
    pub bounding_box: Option<BoundingBox>,
    /// One entry for each of [`Dataset::landmark_names`], in the sample's own pixels; `None` where
    /// the landmark is not annotated, not visible, or not unique.
    pub landmarks: Vec<Option<Point>>,
    /// The pixels of each landmark's part: one entry for each of [`landmarks`](Self::landmarks), `None` where the
    /// part is not seen. Empty where the set has no masks.
    pub masks: Vec<Option<PartMask>>,
}

impl Sample {
    /// The sample seen in a mirror: left and right swapped, `x → width − 1 − x` for points.
    ///
    /// The id stays as it is, and so does the order of the landmarks: a landmark whose *name* says
    /// left or right is not renamed.
    pub fn mirrored(&self) -> Sample {
        let width = self.image.width() as f32;
        Sample {
            id: self.id.clone(),
            image: image::imageops::flip_horizontal(&self.image),
            category: self.category,
            bounding_box: self.bounding_box.map(|b| BoundingBox {
                left: width - b.right,
                right: width - b.left,
                ..b
            }),
            landmarks: self
                .landmarks
                .iter()
                .map(|landmark| landmark.map(|p| Point { x: width - 1.0 - p.x, y: p.y }))
                .collect(),
            masks: self.masks.iter().map(|mask| mask.as_ref().map(PartMask::mirrored)).collect(),
        }
    }

    /// The mask of a landmark's part, if it is known.
    pub fn mask(&self, landmark: usize) -> Option<&PartMask> {
        self.masks.get(landmark)?.as_ref()
    }

    /// What becomes of the image when the evidence of each landmark is changed ([`Interventions`]): one entry
    /// for each of [`landmarks`](Self::landmarks), `None` where the landmark is. Masks are used where there are
    /// any.
    ///
    /// # Errors
    ///
    /// If a landmark is not within the image, a mask is of another size, or the image is too small.
    pub fn interventions(&self) -> Result<Vec<Option<Intervened>>, DatasetError> {
        if self.landmarks.iter().all(Option::is_none) {
            return Ok(vec![None; self.landmarks.len()]);
        }
        let failed = |source| DatasetError::Intervention { sample: self.id.clone(), source };
        let pictures = Interventions::new(&self.image).map_err(failed)?;
        let of = |(i, landmark): (usize, &Option<Point>)| {
            landmark.map(|p| pictures.at(p, self.mask(i)).map_err(failed)).transpose()
        };
        self.landmarks.iter().enumerate().map(of).collect()
    }
}

/// The side of the fence a sample is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Split {
    /// To fit on.
    Train,
    /// To measure on.
    Validation,
}

/// A fixed, indexed set of samples.
///
/// All but [`sample`](Dataset::sample) is cheap: images are read when they are asked for. What
/// [`has_landmark`](Dataset::has_landmark) costs is for each set to say.
pub trait Dataset: Send + Sync {
    /// What to call the set in tables.
    fn name(&self) -> &str;

    /// The number of samples, of both splits and with the negatives.
    fn len(&self) -> usize;

    /// Whether there is no sample at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads, crops and resizes one sample.
    ///
    /// # Errors
    ///
    /// If `index` is not below [`len`](Dataset::len), or the image cannot be had.
    fn sample(&self, index: usize) -> Result<Sample, DatasetError>;

    /// The names of the categories, in the order that [`Sample::category`] counts.
    fn categories(&self) -> &[String];

    /// The names of the landmarks, in the order of [`Sample::landmarks`].
    fn landmark_names(&self) -> &[String];

    /// Whether a landmark that a sample of a category lacks is one that cannot be seen in it. By default it may just as
    /// well not be annotated, and nothing can be said of images without it.
    fn states_visibility(&self) -> bool {
        false
    }

    /// The set as one that draws its images, if it is one: what becomes of an image without a part is then drawn, rather
    /// than painted over. By default it is not.
    fn rendered(&self) -> Option<&dyn Rendered> {
        None
    }

    /// The split the sample belongs to.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    fn split(&self, index: usize) -> Split;

    /// Which photograph a sample shows, as a number: the same for samples of the same photograph, and no two
    /// photographs have the same. Whoever splits samples in halves or folds splits them by it, as a photograph of
    /// several objects is a sample for each.
    ///
    /// By default every sample is a photograph of its own.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    fn source(&self, index: usize) -> usize {
        assert!(index < self.len(), "index {index} of a set of {} samples", self.len());
        index
    }

    /// Width and height of the object's box in its photograph, in pixels there: before it is cropped, resized
    /// and cut at the photograph's edges. `None` for a negative, and where there is no box or it is not known;
    /// by default it never is.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    fn box_extent(&self, index: usize) -> Option<[f32; 2]> {
        assert!(index < self.len(), "index {index} of a set of {} samples", self.len());
        None
    }

    /// The sample's category, as in [`Sample::category`], without reading its image.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    fn category(&self, index: usize) -> Option<usize>;

    /// Whether one of [`Sample::landmarks`] is there, without reading the sample's image.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len), or `landmark` is none of the
    /// [`landmark_names`](Dataset::landmark_names).
    fn has_landmark(&self, index: usize, landmark: usize) -> bool;

    /// Whether at least one of [`Sample::landmarks`] is there, without reading the sample's image.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Dataset::len).
    fn has_landmarks(&self, index: usize) -> bool {
        (0..self.landmark_names().len()).any(|landmark| self.has_landmark(index, landmark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let image = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 7]));
        Sample {
            id: "s".into(),
            image,
            category: Some(0),
            bounding_box: Some(BoundingBox { left: 0.0, top: 1.0, right: 2.0, bottom: 3.0 }),
            landmarks: vec![Some(Point { x: 0.0, y: 2.0 }), None, Some(Point { x: 3.5, y: 0.0 })],
            masks: vec![PartMask::from_fn([5, 3], |x, y| x == 0 && y > 0), None, None],
        }
    }

    #[test]
    fn a_mirror_moves_pixels_points_and_box_alike() {
        let mirrored = sample().mirrored();
        assert_eq!(mirrored.image.get_pixel(4, 2), sample().image.get_pixel(0, 2));
        assert_eq!(
            mirrored.landmarks,
            [Some(Point { x: 4.0, y: 2.0 }), None, Some(Point { x: 0.5, y: 0.0 })]
        );
        assert_eq!(mirrored.mask(0), PartMask::from_fn([5, 3], |x, y| x == 4 && y > 0).as_ref());
        assert_eq!((mirrored.masks.len(), mirrored.mask(1), mirrored.mask(9)), (3, None, None));
        // The two leftmost columns become the two rightmost.
        let expected = BoundingBox { left: 3.0, top: 1.0, right: 5.0, bottom: 3.0 };
        assert_eq!(mirrored.bounding_box, Some(expected));
    }

    #[test]
    fn a_box_has_an_area_and_grows_on_all_sides() {
        let b = BoundingBox { left: 2.0, top: 1.0, right: 6.0, bottom: 11.0 };
        assert_eq!(b.area(), 40.0);
        assert_eq!(b.widened(0.25), BoundingBox { left: 1.0, top: -1.5, right: 7.0, bottom: 13.5 });
        assert_eq!(BoundingBox { right: 1.0, ..b }.area(), 0.0);
        assert_eq!(b.widened(0.0), b);
    }

    #[test]
    fn two_mirrors_give_the_sample_back() {
        assert_eq!(sample().mirrored().mirrored(), sample());
    }
}
