//! What the metrics must do whatever the data.

use explainer_metrics::{
    Categories, Control, InstabilityConfig, Landmarks, Peaks, ReceptiveField, STRONGEST_IMAGES, diversity,
    location_instability, peak_spread, tracking, tracking_by_category, tracking_null,
    tracking_null_by_category,
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

const CONV5: ReceptiveField = ReceptiveField { stride: 16.0, center: 15.0, size: 163 };
const GRID: [usize; 2] = [13, 13];

/// Landmarks anywhere in 224×224 pixels, the second one missing in every fifth image.
fn landmarks(images: usize, seed: u64) -> Landmarks {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut landmarks = Landmarks::new(["head", "front legs"]);
    for image in 0..images {
        let mut position = || Some([rng.random_range(0.0..224.0), rng.random_range(0.0..224.0)]);
        let positions = [position(), position().filter(|_| image % 5 > 0)];
        landmarks.push(positions);
    }
    landmarks
}

/// Landmarks exactly under the peaks of `filter`, moved by `offset`.
fn followed_by(peaks: &Peaks, filter: usize, offset: [f64; 2]) -> Landmarks {
    let mut landmarks = Landmarks::new(["part"]);
    for image in 0..peaks.images() {
        let peak = peaks.get(filter, image);
        let pixel = |unit: u16, offset: f64| CONV5.pixel(usize::from(unit)) + offset;
        landmarks.push([Some([pixel(peak.column, offset[0]), pixel(peak.row, offset[1])])]);
    }
    landmarks
}

fn shifted(landmarks: &Landmarks, offset: [f64; 2]) -> Landmarks {
    let mut moved = Landmarks::new(landmarks.names().iter().cloned());
    for image in 0..landmarks.images() {
        let positions: Vec<_> = (0..landmarks.len())
            .map(|landmark| landmarks.get(image, landmark))
            .map(|p| p.map(|[x, y]| [x + offset[0], y + offset[1]]))
            .collect();
        moved.push(positions);
    }
    moved
}

#[test]
fn tracking_does_not_depend_on_the_origin() {
    let peaks = Peaks::random(8, 150, GRID, 1);
    let here = landmarks(150, 2);
    let there = shifted(&here, [1234.5, -987.0]);
    let (a, b) = (tracking(&peaks, &here, STRONGEST_IMAGES), tracking(&peaks, &there, STRONGEST_IMAGES));
    for (a, b) in a.per_filter.iter().zip(&b.per_filter) {
        assert!((a.unwrap() - b.unwrap()).abs() < 1e-10);
    }
    // Instability is of the plane as a whole: moving peaks and landmarks together changes nothing.
    let config = InstabilityConfig::new([224, 224]);
    let moved = ReceptiveField { center: CONV5.center + 50.0, ..CONV5 };
    let a = location_instability(&peaks, &CONV5, &here, &config);
    let b = location_instability(&peaks, &moved, &shifted(&here, [50.0, 50.0]), &config);
    assert!((a.mean - b.mean).abs() < 1e-10);
}

#[test]
fn a_filter_that_follows_the_part() {
    let peaks = Peaks::random(2, 300, GRID, 3);
    let part = followed_by(&peaks, 0, [20.0, -33.0]);
    let result = tracking(&peaks, &part, STRONGEST_IMAGES);
    assert!((result.per_filter[0].unwrap() - 1.0).abs() < 1e-12);
    assert!(result.per_filter[1].unwrap() < 0.3);
    let instability = location_instability(&peaks, &CONV5, &part, &InstabilityConfig::new([224, 224]));
    assert!(instability.per_filter[0].unwrap() < 1e-12);
    // Mirrored peaks follow as well: tracking is up to an affine map, instability is not.
    let mut mirrored = Peaks::new(2, GRID);
    for image in 0..300 {
        let peaks: Vec<_> = peaks
            .of_image(image)
            .iter()
            .map(|&peak| explainer_metrics::Peak { column: 12 - peak.column, ..peak })
            .collect();
        mirrored.push_peaks(&peaks).unwrap();
    }
    let result = tracking(&mirrored, &part, STRONGEST_IMAGES);
    assert!((result.per_filter[0].unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn noise_and_null_are_about_zero() {
    // 50 seeds of 40 filters and two landmarks: the mean of 4,000 values whose standard deviation
    // is some 0.02.
    let (mut noise, mut null, mut lifted) = (0.0, 0.0, 0.0);
    for seed in 0..50 {
        let peaks = Peaks::random(40, 150, GRID, seed);
        let parts = landmarks(150, 1000 + seed);
        let result = tracking(&peaks, &parts, STRONGEST_IMAGES);
        noise += result.per_landmark.iter().sum::<f64>() / 100.0;
        lifted += result.summary.mean / 50.0;
        let followed = followed_by(&peaks, 0, [0.0, 0.0]);
        null += tracking_null(&peaks, &followed, STRONGEST_IMAGES, seed).per_filter[0].unwrap() / 50.0;
    }
    assert!(noise.abs() < 0.002, "{noise}");
    assert!(null.abs() < 0.015, "{null}");
    // The better of two landmarks is somewhat above: that is why there is a null.
    assert!((0.002..0.03).contains(&lifted), "{lifted}");
}

#[test]
fn the_null_of_categories_keeps_them_apart() {
    // Each category's part is somewhere else, and so are the peaks: across categories they go
    // together, within them they do not.
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut peaks = Peaks::new(1, GRID);
    let of_image: Vec<usize> = (0..240).map(|image| image % 2).collect();
    for &category in &of_image {
        let near = |rng: &mut ChaCha8Rng| 6 * category as u16 + rng.random_range(0..6);
        let peak = explainer_metrics::Peak {
            row: near(&mut rng),
            column: near(&mut rng),
            strength: 1.0 + category as f32,
        };
        peaks.push_peaks(&[peak]).unwrap();
    }
    let part = followed_by(&peaks, 0, [0.0, 0.0]);
    let one = Categories::strongest(&peaks, of_image.clone());
    assert_eq!(one.of_filter(), [1]);
    let value = |result: explainer_metrics::Tracking| result.per_filter[0].unwrap();
    assert!(value(tracking_by_category(&peaks, &part, &one, STRONGEST_IMAGES)) > 0.999);
    let null: f64 = (0..20)
        .map(|seed| {
            let null = tracking_null_by_category(&peaks, &part, &one, STRONGEST_IMAGES, seed);
            value(null) / 20.0
        })
        .sum();
    assert!(null.abs() < 0.02, "{null}");
    // Permuted within categories, but judged over both: what the categories explain is left.
    let both = tracking(&peaks, &part.permuted_within(&of_image, 0), 240);
    assert!(value(both) > 0.5);
}

#[test]
fn noise_along_one_line_is_about_zero_too() {
    let mut sum = 0.0;
    for seed in 0..200 {
        let peaks = Peaks::random(20, 20, [1, 13], seed);
        let result = tracking(&peaks, &landmarks(20, 5000 + seed), STRONGEST_IMAGES);
        sum += result.per_landmark[0] / 200.0;
    }
    assert!(sum.abs() < 0.005, "{sum}");
}

#[test]
fn the_order_of_images_does_not_matter() {
    let peaks = Peaks::random(10, 200, GRID, 4);
    let parts = landmarks(200, 5);
    let mut order: Vec<usize> = (0..200).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(6));
    let (shuffled, moved) = (peaks.select_images(&order), parts.select_images(&order));
    let config = InstabilityConfig::new([224, 224]).with_strongest(50);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    // Random strengths hold no ties, but for the odd equal pair of f32.
    close(
        location_instability(&peaks, &CONV5, &parts, &config).mean,
        location_instability(&shuffled, &CONV5, &moved, &config).mean,
    );
    close(tracking(&peaks, &parts, 50).summary.mean, tracking(&shuffled, &moved, 50).summary.mean);
    close(diversity(&peaks).mean, diversity(&shuffled).mean);
    close(
        peak_spread(&peaks, &CONV5, config.diagonal).mean,
        peak_spread(&shuffled, &CONV5, config.diagonal).mean,
    );
    // Ties: a dead filter is judged on the first images, whichever they are.
    let dead = Peaks::dead(1, 200, GRID);
    let first: Vec<usize> = (0..50).collect();
    let ties = location_instability(&dead, &CONV5, &parts, &config.with_strongest(40)).mean;
    let alone = location_instability(
        &Peaks::dead(1, 50, GRID),
        &CONV5,
        &parts.select_images(&first),
        &config.with_strongest(40),
    );
    close(ties, alone.mean);
}

#[test]
fn controls_behave_as_they_must() {
    let layer = Peaks::random(64, 229, GRID, 8);
    let parts = landmarks(229, 9);
    let config = InstabilityConfig::new([224, 224]);
    let [centre, dead, random] = Control::all(&layer, &CONV5, 224, 10);
    let instability =
        |control: &Control| location_instability(&control.peaks, &control.field, &parts, &config);
    // The published metric ranks them upside down ...
    assert!(instability(&centre).mean < instability(&dead).mean);
    assert!(instability(&centre).mean < instability(&random).mean);
    assert_eq!(instability(&dead).live, 0);
    // ... and the others see through them.
    for control in [&centre, &dead] {
        let result = tracking(&control.peaks, &parts, STRONGEST_IMAGES);
        assert!(result.per_filter.iter().all(|value| *value == Some(0.0)));
        assert_eq!(peak_spread(&control.peaks, &control.field, config.diagonal).mean, 0.0);
    }
    assert!((diversity(&centre.peaks).mean - 1.0).abs() < 1e-12);
    assert_eq!(diversity(&dead.peaks).mean, 0.0);
    assert!(diversity(&random.peaks).mean > 40.0);
}
