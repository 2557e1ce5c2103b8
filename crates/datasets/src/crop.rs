//! What of a picture a sample shows.

use image::RgbImage;

use crate::{BoundingBox, PartMask, Point, resize_bilinear};

/// A rectangle of whole pixels of a picture, resized to a square: where its pixels, points and boxes go.
///
/// A point at `x` goes to `(x + ½ − left)·size/width − ½`, so that the outer edges of the first and the
/// last pixel stay edges; a box at `x` goes to `(x − left)·size/width`.
///
/// ```
/// use explainer_datasets::{BoundingBox, Crop, Point};
///
/// let frame = BoundingBox { left: 10.0, top: 20.0, right: 60.0, bottom: 70.0 };
/// let crop = Crop::new(frame, [100, 80], 100).expect("a part of the picture");
/// assert_eq!(crop.point(Point { x: 10.0, y: 69.0 }), Some(Point { x: 0.5, y: 98.5 }));
/// assert_eq!(crop.point(Point { x: 9.0, y: 69.0 }), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    start: [u32; 2],
    extent: [u32; 2],
    size: u32,
}

impl Crop {
    /// The whole pixels that `frame` touches, as far as a picture of this width and height has them, for
    /// a sample of `size × size` pixels; `None` if it has none.
    pub fn new(frame: BoundingBox, picture: [u32; 2], size: u32) -> Option<Self> {
        let [left, width] = whole_pixels(frame.left, frame.right, picture[0])?;
        let [top, height] = whole_pixels(frame.top, frame.bottom, picture[1])?;
        Some(Self { start: [left, top], extent: [width, height], size })
    }

    /// The whole of a picture of this width and height.
    pub fn whole(picture: [u32; 2], size: u32) -> Self {
        Self { start: [0, 0], extent: picture, size }
    }

    /// The picture's point in the sample; `None` if its pixel is not shown.
    pub fn point(&self, p: Point) -> Option<Point> {
        self.place([p.x, p.y].map(f64::from))
    }

    /// [`point`](Self::point) in double precision.
    fn place(&self, p: [f64; 2]) -> Option<Point> {
        let [x, y] = p.map(|v| v + 0.5);
        let shown = |axis: usize, v: f64| {
            let start = f64::from(self.start[axis]);
            (start..start + f64::from(self.extent[axis])).contains(&v)
        };
        let at = |axis, v| (self.edge(axis, v) - 0.5) as f32;
        (shown(0, x) && shown(1, y)).then(|| Point { x: at(0, x), y: at(1, y) })
    }

    /// Where a point of another sample of the same picture is in this one.
    pub(crate) fn carry(&self, p: Point, from: &Crop) -> Option<Point> {
        if (self.start, self.extent) == (from.start, from.extent) {
            let scale = f64::from(self.size) / f64::from(from.size);
            let [x, y] = [p.x, p.y].map(|v| ((f64::from(v) + 0.5) * scale - 0.5) as f32);
            return Some(Point { x, y });
        }
        self.place(from.source(p))
    }

    /// Where in the picture a point of the sample comes from.
    fn source(&self, p: Point) -> [f64; 2] {
        let from = |axis: usize, v: f32| {
            let scale = f64::from(self.extent[axis]) / f64::from(self.size);
            f64::from(self.start[axis]) + (f64::from(v) + 0.5) * scale - 0.5
        };
        [from(0, p.x), from(1, p.y)]
    }

    /// The picture's box in the sample, cut at the sample's edges.
    pub fn bounding_box(&self, b: BoundingBox) -> BoundingBox {
        let cut = |axis, v: f32| (self.edge(axis, f64::from(v)) as f32).clamp(0.0, self.size as f32);
        BoundingBox {
            left: cut(0, b.left),
            top: cut(1, b.top),
            right: cut(0, b.right),
            bottom: cut(1, b.bottom),
        }
    }

    /// Cuts the sample out of the picture and resizes it.
    ///
    /// # Panics
    ///
    /// If the picture is not of the size that the crop was made for.
    pub fn image(&self, picture: &RgbImage) -> RgbImage {
        let ([x, y], [width, height]) = (self.start, self.extent);
        assert!(
            x + width <= picture.width() && y + height <= picture.height(),
            "{self:?} of a picture of {} × {}",
            picture.width(),
            picture.height()
        );
        let cut = image::imageops::crop_imm(picture, x, y, width, height).to_image();
        resize_bilinear(&cut, self.size, self.size)
    }

