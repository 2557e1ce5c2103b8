//! What an explainer is fitted to do.

use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// What an explainer is fitted to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// To reconstruct the performer's upper features: `Σ_l λ_l ‖x_l − x*_l‖²`.
    Reconstruction,
    /// To classify the images, through the performer's head, which stays as it is: explainer+cls of
    /// arXiv:1805.07468, in which the classification loss takes the place of the reconstruction loss. With
    /// scores s of the head and the class c of an image, `−log softmax(s)_c`; with a single score
    /// `−log sigmoid(±s)`, + for class 1. Mean over the images of a batch.
    Classification(Labels),
}

/// The performer's classes of the images. One of a single score has class 1 (above 0) and class 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Of each category.
    pub categories: Vec<usize>,
    /// Of images without a category, if there are any.
    pub negative: Option<usize>,
}

impl Labels {
    /// The class of images of a category, or of none; `None` if they have none.
    pub fn class(&self, category: Option<usize>) -> Option<usize> {
        category.map_or(self.negative, |category| self.categories.get(category).copied())
    }

    /// The classes of images.
    ///
    /// # Panics
    /// If an image is of a category without a class.
    pub(crate) fn of(&self, categories: &[Option<usize>]) -> Vec<usize> {
        let class = |&category: &Option<usize>| {
            self.class(category)
                .unwrap_or_else(|| panic!("there is no class of images of category {category:?} in {self:?}"))
        };
        categories.iter().map(class).collect()
    }

    /// The mean loss of a batch of scores, `[batch, classes]`.
    ///
    /// # Panics
    /// If there is not one category for each image, or a class has no score.
    pub(crate) fn loss(&self, scores: Tensor<2>, categories: &[Option<usize>]) -> Tensor<1> {
        let ([batch, found], classes) = (scores.dims(), self.of(categories));
        assert_eq!(batch, classes.len(), "one category for each image is needed");
        let known = found.max(2);
        assert!(classes.iter().all(|&class| class < known), "classes {classes:?} of {known}");
        let device = scores.device().inner();
        let likelihoods = if found == 1 {
            let signs: Vec<f32> = classes.iter().map(|&class| if class == 1 { 1.0 } else { -1.0 }).collect();
            let signs = Tensor::<2>::from_data(TensorData::new(signs, [batch, 1]), &device);
            log_sigmoid(scores * signs.autodiff())
        } else {
            let classes: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
            let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [batch, 1]), &device);
            log_softmax(scores, 1).gather(1, classes)
        };
        likelihoods.mean().neg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn value(labels: &Labels, scores: Tensor<2>, categories: &[Option<usize>]) -> f64 {
        f64::from(labels.loss(scores.autodiff(), categories).into_scalar::<f32>())
    }

    #[test]
    fn losses_are_their_definitions() {
        let device = Device::flex();
        let rows = [[1.5f32, -0.5, 0.25], [-2.0, -0.25, -1.0]];
        let labels = Labels { categories: vec![2, 0], negative: Some(1) };
        let log_sum = |row: [f32; 3]| row.iter().map(|&score| f64::from(score).exp()).sum::<f64>().ln();
        let expected = (log_sum(rows[0]) - 0.25 + log_sum(rows[1]) + 0.25) / 2.0;
        let found = value(&labels, Tensor::from_floats(rows, &device), &[Some(0), None]);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");

        let single = Labels { categories: vec![1], negative: Some(0) };
        let softplus = |x: f64| (1.0 + x.exp()).ln();
        let expected = (softplus(-1.5) + softplus(-0.5)) / 2.0;
        let found = value(&single, Tensor::from_floats([[1.5], [-0.5]], &device), &[Some(0), None]);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    #[should_panic(expected = "no class of images of category None")]
    fn an_image_without_a_class_is_named() {
        Labels { categories: vec![0], negative: None }.of(&[Some(0), None]);
    }
}
