//! Draws six by six synthetic birds beside as many negatives, their landmarks as crosses (head red, back
//! green, tail blue) and their boxes in yellow.
//!
//! `cargo run --release -p explainer-datasets --example contact_sheet -- birds.png`

use explainer_datasets::{Dataset, SyntheticBirds, SyntheticBirdsConfig};
use image::{Rgb, RgbImage, imageops};

const SIZE: usize = 160;
const SIDE: usize = 6;
const CROSSES: [Rgb<u8>; 3] = [Rgb([255, 0, 0]), Rgb([0, 255, 0]), Rgb([0, 0, 255])];
const BOX: Rgb<u8> = Rgb([255, 255, 0]);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "birds.png".to_owned());
    let count = SIDE * SIDE;
    let set = SyntheticBirds::new(SyntheticBirdsConfig::new(count, count).with_size(SIZE).with_seed(1))?;
    let mut sheet = RgbImage::new((2 * SIDE * SIZE) as u32, (SIDE * SIZE) as u32);
    for index in 0..set.len() {
        let sample = set.sample(index)?;
        let mut image = sample.image;
        if let Some(b) = sample.bounding_box {
            for t in 0..=100 {
                let t = t as f32 / 100.0;
                let (x, y) = (b.left + t * (b.right - b.left), b.top + t * (b.bottom - b.top));
                for (x, y) in [(x, b.top), (x, b.bottom), (b.left, y), (b.right, y)] {
                    image.put_pixel(x.round() as u32, y.round() as u32, BOX);
                }
            }
        }
        for (landmark, colour) in sample.landmarks.iter().zip(CROSSES) {
            let Some(p) = landmark else { continue };
            for d in -4..=4 {
                for (dx, dy) in [(d, 0), (0, d)] {
                    let (x, y) = (p.x.round() as i64 + dx, p.y.round() as i64 + dy);
                    if (0..SIZE as i64).contains(&x) && (0..SIZE as i64).contains(&y) {
                        image.put_pixel(x as u32, y as u32, colour);
                    }
                }
            }
        }
        let (block, place) = (index / count, index % count);
        let (column, row) = (block * SIDE + place % SIDE, place / SIDE);
        imageops::replace(&mut sheet, &image, (column * SIZE) as i64, (row * SIZE) as i64);
    }
    sheet.save(&path)?;
    println!("{path}: {} birds, {} negatives", count, count);
    Ok(())
}
