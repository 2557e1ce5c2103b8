//! Does a filter follow the parts of others, and does it miss its own part most?

use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{
    Estimate, Halves, LandmarkData, LandmarkMatching, MatchedFigure,
    landmark::check_length,
    matching::Criterion,
    terms::{both_ways, ratio},
};
use crate::MetricsError;

/// Number of times photographs are drawn for the standard error of [`selectivity`].
const DRAWS: usize = 200;

/// Crosstalk of each part's filters: their displacement gain for the parts that are *not* theirs.
///
/// For a filter matched to part p, over all other parts q and the images x in which q was moved
/// (transplanted) by δ:
///
/// `crosstalk = Σ_{q ≠ p} Σ_x ⟨μ_k(x, q moved) − μ_k(x), δ⟩ / Σ_{q ≠ p} Σ_x |δ|²`.
///
/// Ideal 0. Filters are matched and averaged as in
/// [`landmark_evidence`](crate::landmark_evidence); the mean over all filters is of filters as if
/// all belonged to p. Not measured where no other part was moved. One result for each of `parts`.
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit, [`MetricsError::UnknownPhoto`] if a
/// photograph is in neither half.
pub fn crosstalk(parts: &[LandmarkData], halves: &Halves) -> Result<Vec<MatchedFigure>, MetricsError> {
    let filters = check(parts)?;
    let mut images = Vec::new();
    for part in parts {
        images.push(halves.images(part.images.photos())?);
    }
    let of_part = |own: usize| {
        let matching = LandmarkMatching::new(parts[own].images, &parts[own].responses.original, halves)?;
        Ok(both_ways(&matching, filters, |filter, half| {
            let others = parts.iter().zip(&images).enumerate().filter(|&(other, _)| other != own);
            ratio(others.flat_map(|(_, (part, images))| {
                images[half].iter().filter_map(move |&image| part.gain_terms(filter, image))
            }))
        }))
    };
    (0..parts.len()).map(of_part).collect()
}

/// Selectivity: the share of filters that miss their own part more than any other. Chance is one
/// over the number of parts.
///
/// For filter k and part j, the standardised drop is the mean over the images x that have j of
///
/// `[s_k(x) − s_k(x∖j)] / sd_k`,
///
/// where x∖j lacks the part (is erased at it) and `sd_k` is the filter's own, the standard
/// deviation of its strengths; so it does not say which drop is the largest, and is not needed
/// here. A filter is matched to the part for which it is best by the
/// [criterion](crate::rank_filters) on one half of the photographs; its drops are measured on the
/// other; both ways round are averaged. Where several parts share the largest drop, the filter
/// counts as selective by one over their number: a filter whose strength owes nothing to any part
/// scores chance. A filter that fires in no image of the half is matched to no part and does not
/// count.
///
/// The standard error is that of the bootstrap over photographs (200 draws within each half, the
/// matching as it is), because a share of largest drops has no derivative. `None` where a
/// half cannot be measured: there are fewer than two parts, or one that was erased in no image of
/// the half, or fewer than two photographs.
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit, [`MetricsError::UnknownPhoto`] if a
/// photograph is in neither half.
pub fn selectivity(
    parts: &[LandmarkData],
    halves: &Halves,
    seed: u64,
) -> Result<Option<Estimate>, MetricsError> {
    let filters = check(parts)?;
    let mut ways = Vec::new();
    for half in [0, 1] {
        let own = own_parts(parts, filters, halves, 1 - half)?;
        let drops = Drops::of(parts, filters, halves, half)?;
        let Some(drops) = drops.filter(|_| parts.len() > 1 && own.iter().any(Option::is_some)) else {
            return Ok(None);
        };
        let photos = drops.by_photo.len();
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(half as u64));
        let all: Vec<usize> = (0..photos).collect();
        let Some(value) = drops.selective(&all, &own) else { return Ok(None) };
        let draw =
            |_| drops.selective(&(0..photos).map(|_| rng.random_range(0..photos)).collect::<Vec<_>>(), &own);
        // A draw may miss all photographs that show a part: it has no value.
        let drawn: Vec<f64> = (0..DRAWS).filter_map(draw).collect();
        ways.push((value, variance(&drawn)));
    }
    let value = ways.iter().map(|(value, _)| value).sum::<f64>() / 2.0;
    let variance = ways.iter().map(|(_, variance)| variance).sum::<f64>() / 4.0;
    Ok(Some(Estimate { value, standard_error: variance.sqrt() }))
}

