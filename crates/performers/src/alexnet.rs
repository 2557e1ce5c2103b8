//! AlexNet in torchvision's form.

use burn::config::Config;
use burn::tensor::Device;
use explainer_core::Preprocessing;

use crate::ConvNet;
use crate::architecture::{Architecture, Layer, Sizes, conv, pool};

/// AlexNet as torchvision has it: no groups, no response normalisation (Krizhevsky: *One weird
/// trick for parallelizing convolutional neural networks*, arXiv:1404.5997).
///
/// Made by [`AlexNetConfig::init`] or loaded with [`ConvNet::load`]. torchvision's average pool to
/// 6×6 is the identity for 224×224 images and is left out.
///
/// | layer of the method | here | maps at 224×224 |
/// |---|---|---|
/// | target | relu4 | 13×13×256 |
/// | top conv | conv5 | 13×13×256 |
/// | upper | relu6, relu7 | 4096, 4096 |
pub type AlexNet = ConvNet<AlexNetLayers>;

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

/// Configuration of an [`AlexNet`].
#[derive(Config, Debug)]
pub struct AlexNetConfig {
    /// Output channels of conv1 to conv5.
    #[config(default = "[64, 192, 384, 256, 256]")]
    pub widths: [usize; 5],
    /// Outputs of fc6 and fc7.
    #[config(default = "[4096, 4096]")]
    pub hidden: [usize; 2],
    /// Outputs of the head.
    #[config(default = 1000)]
    pub classes: usize,
    /// Height and width of the images.
    #[config(default = 224)]
    pub input: usize,
    /// Seed of the random weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl AlexNetConfig {
    /// A network with random weights (see [`ConvNet::init`]) and ImageNet's preprocessing.
    ///
    /// # Panics
    /// If the images are too small for the pools.
    pub fn init(&self, device: &Device) -> AlexNet {
        let sizes =
            Sizes { widths: self.widths, hidden: self.hidden, classes: self.classes, input: self.input };
        ConvNet::init(sizes, Preprocessing::imagenet(self.input), self.seed, device)
    }
}

#[cfg(test)]
mod tests {
    use explainer_metrics::ReceptiveField;

    use super::*;

    #[test]
    fn receptive_fields_match_those_worked_out_by_hand() {
        // Centres: conv1 −2 + 5 = 3; pool +1·4 = 7; conv2 (5 wide, padding 2) stays; pool +1·8 = 15;
        // the 3×3 convolutions with padding 1 stay. Sizes: 11, +2·4, +4·8, +2·8, then +2·16 each.
        let expected = ReceptiveField { stride: 16.0, center: 15.0, size: 163 };
        assert_eq!(AlexNetLayers::field(AlexNetLayers::top_conv()), expected);
        assert_eq!(AlexNetLayers::field(AlexNetLayers::target()), ReceptiveField { size: 131, ..expected });
    }

    #[test]
    fn sides_are_those_of_the_paper() {
        let sides: Vec<_> = (0..13).filter_map(|row| AlexNetLayers::side(row, 224)).collect();
        assert_eq!(sides, [55, 55, 27, 27, 27, 13, 13, 13, 13, 13, 13, 13, 6]);
        assert_eq!(AlexNetLayers::pooled_side(60), None, "too small for the last pool");
        assert_eq!(AlexNetLayers::FEATURES[AlexNetLayers::top_conv()], conv(4, 3, 1, 1));
    }
}
