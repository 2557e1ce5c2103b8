//! Every metric against a slow one, written from the definition with plain loops in `f64`.

use explainer_metrics::{
    Categories, InstabilityConfig, Landmarks, Peaks, ReceptiveField, diversity, location_instability,
    location_instability_by_category, peak_spread, strongest_category, tracking, tracking_by_category,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FIELD: ReceptiveField = ReceptiveField { stride: 16.0, center: 7.5, size: 196 };
const GRID: [usize; 2] = [5, 7];
const FILTERS: usize = 9;
const IMAGES: usize = 70;
const CONFIG: InstabilityConfig = InstabilityConfig { strongest: 20, diagonal: 137.0 };

/// Maps of small whole numbers, so that ties within and between images abound. Filter 8 is dead.
/// Images 0..35 are of category 0, the others of category 3.
struct Data {
    maps: Vec<f32>,
    peaks: Peaks,
    landmarks: Landmarks,
    categories: Vec<usize>,
}

fn data(seed: u64) -> Data {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let units = GRID[0] * GRID[1];
    let mut maps = vec![0.0; IMAGES * FILTERS * units];
    for (index, value) in maps.iter_mut().enumerate() {
        if index / units % FILTERS != 8 && rng.random_range(0..8) == 0 {
            *value = rng.random_range(0..6) as f32;
        }
    }
    let mut peaks = Peaks::new(FILTERS, GRID);
    peaks.push_batch(&maps).expect("finite maps");
    let mut landmarks = Landmarks::new(["head", "back", "tail"]);
    for _ in 0..IMAGES {
        landmarks.push([0, 1, 2].map(|_| {
            let position = [rng.random_range(0.0..112.0), rng.random_range(0.0..80.0)];
            (rng.random_range(0..4) > 0).then_some(position)
        }));
    }
    let categories = (0..IMAGES).map(|image| 3 * (image / 35)).collect();
    Data { maps, peaks, landmarks, categories }
}

/// Strength, row and column of the peak: the first of all units in the stated order.
fn peak(data: &Data, filter: usize, image: usize) -> (f64, usize, usize) {
    let mut units = Vec::new();
    for row in 0..GRID[0] {
        for column in 0..GRID[1] {
            let index = ((image * FILTERS + filter) * GRID[0] + row) * GRID[1] + column;
            units.push((f64::from(data.maps[index]), row, column));
        }
    }
    units.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.2, a.1).cmp(&(b.2, b.1))));
    units[0]
}

/// The peak's `[x, y]` in pixels and the landmark's, over the images that count.
fn pairs(data: &Data, filter: usize, landmark: usize, category: Option<usize>) -> Vec<([f64; 2], [f64; 2])> {
    let mut images: Vec<usize> = (0..IMAGES)
        .filter(|&image| data.landmarks.get(image, landmark).is_some())
        .filter(|&image| category.is_none_or(|c| data.categories[image] == c))
        .collect();
    // A stable sort leaves images of one strength in their order.
    images.sort_by(|&a, &b| peak(data, filter, b).0.total_cmp(&peak(data, filter, a).0));
    images.truncate(CONFIG.strongest);
    images
        .into_iter()
        .map(|image| {
            let (_, row, column) = peak(data, filter, image);
            let pixel = [7.5 + 16.0 * column as f64, 7.5 + 16.0 * row as f64];
            (pixel, data.landmarks.get(image, landmark).expect("it has the landmark"))
        })
        .collect()
}

fn slow_instability(data: &Data, filter: usize, landmark: usize, category: Option<usize>) -> f64 {
    let distances: Vec<f64> = pairs(data, filter, landmark, category)
        .iter()
        .map(|(p, q)| ((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2)).sqrt())
        .collect();
    let n = distances.len() as f64;
    let mean = distances.iter().sum::<f64>() / n;
    let variance = distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    variance.sqrt() / CONFIG.diagonal
}