/// The number of filters, which is the same for all parts.
fn check(parts: &[LandmarkData]) -> Result<usize, MetricsError> {
    let filters = parts.first().map_or(0, |part| part.responses.filters());
    for part in parts {
        part.responses.check(part.images)?;
        check_length("filters of the parts' responses", filters, part.responses.filters())?;
    }
    Ok(filters)
}

/// The part that each filter matches best on a half; `None` where it never fires.
fn own_parts(
    parts: &[LandmarkData],
    filters: usize,
    halves: &Halves,
    half: usize,
) -> Result<Vec<Option<usize>>, MetricsError> {
    let mut best: Vec<Option<(usize, Criterion)>> = vec![None; filters];
    for (index, part) in parts.iter().enumerate() {
        let images = &halves.images(part.images.photos())?[half];
        let original = &part.responses.original;
        for (filter, found) in Criterion::of_filters(part.images, original, images)?.into_iter().enumerate() {
            let fires = images.iter().any(|&image| original.peak(filter, image).is_some());
            if fires && best[filter].is_none_or(|(_, best)| found.compare(&best).is_lt()) {
                best[filter] = Some((index, found));
            }
        }
    }
    Ok(best.into_iter().map(|best| best.map(|(index, _)| index)).collect())
}

/// How much strength each filter loses with each part, photograph by photograph.
struct Drops {
    filters: usize,
    /// Of each photograph and part: number of images, and the sum of the drops of each filter.
    by_photo: Vec<Vec<(f64, Vec<f64>)>>,
}

impl Drops {
    /// On the images of a half; `None` of fewer than two photographs, or where nothing was erased.
    fn of(
        parts: &[LandmarkData],
        filters: usize,
        halves: &Halves,
        half: usize,
    ) -> Result<Option<Self>, MetricsError> {
        let mut by_photo = std::collections::BTreeMap::new();
        for (index, part) in parts.iter().enumerate() {
            let Some(erased) = &part.responses.erased else { return Ok(None) };
            for &image in &halves.images(part.images.photos())?[half] {
                let drops = by_photo
                    .entry(part.images.photos()[image])
                    .or_insert_with(|| vec![(0.0, vec![0.0; filters]); parts.len()]);
                let (count, sums) = &mut drops[index];
                *count += 1.0;
                for (filter, sum) in sums.iter_mut().enumerate() {
                    let original = part.responses.original.strength(filter, image);
                    *sum += original - erased.landmark.strength(filter, image);
                }
            }
        }
        let by_photo: Vec<_> = by_photo.into_values().collect();
        Ok((by_photo.len() > 1).then_some(Self { filters, by_photo }))
    }

    /// The share of filters with the largest mean drop at their own part, over these photographs
    /// (which may repeat); `None` where they lack a part.
    fn selective(&self, photos: &[usize], own: &[Option<usize>]) -> Option<f64> {
        let parts = self.by_photo[0].len();
        let mut totals = vec![(0.0, vec![0.0; self.filters]); parts];
        for &photo in photos {
            for ((count, sums), (more, drops)) in totals.iter_mut().zip(&self.by_photo[photo]) {
                *count += more;
                sums.iter_mut().zip(drops).for_each(|(sum, drop)| *sum += drop);
            }
        }
        if totals.iter().any(|(count, _)| *count == 0.0) {
            return None;
        }
        let selective = |(filter, own): (usize, &Option<usize>)| {
            let mean = |part: usize| totals[part].1[filter] / totals[part].0;
            let own = mean((*own)?);
            let (mut larger, mut equal) = (0u32, 0u32);
            for drop in (0..parts).map(mean) {
                larger += u32::from(drop > own);
                equal += u32::from(drop == own);
            }
            Some(if larger == 0 { 1.0 / f64::from(equal) } else { 0.0 })
        };
        let shares: Vec<f64> = own.iter().enumerate().filter_map(selective).collect();
        Some(shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

/// With n − 1; NaN of fewer than two values.
fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}
