//! Linear heads that teach a network more than classes, and are thrown away.

use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use explainer_core::Performer;
use explainer_metrics::ReceptiveField;

use super::TrainError;
use crate::network::zero_linear;

/// An attribute of an example, such as the shape of one of its parts, and where it is to be seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute {
    /// Its value, from 0 on.
    pub value: usize,
    /// Its place in the image, `[x, y]` in pixels.
    pub place: [f64; 2],
}

/// One linear head for all attributes, on the vectors of the top conv's units; `None` of no attributes.
pub(super) fn heads(network: &impl Performer, values: &[usize], device: &Device) -> Option<Linear> {
    let [_, channels] = network.blueprint().top.channels();
    (!values.is_empty()).then(|| zero_linear(channels, values.iter().sum(), device))
}

/// Checks the attributes of an example against their numbers of values.
pub(super) fn check(
    index: usize,
    attributes: &[Option<Attribute>],
    values: &[usize],
) -> Result<(), TrainError> {
    let fits =
        |(found, values): (&Option<Attribute>, &usize)| found.is_none_or(|found| found.value < *values);
    if attributes.len() == values.len() && attributes.iter().zip(values).all(fits) {
        return Ok(());
    }
    Err(TrainError::Attributes { index, found: attributes.to_vec(), values: values.to_vec() })
}

/// The cross-entropy of each attribute that is known, `−Σ_a ln softmax(W_aᵀ x(u_a))[value_a]`, a mean over the batch; x(u_a)
/// is the vector of the unit that is nearest to the attribute's place.
///
/// # Shapes
/// `maps` are `[batch, channels, height, width]`, with units of `field`; `labels` has a row of attributes for each image.
pub(super) fn loss(
    heads: &Linear,
    maps: Tensor<4>,
    field: &ReceptiveField,
    labels: &[Vec<Option<Attribute>>],
    values: &[usize],
) -> Tensor<1> {
    let [batch, _, height, width] = maps.dims();
    let (attributes, total) = (values.len(), values.iter().sum::<usize>());
    let mut chosen = vec![0f32; batch * attributes * height * width];
    let mut known = vec![0f32; batch * total];
    let nearest = |at: f64, end: usize| {
        let unit = ((at - field.center) / field.stride).round().max(0.0) as usize;
        unit.min(end - 1)
    };
    for (image, labels) in labels.iter().enumerate() {
        let mut start = 0;
        for (attribute, (label, count)) in labels.iter().zip(values).enumerate() {
            if let Some(Attribute { value, place: [x, y] }) = *label {
                let unit = nearest(y, height) * width + nearest(x, width);
                chosen[(image * attributes + attribute) * height * width + unit] = 1.0;
                known[image * total + start + value] = 1.0;
            }
            start += count;
        }
    }
    let device = maps.device();
    let chosen = TensorData::new(chosen, [batch, attributes, height * width]);
    let vectors = Tensor::<3>::from_data(chosen, &device).matmul(maps.flatten::<3>(2, 3).swap_dims(1, 2));
    let mut start = 0;
    let logs = values.iter().enumerate().map(|(attribute, &count)| {
        let own: Tensor<2> = vectors.clone().narrow(1, attribute, 1).squeeze_dim(1);
        let scores = heads.forward(own).narrow(1, start, count);
        start += count;
        log_softmax(scores, 1)
    });
    let logs = Tensor::cat(logs.collect(), 1);
    let known = Tensor::<2>::from_data(TensorData::new(known, [batch, total]), &device);
    (logs * known).sum().neg().div_scalar(batch as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: usize, x: f64) -> Option<Attribute> {
        Some(Attribute { value, place: [x, 3.0] })
    }

    #[test]
    fn what_is_not_known_does_not_count() {
        let device = Device::flex();
        let mut heads = zero_linear(2, 5, &device);
        let weight = [[1.0f32, 0.0, 0.5, 0.0, -1.0], [0.0, 2.0, 0.0, 1.0, 0.0]];
        heads.weight = heads.weight.map(|_| Tensor::from_data(weight, &device));
        // Maps of one row of two units, 8 pixels wide each.
        let field = ReceptiveField::pixels().then(8, 8, 0);
        let maps =
            Tensor::<4>::from_data([[[[0.0f32, 2.0]], [[1.0, 2.0]]], [[[3.0, 5.0]], [[0.0, 7.0]]]], &device);
        let labels = [vec![at(1, 15.0), None], vec![None, at(2, 1.0)]];
        let found = f64::from(loss(&heads, maps, &field, &labels, &[2, 3]).into_scalar::<f32>());
        // Scores 2, 4 of the first attribute at the second unit, and 1.5, 0, -3 of the second at the first.
        let first = (4.0f64.exp() / (2.0f64.exp() + 4.0f64.exp())).ln();
        let second = ((-3.0f64).exp() / (1.5f64.exp() + 1.0 + (-3.0f64).exp())).ln();
        assert!((found + (first + second) / 2.0).abs() < 1e-5, "{found}");
    }

    #[test]
    fn attributes_must_fit() {
        assert!(check(0, &[at(1, 0.0), None], &[2, 3]).is_ok());
        for wrong in [vec![], vec![at(2, 0.0), None], vec![at(0, 0.0); 3]] {
            let error = check(7, &wrong, &[2, 3]).unwrap_err();
            assert!(matches!(error, TrainError::Attributes { index: 7, .. }), "{error}");
        }
    }
}