    /// The picture's mask in the sample: it covers the pixels whose centres lie on pixels that it covers in the
    /// picture. `None` if there are none.
    ///
    /// # Panics
    ///
    /// If the mask is not of a picture of the size that the crop was made for.
    pub fn mask(&self, mask: &PartMask) -> Option<PartMask> {
        let [from_x, from_y] = [0, 1].map(|axis| {
            assert!(
                self.start[axis] + self.extent[axis] <= mask.size()[axis],
                "{self:?} of a mask of {:?}",
                mask.size()
            );
            let [start, extent, size] = [self.start[axis], self.extent[axis], self.size].map(u64::from);
            // ⌊start + (i + ½)·extent/size⌋, below start + extent.
            move |i: u32| (start + (2 * u64::from(i) + 1) * extent / (2 * size)) as u32
        });
        PartMask::from_fn([self.size; 2], |x, y| mask.contains(from_x(x), from_y(y)))
    }

    /// A position between pixels of the picture, in the sample.
    fn edge(&self, axis: usize, v: f64) -> f64 {
        (v - f64::from(self.start[axis])) * f64::from(self.size) / f64::from(self.extent[axis])
    }
}

/// First pixel and number of pixels of `low..high` within `0..length`.
fn whole_pixels(low: f32, high: f32, length: u32) -> Option<[u32; 2]> {
    if low.is_nan() || high.is_nan() || low >= high {
        return None;
    }
    // Conversions saturate, so that what lies outside ends at the edge.
    let (start, end) = (low.floor() as u32, (high.ceil() as u32).min(length));
    (start < end).then(|| [start, end - start])
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::Sample;

    fn frame(left: f32, top: f32, right: f32, bottom: f32) -> BoundingBox {
        BoundingBox { left, top, right, bottom }
    }

    #[test]
    fn a_frame_is_clamped_to_the_picture() {
        let all = Crop::whole([10, 8], 5);
        assert_eq!(Crop::new(frame(-4.0, -0.5, 99.0, 8.0), [10, 8], 5), Some(all));
        assert_eq!(Crop::new(frame(f32::NEG_INFINITY, 0.0, f32::INFINITY, 1e30), [10, 8], 5), Some(all));
        let touched = Crop { start: [2, 3], extent: [4, 1], size: 5 };
        assert_eq!(Crop::new(frame(2.9, 3.0, 5.1, 4.0), [10, 8], 5), Some(touched));
        for nothing in [
            frame(10.0, 0.0, 20.0, 4.0),
            frame(-5.0, 0.0, 0.0, 4.0),
            frame(3.0, 1.0, 3.0, 4.0),
            frame(5.0, 1.0, 3.0, 4.0),
            frame(f32::NAN, 1.0, 3.0, 4.0),
            frame(1.0, 1.0, 3.0, f32::NAN),
        ] {
            assert_eq!(Crop::new(nothing, [10, 8], 5), None, "{nothing:?}");
        }
    }

    #[test]
    fn edges_stay_edges() {
        let crop = Crop::new(frame(10.0, 20.0, 50.0, 30.0), [100, 100], 20).unwrap();
        assert_eq!(crop.bounding_box(frame(10.0, 20.0, 50.0, 30.0)), frame(0.0, 0.0, 20.0, 20.0));
        assert_eq!(crop.bounding_box(frame(0.0, 25.0, 30.0, 99.0)), frame(0.0, 10.0, 10.0, 20.0));
        // 40 pixels to 20 and 10 pixels to 20: the first pixel's centre.
        assert_eq!(crop.point(Point { x: 10.0, y: 20.0 }), Some(Point { x: -0.25, y: 0.5 }));
        assert_eq!(crop.point(Point { x: 49.0, y: 29.0 }), Some(Point { x: 19.25, y: 18.5 }));
        for outside in [(9.4, 25.0), (49.5, 25.0), (30.0, 29.6), (f32::NAN, 25.0)] {
            assert_eq!(crop.point(Point { x: outside.0, y: outside.1 }), None, "{outside:?}");
        }
    }

    #[test]
    fn a_point_is_carried_from_one_crop_to_another() {
        let annotated = Crop::new(frame(10.0, 20.0, 50.0, 30.0), [100, 100], 224).unwrap();
        // The same pixels: only the size differs, and the outermost edges stay where they are.
        let half = Crop { size: 112, ..annotated };
        assert_eq!(half.carry(Point { x: -0.5, y: 223.5 }, &annotated), Some(Point { x: -0.5, y: 111.5 }));
        assert_eq!(annotated.carry(Point { x: 17.0, y: 3.5 }, &annotated), Some(Point { x: 17.0, y: 3.5 }));
        // 20 more pixels on the left, and as many as are needed on the right.
        let wide = Crop::new(frame(0.0, 20.0, 60.0, 30.0), [100, 100], 60).unwrap();
        let p = wide.carry(Point { x: 111.5, y: 111.5 }, &annotated).unwrap();
        assert!((p.x - 29.5).abs() < 1e-5 && (p.y - 29.5).abs() < 1e-5, "{p:?}");
    }

    #[test]
    #[should_panic(expected = "of a picture of 5 × 5")]
    fn a_crop_is_of_a_picture_of_its_size() {
        Crop::whole([6, 5], 8).image(&RgbImage::new(5, 5));
    }

    /// Where the light is, weighted by itself, in pixels.
    fn centre_of_light(image: &RgbImage) -> Point {
        let (mut x, mut y, mut sum) = (0.0, 0.0, 0.0);
        for (column, row, pixel) in image.enumerate_pixels() {
            let light = f64::from(pixel.0[0]);
            x += light * f64::from(column);
            y += light * f64::from(row);
            sum += light;
        }
        Point { x: (x / sum) as f32, y: (y / sum) as f32 }
    }

    /// Crop → resize → mirror carries a landmark and the pixel under it alike: a bright patch around the
    /// landmark has its centre of light where the landmark goes.
    #[test]
    fn landmarks_go_where_their_pixels_go() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for case in 0..300 {
            let picture = [rng.random_range(24..90), rng.random_range(24..90)];
            let size = rng.random_range(16..80);
            let [x, y] = picture.map(|length| rng.random_range(4..length - 4));
            // The frame holds the patch and, as the resizing filter is wide, some of what is around it.
            let reach = |v: u32, length: u32, rng: &mut ChaCha8Rng| {
                let low = rng.random_range(-6.0..v as f32 - 3.5);
                let high = rng.random_range(v as f32 + 4.5..length as f32 + 6.0);
                [low, high]
            };
            let [left, right] = reach(x, picture[0], &mut rng);
            let [top, bottom] = reach(y, picture[1], &mut rng);
            let frame = frame(left, top, right, bottom);
            let mut image = RgbImage::new(picture[0], picture[1]);
            for (dx, dy) in (0..9).map(|i| (i % 3, i / 3)) {
                image.put_pixel(x + dx - 1, y + dy - 1, image::Rgb([255; 3]));
            }
            let crop = Crop::new(frame, picture, size).unwrap();
            let landmark = crop.point(Point { x: x as f32, y: y as f32 }).unwrap();
            let sample = Sample {
                id: String::new(),
                image: crop.image(&image),
                category: Some(0),
                bounding_box: Some(crop.bounding_box(frame)),
                landmarks: vec![Some(landmark)],
                masks: vec![],
            };
            for sample in [sample.mirrored(), sample] {
                let (light, landmark) = (centre_of_light(&sample.image), sample.landmarks[0].unwrap());
                // An edge cuts off half of the filter's weight, and 8 bits round what is left.
                let off = (light.x - landmark.x).hypot(light.y - landmark.y);
                assert!(off < 0.35, "{case}: {picture:?} {frame:?} to {size}: {light:?} {landmark:?}");
                let b = sample.bounding_box.unwrap();
                assert!((b.left..b.right).contains(&(landmark.x + 0.5)), "{case}: {b:?} {landmark:?}");
            }
        }
    }

    /// Point and box of the composed map, against plain arithmetic in `f64`.
    #[test]
    fn points_and_boxes_follow_the_formula() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for _ in 0..1000 {
            let picture = [rng.random_range(1..5000u32), rng.random_range(1..5000u32)];
            let side = |length: u32, rng: &mut ChaCha8Rng| {
                let low = rng.random_range(0..length);
                [low, rng.random_range(low + 1..=length)]
            };
            let [[left, right], [top, bottom]] = picture.map(|length| side(length, &mut rng));
            let size = rng.random_range(1..600u32);
            let crop = Crop::new(frame(left as f32, top as f32, right as f32, bottom as f32), picture, size)
                .unwrap();
            let [x, y] = [rng.random_range(left..right), rng.random_range(top..bottom)];
            let p = crop.point(Point { x: x as f32, y: y as f32 }).unwrap();
            let formula = |v: u32, low: u32, high: u32| {
                (f64::from(v - low) + 0.5) * f64::from(size) / f64::from(high - low) - 0.5
            };
            assert!((f64::from(p.x) - formula(x, left, right)).abs() < 1e-4);
            assert!((f64::from(p.y) - formula(y, top, bottom)).abs() < 1e-4);
            let [back_x, back_y] = crop.source(p);
            assert!((back_x - f64::from(x)).abs() < 1e-2 && (back_y - f64::from(y)).abs() < 1e-2);
            let pixel = crop.bounding_box(frame(x as f32, y as f32, x as f32 + 1.0, y as f32 + 1.0));
            assert!((f64::from(pixel.left + pixel.right) / 2.0 - 0.5 - f64::from(p.x)).abs() < 1e-3);
        }
    }
}
