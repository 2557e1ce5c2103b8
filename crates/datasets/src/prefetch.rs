//! Samples read ahead of whoever needs them.

use crate::ahead::{InOrder, all_cores, make_ahead};
use crate::faults::Sieve;
use crate::{Dataset, DatasetError, Faults, Report, Sample};

/// Reads samples on threads of their own, ahead of the network that needs them, in order.
///
/// Memory stays bounded whatever the number of samples: each thread holds the photo that it is decoding and
/// [`ahead`](Self::with_ahead) samples that wait.
///
/// ```
/// use explainer_datasets::{Dataset, Prefetch, SyntheticSpecies, SyntheticSpeciesConfig};
///
/// let birds = SyntheticSpecies::new(SyntheticSpeciesConfig::new(20, 0).with_size(64))?;
/// let indices: Vec<usize> = (0..birds.len()).collect();
/// let (bytes, report) = Prefetch::new().run(&birds, &indices, |samples| {
///     samples.map(|sample| Ok(sample?.1.image.len())).sum::<Result<usize, explainer_datasets::DatasetError>>()
/// });
/// assert_eq!(bytes?, 20 * 64 * 64 * 3);
/// assert!(report.is_empty());
/// # Ok::<(), explainer_datasets::DatasetError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Prefetch {
    workers: usize,
    ahead: usize,
    faults: Faults,
}

impl Default for Prefetch {
    fn default() -> Self {
        Self::new()
    }
}

impl Prefetch {
    /// A thread for each core, eight samples ahead each; the first sample that cannot be had is an error.
    pub fn new() -> Self {
        Self { workers: all_cores(), ahead: 8, faults: Faults::Stop }
    }

    /// So many threads.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn with_workers(self, workers: usize) -> Self {
        assert!(workers > 0, "samples are read by one thread at least");
        Self { workers, ..self }
    }

    /// So many samples of each thread may wait to be taken.
    pub fn with_ahead(self, ahead: usize) -> Self {
        Self { ahead, ..self }
    }

    /// What to do about samples that cannot be had.
    pub fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Reads the samples of these indices while `consume` takes them, in the same order, each with its index.
    /// Returns what `consume` does, and the report of what was left out. The threads end when `consume`
    /// returns.
    ///
    /// # Panics
    ///
    /// If reading a sample panics.
    pub fn run<R>(
        &self,
        set: &dyn Dataset,
        indices: &[usize],
        consume: impl FnOnce(&mut Samples<'_>) -> R,
    ) -> (R, Report) {
        let read = |&index: &usize| (index, set.sample(index));
        make_ahead([self.workers, self.ahead], indices, read, |read| {
            let mut samples = Samples { read, sieve: Sieve::new(self.faults) };
            let result = consume(&mut samples);
            (result, samples.sieve.report)
        })
    }
}

/// Samples in the order that was asked for, each with its index in the set.
pub struct Samples<'a> {
    read: &'a mut InOrder<(usize, Result<Sample, DatasetError>)>,
    sieve: Sieve,
}

impl Iterator for Samples<'_> {
    type Item = Result<(usize, Sample), DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (index, sample) = self.read.next()?;
            let passed = self.sieve.pass(sample.map(|sample| (index, sample)));
            if let Some(result) = passed.transpose() {
                return Some(result);
            }
        }
    }

    /// As many as are still to come, if none of them is left out.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let (_, most) = self.read.size_hint();
        (0, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SyntheticSpecies, SyntheticSpeciesConfig};

    fn birds() -> SyntheticSpecies {
        SyntheticSpecies::new(SyntheticSpeciesConfig::new(8, 4).with_size(32)).unwrap()
    }

    #[test]
    fn samples_are_those_of_the_set_in_the_order_asked_for() {
        let (birds, indices) = (birds(), [7, 0, 11, 3, 3]);
        for workers in [1, 4] {
            let prefetch = Prefetch::new().with_workers(workers).with_ahead(1);
            let (found, report) =
                prefetch.run(&birds, &indices, |samples| samples.collect::<Result<Vec<_>, _>>());
            let expected: Vec<_> = indices.iter().map(|&i| (i, birds.sample(i).unwrap())).collect();
            assert!(found.unwrap() == expected && report.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_had_stops_or_is_reported() {
        let (birds, indices) = (birds(), [0, 12, 1, 99]);
        let collect = |samples: &mut Samples<'_>| {
            samples.map(|sample| sample.map(|(index, _)| index)).collect::<Result<Vec<_>, _>>()
        };
        let (found, report) = Prefetch::new().run(&birds, &indices, collect);
        assert!(matches!(found, Err(DatasetError::Index { index: 12, .. })) && report.is_empty());
        let (found, report) = Prefetch::new().with_faults(Faults::Skip).run(&birds, &indices, collect);
        assert_eq!((found.unwrap(), report.len()), (vec![0, 1], 2));
        assert!(report.to_string().contains("expected an index below 12, found 99"), "{report}");
    }
}
