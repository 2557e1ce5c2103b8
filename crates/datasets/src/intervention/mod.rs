//! Changes to the evidence in a photograph: a part erased, something else erased, the part moved.

mod blur;
mod error;
mod region;
mod scale;
mod soft_mask;
#[cfg(test)]
mod tests;

use image::RgbImage;

use self::blur::Blurred;
pub use self::error::InterventionError;
use self::region::Region;
pub use self::scale::InterventionScale;
use self::scale::{from_one, from_zero};
use self::soft_mask::SoftMask;
use crate::{PartMask, Point};

/// Least side of a picture: the square is then of five pixels a side.
const LEAST_SIDE: u32 = 16;

/// A picture whose parts are erased and moved.
///
/// The picture is blurred once, whatever the number of landmarks.
///
/// # Definitions
///
/// For a picture of 224 × 224; [`InterventionScale`] has the lengths for others. ℓ is a landmark.
///
/// - *Square* around a point: half-side 36, clipped to the picture.
/// - *Erase*: `x ← x + m ∘ (blur₂₄(x) − x)`, with `m` the square's mask blurred by σ 4. Both are true Gaussians,
///   cut off at 4σ; beyond an edge the picture goes on as its outermost pixels.
/// - *Control place* c′: ℓ reflected through the picture's centre. Where that is nearer than 90 px to ℓ, it is ℓ
///   moved 95 px horizontally into the other half, and then kept within [30, 194] along both axes.
/// - *Transplant*: ℓ erased, then the original square of ℓ pasted with its centre at c′, unblended. A square
///   that is clipped keeps its size; it is shifted to lie within the picture.
///
/// With a part's mask, the mask takes the place of the square. It is moved by whole pixels, by c′ − ℓ as far as
/// all of it stays within the picture; the control is erased where the part is pasted.
///
/// # Pixels
///
/// The reference uses landmarks that count from 1 as they stand: the centre of a picture is at (112, 112), and a
/// square has the rows `max(0, int(y − 36)) .. min(224, int(y + 36))`, counted from 0, likewise the columns. A
/// [`Point`] counts from 0, so that 1 is added on the way in and taken off on the way out. A square is thus
/// centred on its landmark as closely as whole pixels allow.
///
/// # Example
///
/// ```
/// use explainer_datasets::{Interventions, Point};
///
/// let picture = image::RgbImage::from_fn(224, 224, |x, y| image::Rgb([x as u8, y as u8, 90]));
/// let pictures = Interventions::new(&picture)?;
/// let head = pictures.at(Point { x: 185.0, y: 58.5 }, None)?;
/// assert_eq!(head.control_place, Point { x: 37.0, y: 163.5 });
/// assert_eq!(head.displacement(), [-148.0, 104.5]);
/// assert_eq!(head.transplanted.get_pixel(37, 163), picture.get_pixel(185, 58));
/// # Ok::<(), explainer_datasets::InterventionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Interventions<'a> {
    image: &'a RgbImage,
    scale: InterventionScale,
    blurred: Blurred,
}

/// What becomes of a picture when the evidence of one landmark is changed.
///
/// Points are in pixels from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervened {
    /// The part is erased.
    pub erased: RgbImage,
    /// The control place is erased.
    pub control: RgbImage,
    /// The part is erased and pasted at the control place.
    pub transplanted: RgbImage,
    /// ℓ, as it was given.
    pub landmark: Point,
    /// c′.
    pub control_place: Point,
    /// The centre of the pasted square, which is clipped as that of ℓ is. With a mask: ℓ, moved as the mask is.
    pub paste: Point,
    /// Share of the part's square or mask that the control erases as well, before blurring; 0 to 1. Of use
    /// for large masks, which cannot be moved away from where they are.
    pub overlap: f64,
}

impl Intervened {
    /// δ, the centre of the paste minus the landmark: x, y in pixels.
    pub fn displacement(&self) -> [f64; 2] {
        let minus = |a: f32, b: f32| f64::from(a) - f64::from(b);
        [minus(self.paste.x, self.landmark.x), minus(self.paste.y, self.landmark.y)]
    }
}

impl<'a> Interventions<'a> {
    /// Blurs a picture, with the lengths of [`InterventionScale::for_size`].
    ///
    /// # Errors
    ///
    /// If a side of the picture is shorter than 16 pixels.
    pub fn new(image: &'a RgbImage) -> Result<Self, InterventionError> {
        let found = [image.width(), image.height()];
        if found.iter().any(|&side| side < LEAST_SIDE) {
            return Err(InterventionError::Size { least: LEAST_SIDE, found });
        }
        let scale = InterventionScale::for_size(found);
        Ok(Self { image, scale, blurred: Blurred::new(image, scale.blur_sigma) })
    }

