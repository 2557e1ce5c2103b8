//! Linear heads that teach a network more than classes, and are thrown away.

use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use explainer_core::Performer;

use super::TrainError;
use crate::network::zero_linear;

/// One linear head for all attributes, on the top conv's maps averaged over their units; `None` of no attributes.
pub(super) fn heads(network: &impl Performer, values: &[usize], device: &Device) -> Option<Linear> {
    let [_, channels] = network.blueprint().top.channels();
    (!values.is_empty()).then(|| zero_linear(channels, values.iter().sum(), device))
}

/// Checks the attributes of an example against their numbers of values.
pub(super) fn check(index: usize, attributes: &[Option<usize>], values: &[usize]) -> Result<(), TrainError> {
    let fits = |(label, values): (&Option<usize>, &usize)| label.is_none_or(|label| label < *values);
    if attributes.len() == values.len() && attributes.iter().zip(values).all(fits) {
        return Ok(());
    }
    Err(TrainError::Attributes { index, found: attributes.to_vec(), values: values.to_vec() })
}

/// The cross-entropy of each attribute that is known, `−Σ_a ln softmax(s_a)[label_a]`, a mean over the batch.
///
/// # Shapes
/// `maps` are `[batch, channels, height, width]`; `labels` has a row of attributes for each image.
pub(super) fn loss(
    heads: &Linear,
    maps: Tensor<4>,
    labels: &[Vec<Option<usize>>],
    values: &[usize],
) -> Tensor<1> {
    let (batch, total) = (labels.len(), values.iter().sum::<usize>());
    let means: Tensor<2> = maps.mean_dim(3).mean_dim(2).flatten(1, 3);
    let scores = heads.forward(means);
    let mut start = 0;
    let logs = values.iter().map(|&count| {
        let own = scores.clone().narrow(1, start, count);
        start += count;
        log_softmax(own, 1)
    });
    let logs = Tensor::cat(logs.collect(), 1);
    let known = labels.iter().flat_map(|labels| {
        let of =
            |(&label, &count): (&Option<usize>, &usize)| (0..count).map(move |value| label == Some(value));
        labels.iter().zip(values).flat_map(of)
    });
    let known: Vec<f32> = known.map(|known| f32::from(u8::from(known))).collect();
    let known = Tensor::<2>::from_data(TensorData::new(known, [batch, total]), &logs.device());
    (logs * known).sum().neg().div_scalar(batch as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_does_not_count() {
        let device = Device::flex();
        let mut heads = zero_linear(2, 5, &device);
        let weight = [[1.0f32, 0.0, 0.5, 0.0, -1.0], [0.0, 2.0, 0.0, 1.0, 0.0]];
        heads.weight = heads.weight.map(|_| Tensor::from_data(weight, &device));
        // The maps' means are 1, 2 and 3, 0.
        let maps =
            Tensor::<4>::from_data([[[[0.0f32, 2.0]], [[2.0, 2.0]]], [[[3.0, 3.0]], [[0.0, 0.0]]]], &device);
        let labels = [vec![Some(1), None], vec![None, Some(2)]];
        let found = f64::from(loss(&heads, maps, &labels, &[2, 3]).into_scalar::<f32>());
        // Scores 1, 4 of the first attribute, and 1.5, 0, -3 of the second.
        let first = (4.0f64.exp() / (1.0f64.exp() + 4.0f64.exp())).ln();
        let second = ((-3.0f64).exp() / (1.5f64.exp() + 1.0 + (-3.0f64).exp())).ln();
        assert!((found + (first + second) / 2.0).abs() < 1e-5, "{found}");
    }

    #[test]
    fn attributes_must_fit() {
        assert!(check(0, &[Some(1), None], &[2, 3]).is_ok());
        for wrong in [vec![], vec![Some(2), None], vec![Some(0); 3]] {
            let error = check(7, &wrong, &[2, 3]).unwrap_err();
            assert!(matches!(error, TrainError::Attributes { index: 7, .. }), "{error}");
        }
    }
}
