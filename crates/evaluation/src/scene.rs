//! One image that was drawn with and without each thing in it, and what explanations say of them.

use std::collections::BTreeMap;

use explainer_datasets::PartMask;
use explainer_metrics::{DeletionImage, DistractionImage, important_parts};

use crate::account::Given;

/// What an explanation says the things of an image gave.
#[derive(Debug)]
pub(crate) struct Shares {
    /// The parts that it shows, then the objects of the background.
    things: Vec<f64>,
    /// The sum of all amounts above 0, wherever they lie.
    total: f64,
}

impl Shares {
    /// Gives each amount to the thing at its place: of the things that reach into the unit there, `reach` pixels to
    /// either side, the nearest one, and the first of equally near ones. `None` is a thing that covers no pixel.
    pub(crate) fn of(given: &[Given], reach: f64, regions: &[Option<PartMask>]) -> Self {
        let mut things = vec![0.0; regions.len()];
        for &Given { amount, at } in given {
            let distance = |(thing, region): (usize, &Option<PartMask>)| {
                Some((thing, distance(region.as_ref()?, at, reach)?))
            };
            let near = regions.iter().enumerate().filter_map(distance);
            if let Some((thing, _)) = near.min_by(|a, b| a.1.total_cmp(&b.1)) {
                things[thing] += amount;
            }
        }
        Self { things, total: given.iter().map(|given| given.amount.max(0.0)).sum() }
    }
}

/// The squared distance of a point to the nearest pixel of a region, among those `reach` away along either axis.
fn distance(region: &PartMask, [x, y]: [f64; 2], reach: f64) -> Option<f64> {
    let [left, top, right, bottom] = region.bounds();
    let span = |center: f64, low: u32, high: u32| {
        let first = (center - reach).ceil().max(f64::from(low)) as u32;
        let end = ((center + reach).floor() + 1.0).clamp(0.0, f64::from(high)) as u32;
        first..end
    };
    let (rows, columns) = (span(y, top, bottom), span(x, left, right));
    let pixels = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
    let covered = pixels.filter(|&(column, row)| region.contains(column, row));
    let squared = |(column, row)| (f64::from(column) - x).powi(2) + (f64::from(row) - y).powi(2);
    covered.map(squared).min_by(f64::total_cmp)
}

/// What the performer says of an image and of what is left of it.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Its source photograph.
    pub(crate) photo: usize,
    /// The class that is explained, and the performer's decision.
    pub(crate) class: usize,
    pub(crate) decision: usize,
    /// The score of that class.
    pub(crate) score: f64,
    /// The number of parts that there are, and those that the image shows.
    pub(crate) landmarks: usize,
    pub(crate) parts: Vec<usize>,
    /// The number of pixels of each of these.
    pub(crate) areas: Vec<f64>,
    /// The score without each of them, then without each object of the background.
    pub(crate) without: Vec<f64>,
    /// What each explanation says they gave; `None` if it says nothing.
    pub(crate) shares: Vec<Option<Shares>>,
    /// The decision without some parts.
    pub(crate) decisions: BTreeMap<Vec<usize>, usize>,
}

impl Scene {
    /// The things that an explanation says matter: parts that the image shows, then objects.
    fn important(&self, shares: &Shares, threshold: f64) -> Vec<usize> {
        important_parts(&shares.things, shares.total, threshold)
    }

    /// The parts that an explanation says matter, and all others, seen or not.
    pub(crate) fn divided(&self, shares: &Shares, threshold: f64) -> [Vec<usize>; 2] {
        let important = self.important(shares, threshold);
        let named: Vec<usize> =
            important.into_iter().filter_map(|thing| self.parts.get(thing).copied()).collect();
        let others = (0..self.landmarks).filter(|part| !named.contains(part)).collect();
        [named, others]
    }

    /// Whether the class that is explained is the performer's decision: what changes it is asked of such images only.
    pub(crate) fn decided(&self) -> bool {
        self.decision == self.class
    }

