use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

/// A white square of 72 pixels on grey, around the point (58.5, 59.5): columns 23 to 94 and rows 24 to 95.
fn white_square() -> RgbImage {
    let inside = |x: u32, y: u32| (23..95).contains(&x) && (24..96).contains(&y);
    RgbImage::from_fn(224, 224, |x, y| Rgb([if inside(x, y) { 255 } else { 100 }; 3]))
}

fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    RgbImage::from_fn(width, height, |_, _| Rgb([(); 3].map(|()| rng.random())))
}

/// Pixels that differ.
fn changed(a: &RgbImage, b: &RgbImage) -> Vec<(u32, u32)> {
    let differ = |&(x, y, pixel): &(u32, u32, &Rgb<u8>)| pixel != b.get_pixel(x, y);
    a.enumerate_pixels().filter(differ).map(|(x, y, _)| (x, y)).collect()
}

/// Erased by the definition, in `f64`: both blurs over both axes at once, edges repeated.
fn erased_by_definition(image: &RgbImage, covers: impl Fn(u32, u32) -> bool, [x, y]: [u32; 2]) -> [f64; 3] {
    let scale = InterventionScale::for_size([image.width(), image.height()]);
    let blur = |sigma: f64, value: &dyn Fn(u32, u32) -> f64| {
        let reach = (4.0 * sigma).ceil() as i64;
        let (mut sum, mut total) = (0.0, 0.0);
        for (dx, dy) in (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy))) {
            let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * sigma * sigma)).exp();
            let inside =
                |v: u32, d: i64, length: u32| (i64::from(v) + d).clamp(0, i64::from(length) - 1) as u32;
            sum += weight * value(inside(x, dx, image.width()), inside(y, dy, image.height()));
            total += weight;
        }
        sum / total
    };
    let alpha = blur(scale.mask_sigma, &|x, y| f64::from(u8::from(covers(x, y))));
    [0, 1, 2].map(|channel| {
        let value = |x, y| f64::from(image.get_pixel(x, y).0[channel]);
        value(x, y) + alpha * (blur(scale.blur_sigma, &value) - value(x, y))
    })
}

#[test]
fn a_white_square_is_erased_and_what_is_far_from_it_untouched() {
    let picture = white_square();
    let pictures = Interventions::new(&picture).unwrap();
    let erased = pictures.erase(at(58.5, 59.5)).unwrap();
    for (x, y) in changed(&picture, &erased) {
        assert!((23 - 16..95 + 16).contains(&x) && (24 - 16..96 + 16).contains(&y), "{x}, {y}");
    }
    // In the middle the mask is 1. There the blur is 100 + 155 · P(|N| < 36/24)², P = 0.866: 216.3.
    let middle = erased.get_pixel(58, 59).0[0];
    assert!((215..=217).contains(&middle), "{middle}");
    // The control is where nothing is to be erased: 165.5 − 1.
    let head = pictures.at(at(58.5, 59.5), None).unwrap();
    assert_eq!(head.control_place, at(163.5, 162.5));
    assert_eq!(head.control.get_pixel(195, 195), picture.get_pixel(195, 195));
    assert_eq!((head.erased, head.overlap), (erased, 0.0));
}

#[test]
fn a_transplant_is_the_erased_picture_with_the_square_elsewhere() {
    let picture = white_square();
    let head = Interventions::new(&picture).unwrap().at(at(58.5, 59.5), None).unwrap();
    // From 1 the landmark is at (59.5, 60.5), the square from 23 and 24 on, the control at (164.5, 163.5): the
    // square goes to ⌊164.5 − 36⌋ = 128 and 127.
    let pasted = |x: u32, y: u32| (128..200).contains(&x) && (127..199).contains(&y);
    for (x, y, pixel) in head.transplanted.enumerate_pixels() {
        let expected = if pasted(x, y) { &Rgb([255; 3]) } else { head.erased.get_pixel(x, y) };
        assert_eq!(pixel, expected, "{x}, {y}");
    }
    assert_eq!(head.paste, at(163.0, 162.0));
    assert_eq!(head.displacement(), [104.5, 102.5]);
}

#[test]
fn a_square_at_the_border_is_clipped_and_keeps_its_size_where_it_is_pasted() {
    let picture = noise(224, 224, 1);
    let pictures = Interventions::new(&picture).unwrap();
    // From 1: (4, 10), the square [0, 40) × [0, 46); the control (220, 214), so that the paste starts at
    // 220 − 20 = 200 and 214 − 23 = 191, and has to be moved into the picture: 184 and 178.
    let corner = pictures.at(at(3.0, 9.0), None).unwrap();
    assert_eq!(corner.control_place, at(219.0, 213.0));
    for (x, y, pixel) in corner.transplanted.enumerate_pixels() {
        let expected = match (x.checked_sub(184), y.checked_sub(178)) {
            (Some(x), Some(y)) => picture.get_pixel(x, y),
            _ => corner.erased.get_pixel(x, y),
        };
        assert_eq!(pixel, expected, "{x}, {y}");
    }
    // (184 + 20, 178 + 23), from 1.
    assert_eq!(corner.paste, at(203.0, 200.0));
    // The control is clipped: [184, 224) × [178, 224), and so erases as much.
    let far = changed(&picture, &corner.control).into_iter().find(|&(x, y)| x < 184 - 16 || y < 178 - 16);
    assert_eq!(far, None);
}

