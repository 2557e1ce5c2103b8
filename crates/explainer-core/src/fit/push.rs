//! The gradient of the filter loss, at the strength that is asked for.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::memory::{in_memory, values, values_mut};

/// `rest + λ · g ∘ a` and λ `[1]`, where a is 1 at units that fire and 0 elsewhere, and λ such that
/// `‖λ · g ∘ a‖ = ratio · ‖rest ∘ a‖`; λ = 0 where there is nothing to push.
///
/// Through the ReLU nothing reaches a unit at zero: it counts on neither side.
///
/// # Shapes
/// - gradient g, maps and rest: `[batch, D, L, L]`, the maps after the ReLU; g is of the filter loss, rest of all else
pub(super) fn pushed(
    gradient: Tensor<4>,
    maps: Tensor<4>,
    rest: Tensor<4>,
    ratio: f64,
) -> (Tensor<4>, Tensor<1>) {
    if [&gradient, &maps, &rest].into_iter().all(in_memory) {
        in_two_passes(gradient, maps, rest, ratio)
    } else {
        by_operations(gradient, maps, rest, ratio)
    }
}

fn by_operations(
    gradient: Tensor<4>,
    maps: Tensor<4>,
    rest: Tensor<4>,
    ratio: f64,
) -> (Tensor<4>, Tensor<1>) {
    let active = maps.greater_scalar(0.0).float();
    let gradient = gradient * active.clone();
    // Divided by its largest value, so that squares stay within `f32`; with nothing to divide there is nothing to push.
    let largest: Tensor<4> = gradient.clone().abs().max().reshape([1, 1, 1, 1]);
    let silent = largest.clone().equal_scalar(0.0).float();
    let divisor = largest + silent.clone();
    let direction = gradient / divisor.clone();
    let norm = |x: Tensor<4>| -> Tensor<4> { x.powi_scalar(2).sum().sqrt().reshape([1, 1, 1, 1]) };
    let length = norm(rest.clone() * active) / (norm(direction.clone()) + silent.clone()) * ratio;
    let length = length * silent.neg().add_scalar(1.0);
    let lambda: Tensor<1> = (length.clone() / divisor).reshape([1]);
    (rest + direction * length, lambda)
}

/// On the CPU, where each of those operations would go through memory on one thread.
fn in_two_passes(
    gradient: Tensor<4>,
    maps: Tensor<4>,
    rest: Tensor<4>,
    ratio: f64,
) -> (Tensor<4>, Tensor<1>) {
    let ([_, _, height, width], device) = (maps.dims(), maps.device());
    let (units, [gradient, maps, mut rest]) = (height * width, [gradient, maps, rest].map(Tensor::into_data));
    let maps = values(&maps).par_chunks(units);
    let squares = |values: &TensorData| -> f64 {
        let of_map = |(values, maps): (&[f32], &[f32])| {
            let active = values.iter().zip(maps).filter(|(_, unit)| **unit > 0.0);
            active.map(|(value, _)| f64::from(*value).powi(2)).sum()
        };
        // Collected first: the sum has the same order whatever the number of threads.
        let sums: Vec<f64> = self::values(values).par_chunks(units).zip(maps.clone()).map(of_map).collect();
        sums.into_iter().sum()
    };
    let (own, others) = (squares(&gradient).sqrt(), squares(&rest).sqrt());
    let lambda = if own == 0.0 { 0.0 } else { (ratio * others / own) as f32 };
    let gradients = values(&gradient).par_chunks(units);
    values_mut(&mut rest).par_chunks_mut(units).zip(gradients).zip(maps).for_each(
        |((rest, gradient), maps)| {
            for ((rest, gradient), unit) in rest.iter_mut().zip(gradient).zip(maps) {
                *rest += if *unit > 0.0 { lambda * gradient } else { 0.0 };
            }
        },
    );
    (Tensor::from_data(rest, &device), Tensor::from_floats([lambda], &device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::init::Initializer;
    use burn::tensor::Device;

    /// In memory and by operations, and that the norms are as asked for; also of tiny and of no gradients.
    #[test]
    fn the_push_is_as_strong_as_asked_for() {
        let mut init = Initializer::new(8, &Device::flex());
        let mut drawn = || init.linear(4 * 3, 5 * 5).weight.val().reshape([4, 3, 5, 5]);
        let (maps, gradient, rest) = (drawn().clamp_min(0.0), drawn(), drawn());
        let active = maps.clone().greater_scalar(0.0).float();
        let norm = |x: Tensor<4>| (x * active.clone()).powi_scalar(2).sum().sqrt().into_scalar::<f32>();
        for scale in [1.0, 1e-30] {
            let gradient = gradient.clone().mul_scalar(scale);
            let (sum, lambda) = pushed(gradient.clone(), maps.clone(), rest.clone(), 0.3);
            let (expected, lambda_too) = by_operations(gradient, maps.clone(), rest.clone(), 0.3);
            assert!((floats(lambda)[0] / floats(lambda_too)[0] - 1.0).abs() < 1e-5);
            assert!((sum.clone() - expected).abs().max().into_scalar::<f32>() < 1e-6);
            let push = sum - rest.clone();
            assert!((norm(push.clone()) / norm(rest.clone()) - 0.3).abs() < 1e-5);
            let silent = push * active.clone().neg().add_scalar(1.0);
            assert_eq!(silent.abs().max().into_scalar::<f32>(), 0.0, "units that do not fire are left alone");
        }
        for way in [pushed, by_operations] {
            let (sum, lambda) = way(gradient.zeros_like(), maps.clone(), rest.clone(), 0.3);
            assert_eq!((floats(sum), floats(lambda)), (floats(rest.clone()), vec![0.0]));
        }
    }
}