    /// By an explanation and a threshold; `None` if it says nothing of the image.
    pub(crate) fn deletion(&self, account: usize, threshold: f64) -> Option<DeletionImage> {
        let shares = self.shares[account].as_ref()?;
        let without = |parts: &Vec<usize>| self.decisions.get(parts).copied().filter(|_| self.decided());
        let [important, others] = self.divided(shares, threshold);
        Some(DeletionImage {
            without_important: without(&important),
            without_others: without(&others),
            ..self.contributions(&shares.things[..self.parts.len()])
        })
    }

    /// By the area of each part.
    pub(crate) fn by_area(&self) -> DeletionImage {
        self.contributions(&self.areas)
    }

    fn contributions(&self, of_parts: &[f64]) -> DeletionImage {
        DeletionImage {
            photo: self.photo,
            contributions: of_parts.to_vec(),
            drops: self.without[..self.parts.len()].iter().map(|without| self.score - without).collect(),
            decision: self.decision,
            without_important: None,
            without_others: None,
        }
    }

    /// By an explanation and a threshold.
    pub(crate) fn distraction(&self, account: usize, threshold: f64) -> DistractionImage {
        let (parts, objects) = self.without.split_at(self.parts.len());
        let important = self.shares[account].as_ref().map(|shares| {
            let named = self.important(shares, threshold);
            (0..self.without.len()).map(|thing| named.contains(&thing)).collect()
        });
        DistractionImage {
            photo: self.photo,
            score: self.score,
            without_part: parts.to_vec(),
            without_background: objects.to_vec(),
            important,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(columns: std::ops::Range<u32>) -> Option<PartMask> {
        PartMask::from_fn([40, 20], |x, y| columns.contains(&x) && (8..12).contains(&y))
    }

    #[test]
    fn amounts_go_to_the_nearest_thing_within_their_unit() {
        let regions = [region(4..8), region(12..20), None];
        let at = |x: f64, amount: f64| Given { amount, at: [x, 10.0] };
        // On the first; nearer to the second; as near to both; out of reach of both; and below 0 on the second.
        let given = [at(5.0, 1.0), at(10.0, 2.0), at(9.5, 4.0), at(30.0, 8.0), at(15.0, -16.0)];
        let shares = Shares::of(&given, 4.0, &regions);
        assert_eq!(shares.things, [5.0, -14.0, 0.0]);
        assert_eq!(shares.total, 15.0);
        // A unit of one pixel has to be on the thing.
        assert_eq!(Shares::of(&given, 0.5, &regions).things, [1.0, -16.0, 0.0]);
        assert_eq!(distance(&region(4..8).unwrap(), [-9.0, -9.0], 4.0), None);
    }

    #[test]
    fn parts_out_of_sight_are_among_the_others() {
        let shares = Shares { things: vec![3.0, 0.1, 5.0], total: 10.0 };
        let scene = Scene {
            photo: 7,
            class: 1,
            decision: 1,
            score: 2.0,
            landmarks: 4,
            parts: vec![1, 3],
            areas: vec![30.0, 20.0],
            without: vec![1.0, 2.5, 1.9],
            shares: vec![Some(shares), None],
            decisions: BTreeMap::from([(vec![1], 0), (vec![0, 2, 3], 1)]),
        };
        let found = scene.deletion(0, 0.2).unwrap();
        assert_eq!((found.contributions, found.drops), (vec![3.0, 0.1], vec![1.0, -0.5]));
        assert_eq!((found.without_important, found.without_others), (Some(0), Some(1)));
        assert_eq!(scene.by_area().contributions, [30.0, 20.0]);
        let distraction = scene.distraction(0, 0.2);
        assert_eq!(distraction.important, Some(vec![true, false, true]));
        assert_eq!((distraction.without_part.len(), distraction.without_background), (2, vec![1.9]));
        assert!(scene.deletion(1, 0.2).is_none() && scene.distraction(1, 0.2).important.is_none());
        let wrong = Scene { decision: 0, ..scene };
        assert_eq!(wrong.deletion(0, 0.2).unwrap().without_important, None);
    }
}
