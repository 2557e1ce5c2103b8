//! What all methods have in common.

use burn::tensor::Tensor;

use crate::BaselineError;

/// A dictionary of K atoms for activation vectors of C channels: `x ≈ z · D`.
///
/// Source: the view of concept extraction as dictionary learning, Fel et al., arXiv:2306.07304.
pub trait Dictionary {
    /// K, the number of atoms.
    fn width(&self) -> usize;

    /// The codes z of activation vectors, `[n, K]` of `[n, C]`.
    fn encode(&self, activations: Tensor<2>) -> Tensor<2>;

    /// The activation vectors of codes, `[n, C]` of `[n, K]`.
    fn decode(&self, codes: Tensor<2>) -> Tensor<2>;

    /// How strongly an atom is there, by which peaks are read and images are ranked: the code itself, unless a
    /// method's codes are signed. Any shape's elements by themselves, here `[N, K, L, L]`.
    fn strength(&self, codes: Tensor<4>) -> Tensor<4> {
        codes
    }

    /// Codes of the units of maps, `[N, K, L, L]` of `[N, C, L, L]`.
    fn encode_maps(&self, maps: Tensor<4>) -> Tensor<4> {
        by_unit(maps, |activations| self.encode(activations))
    }

    /// Maps of the codes of units, `[N, C, L, L]` of `[N, K, L, L]`.
    fn decode_maps(&self, codes: Tensor<4>) -> Tensor<4> {
        by_unit(codes, |codes| self.decode(codes))
    }
}

/// `of` on the vectors of all units.
fn by_unit(maps: Tensor<4>, of: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<4> {
    let [batch, _, height, width] = maps.dims();
    let made = of(vectors(maps));
    let channels = made.dims()[1];
    made.reshape([batch, height, width, channels]).permute([0, 3, 1, 2])
}

/// The activation vectors of maps, image by image and row by row: `[N·h·w, C]` of `[N, C, h, w]`.
pub(crate) fn vectors(maps: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = maps.dims();
    maps.permute([0, 2, 3, 1]).reshape([batch * height * width, channels])
}

/// `Σ x²`.
pub(crate) fn squares(values: Tensor<2>) -> f64 {
    // By row first: a sum over millions of values in `f32` would lose digits.
    total(values.square().sum_dim(1).flatten(0, 1))
}

/// The sum in `f64`.
pub(crate) fn total(values: Tensor<1>) -> f64 {
    values.into_data().iter::<f32>().map(f64::from).sum()
}

/// The number of activation vectors and of channels, if there are `expected` vectors at least and every value is
/// finite.
pub(crate) fn checked(
    method: &'static str,
    activations: &Tensor<2>,
    expected: usize,
) -> Result<[usize; 2], BaselineError> {
    let [found, channels] = activations.dims();
    if found < expected {
        return Err(BaselineError::TooFew { method, expected, found });
    }
    // A sum is not finite if one value is not.
    let value = activations.clone().abs().sum().into_scalar::<f32>();
    if !value.is_finite() {
        let what = format!("the sum of all activations given to {method}");
        return Err(BaselineError::NotFinite { what, value });
    }
    Ok([found, channels])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Channels;
    use crate::testing::{floats, relative_error, tensor};

    /// Twice the channels' sum, and nothing else.
    struct Sum;

    impl Dictionary for Sum {
        fn width(&self) -> usize {
            1
        }
        fn encode(&self, activations: Tensor<2>) -> Tensor<2> {
            activations.sum_dim(1)
        }
        fn decode(&self, codes: Tensor<2>) -> Tensor<2> {
            Tensor::cat(vec![codes.clone(), codes], 1)
        }
    }

    #[test]
    fn units_keep_their_place() {
        let values: Vec<f32> = (0..12).map(|at| at as f32).collect();
        let maps = tensor(&values, [12]).reshape([1, 2, 2, 3]);
        let codes = Sum.encode_maps(maps.clone());
        assert_eq!(codes.dims(), [1, 1, 2, 3]);
        assert_eq!(floats(codes.clone()), [6.0, 8.0, 10.0, 12.0, 14.0, 16.0]);
        let decoded = Sum.decode_maps(codes);
        assert_eq!(decoded.dims(), [1, 2, 2, 3]);
        assert_eq!(floats(decoded)[6..], [6.0, 8.0, 10.0, 12.0, 14.0, 16.0]);
        let own = Channels::new(2);
        assert_eq!(floats(own.decode_maps(own.encode_maps(maps.clone()))), values);
        assert_eq!(floats(vectors(maps))[..4], [0.0, 6.0, 1.0, 7.0]);
    }

    #[test]
    fn errors_are_over_the_size_of_the_activations() {
        // Decoded: (4, 4) for (1, 3): 9 + 1 over 1 + 9.
        assert_eq!(relative_error(&Sum, tensor(&[1.0, 3.0], [1, 2])), 1.0);
        assert_eq!(relative_error(&Channels::new(2), tensor(&[1.0, 3.0], [1, 2])), 0.0);
    }

    #[test]
    fn what_cannot_be_fitted_is_told() {
        let few = checked("PCA", &tensor(&[1.0, 3.0], [1, 2]), 2);
        assert_eq!(few, Err(BaselineError::TooFew { method: "PCA", expected: 2, found: 1 }));
        let broken = checked("PCA", &tensor(&[1.0, f32::NAN], [1, 2]), 1);
        assert!(matches!(broken, Err(BaselineError::NotFinite { .. })));
        assert_eq!(checked("PCA", &tensor(&[1.0, -3.0], [1, 2]), 1), Ok([1, 2]));
    }
}