/// Solves the 3×3 normal equations of `target = a + b · x + c · y` by Cramer's rule.
fn fit(points: &[([f64; 2], [f64; 2])], axis: usize) -> [f64; 3] {
    let mut matrix = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for (p, q) in points {
        let row = [1.0, p[0], p[1]];
        for i in 0..3 {
            right[i] += row[i] * q[axis];
            for j in 0..3 {
                matrix[i][j] += row[i] * row[j];
            }
        }
    }
    let determinant = |m: &[[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    [0, 1, 2].map(|column| {
        let mut replaced = matrix;
        for i in 0..3 {
            replaced[i][column] = right[i];
        }
        determinant(&replaced) / determinant(&matrix)
    })
}

fn slow_tracking(data: &Data, filter: usize, landmark: usize, category: Option<usize>) -> f64 {
    let points = pairs(data, filter, landmark, category);
    if points.iter().all(|(p, _)| *p == points[0].0) {
        return 0.0;
    }
    let n = points.len() as f64;
    let (mut rss, mut tss) = (0.0, 0.0);
    for axis in 0..2 {
        let [a, b, c] = fit(&points, axis);
        let mean = points.iter().map(|(_, q)| q[axis]).sum::<f64>() / n;
        for (p, q) in &points {
            rss += (q[axis] - a - b * p[0] - c * p[1]).powi(2);
            tss += (q[axis] - mean).powi(2);
        }
    }
    1.0 - (rss / (n - 3.0)) / (tss / (n - 1.0))
}

fn assert_close(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-10, "{what}: got {got}, expected {expected}");
}

#[test]
fn peaks_match() {
    for seed in 0..10 {
        let data = data(seed);
        for image in 0..IMAGES {
            for filter in 0..FILTERS {
                let got = data.peaks.get(filter, image);
                let got = (f64::from(got.strength), usize::from(got.row), usize::from(got.column));
                assert_eq!(got, peak(&data, filter, image));
            }
        }
        assert_eq!(data.peaks.live_filters(), (0..8).collect::<Vec<_>>(), "filter 8 is dead");
    }
}

#[test]
fn instability_and_tracking_match() {
    for seed in 0..10 {
        let data = data(seed);
        let instability = location_instability(&data.peaks, &FIELD, &data.landmarks, &CONFIG);
        let follows = tracking(&data.peaks, &data.landmarks, CONFIG.strongest);
        let (mut sum, mut live_sum) = (0.0, 0.0);
        for filter in 0..FILTERS {
            let expected: [f64; 3] = [0, 1, 2].map(|l| slow_instability(&data, filter, l, None));
            let expected = expected.iter().sum::<f64>() / 3.0;
            assert_close("instability", instability.per_filter[filter].unwrap(), expected);
            sum += expected;
            live_sum += if filter == 8 { 0.0 } else { expected };
            let mut best = f64::NEG_INFINITY;
            for landmark in 0..3 {
                let expected = slow_tracking(&data, filter, landmark, None);
                let got = follows.per_pair[filter][landmark].unwrap();
                assert_close("tracking", got, expected);
                best = best.max(expected);
            }
            assert_close("best", follows.per_filter[filter].unwrap(), best);
        }
        assert_close("mean", instability.mean, sum / FILTERS as f64);
        assert_close("live mean", instability.live_mean, live_sum / 8.0);
    }
}

#[test]
fn categories_match() {
    let mut chosen = [0, 0];
    for seed in 0..10 {
        let data = data(seed);
        let of_filter = strongest_category(&data.peaks, &data.categories);
        for (filter, &category) in of_filter.iter().enumerate() {
            let strength =
                |images: std::ops::Range<usize>| images.map(|i| peak(&data, filter, i).0).sum::<f64>() / 35.0;
            let expected = if strength(35..70) > strength(0..35) { 3 } else { 0 };
            assert_eq!(category, expected);
            chosen[expected / 3] += 1;
        }
        let categories = Categories::strongest(&data.peaks, data.categories.clone());
        let instability =
            location_instability_by_category(&data.peaks, &FIELD, &data.landmarks, &categories, &CONFIG);
        let follows = tracking_by_category(&data.peaks, &data.landmarks, &categories, CONFIG.strongest);
        for (filter, &category) in of_filter.iter().enumerate() {
            for landmark in 0..3 {
                let expected = slow_instability(&data, filter, landmark, Some(category));
                let got = instability.per_pair[filter][landmark].unwrap();
                assert_close("instability", got, expected);
                let expected = slow_tracking(&data, filter, landmark, Some(category));
                let got = follows.per_pair[filter][landmark].unwrap();
                assert_close("tracking", got, expected);
            }
        }
    }
    assert!(chosen.iter().all(|&count| count > 10), "{chosen:?}");
}

#[test]
fn spread_and_diversity_match() {
    for seed in 0..10 {
        let data = data(seed);
        let spread = peak_spread(&data.peaks, &FIELD, CONFIG.diagonal);
        for filter in 0..FILTERS {
            // The summed variances are half the mean squared distance of two different peaks.
            let fired: Vec<_> =
                (0..IMAGES).map(|image| peak(&data, filter, image)).filter(|p| p.0 > 0.0).collect();
            let mut squares = 0.0;
            for a in &fired {
                for b in &fired {
                    squares += 256.0 * ((a.1.abs_diff(b.1)).pow(2) as f64);
                    squares += 256.0 * ((a.2.abs_diff(b.2)).pow(2) as f64);
                }
            }
            let n = (fired.len() as f64).max(2.0);
            let expected = (squares / (2.0 * n * (n - 1.0))).sqrt() / CONFIG.diagonal;
            assert_close("spread", spread.per_filter[filter], expected);
            let mut units: Vec<_> = fired.iter().map(|p| (p.1, p.2)).collect();
            units.sort_unstable();
            units.dedup();
            assert_eq!(spread.distinct[filter], units.len());
        }
        let figures = diversity(&data.peaks);
        for image in 0..IMAGES {
            // exp(entropy) = Π over the filters of (number there / number in all)^(−1/number).
            let fired: Vec<_> = (0..FILTERS)
                .map(|filter| peak(&data, filter, image))
                .filter(|p| p.0 > 0.0)
                .map(|p| (p.1, p.2))
                .collect();
            let n = fired.len() as f64;
            let expected: f64 = fired
                .iter()
                .map(|unit| fired.iter().filter(|other| *other == unit).count() as f64)
                .map(|here| (here / n).powf(-1.0 / n))
                .product();
            let expected = if fired.is_empty() { 0.0 } else { expected };
            assert_close("diversity", figures.per_image[image], expected);
        }
    }
}
