//! A part of a scene as a sample of its own.

use crate::{BoundingBox, Point, Sample, resize_bilinear};

/// Least side of a crop in pixels: a box of a bird that is hardly in the frame is widened to it.
const LEAST: f32 = 8.0;

/// Cuts `frame` out of a sample and stretches it to `size × size` pixels, landmarks and box with it. A
/// landmark outside the cut is gone.
pub(super) fn to_square(sample: &Sample, frame: BoundingBox, size: usize) -> Sample {
    let (width, height) = (sample.image.width() as f32, sample.image.height() as f32);
    let [left, right] = whole(frame.left, frame.right, width);
    let [top, bottom] = whole(frame.top, frame.bottom, height);
    let side = size as f32;
    let [across, down] = [side / (right - left), side / (bottom - top)];
    let cut = image::imageops::crop_imm(
        &sample.image,
        left as u32,
        top as u32,
        (right - left) as u32,
        (bottom - top) as u32,
    );
    // A box counts from pixels' edges, a point from their centres.
    let moved = |p: Point| Point { x: (p.x + 0.5 - left) * across - 0.5, y: (p.y + 0.5 - top) * down - 0.5 };
    let inside = |p: &Point| (0.0..=side - 1.0).contains(&p.x) && (0.0..=side - 1.0).contains(&p.y);
    Sample {
        id: sample.id.clone(),
        image: resize_bilinear(&cut.to_image(), size as u32, size as u32),
        category: sample.category,
        bounding_box: sample.bounding_box.map(|b| BoundingBox {
            left: ((b.left - left) * across).clamp(0.0, side),
            top: ((b.top - top) * down).clamp(0.0, side),
            right: ((b.right - left) * across).clamp(0.0, side),
            bottom: ((b.bottom - top) * down).clamp(0.0, side),
        }),
        landmarks: sample.landmarks.iter().map(|p| p.map(moved).filter(inside)).collect(),
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
        }
    }

    #[test]
    fn a_landmark_stays_on_its_pixel() {
        for (x, y) in [(10, 20), (25, 27), (39, 34)] {
            let scene = scene(x, y);
            let crop = to_square(&scene, scene.bounding_box.unwrap(), 90);
            assert_eq!(crop.image.dimensions(), (90, 90));
            let landmark = crop.landmarks[0].unwrap();
            // 30 × 15 pixels to 90 × 90: the bright pixel is 3 × 6 pixels large, brightest at its centre.
            let brightest = crop.image.enumerate_pixels().max_by_key(|(_, _, pixel)| pixel.0[0]).unwrap();
            assert!((brightest.0 as f32 - landmark.x).abs() <= 1.0, "{landmark:?} {brightest:?}");
            assert!((brightest.1 as f32 - landmark.y).abs() <= 3.0, "{landmark:?} {brightest:?}");
            assert_eq!(crop.landmarks[1], None);
        }
    }

    #[test]
    fn the_box_fills_the_crop_and_what_lies_outside_is_gone() {
        let scene = scene(5, 5);
        let crop = to_square(&scene, scene.bounding_box.unwrap(), 64);
        assert_eq!(crop.landmarks, [None, None]);
        let b = crop.bounding_box.unwrap();
        assert!(b.left < 1.0 && b.top == 0.0 && b.right > 62.0 && b.bottom == 64.0, "{b:?}");
    }

    #[test]
    fn a_box_of_next_to_nothing_is_widened() {
        let scene = scene(59, 0);
        let sliver = BoundingBox { left: 59.5, top: 0.0, right: 60.0, bottom: 0.5 };
        let crop = to_square(&scene, sliver, 32);
        assert_eq!(crop.image.dimensions(), (32, 32));
        assert!(crop.image.pixels().any(|pixel| pixel.0[0] > 100));
    }
}