#[test]
fn erasing_follows_the_definition() {
    // Small pictures, so that the slow sums are few: half-sides of 7.07 and 6.4 pixels.
    for (width, height, landmark) in [(44, 60, at(20.0, 30.0)), (40, 40, at(2.0, 37.4))] {
        let picture = noise(width, height, 2);
        let pictures = Interventions::new(&picture).unwrap();
        let half = pictures.scale().half_side;
        let erased = pictures.erase(landmark).unwrap();
        let covers = |x: u32, y: u32| {
            let on = |v: u32, c: f32| {
                let [low, high] = [f64::from(c) + 1.0 - half, f64::from(c) + 1.0 + half];
                f64::from(v) >= low.trunc() && f64::from(v) < high.trunc()
            };
            on(x, landmark.x) && on(y, landmark.y)
        };
        for (x, y) in [(0, 0), (20, 30), (20, 24), (3, 38), (9, 38), (0, 36), (11, 31), (39, 5)] {
            let expected = erased_by_definition(&picture, covers, [x, y]);
            for (found, expected) in erased.get_pixel(x, y).0.iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 0.7, "{x}, {y}: {found} {expected}");
            }
        }
    }
}

#[test]
fn a_part_is_erased_and_moved_by_its_mask() {
    let picture = noise(60, 60, 3);
    // A triangle in the box [6, 16) × [10, 20).
    let triangle = |x: u32, y: u32| (10..20).contains(&y) && x >= 6 && x - 6 <= y - 10;
    let mask = PartMask::from_fn([60, 60], triangle).unwrap();
    let landmark = mask.center();
    let pictures = Interventions::new(&picture).unwrap();
    let part = pictures.at(landmark, Some(&mask)).unwrap();
    assert_eq!(part.erased, pictures.erase_part(&mask).unwrap());
    for (x, y) in [(8, 18), (6, 10), (16, 12), (30, 30)] {
        let expected = erased_by_definition(&picture, triangle, [x, y]);
        for (found, expected) in part.erased.get_pixel(x, y).0.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 0.7, "{x}, {y}: {found} {expected}");
        }
    }
    // The centre is (9, 16), from 1 (10, 17): the control is at (50, 43), 40 and 26 further.
    assert_eq!((landmark, part.control_place), (at(9.0, 16.0), at(49.0, 42.0)));
    assert_eq!((part.displacement(), part.paste), ([40.0, 26.0], part.control_place));
    for (x, y, pixel) in part.transplanted.enumerate_pixels() {
        let expected = match (x.checked_sub(40), y.checked_sub(26)) {
            (Some(x), Some(y)) if triangle(x, y) => picture.get_pixel(x, y),
            _ => part.erased.get_pixel(x, y),
        };
        assert_eq!(pixel, expected, "{x}, {y}");
    }
    let moved = PartMask::from_fn([60, 60], |x, y| x >= 40 && y >= 26 && triangle(x - 40, y - 26)).unwrap();
    assert_eq!(part.control, pictures.erase_part(&moved).unwrap());
    assert_eq!(part.overlap, 0.0);
}

#[test]
fn a_large_part_is_moved_as_far_as_there_is_room_and_the_overlap_told() {
    let picture = noise(100, 80, 4);
    // Half of the picture and more: 40 columns of room on the right, 60 are asked for, and no room below.
    let mask = PartMask::from_fn([100, 80], |x, _| x < 60).unwrap();
    let part = Interventions::new(&picture).unwrap().at(at(19.0, 39.0), Some(&mask)).unwrap();
    assert_eq!(part.control_place, at(79.0, 39.0));
    assert_eq!((part.displacement(), part.paste), ([40.0, 0.0], at(59.0, 39.0)));
    assert_eq!(part.overlap, 20.0 / 60.0);
    // The whole picture stays where it is.
    let all = PartMask::from_fn([100, 80], |_, _| true).unwrap();
    let part = Interventions::new(&picture).unwrap().at(at(19.0, 39.0), Some(&all)).unwrap();
    assert_eq!((part.displacement(), part.overlap), ([0.0, 0.0], 1.0));
    assert_eq!((part.transplanted, part.control), (picture.clone(), part.erased));
}

#[test]
fn a_plain_picture_stays_as_it_is() {
    let plain = RgbImage::from_pixel(90, 70, Rgb([255, 0, 131]));
    let part = Interventions::new(&plain).unwrap().at(at(20.0, 0.0), None).unwrap();
    assert!([&part.erased, &part.control, &part.transplanted].iter().all(|picture| **picture == plain));
}

