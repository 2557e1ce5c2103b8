//! Boxes and landmarks drawn into a picture.

use explainer_datasets::{BoundingBox, Point, Sample};
use image::{Rgb, RgbImage};

const BOX: Rgb<u8> = Rgb([255, 255, 0]);
/// Colours of the landmarks, in their order and then again.
const CROSSES: [(&str, Rgb<u8>); 6] = [
    ("red", Rgb([255, 0, 0])),
    ("green", Rgb([0, 255, 0])),
    ("blue", Rgb([0, 0, 255])),
    ("magenta", Rgb([255, 0, 255])),
    ("cyan", Rgb([0, 255, 255])),
    ("orange", Rgb([255, 140, 0])),
];

/// Which colour is what.
pub fn legend(landmarks: &[String]) -> String {
    let crosses = landmarks.iter().zip(CROSSES.iter().cycle());
    let mut parts = vec!["boxes yellow".to_owned()];
    parts.extend(crosses.map(|(name, (colour, _))| format!("{name} {colour}")));
    parts.join(", ")
}

/// Draws the box and the landmarks of a sample into its picture.
pub fn draw(sample: &mut Sample) {
    if let Some(b) = sample.bounding_box {
        draw_box(&mut sample.image, b);
    }
    for (landmark, (_, colour)) in sample.landmarks.iter().zip(CROSSES.iter().cycle()) {
        if let Some(p) = landmark {
            draw_cross(&mut sample.image, *p, *colour);
        }
    }
}

/// Colours the box's outermost pixels.
fn draw_box(image: &mut RgbImage, b: BoundingBox) {
    // The last column and row are one before where the box ends.
    let within = |low: f32, high: f32, length: u32| {
        [low, high - 1.0].map(|v| v.round().clamp(0.0, length as f32 - 1.0) as u32)
    };
    let [left, right] = within(b.left, b.right, image.width());
    let [top, bottom] = within(b.top, b.bottom, image.height());
    for x in left..=right {
        image.put_pixel(x, top, BOX);
        image.put_pixel(x, bottom, BOX);
    }
    for y in top..=bottom {
        image.put_pixel(left, y, BOX);
        image.put_pixel(right, y, BOX);
    }
}

/// Colours four pixels to each side of a position, as far as they are in the image.
fn draw_cross(image: &mut RgbImage, position: Point, colour: Rgb<u8>) {
    for d in -4..=4 {
        for (dx, dy) in [(d, 0), (0, d)] {
            let (x, y) = (position.x.round() as i64 + dx, position.y.round() as i64 + dy);
            if (0..image.width().into()).contains(&x) && (0..image.height().into()).contains(&y) {
                image.put_pixel(x as u32, y as u32, colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_at_the_edge_is_drawn_within_the_image() {
        let mut image = RgbImage::new(8, 6);
        draw_box(&mut image, BoundingBox { left: 2.0, top: 1.0, right: 8.0, bottom: 6.0 });
        let drawn = |x: u32, y: u32| *image.get_pixel(x, y) == BOX;
        for (x, y) in (0..48).map(|i| (i % 8, i / 8)) {
            let outline = x >= 2 && y >= 1 && (x == 2 || x == 7 || y == 1 || y == 5);
            assert_eq!(drawn(x, y), outline, "{x}, {y}");
        }
    }

    #[test]
    fn the_box_of_next_to_nothing_is_a_pixel() {
        let mut image = RgbImage::new(8, 6);
        draw_box(&mut image, BoundingBox { left: 7.8, top: 0.0, right: 8.0, bottom: 0.3 });
        assert_eq!(image.pixels().filter(|&&pixel| pixel == BOX).count(), 1);
        assert_eq!(*image.get_pixel(7, 0), BOX);
    }
}
