//! Which filters of one fit come back in another?

use rand::seq::SliceRandom;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};

use crate::{
    Peaks, ReceptiveField, STRONGEST_IMAGES,
    assignment::best_assignment,
    selection::strongest_images,
    summary::{mean, nan_or_null},
};

/// The similarity above which a part counts as come back: half of the most there is. With the default
/// [sigma](MatchingConfig::sigma), peaks that are always 0.118 of the diagonal apart have it.
pub const RETURNED: f64 = 0.5;

/// How alike two filters are: see [`match_filters`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MatchingConfig {
    /// Length of the image's diagonal in pixels, by which distances are divided.
    pub diagonal: f64,
    /// σ, the distance at which closeness has fallen to `exp(−1/2) = 0.61`, as a share of the diagonal.
    /// Default: 0.1, some two units of a 14×14 layer.
    pub sigma: f64,
    /// Number of a filter's strongest images that count. Default: [`STRONGEST_IMAGES`].
    pub strongest: usize,
}

impl MatchingConfig {
    /// The defaults on images of `[height, width]` pixels.
    ///
    /// # Panics
    ///
    /// If a side is zero.
    pub fn new([height, width]: [usize; 2]) -> Self {
        assert!(height > 0 && width > 0, "an image of {height}×{width} pixels has no diagonal");
        Self { diagonal: (height as f64).hypot(width as f64), sigma: 0.1, strongest: STRONGEST_IMAGES }
    }
}

/// A filter of one fit and its counterpart in another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FilterMatch {
    /// Filter of the first fit.
    pub first: usize,
    /// Filter of the second.
    pub second: usize,
    /// 0 to 1.
    pub similarity: f64,
}

/// Result of [`match_filters`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// As many pairs as the fit with fewer filters has, by the filter of the first fit.
    pub pairs: Vec<FilterMatch>,
    /// [Live filters](Peaks::live_filters) of the first fit.
    pub live: usize,
    /// Mean similarity of the pairs whose first filter is live; NaN (`null` in JSON) if there is none.
    #[serde(deserialize_with = "nan_or_null")]
    pub mean: f64,
}

impl Matching {
    /// The share of the first fit's live filters whose counterpart is more alike than `threshold`
    /// ([`RETURNED`] is the project's); NaN if none is live.
    ///
    /// A dead filter is like nothing, so that it never comes back, and it does not count.
    pub fn returned(&self, threshold: f64) -> f64 {
        let above = self.pairs.iter().filter(|pair| pair.similarity > threshold).count();
        above as f64 / self.live as f64
    }
}

/// Matches the filters of two fits, one to one, by where they fire in the same images.
///
/// With U the images that are among the `strongest` of f or of g (only images in which the filter
/// fired), and d_i the distance in pixels between the two peaks in image i, projected by `field`,
///
/// `similarity(f, g) = (1 / |U|) Σ_{i∈U} [f and g fire in i] · exp(−(d_i / (σ · diagonal))² / 2)`:
///
/// 1 if both always fire at one place; near 0 if they fire far from one another, or in other images; 0 if
/// one never fires. The pairs are those of the one-to-one assignment with the largest sum of
/// similarities ([`best_assignment`]).
///
/// One to one: where ten filters of the first fit are on the head and three of the second, three come back.
/// The figure is of filters, then, and not of parts that several filters share.
///
/// Filters that keep to one place are alike whatever the images show. So read it beside
/// [`match_filters_null`], which has the same positions and lacks only the images; and beside
/// [`Peaks::random`] of the same size in the place of the second fit.
///
/// Source: this project's measure.
///
/// # Panics
///
/// If the tables have different numbers of images or grids, or the diagonal or σ is not positive.
///
/// ```
/// use explainer_metrics::{
///     MatchingConfig, Peaks, RETURNED, ReceptiveField, match_filters, match_filters_null,
/// };
///
/// // The second fit found the same parts as the first, in another order.
/// let (mut first, mut second) = (Peaks::new(2, [8, 8]), Peaks::new(2, [8, 8]));
/// for image in 0..60 {
///     let (head, tail) = (image * 5 % 64, 63 - image * 11 % 64);
///     let map = |unit: usize| (0..64).map(move |at| if at == unit { 1.0 } else { 0.0 });
///     first.push(&map(head).chain(map(tail)).collect::<Vec<f32>>())?;
///     second.push(&map(tail).chain(map(head)).collect::<Vec<f32>>())?;
/// }
/// let (field, config) = (ReceptiveField::pixels().then(16, 16, 0), MatchingConfig::new([128, 128]));
/// let matching = match_filters(&first, &second, &field, &config);
/// assert_eq!((matching.pairs[0].second, matching.pairs[1].second), (1, 0));
/// assert_eq!(matching.returned(RETURNED), 1.0);
/// assert_eq!(match_filters_null(&first, &second, &field, &config, 0).returned(RETURNED), 0.0);
/// # Ok::<(), explainer_metrics::MetricsError>(())
/// ```
pub fn match_filters(
    first: &Peaks,
    second: &Peaks,
    field: &ReceptiveField,
    config: &MatchingConfig,
) -> Matching {
    let scores = similarities(first, second, field, config);
    let live = first.live_filters();
    let pairs: Vec<FilterMatch> = best_assignment(&scores)
        .into_iter()
        .enumerate()
        .filter_map(|(first, second)| Some((first, second?)))
        .map(|(first, second)| FilterMatch { first, second, similarity: scores[first][second] })
        .collect();
    let of_live = pairs.iter().filter(|pair| live.binary_search(&pair.first).is_ok());
    Matching { live: live.len(), mean: mean(of_live.map(|pair| pair.similarity)), pairs }
}