/// A square of whole pixels is not symmetric around every point, and the control place is a reflection through
/// a point half a pixel off the centre: two pixels for the control place, and one more for the paste.
#[test]
fn a_mirror_moves_the_points_alike() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for case in 0..400 {
        let [width, height] = [(); 2].map(|()| rng.random_range(40..300u32));
        let picture = RgbImage::new(width, height);
        let x = rng.random_range(0.0..width as f32 - 1.0);
        // Which half it is in is not the same in both close to the middle.
        if (x - (width as f32 - 1.0) / 2.0).abs() < 1.0 {
            continue;
        }
        let landmark = at(x, rng.random_range(0.0..height as f32 - 1.0));
        let pictures = Interventions::new(&picture).unwrap();
        let distance = 2.0 * (landmark.x - width as f32 / 2.0).hypot(landmark.y - height as f32 / 2.0);
        if (f64::from(distance) - pictures.scale().least_distance).abs() < 4.0 {
            continue;
        }
        let one = pictures.at(landmark, None).unwrap();
        let mirror = |p: Point| at(width as f32 - 1.0 - p.x, p.y);
        let other = pictures.at(mirror(landmark), None).unwrap();
        let off = |a: Point, b: Point| (a.x - mirror(b).x).abs().max((a.y - b.y).abs());
        let (control, paste) = (off(one.control_place, other.control_place), off(one.paste, other.paste));
        assert!(control <= 2.01 && paste <= 3.0, "{case}: {width} × {height} {landmark:?}");
    }
}

/// A landmark between two columns has a square that is symmetric around it.
#[test]
fn a_mirror_erases_the_same_pixels() {
    let picture = noise(224, 224, 8);
    let mirrored = image::imageops::flip_horizontal(&picture);
    let erased = Interventions::new(&picture).unwrap().erase(at(58.5, 100.0)).unwrap();
    let other = Interventions::new(&mirrored).unwrap().erase(at(223.0 - 58.5, 100.0)).unwrap();
    let other = image::imageops::flip_horizontal(&other);
    let off = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    // The nodes of the blur lie elsewhere.
    assert!(erased.as_raw().iter().zip(other.as_raw()).map(off).max().unwrap() <= 1);
}

#[test]
fn a_picture_of_four_times_the_size_is_changed_alike() {
    let small = RgbImage::from_fn(112, 112, |x, y| Rgb([(2 * x) as u8, (2 * y) as u8, (x + y) as u8]));
    let large = image::imageops::resize(&small, 448, 448, image::imageops::FilterType::Nearest);
    let pictures = Interventions::new(&small).unwrap();
    let one = pictures.at(at(29.5, 24.5), None).unwrap();
    // The same place: (29.5 + ½) · 4 − ½.
    let four = Interventions::new(&large).unwrap().at(at(119.5, 99.5), None).unwrap();
    // Within a pixel and a half of the small picture, as squares have whole ones.
    for (a, b) in [(one.control_place, four.control_place), (one.paste, four.paste)] {
        let off = |a: f32, b: f32| (4.0 * (a + 0.5) - 0.5 - b).abs();
        assert!(off(a.x, b.x) <= 6.0 && off(a.y, b.y) <= 6.0, "{a:?} {b:?}");
    }
    for (a, b) in [(&one.erased, &four.erased), (&one.control, &four.control)] {
        let off: u64 = b
            .enumerate_pixels()
            .map(|(x, y, p)| u64::from(p.0[0].abs_diff(a.get_pixel(x / 4, y / 4).0[0])))
            .sum();
        assert!(off as f64 / (448.0 * 448.0) < 1.0, "{off}");
    }
}

#[test]
fn what_is_not_in_the_picture_is_an_error() {
    let picture = noise(30, 20, 9);
    let pictures = Interventions::new(&picture).unwrap();
    for wrong in [at(-0.6, 5.0), at(29.5, 5.0), at(5.0, 19.5), at(f32::NAN, 5.0), at(5.0, f32::INFINITY)] {
        let error = pictures.at(wrong, None).unwrap_err();
        assert!(matches!(error, InterventionError::Landmark { size: [30, 20], .. }), "{error}");
        assert!(
            error.to_string().starts_with("expected a landmark within a picture of 30 × 20 pixels, found (")
        );
        assert!(pictures.erase(wrong).is_err() && pictures.control_place(wrong).is_err());
    }
    for edge in [at(-0.5, -0.5), at(29.4, 19.4), at(0.0, 19.0)] {
        let part = pictures.at(edge, None).unwrap();
        assert_eq!(part.control_place, pictures.control_place(edge).unwrap());
        assert_ne!(part.erased, picture);
        assert_ne!(part.control, picture);
    }
    let mask = PartMask::from_fn([20, 30], |x, y| x == y).unwrap();
    let error = pictures.at(at(5.0, 5.0), Some(&mask)).unwrap_err();
    assert_eq!(error, pictures.erase_part(&mask).unwrap_err());
    assert_eq!(
        error.to_string(),
        "expected the mask of a part of a picture of 30 × 20 pixels, found one of 20 × 30"
    );
    let error = Interventions::new(&RgbImage::new(16, 15)).unwrap_err().to_string();
    assert_eq!(error, "expected a picture of at least 16 pixels a side, found 16 × 15");
    assert!(Interventions::new(&RgbImage::new(0, 0)).is_err());
}
