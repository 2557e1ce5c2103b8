//! Which category each filter belongs to.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// The category of each filter: the one whose images activate it most.
///
/// Over an epoch, [`update`](Self::update) collects for each filter and category the mean of the
/// strongest unit's activation over images; [`assign`](Self::assign) then gives each filter to the
/// category with the largest mean, and starts afresh. Images without a category (background,
/// negatives) belong to no filter and take no part in the means.
///
/// With a single category all filters belong to it from the start. With several, a filter belongs to
/// none of them until it is assigned for the first time; every image that has a category counts as a
/// member of it until then.
///
/// It is plain data: save it with serde and a resumed fit goes on as if it had not stopped.
///
/// Source: arXiv:1710.00935, section 3.1 ("the filter is assigned to the category whose images
/// activate it most"); when the means start and what holds before the first epoch are ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct FilterCategories {
    filters: usize,
    categories: usize,
    /// Sum of the strongest activations since the last assignment, `[filter · categories + category]`.
    sums: Vec<f64>,
    /// Images of each category since the last assignment.
    images: Vec<u64>,
    assigned: Vec<Option<usize>>,
}

impl FilterCategories {
    /// No image seen, no filter assigned.
    ///
    /// # Panics
    /// If there is no category.
    pub fn new(filters: usize, categories: usize) -> Self {
        assert!(categories > 0, "filters need at least one category");
        let assigned = vec![(categories == 1).then_some(0); filters];
        Self {
            filters,
            categories,
            sums: vec![0.0; filters * categories],
            images: vec![0; categories],
            assigned,
        }
    }

    /// Takes in a batch of maps; `None` is an image without a category. Waits for the device, and
    /// copies one number for each image and filter.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, height, width]`
    /// - categories: `batch`
    ///
    /// # Panics
    /// If maps and categories are not of one batch, the filters are not as many as expected, or there
    /// is no such category.
    pub fn update(&mut self, maps: Tensor<4>, categories: &[Option<usize>]) {
        let [batch, filters, height, width] = maps.dims();
        assert_eq!(filters, self.filters, "FilterCategories was made for another number of filters");
        assert_eq!(batch, categories.len(), "FilterCategories: one category for each of the maps is needed");
        self.check(categories);
        let strongest = maps.inner().reshape([batch * filters, height * width]).max_dim(1);
        let strongest: Vec<f64> = strongest.into_data().iter::<f64>().collect();
        for (row, category) in strongest.chunks_exact(filters.max(1)).zip(categories) {
            let Some(category) = *category else { continue };
            self.images[category] += 1;
            for (filter, value) in row.iter().enumerate() {
                self.sums[filter * self.categories + category] += value;
            }
        }
    }

    /// The mean of a filter's strongest activation over the images of a category since the last
    /// assignment, or `None` if there were none.
    ///
    /// # Panics
    /// If there is no such filter or category.
    pub fn mean(&self, filter: usize, category: usize) -> Option<f64> {
        assert!(category < self.categories, "category {category} of {}", self.categories);
        let images = self.images[category];
        (images > 0).then(|| self.sums[filter * self.categories + category] / images as f64)
    }

    /// Gives each filter to the category with its largest mean activation (the lowest category of
    /// several equal ones), and forgets the means. A filter that did not fire keeps what it had.
    pub fn assign(&mut self) {
        for filter in 0..self.filters {
            let mut largest = 0.0;
            for category in 0..self.categories {
                if let Some(mean) = self.mean(filter, category).filter(|mean| *mean > largest) {
                    largest = mean;
                    self.assigned[filter] = Some(category);
                }
            }
        }
        self.sums.fill(0.0);
        self.images.fill(0);
    }

    /// The category of each filter, `None` as long as it is not assigned.
    pub fn assigned(&self) -> &[Option<usize>] {
        &self.assigned
    }

    /// Whether each image of a batch is of each filter's category.
    ///
    /// # Shapes
    /// - categories: `batch`
    /// - output: `[batch, filters]`
    ///
    /// # Panics
    /// If there is no such category.
    pub fn membership(&self, categories: &[Option<usize>], device: &Device) -> Tensor<2, Bool> {
        self.check(categories);
        let member = |image: &Option<usize>, filter: &Option<usize>| {
            image.is_some() && (filter.is_none() || image == filter)
        };
        let members: Vec<bool> = categories
            .iter()
            .flat_map(|image| self.assigned.iter().map(move |filter| member(image, filter)))
            .collect();
        let shape = [categories.len(), self.filters];
        Tensor::from_data(TensorData::new(members, shape), device)
    }

    fn check(&self, categories: &[Option<usize>]) {
        for category in categories.iter().flatten() {
            assert!(*category < self.categories, "category {category} of {}", self.categories);
        }
    }
}

