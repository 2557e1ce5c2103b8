//! Draws six by six synthetic birds beside as many negatives, their landmarks as crosses (head red, back
//! green, tail blue) and their boxes in yellow.
//!
//! `cargo run --release -p explainer-datasets --example contact_sheet -- birds.png`

use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::Path;

use explainer_datasets::{BoundingBox, Dataset, Point, SyntheticBirds, SyntheticBirdsConfig};
use image::{ImageFormat, Rgb, RgbImage, imageops};

const SIZE: usize = 160;
const SIDE: usize = 6;
const CROSSES: [Rgb<u8>; 3] = [Rgb([255, 0, 0]), Rgb([0, 255, 0]), Rgb([0, 0, 255])];
const BOX: Rgb<u8> = Rgb([255, 255, 0]);

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "birds.png".to_owned());
    let count = SIDE * SIDE;
    let set = SyntheticBirds::new(SyntheticBirdsConfig::new(count, count).with_size(SIZE).with_seed(1))?;
    let mut sheet = RgbImage::new((2 * SIDE * SIZE) as u32, (SIDE * SIZE) as u32);
    for index in 0..set.len() {
        let sample = set.sample(index)?;
        let mut image = sample.image;
        if let Some(b) = sample.bounding_box {
            draw_box(&mut image, b);
        }
        for (landmark, colour) in sample.landmarks.iter().zip(CROSSES) {
            if let Some(p) = landmark {
                draw_cross(&mut image, *p, colour);
            }
        }
        let (block, place) = (index / count, index % count);
        let (column, row) = (block * SIDE + place % SIDE, place / SIDE);
        imageops::replace(&mut sheet, &image, (column * SIZE) as i64, (row * SIZE) as i64);
    }
    save(&sheet, Path::new(&path))?;
    println!("{path}: {count} birds, {count} negatives");
    Ok(())
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

/// Writes a picture that appears whole or not at all, in the format of the path's ending.
fn save(picture: &RgbImage, path: &Path) -> Result<(), Box<dyn Error>> {
    let format = ImageFormat::from_path(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o644));
    }
    let mut file = builder.tempfile_in(folder)?;
    let mut writer = BufWriter::new(&mut file);
    picture.write_to(&mut writer, format)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
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

    #[test]
    fn a_picture_is_saved_whole_and_for_all_to_read() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.png");
        let picture = RgbImage::from_pixel(5, 4, BOX);
        save(&picture, &path)?;
        assert!(image::open(&path)?.into_rgb8() == picture);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o044, 0o044);
        }
        // What cannot be written leaves the old file as it was, and nothing beside it.
        assert!(save(&RgbImage::new(0, 0), &path).is_err());
        assert!(image::open(&path)?.into_rgb8() == picture);
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }
}
