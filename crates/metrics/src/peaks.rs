//! The strongest unit of every filter in every image.

use crate::{MetricsError, strongest_unit::peak_of};

/// The strongest unit of one filter's map in one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Row of the unit, 0-based.
    pub row: u16,
    /// Column of the unit, 0-based.
    pub column: u16,
    /// Its activation.
    pub strength: f32,
}

/// The [`Peak`]s of all filters of one layer in all images, filled image by image.
///
/// The peak of a map is its largest activation; of several equal ones that in the smallest
/// column, then in the smallest row (the first in MATLAB's order, as in the released code of
/// arXiv:1710.00935).
///
/// **Silent maps.** A filter whose strength is not above 0 did not [fire](Self::fired) in that
/// image; its map after ReLU is zero everywhere and the rule for ties puts its peak at unit
/// (0, 0). The published metric counts it there, and so do the metrics of this crate that follow
/// the publication. Filters that never fire are no [live filters](Self::live_filters): such a
/// filter looks very stable, which is why results carry a figure over live filters too.
///
/// Memory: 8 bytes per filter and image.
///
/// ```
/// use explainer_metrics::Peaks;
///
/// let mut peaks = Peaks::new(2, [2, 3]);
/// peaks.push(&[
///     0.0, 0.0, 0.5, //
///     0.0, 2.0, 0.0, // filter 0 fires at row 1, column 1
///     0.0, 0.0, 0.0, //
///     0.0, 0.0, 0.0, // filter 1 is silent
/// ])?;
/// let peak = peaks.get(0, 0);
/// assert_eq!((peak.row, peak.column, peak.strength), (1, 1, 2.0));
/// assert!(!peaks.fired(1, 0));
/// assert_eq!(peaks.live_filters(), [0]);
/// # Ok::<(), explainer_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Peaks {
    filters: usize,
    grid: [usize; 2],
    /// Image after image, filter after filter.
    pub(crate) table: Vec<Peak>,
}

impl Peaks {
    /// An empty table for a layer of `filters` maps of `grid = [height, width]` units.
    ///
    /// # Panics
    ///
    /// If a dimension is zero, or a side of the grid is above 65,536 units.
    pub fn new(filters: usize, grid: [usize; 2]) -> Self {
        check_sizes(filters, grid);
        Self { filters, grid, table: Vec::new() }
    }

    /// Adds one image: `maps` is `[filters, height, width]`, row-major.
    ///
    /// # Errors
    ///
    /// [`MetricsError::NotFinite`] names the first unit that is NaN or infinite; the table is
    /// then as it was before.
    ///
    /// # Panics
    ///
    /// If `maps` has another length.
    pub fn push(&mut self, maps: &[f32]) -> Result<(), MetricsError> {
        let image = self.images();
        append_peaks(&mut self.table, maps, self.filters, self.grid, image)
    }

    /// Adds a batch of images: `maps` is `[batch, filters, height, width]`, row-major.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); the images before the faulty one stay in the table.
    ///
    /// # Panics
    ///
    /// If the length of `maps` is no multiple of one image's.
    pub fn push_batch(&mut self, maps: &[f32]) -> Result<(), MetricsError> {
        let [height, width] = self.grid;
        let one = self.filters * height * width;
        assert!(
            maps.len().is_multiple_of(one),
            "a batch's maps are [batch, {}, {height}, {width}], got {} values",
            self.filters,
            maps.len()
        );
        maps.chunks_exact(one).try_for_each(|maps| self.push(maps))
    }

    /// Adds one image whose peaks are known already, one for each filter: say, because they were
    /// found where the maps were computed. Ties are then the caller's to break as stated above.
    ///
    /// # Errors
    ///
    /// [`MetricsError::NotFinite`] names the first peak whose strength is NaN or infinite; the
    /// table is then as it was before.
    ///
    /// # Panics
    ///
    /// If there are more or fewer peaks than filters, or one lies outside the grid.
    pub fn push_peaks(&mut self, peaks: &[Peak]) -> Result<(), MetricsError> {
        assert_eq!(
            peaks.len(),
            self.filters,
            "one image has a peak for each of {} filters, got {}",
            self.filters,
            peaks.len()
        );
        let [height, width] = self.grid;
        for (filter, peak) in peaks.iter().enumerate() {
            let (row, column) = (usize::from(peak.row), usize::from(peak.column));
            assert!(
                row < height && column < width,
                "filter {filter}: peak at [{row}, {column}] lies outside the grid {:?}",
                self.grid
            );
            if !peak.strength.is_finite() {
                return Err(MetricsError::NotFinite {
                    image: self.images(),
                    filter,
                    row,
                    column,
                    value: peak.strength,
                });
            }
        }
        self.table.extend_from_slice(peaks);
        Ok(())
    }

