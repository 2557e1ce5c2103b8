//! Where a unit looks: strides and centres of a stack of layers.

use serde::{Deserialize, Serialize};

/// The geometry by which a unit of a layer is projected to the image, the same along both axes.
///
/// Unit `u` (0-based, along either axis) is centred at
///
/// `pixel(u) = center + stride · u`,
///
/// where 0 is the centre of the first pixel. A field is composed layer by layer with
/// [`then`](Self::then), starting from the [pixels](Self::pixels) themselves.
///
/// Source: the receptive-field centres and strides by which Zhang et al. (arXiv:1710.00935)
/// project a filter's strongest unit. Their released code counts from 1 on both sides,
/// `pixel₁ = center₁ + stride · (unit₁ − 1)`: the same map with `center₁ = center + 1`, so its
/// AlexNet conv5 with stride 16 and centre 16 is `center: 15.0` here.
///
/// Units: pixels of the network's input. Zero padding is not clipped: a border unit's field
/// reaches over the edge of the image, and its centre is where the arithmetic puts it.
///
/// ```
/// use explainer_metrics::ReceptiveField;
///
/// let conv1 = ReceptiveField::pixels().then(11, 4, 2); // torchvision's AlexNet
/// assert_eq!((conv1.stride, conv1.center, conv1.size), (4.0, 3.0, 11));
/// assert_eq!(conv1.pixel(10), 43.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReceptiveField {
    /// Distance in pixels between the centres of neighbouring units.
    pub stride: f64,
    /// Pixel (0-based) of the centre of unit 0.
    pub center: f64,
    /// Side of the field in pixels.
    pub size: usize,
}

impl ReceptiveField {
    /// The field of the image's own pixels: stride 1, centre 0, size 1.
    ///
    /// It is also the field of [`Peaks`](crate::Peaks) that are given on a grid of pixels.
    pub const fn pixels() -> Self {
        Self { stride: 1.0, center: 0.0, size: 1 }
    }

    /// The field of a layer of a single unit that sees the whole image of `side` pixels.
    ///
    /// Its unit 0 lies at the image's exact centre, `(side − 1) / 2`, between the units of any
    /// layer with an even number of them: what the always-at-the-centre control needs.
    pub fn whole_image(side: usize) -> Self {
        Self { stride: side as f64, center: (side as f64 - 1.0) / 2.0, size: side }
    }

    /// The field after one more layer (convolution or pool) on top.
    ///
    /// With kernel `k`, stride `s` and padding `p`:
    ///
    /// - `center' = center + ((k − 1) / 2 − p) · stride`
    /// - `size' = size + (k − 1) · stride`
    /// - `stride' = stride · s`
    ///
    /// `padding` is the one before the first unit (top, left); what is added behind the last
    /// changes the number of units and not where they look. A dilation `d` is a kernel of
    /// `d · (k − 1) + 1`. Element-wise layers change nothing.
    ///
    /// # Panics
    ///
    /// If `kernel` or `stride` is zero.
    #[must_use]
    pub fn then(self, kernel: usize, stride: usize, padding: usize) -> Self {
        assert!(
            kernel > 0 && stride > 0,
            "a layer needs a kernel and a stride of at least 1, got kernel {kernel}, stride {stride}"
        );
        let reach = (kernel - 1) as f64;
        Self {
            stride: self.stride * stride as f64,
            center: self.center + (reach / 2.0 - padding as f64) * self.stride,
            size: self.size + (reach * self.stride).round() as usize,
        }
    }

    /// Pixel (0-based) of the centre of `unit` (0-based): `center + stride · unit`.
    pub fn pixel(&self, unit: usize) -> f64 {
        self.center + self.stride * unit as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alexnet_conv5() {
        // torchvision, by hand: centres 3, 7, 7, 15, 15; sizes 11, 19, 51, 67, then 3 × (+32).
        let field = ReceptiveField::pixels()
            .then(11, 4, 2)
            .then(3, 2, 0)
            .then(5, 1, 2)
            .then(3, 2, 0)
            .then(3, 1, 1)
            .then(3, 1, 1)
            .then(3, 1, 1);
        assert_eq!(field, ReceptiveField { stride: 16.0, center: 15.0, size: 163 });
        // The released code's 1-based conv5: 16 + 16 · (unit − 1).
        for unit in 1..=13 {
            assert_eq!(field.pixel(unit - 1) + 1.0, 16.0 + 16.0 * (unit as f64 - 1.0));
        }
    }

    #[test]
    fn vgg16_conv5_3() {
        // 3×3 convolutions with padding 1 leave the centre; each 2×2 pool moves it by half its
        // stride: 0.5, 1.5, 3.5, 7.5.
        let mut field = ReceptiveField::pixels();
        for convolutions in [2, 2, 3, 3] {
            for _ in 0..convolutions {
                field = field.then(3, 1, 1);
            }
            field = field.then(2, 2, 0);
        }
        for _ in 0..3 {
            field = field.then(3, 1, 1);
        }
        assert_eq!(field, ReceptiveField { stride: 16.0, center: 7.5, size: 196 });
        // 14 units lie symmetrically on 224 pixels.
        assert_eq!(field.pixel(0) + field.pixel(13), 223.0);
    }

    #[test]
    fn whole_image_is_centred() {
        let field = ReceptiveField::whole_image(224);
        assert_eq!(field.pixel(0), 111.5);
        assert_eq!(field, {
            let whole = ReceptiveField::pixels().then(224, 224, 0);
            assert_eq!(whole.size, 224);
            whole
        });
    }

    #[test]
    #[should_panic(expected = "kernel 0")]
    fn needs_a_kernel() {
        let _ = ReceptiveField::pixels().then(0, 1, 0);
    }
}
