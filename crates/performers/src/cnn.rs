//! CNN-M and CNN-S of Chatfield et al.

use explainer_core::{Pooling, Preprocessing};

use crate::alexnet::caffe;
use crate::architecture::{Architecture, Layer, ResponseNorm, conv};
use crate::{ConvNet, ConvNetConfig};

/// VGG-M: CNN-M of Chatfield et al. (arXiv:1405.3531), `imagenet-vgg-m` of MatConvNet.
///
/// Pools are rounded up as in Caffe, for which MatConvNet pads by hand. State dicts are named as those of
/// [`CaffeAlexNet`](crate::CaffeAlexNet).
///
/// | layer of the method | here | maps at 224×224 |
/// |---|---|---|
/// | target | relu4, the 12th layer | 13×13×512 |
/// | top conv | conv5 | 13×13×512 |
/// | upper | relu6, relu7 | 4096, 4096 |
pub type VggM = ConvNet<VggMLayers>;

/// Configuration of a [`VggM`].
pub type VggMConfig = ConvNetConfig<VggMLayers>;

/// The table of [`VggM`].
#[derive(Clone, Debug)]
pub struct VggMLayers;

/// VGG-S: CNN-S of Chatfield et al. (arXiv:1405.3531), `imagenet-vgg-s` of MatConvNet. See [`VggM`].
///
/// | layer of the method | here | maps at 224×224 |
/// |---|---|---|
/// | target | relu4, the 11th layer | 17×17×512 |
/// | top conv | conv5 | 17×17×512 |
/// | upper | relu6, relu7 | 4096, 4096 |
pub type VggS = ConvNet<VggSLayers>;

/// Configuration of a [`VggS`].
pub type VggSConfig = ConvNetConfig<VggSLayers>;

/// The table of [`VggS`].
#[derive(Clone, Debug)]
pub struct VggSLayers;

/// MatConvNet's `[5 2 0.0001 0.75]`, whose third value is alpha over the size.
const NORM: Layer = Layer::ResponseNorm(ResponseNorm { size: 5, alpha: 5e-4, beta: 0.75, k: 2.0 });

/// A max-pool as Caffe has it.
const fn pool(kernel: usize, stride: usize) -> Layer {
    Layer::Pool(Pooling::max(kernel, stride).rounded_up())
}

impl Architecture for VggMLayers {
    const NAME: &'static str = "VGG-M";

    const FEATURES: &'static [Layer] = &[
        conv(0, 7, 2, 0), //  0  conv1
        Layer::Relu,      //  1
        NORM,             //  2
        pool(3, 2),       //  3
        conv(1, 5, 2, 1), //  4  conv2
        Layer::Relu,      //  5
        NORM,             //  6
        pool(3, 2),       //  7
        conv(2, 3, 1, 1), //  8  conv3
        Layer::Relu,      //  9
        conv(3, 3, 1, 1), // 10  conv4
        Layer::Relu,      // 11
        conv(4, 3, 1, 1), // 12  conv5
        Layer::Relu,      // 13
        pool(3, 2),       // 14
    ];

    const CLASSIFIER: [usize; 3] = [0, 3, 6];

    const WIDTHS: [usize; 5] = [96, 256, 512, 512, 512];

    fn preprocessing(size: usize) -> Preprocessing {
        caffe(size)
    }
}

impl Architecture for VggSLayers {
    const NAME: &'static str = "VGG-S";

    const FEATURES: &'static [Layer] = &[
        conv(0, 7, 2, 0), //  0  conv1
        Layer::Relu,      //  1
        NORM,             //  2
        pool(3, 3),       //  3
        conv(1, 5, 1, 0), //  4  conv2
        Layer::Relu,      //  5
        pool(2, 2),       //  6
        conv(2, 3, 1, 1), //  7  conv3
        Layer::Relu,      //  8
        conv(3, 3, 1, 1), //  9  conv4
        Layer::Relu,      // 10
        conv(4, 3, 1, 1), // 11  conv5
        Layer::Relu,      // 12
        pool(3, 3),       // 13
    ];

    const CLASSIFIER: [usize; 3] = [0, 3, 6];

    const WIDTHS: [usize; 5] = [96, 256, 512, 512, 512];

    fn preprocessing(size: usize) -> Preprocessing {
        caffe(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::testing::{assert_fields, assert_sides};

    #[test]
    fn vgg_m_has_the_papers_sizes_and_the_fields_worked_out_by_hand() {
        // (224 − 7)/2 = 108.5; (109 − 3)/2 = 53; (54 + 2 − 5)/2 = 25.5; (26 − 3)/2 = 11.5, rounded up 12.
        assert_sides::<VggMLayers>(224, &[109, 109, 109, 54, 26, 26, 26, 13, 13, 13, 13, 13, 13, 13, 6]);
        assert_eq!(VggMLayers::target() + 1, 12);
        // Centres: conv1 3; pool +1·2 = 5; conv2 + (2 − 1)·4 = 9; pool +1·8 = 17; then they stay.
        // Sizes: 7, +2·2 = 11, +4·4 = 27, +2·8 = 43, then +2·16 each.
        assert_fields::<VggMLayers>(&[
            (2.0, 3.0, 7),
            (8.0, 9.0, 27),
            (16.0, 17.0, 75),
            (16.0, 17.0, 107),
            (16.0, 17.0, 139),
        ]);
    }

    #[test]
    fn vgg_s_has_the_papers_sizes_and_the_fields_worked_out_by_hand() {
        // (109 − 3)/3 = 35.3, rounded up 36; 37 − 4 = 33; (33 − 2)/2 = 15.5, rounded up 16;
        // (17 − 3)/3 = 4.7, rounded up 5.
        assert_sides::<VggSLayers>(224, &[109, 109, 109, 37, 33, 33, 17, 17, 17, 17, 17, 17, 17, 6]);
        assert_eq!(VggSLayers::target() + 1, 11);
        // Centres: conv1 3; pool +1·2 = 5; conv2 +2·6 = 17; pool +0.5·6 = 20; then they stay.
        // Sizes: 7, +2·2 = 11, +4·6 = 35, +1·6 = 41, then +2·12 each.
        assert_fields::<VggSLayers>(&[
            (2.0, 3.0, 7),
            (6.0, 17.0, 35),
            (12.0, 20.0, 65),
            (12.0, 20.0, 89),
            (12.0, 20.0, 113),
        ]);
    }
}