    /// The peak of `filter` in `image`.
    ///
    /// # Panics
    ///
    /// If either is out of range.
    pub fn get(&self, filter: usize, image: usize) -> Peak {
        assert!(
            filter < self.filters && image < self.images(),
            "filter {filter}, image {image} of a table of {} filters, {} images",
            self.filters,
            self.images()
        );
        self.table[image * self.filters + filter]
    }

    /// The peaks of all filters in `image`.
    ///
    /// # Panics
    ///
    /// If `image` is out of range.
    pub fn of_image(&self, image: usize) -> &[Peak] {
        assert!(image < self.images(), "image {image} of a table of {} images", self.images());
        &self.table[image * self.filters..(image + 1) * self.filters]
    }

    /// Whether `filter` fired in `image`: its strength is above 0.
    ///
    /// # Panics
    ///
    /// If either is out of range.
    pub fn fired(&self, filter: usize, image: usize) -> bool {
        self.get(filter, image).strength > 0.0
    }

    /// Number of images in which `filter` fired.
    ///
    /// # Panics
    ///
    /// If `filter` is out of range.
    pub fn fired_images(&self, filter: usize) -> usize {
        (0..self.images()).filter(|&image| self.fired(filter, image)).count()
    }

    /// The filters that fired in at least one image, ascending.
    pub fn live_filters(&self) -> Vec<usize> {
        let mut live = vec![false; self.filters];
        for image in self.table.chunks_exact(self.filters) {
            for (live, peak) in live.iter_mut().zip(image) {
                *live |= peak.strength > 0.0;
            }
        }
        (0..self.filters).filter(|&filter| live[filter]).collect()
    }

    /// The table of the given images only, in the given order.
    ///
    /// # Panics
    ///
    /// If an image is out of range.
    #[must_use]
    pub fn select_images(&self, images: &[usize]) -> Self {
        let table = images.iter().flat_map(|&image| self.of_image(image).iter().copied()).collect();
        Self { table, ..*self }
    }

    /// Number of filters.
    pub fn filters(&self) -> usize {
        self.filters
    }

    /// Number of images so far.
    pub fn images(&self) -> usize {
        self.table.len() / self.filters
    }

    /// `[height, width]` of the maps in units.
    pub fn grid(&self) -> [usize; 2] {
        self.grid
    }
}

/// Panics unless peaks of such a layer can be held.
pub(crate) fn check_sizes(filters: usize, grid: [usize; 2]) {
    let most = usize::from(u16::MAX) + 1;
    assert!(
        filters > 0 && grid.iter().all(|side| (1..=most).contains(side)),
        "peaks need at least one filter and sides of 1 to {most} units, got {filters} filters of {grid:?}"
    );
}

