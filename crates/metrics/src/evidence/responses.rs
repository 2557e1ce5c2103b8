//! Strength and peak of every detector in every image.

use crate::{MetricsError, Peaks, ReceptiveField};

/// What one detector says of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Response {
    /// `s_k(x)`: how strongly the detector fires.
    pub strength: f64,
    /// `μ_k(x)`: where, `[x, y]` in 0-based pixels of the network's input.
    pub peak: [f64; 2],
}

/// The [`Response`]s of all filters (detectors) to all images, filled image by image.
///
/// They may come from [feature maps](Self::from_peaks) or from whatever else hands out parts.
///
/// **Silence.** A filter fires in an image if its strength is above a threshold, 0 by default.
/// Where it does not fire it has no peak: the stored one (any finite numbers) is not looked at.
/// Such an image is no hit, and its displacement is 0. Strengths themselves are compared as they
/// are, below the threshold too. For scores that may be negative where the part is (logits), use
/// [`with_threshold`](Self::with_threshold); with −∞ every filter always fires.
///
/// Memory: 24 bytes per filter and image.
///
/// ```
/// use explainer_metrics::Responses;
///
/// let mut responses = Responses::new(2);
/// responses.push(&[1.5f32, 0.0], &[[100.0f32, 40.0], [0.0, 0.0]])?;
/// assert_eq!(responses.get(0, 0).peak, [100.0, 40.0]);
/// assert_eq!(responses.peak(1, 0), None); // silent
/// # Ok::<(), explainer_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Responses {
    filters: usize,
    threshold: f64,
    /// Image after image, filter after filter.
    table: Vec<Response>,
}

impl Responses {
    /// An empty table for this many filters.
    ///
    /// # Panics
    ///
    /// If `filters` is zero.
    pub fn new(filters: usize) -> Self {
        assert!(filters > 0, "responses need at least one filter");
        Self { filters, threshold: 0.0, table: Vec::new() }
    }

    /// The strongest unit of each map, projected to pixels by `field`.
    pub fn from_peaks(peaks: &Peaks, field: &ReceptiveField) -> Self {
        let of = |peak: &crate::Peak| Response {
            strength: f64::from(peak.strength),
            peak: [peak.column, peak.row].map(|unit| field.pixel(usize::from(unit))),
        };
        let table = (0..peaks.images()).flat_map(|image| peaks.of_image(image).iter().map(of)).collect();
        Self { filters: peaks.filters(), threshold: 0.0, table }
    }

    /// The strongest unit of each map: `maps` is `[images, filters, height, width]`, row-major.
    ///
    /// Ties are broken as in [`Peaks`].
    ///
    /// # Errors
    ///
    /// [`MetricsError::NotFinite`] names the first unit that is NaN or infinite.
    ///
    /// # Panics
    ///
    /// As [`Peaks::new`] and [`Peaks::push_batch`].
    pub fn from_maps(
        maps: &[f32],
        filters: usize,
        grid: [usize; 2],
        field: &ReceptiveField,
    ) -> Result<Self, MetricsError> {
        let mut peaks = Peaks::new(filters, grid);
        peaks.push_batch(maps)?;
        Ok(Self::from_peaks(&peaks, field))
    }

    /// The same responses, where a filter fires if its strength is above `threshold`.
    ///
    /// # Panics
    ///
    /// If `threshold` is NaN.
    #[must_use]
    pub fn with_threshold(self, threshold: f64) -> Self {
        assert!(!threshold.is_nan(), "a threshold of strengths is a number, got NaN");
        Self { threshold, ..self }
    }

    /// Adds one image: the strength of each filter, and its peak `[x, y]` in pixels.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Length`] or [`MetricsError::NotFiniteResponse`]; the table is then as it
    /// was before.
    pub fn push<S, P>(&mut self, strengths: &[S], peaks: &[[P; 2]]) -> Result<(), MetricsError>
    where
        S: Copy + Into<f64>,
        P: Copy + Into<f64>,
    {
        let expected = self.filters;
        for (what, found) in [("strengths of an image", strengths.len()), ("peaks of an image", peaks.len())]
        {
            if found != expected {
                return Err(MetricsError::Length { what, expected, found });
            }
        }
        let image = self.images();
        for (filter, (&strength, &[x, y])) in strengths.iter().zip(peaks).enumerate() {
            let response = Response { strength: strength.into(), peak: [x.into(), y.into()] };
            let [x, y] = response.peak;
            let named = [("strength", response.strength), ("peak's x", x), ("peak's y", y)];
            if let Some((what, value)) = named.into_iter().find(|(_, value)| !value.is_finite()) {
                self.table.truncate(image * self.filters);
                return Err(MetricsError::NotFiniteResponse { image, filter, what, value });
            }
            self.table.push(response);
        }
        Ok(())
    }

    /// The response of `filter` to `image`.
    ///
    /// # Panics
    ///
    /// If either is out of range.
    pub fn get(&self, filter: usize, image: usize) -> Response {
        assert!(
            filter < self.filters && image < self.images(),
            "filter {filter}, image {image} of responses of {} filters to {} images",
            self.filters,
            self.images()
        );
        self.table[image * self.filters + filter]
    }

    /// `s_k(x)`: the strength of `filter` in `image`.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn strength(&self, filter: usize, image: usize) -> f64 {
        self.get(filter, image).strength
    }

    /// `μ_k(x)`: the peak of `filter` in `image`, `None` where it does not fire.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn peak(&self, filter: usize, image: usize) -> Option<[f64; 2]> {
        let response = self.get(filter, image);
        (response.strength > self.threshold).then_some(response.peak)
    }

    /// The responses to the given images only, in the given order.
    ///
    /// # Panics
    ///
    /// If an image is out of range.
    #[must_use]
    pub fn select_images(&self, images: &[usize]) -> Self {
        let of = |&image: &usize| &self.table[image * self.filters..(image + 1) * self.filters];
        Self { table: images.iter().flat_map(of).copied().collect(), ..*self }
    }

    /// The responses of the given filters only, in the given order.
    ///
    /// # Panics
    ///
    /// If a filter is out of range, or none is given.
    #[must_use]
    pub fn select_filters(&self, filters: &[usize]) -> Self {
        assert!(!filters.is_empty(), "responses need at least one filter");
        let images = self.table.chunks_exact(self.filters);
        let table = images.flat_map(|image| filters.iter().map(|&filter| image[filter])).collect();
        Self { filters: filters.len(), table, ..*self }
    }

    /// Number of filters.
    pub fn filters(&self) -> usize {
        self.filters
    }

    /// Number of images so far.
    pub fn images(&self) -> usize {
        self.table.len() / self.filters
    }

    /// The strength above which a filter fires.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }
}
