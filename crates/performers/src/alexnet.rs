//! AlexNet, as torchvision and as Caffe have it.

use explainer_core::Preprocessing;

use crate::architecture::{Architecture, Layer, ResponseNorm, conv, pool};
use crate::{ConvNet, ConvNetConfig};

/// AlexNet as torchvision has it: no groups, no response normalisation (Krizhevsky: *One weird
/// trick for parallelizing convolutional neural networks*, arXiv:1404.5997).
///
/// torchvision's average pool to 6×6 is the identity for 224×224 images and is left out.
///
/// | layer of the method | here | maps at 224×224 |
/// |---|---|---|
/// | target | relu4 | 13×13×256 |
/// | top conv | conv5 | 13×13×256 |
/// | upper | relu6, relu7 | 4096, 4096 |
pub type AlexNet = ConvNet<AlexNetLayers>;

/// Configuration of an [`AlexNet`].
pub type AlexNetConfig = ConvNetConfig<AlexNetLayers>;

/// The table of [`AlexNet`].
#[derive(Clone, Debug)]
pub struct AlexNetLayers;

impl Architecture for AlexNetLayers {
    const NAME: &'static str = "AlexNet";

    const FEATURES: &'static [Layer] = &[
        conv(0, 11, 4, 2), //  0  conv1
        Layer::Relu,       //  1
        pool(3, 2),        //  2
        conv(1, 5, 1, 2),  //  3  conv2
        Layer::Relu,       //  4
        pool(3, 2),        //  5
        conv(2, 3, 1, 1),  //  6  conv3
        Layer::Relu,       //  7
        conv(3, 3, 1, 1),  //  8  conv4
        Layer::Relu,       //  9
        conv(4, 3, 1, 1),  // 10  conv5
        Layer::Relu,       // 11
        pool(3, 2),        // 12
    ];

    // 0 dropout, 1 fc6, 2 ReLU, 3 dropout, 4 fc7, 5 ReLU, 6 head.
    const CLASSIFIER: [usize; 3] = [1, 4, 6];

    const WIDTHS: [usize; 5] = [64, 192, 384, 256, 256];
}

/// AlexNet as Caffe and MatConvNet (`imagenet-caffe-alex`) have it, the one of the method's paper: conv2,
/// conv4 and conv5 in two groups, response normalisation behind relu1 and relu2 (Krizhevsky, Sutskever and
/// Hinton, NIPS 2012).
///
/// A state dict names its layers as a `features` of the table's rows and a `classifier` of fc6, ReLU,
/// dropout, fc7, ReLU, dropout and head would be named.
///
/// | layer of the method | here | maps at 227×227 |
/// |---|---|---|
/// | target | relu4, the 12th layer | 13×13×384 |
/// | top conv | conv5 | 13×13×256 |
/// | upper | relu6, relu7 | 4096, 4096 |
pub type CaffeAlexNet = ConvNet<CaffeAlexNetLayers>;

/// Configuration of a [`CaffeAlexNet`].
pub type CaffeAlexNetConfig = ConvNetConfig<CaffeAlexNetLayers>;

/// The table of [`CaffeAlexNet`].
#[derive(Clone, Debug)]
pub struct CaffeAlexNetLayers;

/// Caffe's response normalisation: MatConvNet's `[5 1 0.0001/5 0.75]`.
const NORM: Layer = Layer::ResponseNorm(ResponseNorm { size: 5, alpha: 1e-4, beta: 0.75, k: 1.0 });

/// A convolution in two groups.
const fn halves(width: usize, kernel: usize, padding: usize) -> Layer {
    Layer::Conv { width, kernel, stride: 1, padding, groups: 2 }
}

impl Architecture for CaffeAlexNetLayers {
    const NAME: &'static str = "Caffe's AlexNet";

    const FEATURES: &'static [Layer] = &[
        conv(0, 11, 4, 0), //  0  conv1
        Layer::Relu,       //  1
        NORM,              //  2
        pool(3, 2),        //  3
        halves(1, 5, 2),   //  4  conv2
        Layer::Relu,       //  5
        NORM,              //  6
        pool(3, 2),        //  7
        conv(2, 3, 1, 1),  //  8  conv3
        Layer::Relu,       //  9
        halves(3, 3, 1),   // 10  conv4
        Layer::Relu,       // 11
        halves(4, 3, 1),   // 12  conv5
        Layer::Relu,       // 13
        pool(3, 2),        // 14
    ];

    // 0 fc6, 1 ReLU, 2 dropout, 3 fc7, 4 ReLU, 5 dropout, 6 head.
    const CLASSIFIER: [usize; 3] = [0, 3, 6];

    const WIDTHS: [usize; 5] = [96, 256, 384, 384, 256];

    const INPUT: usize = 227;

    fn preprocessing(size: usize) -> Preprocessing {
        caffe(size)
    }
}

/// Pixels in 0..255 less ImageNet's mean of each channel, as Caffe's networks were trained. The networks
/// of the paper take off a mean image instead, which comes with their weights.
pub(crate) fn caffe(size: usize) -> Preprocessing {
    const MEAN: [f32; 3] = [123.68 / 255.0, 116.779 / 255.0, 103.939 / 255.0];
    Preprocessing::new(size, MEAN, [1.0 / 255.0; 3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::testing::{assert_fields, assert_sides};

    #[test]
    fn torchvisions_sizes_and_fields_are_those_worked_out_by_hand() {
        assert_sides::<AlexNetLayers>(224, &[55, 55, 27, 27, 27, 13, 13, 13, 13, 13, 13, 13, 6]);
        assert_eq!(AlexNetLayers::pooled_side(60), None, "too small for the last pool");
        // Centres: conv1 −2 + 5 = 3; pool +1·4 = 7; conv2 (5 wide, padding 2) stays; pool +1·8 = 15;
        // the 3×3 convolutions with padding 1 stay. Sizes: 11, +2·4, +4·8, +2·8, then +2·16 each.
        assert_fields::<AlexNetLayers>(&[
            (4.0, 3.0, 11),
            (8.0, 7.0, 51),
            (16.0, 15.0, 99),
            (16.0, 15.0, 131),
            (16.0, 15.0, 163),
        ]);
    }

    #[test]
    fn caffes_sizes_and_fields_are_those_worked_out_by_hand() {
        // METHOD's table: relu4 is the 12th layer, 13×13×384, and conv5 has 256 channels.
        assert_sides::<CaffeAlexNetLayers>(227, &[55, 55, 55, 27, 27, 27, 27, 13, 13, 13, 13, 13, 13, 13, 6]);
        assert_eq!(CaffeAlexNetLayers::target() + 1, 12);
        assert_eq!(CaffeAlexNetLayers::WIDTHS[3..], [384, 256]);
        // Without padding conv1 is centred at 5: 5, pool +1·4 = 9, pool +1·8 = 17.
        assert_fields::<CaffeAlexNetLayers>(&[
            (4.0, 5.0, 11),
            (8.0, 9.0, 51),
            (16.0, 17.0, 99),
            (16.0, 17.0, 131),
            (16.0, 17.0, 163),
        ]);
    }
}