/// What a file may hold, before it is known to fit together.
#[derive(Deserialize)]
struct Stored {
    filters: usize,
    categories: usize,
    sums: Vec<f64>,
    images: Vec<u64>,
    assigned: Vec<Option<usize>>,
}

impl TryFrom<Stored> for FilterCategories {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { filters, categories, sums, images, assigned } = stored;
        let fits = categories > 0
            && filters.checked_mul(categories) == Some(sums.len())
            && images.len() == categories
            && assigned.len() == filters
            && assigned.iter().flatten().all(|&category| category < categories);
        if !fits {
            return Err(format!(
                "{filters} filters and {categories} categories do not fit {} sums, {} image counts and {} \
                 assignments",
                sums.len(),
                images.len(),
                assigned.len()
            ));
        }
        Ok(Self { filters, categories, sums, images, assigned })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::config::{Config, config_to_json};

    impl Config for FilterCategories {}

    /// Maps of 2 × 2 with the given strongest activations, `[image][filter]`.
    fn maps(strongest: &[[f32; 3]]) -> Tensor<4> {
        let values = strongest.iter().flatten().flat_map(|&value| [0.0, value, value / 2.0, 0.0]).collect();
        Tensor::from_data(TensorData::new::<f32, _>(values, [strongest.len(), 3, 2, 2]), &Device::flex())
    }

    fn members(categories: &FilterCategories, images: &[Option<usize>]) -> Vec<bool> {
        categories.membership(images, &Device::flex()).into_data().iter::<bool>().collect()
    }

    #[test]
    fn a_filter_goes_to_the_category_that_activates_it_most() {
        let mut categories = FilterCategories::new(3, 2);
        categories.update(maps(&[[1.0, 5.0, 0.0], [3.0, 0.0, 0.0]]), &[Some(0), Some(1)]);
        categories.update(maps(&[[2.0, 1.0, 0.0], [9.0, 90.0, 9.0]]), &[Some(0), None]);
        assert_eq!(categories.mean(0, 0), Some(1.5));
        assert_eq!(categories.mean(1, 0), Some(3.0));
        assert_eq!(categories.mean(0, 1), Some(3.0));
        categories.assign();
        assert_eq!(categories.assigned(), [Some(1), Some(0), None]);
        assert_eq!(categories.mean(0, 0), None);
        // Image of category 0, of category 1, background; three filters each.
        let expected = [false, true, true, true, false, true, false, false, false];
        assert_eq!(members(&categories, &[Some(0), Some(1), None]), expected);
    }

    #[test]
    fn an_assignment_lasts_until_the_filter_fires_for_another() {
        let mut categories = FilterCategories::new(3, 2);
        categories.update(maps(&[[1.0, 1.0, 1.0]]), &[Some(1)]);
        categories.assign();
        categories.assign();
        assert_eq!(categories.assigned(), [Some(1); 3]);
        categories.update(maps(&[[1.0, 2.0, 0.0], [1.0, 1.0, 0.0]]), &[Some(0), Some(1)]);
        categories.assign();
        assert_eq!(categories.assigned(), [Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn all_filters_belong_to_a_single_category() {
        let categories = FilterCategories::new(2, 1);
        assert_eq!(categories.assigned(), [Some(0), Some(0)]);
        assert_eq!(members(&categories, &[None, Some(0)]), [false, false, true, true]);
    }

    #[test]
    fn a_resumed_fit_goes_on_as_if_it_had_not_stopped() {
        let mut categories = FilterCategories::new(3, 2);
        categories.update(maps(&[[1.0, 2.0, 3.0]]), &[Some(1)]);
        categories.assign();
        categories.update(maps(&[[0.1, 0.7, 1e-9]]), &[Some(0)]);
        let mut resumed = FilterCategories::load_binary(config_to_json(&categories).as_bytes()).unwrap();
        assert_eq!(resumed, categories);
        for categories in [&mut categories, &mut resumed] {
            categories.update(maps(&[[0.3, 0.2, 0.3]]), &[Some(1)]);
            categories.assign();
        }
        assert_eq!(resumed, categories);
    }

    #[test]
    fn a_file_that_does_not_fit_together_is_an_error() {
        let text = config_to_json(&FilterCategories::new(3, 2)).replace("\"filters\": 3", "\"filters\": 4");
        let error = FilterCategories::load_binary(text.as_bytes()).unwrap_err();
        assert!(format!("{error:?}").contains("4 filters and 2 categories"), "{error:?}");
    }

    #[test]
    #[should_panic(expected = "category 2 of 2")]
    fn an_unknown_category_is_refused() {
        FilterCategories::new(3, 2).update(maps(&[[1.0; 3]]), &[Some(2)]);
    }

    #[test]
    #[should_panic(expected = "another number of filters")]
    fn maps_of_other_filters_are_refused() {
        FilterCategories::new(4, 2).update(maps(&[[1.0; 3]]), &[Some(1)]);
    }
}