    /// The lengths in this picture.
    pub fn scale(&self) -> &InterventionScale {
        &self.scale
    }

    /// c′, the control place of a landmark.
    ///
    /// # Errors
    ///
    /// If the landmark is not within the picture.
    pub fn control_place(&self, landmark: Point) -> Result<Point, InterventionError> {
        self.check_landmark(landmark)?;
        Ok(from_zero(self.scale.control_place(from_one(landmark), self.size())))
    }

    /// The picture with the square around a point erased.
    ///
    /// # Errors
    ///
    /// If the point is not within the picture.
    pub fn erase(&self, at: Point) -> Result<RgbImage, InterventionError> {
        self.check_landmark(at)?;
        Ok(self.without(&self.square(from_one(at))))
    }

    /// The picture with a part erased.
    ///
    /// # Errors
    ///
    /// If the mask is of a picture of another size.
    pub fn erase_part(&self, mask: &PartMask) -> Result<RgbImage, InterventionError> {
        Ok(self.without(&self.part(mask)?))
    }

    /// The three pictures of a landmark; by its part's mask, if there is one, instead of the square.
    ///
    /// # Errors
    ///
    /// If the landmark is not within the picture, or the mask is of a picture of another size.
    pub fn at(&self, landmark: Point, mask: Option<&PartMask>) -> Result<Intervened, InterventionError> {
        self.check_landmark(landmark)?;
        let from = from_one(landmark);
        let place = self.scale.control_place(from, self.size());
        let (part, control, pasted, paste) = match mask {
            None => {
                let part = self.square(from);
                let pasted = part.pasted_at(place, self.size());
                let paste = pasted.center();
                (part, self.square(place), pasted, paste)
            }
            Some(mask) => {
                let part = self.part(mask)?;
                let pasted = part.moved([place[0] - from[0], place[1] - from[1]], self.size());
                let shift = pasted.shift();
                let paste = [from[0] + shift[0] as f64, from[1] + shift[1] as f64];
                (part, pasted, pasted, paste)
            }
        };
        let erased = self.without(&part);
        let mut transplanted = erased.clone();
        for (x, y) in pasted.pixels() {
            let [from_x, from_y] = pasted.origin([x, y]);
            transplanted.put_pixel(x, y, *self.image.get_pixel(from_x, from_y));
        }
        Ok(Intervened {
            erased,
            control: self.without(&control),
            transplanted,
            landmark,
            control_place: from_zero(place),
            paste: from_zero(paste),
            overlap: part.overlap(&control),
        })
    }

    fn size(&self) -> [u32; 2] {
        [self.image.width(), self.image.height()]
    }

    /// A point is within the picture if it is on a pixel, which reaches half a pixel around its centre.
    fn check_landmark(&self, p: Point) -> Result<(), InterventionError> {
        let size = self.size();
        let on = |v: f32, length: u32| (-0.5..length as f32 - 0.5).contains(&v);
        if on(p.x, size[0]) && on(p.y, size[1]) {
            return Ok(());
        }
        Err(InterventionError::Landmark { size, found: p })
    }

    fn square(&self, center: [f64; 2]) -> Region<'static> {
        Region::square(center, self.scale.half_side, self.size())
    }

    fn part<'m>(&self, mask: &'m PartMask) -> Result<Region<'m>, InterventionError> {
        if !mask.is_of(self.image) {
            return Err(InterventionError::Mask { size: self.size(), found: mask.size() });
        }
        Ok(Region::part(mask))
    }

    /// Blends the blurred picture in where the region is.
    fn without(&self, region: &Region<'_>) -> RgbImage {
        let SoftMask { columns, rows, alpha } = region.soft(self.size(), self.scale.mask_sigma);
        let mut erased = self.image.clone();
        let stride = 3 * self.image.width() as usize;
        let mut blurred = Vec::with_capacity(columns.len());
        for (y, alpha) in rows.zip(alpha.chunks_exact(columns.len().max(1))) {
            blurred.clear();
            self.blurred.row(y, columns.clone(), &mut blurred);
            let row =
                &mut erased.as_flat_samples_mut().samples[y * stride..][3 * columns.start..3 * columns.end];
            for ((pixel, &alpha), blurred) in row.as_chunks_mut::<3>().0.iter_mut().zip(alpha).zip(&blurred) {
                for (value, blurred) in pixel.iter_mut().zip(blurred) {
                    let own = f32::from(*value);
                    *value = (own + alpha * (blurred - own)).round() as u8;
                }
            }
        }
        erased
    }
}