/// The null of [`match_filters`]: the same with the second fit's images in a random order. An image's peaks
/// stay together, and so do each filter's positions; the same `seed` gives the same order.
///
/// # Panics
///
/// As [`match_filters`].
pub fn match_filters_null(
    first: &Peaks,
    second: &Peaks,
    field: &ReceptiveField,
    config: &MatchingConfig,
    seed: u64,
) -> Matching {
    let mut order: Vec<usize> = (0..second.images()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    match_filters(first, &second.select_images(&order), field, config)
}

/// The similarity of every filter of the first fit (outer) to every one of the second.
fn similarities(
    first: &Peaks,
    second: &Peaks,
    field: &ReceptiveField,
    config: &MatchingConfig,
) -> Vec<Vec<f64>> {
    let MatchingConfig { diagonal, sigma, strongest } = *config;
    assert!(diagonal > 0.0 && sigma > 0.0, "diagonal and σ must be positive, got {diagonal} and {sigma}");
    assert_eq!(
        (first.images(), first.grid()),
        (second.images(), second.grid()),
        "images and grid of the first fit (left) and of the second"
    );
    // By how far apart two peaks lie, down and right, in units.
    let [height, width] = first.grid();
    let scale = field.stride / (sigma * diagonal);
    let closeness: Vec<f64> = (0..height * width)
        .map(|at| ((at / width) as f64, (at % width) as f64))
        .map(|(down, right)| (-0.5 * scale * scale * (down * down + right * right)).exp())
        .collect();
    let (own, others) = (marked(first, strongest), marked(second, strongest));
    let of = |f: usize, g: usize| {
        let (mut sum, mut images) = (0.0, 0u32);
        for image in (0..first.images()).filter(|&image| own[f][image] || others[g][image]) {
            images += 1;
            let (a, b) = (first.get(f, image), second.get(g, image));
            if a.strength > 0.0 && b.strength > 0.0 {
                let (down, right) = (a.row.abs_diff(b.row), a.column.abs_diff(b.column));
                sum += closeness[usize::from(down) * width + usize::from(right)];
            }
        }
        sum / f64::from(images.max(1))
    };
    (0..first.filters()).map(|f| (0..second.filters()).map(|g| of(f, g)).collect()).collect()
}

/// For each filter, whether an image is among its strongest in which it fired.
fn marked(peaks: &Peaks, strongest: usize) -> Vec<Vec<bool>> {
    let of = |filter: usize| {
        let fired = (0..peaks.images()).filter(|&image| peaks.fired(filter, image)).collect();
        let mut marks = vec![false; peaks.images()];
        for image in strongest_images(peaks, filter, fired, strongest) {
            marks[image] = true;
        }
        marks
    };
    (0..peaks.filters()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of four units, 10 pixels apart; a diagonal of 100 and σ 0.1: a unit is one σ.
    const FIELD: ReceptiveField = ReceptiveField { stride: 10.0, center: 3.0, size: 9 };
    const CONFIG: MatchingConfig = MatchingConfig { diagonal: 100.0, sigma: 0.1, strongest: 2 };

    /// Peaks of each image's filters: column and strength.
    fn table(images: &[&[(usize, f32)]]) -> Peaks {
        let mut peaks = Peaks::new(images[0].len(), [1, 4]);
        for image in images {
            let mut maps = vec![0.0; 4 * image.len()];
            for (filter, &(column, strength)) in image.iter().enumerate() {
                maps[4 * filter + column] = strength;
            }
            peaks.push(&maps).unwrap();
        }
        peaks
    }

    #[test]
    fn worked_by_hand() {
        // First fit: filter 0 in images 0, 1 and weakly in 2; filter 1 in image 2; filter 2 is dead.
        let first = table(&[
            &[(0, 3.0), (0, 0.0), (0, 0.0)],
            &[(1, 2.0), (0, 0.0), (0, 0.0)],
            &[(3, 1.0), (2, 5.0), (0, 0.0)],
        ]);
        // Second: filter 0 in image 2 only; filter 1 in all.
        let second = table(&[&[(0, 0.0), (0, 1.0)], &[(0, 0.0), (2, 4.0)], &[(2, 1.0), (1, 3.0)]]);
        let found = similarities(&first, &second, &FIELD, &CONFIG);
        let gauss = |sigmas: f64| (-0.5 * sigmas * sigmas).exp();
        let expected = [
            // Filter 0's two strongest images are 0 and 1; with 0: U = {0, 1, 2}, together in image 2 only.
            [gauss(1.0) / 3.0, (gauss(0.0) + gauss(1.0) + gauss(2.0)) / 3.0],
            // Filter 1's is 2; the second's filter 1 has 1 and 2.
            [1.0, gauss(1.0) / 2.0],
            [0.0, 0.0],
        ];
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        let matching = match_filters(&first, &second, &FIELD, &CONFIG);
        let pairs: Vec<_> = matching.pairs.iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(pairs, [(0, 1), (1, 0)]);
        assert_eq!(matching.live, 2);
        assert!((matching.mean - (1.0 + expected[0][1]) / 2.0).abs() < 1e-15);
        assert_eq!((matching.returned(0.5), matching.returned(0.9), matching.returned(1.0)), (1.0, 0.5, 0.0));
        // More filters than the other fit has: one is left over, and counts as lost.
        let matching = match_filters(&second, &first, &FIELD, &CONFIG);
        assert_eq!((matching.pairs.len(), matching.live), (2, 2));
    }

    #[test]
    fn a_fit_comes_back_in_itself_and_not_in_chance() {
        let (field, config) = (ReceptiveField::pixels().then(16, 16, 0), MatchingConfig::new([224, 224]));
        let peaks = Peaks::random(12, 150, [14, 14], 3);
        let own = match_filters(&peaks, &peaks, &field, &config);
        assert!(own.pairs.iter().all(|pair| pair.first == pair.second && pair.similarity == 1.0));
        assert_eq!(own.returned(RETURNED), 1.0);
        let other = Peaks::random(12, 150, [14, 14], 4);
        for null in [
            match_filters_null(&peaks, &peaks, &field, &config, 5),
            match_filters(&peaks, &other, &field, &config),
        ] {
            assert!(null.mean < 0.25 && null.returned(RETURNED) == 0.0, "{}", null.mean);
        }
        // What never moves comes back even from permuted images: the null says so.
        let constant = Peaks::constant(12, 150, [14, 14], [6, 6]);
        assert_eq!(match_filters_null(&constant, &constant, &field, &config, 5).returned(RETURNED), 1.0);
    }

    #[test]
    fn without_live_filters_there_is_no_share() {
        let dead = Peaks::dead(2, 5, [3, 3]);
        let none = match_filters(&dead, &dead, &FIELD, &CONFIG);
        assert!(none.mean.is_nan() && none.returned(RETURNED).is_nan());
        let back: Matching = serde_json::from_value(serde_json::to_value(&none).unwrap()).unwrap();
        assert!(back.mean.is_nan() && back.pairs == none.pairs);
    }

    #[test]
    #[should_panic(expected = "images and grid")]
    fn tables_are_of_the_same_images() {
        match_filters(&Peaks::dead(1, 5, [3, 3]), &Peaks::dead(1, 4, [3, 3]), &FIELD, &CONFIG);
    }
}
