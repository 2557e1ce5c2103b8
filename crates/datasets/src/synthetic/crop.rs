//! A part of a scene as a sample of its own.

use crate::{BoundingBox, Crop, Point, Sample};

/// Least side of a crop in pixels: a box of a bird that is hardly in the frame is widened to it.
const LEAST: f32 = 8.0;

/// What of a scene a sample shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    crop: Crop,
    /// The sample's side.
    side: f32,
}

impl Cut {
    /// Cuts `frame` out of a square scene for a sample of `size × size` pixels.
    pub fn new(frame: BoundingBox, scene_size: f32, size: usize) -> Cut {
        let [left, right] = whole(frame.left, frame.right, scene_size);
        let [top, bottom] = whole(frame.top, frame.bottom, scene_size);
        let (scene, size) = ([scene_size as u32; 2], size as u32);
        let crop = Crop::new(BoundingBox { left, top, right, bottom }, scene, size);
        Cut { crop: crop.unwrap_or_else(|| Crop::whole(scene, size)), side: size as f32 }
    }

    /// The scene's landmark in the sample; `None` outside, and between the sample's edge and the centre of
    /// its outermost pixels.
    pub fn landmark(self, p: Point) -> Option<Point> {
        let inside = |v: f32| (0.0..=self.side - 1.0).contains(&v);
        self.crop.point(p).filter(|p| inside(p.x) && inside(p.y))
    }

    /// The scene's cut as a sample of its own, landmarks and box with it.
    pub fn sample(self, scene: &Sample) -> Sample {
        Sample {
            id: scene.id.clone(),
            image: self.crop.image(&scene.image),
            category: scene.category,
            bounding_box: scene.bounding_box.map(|b| self.crop.bounding_box(b)),
            landmarks: scene.landmarks.iter().map(|p| p.and_then(|p| self.landmark(p))).collect(),
            masks: scene.masks.iter().map(|m| m.as_ref().and_then(|m| self.crop.mask(m))).collect(),
        }
    }
}

/// The whole pixels that `low..high` touches within `0..length`, [`LEAST`] or more of them.
fn whole(low: f32, high: f32, length: f32) -> [f32; 2] {
    let missing = (LEAST - (high - low)).max(0.0) / 2.0;
    let low = (low - missing).floor().clamp(0.0, length - LEAST);
    [low, (high + missing).ceil().clamp(low + LEAST, length)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartMask;
    use image::{Rgb, RgbImage};

    /// A dark scene with one bright pixel, and a landmark on it.
    fn scene(x: u32, y: u32) -> Sample {
        let mut image = RgbImage::new(60, 60);
        image.put_pixel(x, y, Rgb([255; 3]));
        Sample {
            id: "scene".to_string(),
            image,
            category: Some(0),
            bounding_box: Some(BoundingBox { left: 10.2, top: 20.0, right: 39.5, bottom: 35.0 }),
            landmarks: vec![Some(Point { x: x as f32, y: y as f32 }), None],
            masks: vec![PartMask::from_fn([60, 60], |column, row| [column, row] == [x, y]), None],
        }
    }

    #[test]
    fn a_landmark_stays_on_its_pixel() {
        for (x, y) in [(10, 20), (25, 27), (39, 34)] {
            let scene = scene(x, y);
            let crop = Cut::new(scene.bounding_box.unwrap(), 60.0, 90).sample(&scene);
            assert_eq!(crop.image.dimensions(), (90, 90));
            let landmark = crop.landmarks[0].unwrap();
            // 30 × 15 pixels to 90 × 90: the bright pixel is 3 × 6 pixels large, brightest at its centre.
            let brightest = crop.image.enumerate_pixels().max_by_key(|(_, _, pixel)| pixel.0[0]).unwrap();
            assert!((brightest.0 as f32 - landmark.x).abs() <= 1.0, "{landmark:?} {brightest:?}");
            assert!((brightest.1 as f32 - landmark.y).abs() <= 3.0, "{landmark:?} {brightest:?}");
            assert_eq!(crop.landmarks[1], None);
            // Its mask is those 3 × 6 pixels.
            let mask = crop.mask(0).unwrap();
            assert_eq!((mask.area(), mask.center()), (18, landmark));
        }
    }

    #[test]
    fn the_box_fills_the_crop_and_what_lies_outside_is_gone() {
        let scene = scene(5, 5);
        let crop = Cut::new(scene.bounding_box.unwrap(), 60.0, 64).sample(&scene);
        assert_eq!(crop.landmarks, [None, None]);
        assert_eq!(crop.masks, [None, None]);
        let b = crop.bounding_box.unwrap();
        assert!(b.left < 1.0 && b.top == 0.0 && b.right > 62.0 && b.bottom == 64.0, "{b:?}");
    }

    #[test]
    fn a_box_of_next_to_nothing_is_widened() {
        let scene = scene(59, 0);
        let sliver = BoundingBox { left: 59.5, top: 0.0, right: 60.0, bottom: 0.5 };
        let crop = Cut::new(sliver, 60.0, 32).sample(&scene);
        assert_eq!(crop.image.dimensions(), (32, 32));
        assert!(crop.image.pixels().any(|pixel| pixel.0[0] > 100));
    }
}
