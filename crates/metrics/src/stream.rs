//! Location instability in one pass.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::instability::{distance, standard_deviation};
use crate::peaks::{append_peaks, check_sizes};
use crate::{InstabilityConfig, LocationInstability, MetricsError, Peak, ReceptiveField};

/// [`location_instability`](crate::location_instability) of images that come one by one: the same figures to the
/// bit, in memory that does not grow with their number.
///
/// Of each filter and landmark it keeps the strongest images so far, 24 bytes for each: 4 MB for 512 filters,
/// three landmarks and a hundred images.
///
/// ```
/// use explainer_metrics::{InstabilityConfig, InstabilityStream, ReceptiveField};
///
/// let mut stream = InstabilityStream::new(1, [1, 2], 1, ReceptiveField::pixels(), InstabilityConfig::new([3, 4]));
/// stream.push(&[2.0, 0.0], &[Some([0.0, 0.0])])?; // at the landmark
/// stream.push(&[0.0, 1.0], &[Some([1.0, 2.0])])?; // two pixels away
/// stream.push(&[3.0, 0.0], &[None])?; // the landmark is not seen
/// assert_eq!(stream.instability().mean, 2f64.sqrt() / 5.0);
/// # Ok::<(), explainer_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct InstabilityStream {
    grid: [usize; 2],
    landmarks: usize,
    field: ReceptiveField,
    config: InstabilityConfig,
    /// Filter after filter, landmark after landmark: the strongest images, the last of them at the top.
    strongest: Vec<BinaryHeap<Seen>>,
    fired: Vec<bool>,
    images: usize,
    /// Of the image that is added.
    peaks: Vec<Peak>,
}

/// An image in which a landmark is seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    strength: f32,
    image: usize,
    /// From the filter's peak to the landmark, in pixels.
    distance: f64,
}

impl InstabilityStream {
    /// Of `filters` maps of `grid = [height, width]` units and a number of landmarks; no image yet.
    ///
    /// # Panics
    ///
    /// If a dimension is zero or a side of the grid above 65,536 units, or if the diagonal is not positive.
    pub fn new(
        filters: usize,
        grid: [usize; 2],
        landmarks: usize,
        field: ReceptiveField,
        config: InstabilityConfig,
    ) -> Self {
        check_sizes(filters, grid);
        assert!(config.diagonal > 0.0, "the diagonal must be positive, got {}", config.diagonal);
        let strongest = vec![BinaryHeap::new(); filters * landmarks];
        let fired = vec![false; filters];
        Self { grid, landmarks, field, config, strongest, fired, images: 0, peaks: Vec::new() }
    }

    /// Adds an image: its maps, filter after filter, and its landmarks `[x, y]` in pixels.
    ///
    /// # Errors
    ///
    /// [`MetricsError::NotFinite`] names the first unit that is NaN or infinite; then nothing is added.
    ///
    /// # Panics
    ///
    /// If `maps` has another length, or if there are more or fewer landmarks than [`new`](Self::new) was told.
    pub fn push(&mut self, maps: &[f32], landmarks: &[Option<[f64; 2]>]) -> Result<(), MetricsError> {
        assert_eq!(landmarks.len(), self.landmarks, "landmarks of an image");
        self.peaks.clear();
        append_peaks(&mut self.peaks, maps, self.fired.len(), self.grid, self.images)?;
        for (filter, peak) in self.peaks.iter().enumerate() {
            self.fired[filter] |= peak.strength > 0.0;
            for (landmark, position) in landmarks.iter().enumerate() {
                let Some(position) = *position else { continue };
                let distance = distance(peak, &self.field, position);
                let seen = Seen { strength: peak.strength, image: self.images, distance };
                let strongest = &mut self.strongest[filter * self.landmarks + landmark];
                if strongest.len() < self.config.strongest {
                    strongest.push(seen);
                } else if let Some(mut last) = strongest.peek_mut()
                    && seen < *last
                {
                    *last = seen;
                }
            }
        }
        self.images += 1;
        Ok(())
    }

    /// The figures of the images so far.
    pub fn instability(&self) -> LocationInstability {
        let of_pair = |strongest: &BinaryHeap<Seen>| {
            let sorted = strongest.clone().into_sorted_vec();
            let distances: Vec<f64> = sorted.into_iter().map(|seen| seen.distance).collect();
            standard_deviation(&distances).map(|deviation| deviation / self.config.diagonal)
        };
        let filters = self.fired.len();
        let per_pair = (0..filters)
            .map(|filter| {
                let from = filter * self.landmarks;
                self.strongest[from..from + self.landmarks].iter().map(of_pair).collect()
            })
            .collect();
        let live: Vec<usize> = (0..filters).filter(|&filter| self.fired[filter]).collect();
        LocationInstability::of(per_pair, self.landmarks, &live)
    }
}

/// The stronger comes first, and of equal ones the earlier.
impl Ord for Seen {
    fn cmp(&self, other: &Self) -> Ordering {
        other.strength.total_cmp(&self.strength).then(self.image.cmp(&other.image))
    }
}

impl PartialOrd for Seen {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Seen {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Landmarks, Peaks, location_instability};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_stream_has_the_figures_of_the_table() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let field = ReceptiveField { stride: 16.0, center: 8.0, size: 40 };
        for (filters, grid, images, strongest) in
            [(3, [4, 5], 60, 20), (2, [1, 1], 7, 100), (4, [3, 3], 30, 1), (2, [2, 2], 12, 0)]
        {
            let config = InstabilityConfig::new([64, 80]).with_strongest(strongest);
            let mut stream = InstabilityStream::new(filters, grid, 2, field, config);
            let (mut peaks, mut landmarks) = (Peaks::new(filters, grid), Landmarks::new(["a", "b"]));
            for _ in 0..images {
                // Few values, so that there are ties; the last filter is dead.
                let units = grid[0] * grid[1];
                let mut maps: Vec<f32> =
                    (0..filters * units).map(|_| rng.random_range(0..6) as f32).collect();
                maps[(filters - 1) * units..].fill(0.0);
                let mut place =
                    || rng.random_bool(0.7).then(|| [(); 2].map(|()| rng.random_range(0.0..80.0)));
                let positions = [place(), place()];
                stream.push(&maps, &positions).unwrap();
                peaks.push(&maps).unwrap();
                landmarks.push(positions);
            }
            let (streamed, whole) =
                (stream.instability(), location_instability(&peaks, &field, &landmarks, &config));
            assert_eq!(format!("{streamed:?}"), format!("{whole:?}"));
            assert_eq!(streamed.live, filters - 1);
        }
    }

    #[test]
    fn what_is_refused_adds_nothing() {
        let config = InstabilityConfig::new([8, 8]);
        let mut stream = InstabilityStream::new(2, [1, 2], 1, ReceptiveField::pixels(), config);
        let at = [Some([0.0, 0.0])];
        assert!(stream.push(&[1.0, 0.0, f32::NAN, 0.0], &at).is_err());
        assert_eq!(stream.instability().live, 0);
        stream.push(&[1.0, 0.0, 0.0, 0.0], &at).unwrap();
        assert_eq!((stream.instability().live, stream.images), (1, 1));
    }
}