/// Appends the peaks of one image, whose number is for messages; or nothing, if a value is not finite.
pub(crate) fn append_peaks(
    peaks: &mut Vec<Peak>,
    maps: &[f32],
    filters: usize,
    [height, width]: [usize; 2],
    image: usize,
) -> Result<(), MetricsError> {
    assert_eq!(
        maps.len(),
        filters * height * width,
        "one image's maps are [{filters}, {height}, {width}], got {} values",
        maps.len()
    );
    let before = peaks.len();
    peaks.reserve(filters);
    for (filter, map) in maps.chunks_exact(height * width).enumerate() {
        match peak_of(map, width) {
            Ok(peak) => peaks.push(peak),
            Err(unit) => {
                peaks.truncate(before);
                let (row, column) = (unit / width, unit % width);
                return Err(MetricsError::NotFinite { image, filter, row, column, value: map[unit] });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(peak: Peak) -> [u16; 2] {
        [peak.row, peak.column]
    }

    #[test]
    fn ties_go_to_the_smallest_column_then_row() {
        let mut peaks = Peaks::new(4, [3, 3]);
        peaks
            .push(&[
                0., 3., 0., 3., 0., 0., 3., 0., 0., // (1,0) before (0,1) and (2,0)
                0., 0., 1., 0., 0., 1., 0., 1., 0., // (2,1) before (0,2)
                0., 0., 0., 0., 0., 0., 0., 0., 0., // silent: (0,0)
                -3., -2., -4., -5., -1., -3., -9., -9., -9., // before ReLU: (1,1), not fired
            ])
            .unwrap();
        let units: Vec<_> = peaks.of_image(0).iter().map(|&p| unit(p)).collect();
        assert_eq!(units, [[1, 0], [2, 1], [0, 0], [1, 1]]);
        assert_eq!(peaks.live_filters(), [0, 1]);
        assert!(!peaks.fired(3, 0));
        assert_eq!(peaks.get(3, 0).strength, -1.0);
        assert_eq!([0, 1, 2, 3].map(|filter| peaks.fired_images(filter)), [1, 1, 0, 0]);
    }

    #[test]
    fn negative_zero_is_silent_and_positive() {
        let mut peaks = Peaks::new(1, [1, 2]);
        peaks.push(&[-0.0, -0.0]).unwrap();
        assert!(peaks.get(0, 0).strength.is_sign_positive());
    }

    #[test]
    fn a_fault_names_its_unit_and_leaves_the_table() {
        let mut peaks = Peaks::new(2, [2, 2]);
        peaks.push(&[0., 1., 2., 3., 3., 2., 1., 0.]).unwrap();
        let before = peaks.clone();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = peaks.push(&[0., 1., 2., 3., 3., 2., 1., bad]).expect_err("not finite");
            match error {
                MetricsError::NotFinite { image, filter, row, column, value } => {
                    assert_eq!((image, filter, row, column), (1, 1, 1, 1));
                    assert_eq!(value.to_bits(), bad.to_bits());
                }
                other => panic!("{other}"),
            }
            assert_eq!(peaks, before);
        }
    }

    #[test]
    fn batches_are_images_in_order() {
        let maps: Vec<f32> = (0..24).map(|i| ((i * 7) % 5) as f32).collect();
        let (mut whole, mut single) = (Peaks::new(2, [2, 3]), Peaks::new(2, [2, 3]));
        whole.push_batch(&maps).unwrap();
        for image in maps.chunks(12) {
            single.push(image).unwrap();
        }
        assert_eq!(whole, single);
        assert_eq!(whole.images(), 2);
        let swapped = whole.select_images(&[1, 0]);
        assert_eq!(swapped.of_image(0), whole.of_image(1));
    }

    #[test]
    fn known_peaks() {
        let mut found = Peaks::new(2, [2, 3]);
        found.push(&[0., 0., 5., 0., 0., 0., 0., 0., 0., 7., 0., 0.]).unwrap();
        let mut given = Peaks::new(2, [2, 3]);
        let peak = |row, column, strength| Peak { row, column, strength };
        given.push_peaks(&[peak(0, 2, 5.0), peak(1, 0, 7.0)]).unwrap();
        assert_eq!(given, found);
        assert!(given.push_peaks(&[peak(0, 0, 1.0), peak(0, 0, f32::NAN)]).is_err());
        assert_eq!(given, found);
    }

    #[test]
    #[should_panic(expected = "[0, 3] lies outside the grid [2, 3]")]
    fn known_peaks_lie_on_the_grid() {
        let outside = Peak { row: 0, column: 3, strength: 1.0 };
        let _ = Peaks::new(1, [2, 3]).push_peaks(&[outside]);
    }

    #[test]
    #[should_panic(expected = "[2, 2, 2], got 7 values")]
    fn wrong_length_panics_with_both_shapes() {
        let _ = Peaks::new(2, [2, 2]).push(&[0.0; 7]);
    }
}
