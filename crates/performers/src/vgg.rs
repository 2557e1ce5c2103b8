//! VGG-16 of any widths.

use burn::config::Config;
use burn::tensor::Device;
use explainer_core::Preprocessing;

use crate::ConvNet;
use crate::architecture::{Architecture, Layer, Sizes, conv, pool};

/// VGG-16 (configuration D of Simonyan and Zisserman, arXiv:1409.1556), without batch norm.
///
/// Made by [`Vgg16Config::init`] or loaded with [`ConvNet::load`]. fc6 reads the last pool's maps as
/// they are, 7×7 for 224×224 images, where torchvision's average pool is the identity.
///
/// | layer of the method | here | maps at 224×224 |
/// |---|---|---|
/// | target | relu5-2 | 14×14×512 |
/// | top conv | conv5-3 | 14×14×512 |
/// | upper | relu6, relu7 | 4096, 4096 |
pub type Vgg16 = ConvNet<Vgg16Layers>;

/// The table of [`Vgg16`].
#[derive(Clone, Debug)]
pub struct Vgg16Layers;

/// A 3×3 convolution of a stage.
const fn conv3(stage: usize) -> Layer {
    conv(stage, 3, 1, 1)
}

impl Architecture for Vgg16Layers {
    const NAME: &'static str = "VGG-16";

    #[rustfmt::skip]
    const FEATURES: &'static [Layer] = &[
        conv3(0), Layer::Relu, conv3(0), Layer::Relu, pool(2, 2),                         //  0  2 |  4
        conv3(1), Layer::Relu, conv3(1), Layer::Relu, pool(2, 2),                         //  5  7 |  9
        conv3(2), Layer::Relu, conv3(2), Layer::Relu, conv3(2), Layer::Relu, pool(2, 2),  // 10 12 14 | 16
        conv3(3), Layer::Relu, conv3(3), Layer::Relu, conv3(3), Layer::Relu, pool(2, 2),  // 17 19 21 | 23
        conv3(4), Layer::Relu, conv3(4), Layer::Relu, conv3(4), Layer::Relu, pool(2, 2),  // 24 26 28 | 30
    ];

    // 0 fc6, 1 ReLU, 2 dropout, 3 fc7, 4 ReLU, 5 dropout, 6 head.
    const CLASSIFIER: [usize; 3] = [0, 3, 6];

    const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];
}

/// Configuration of a [`Vgg16`].
#[derive(Config, Debug)]
pub struct Vgg16Config {
    /// Output channels of the five stages.
    #[config(default = "[64, 128, 256, 512, 512]")]
    pub widths: [usize; 5],
    /// Outputs of fc6 and fc7.
    #[config(default = "[4096, 4096]")]
    pub hidden: [usize; 2],
    /// Outputs of the head.
    #[config(default = 1000)]
    pub classes: usize,
    /// Height and width of the images, a multiple of 32.
    #[config(default = 224)]
    pub input: usize,
    /// Seed of the random weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl Vgg16Config {
    /// A network with random weights (see [`ConvNet::init`]) and ImageNet's preprocessing.
    ///
    /// # Panics
    /// If the images' side is not a multiple of 32.
    pub fn init(&self, device: &Device) -> Vgg16 {
        assert!(
            self.input > 0 && self.input.is_multiple_of(32),
            "VGG-16 halves its maps five times: the side of its images must be a multiple of 32, not {}",
            self.input
        );
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
        // The convolutions keep the centre. The four pools move it by half of the stride in front of
        // them: 0.5 + 1 + 2 + 4 = 7.5. Sizes: stage 1: 1 + 2·2 = 5, pool 6; stage 2 (stride 2):
        // 6 + 2·4 = 14, pool 16; stage 3 (4): 16 + 3·8 = 40, pool 44; stage 4 (8): 44 + 3·16 = 92,
        // pool 100; stage 5 (16): 132, 164, 196.
        let expected = ReceptiveField { stride: 16.0, center: 7.5, size: 196 };
        assert_eq!(Vgg16Layers::field(Vgg16Layers::top_conv()), expected);
        assert_eq!(Vgg16Layers::field(Vgg16Layers::target()), ReceptiveField { size: 164, ..expected });
    }

    #[test]
    fn sides_and_rows_are_those_of_the_paper() {
        assert_eq!(Vgg16Layers::side(Vgg16Layers::target(), 224), Some(14));
        assert_eq!(Vgg16Layers::pooled_side(224), Some(7));
        assert_eq!(Vgg16Layers::pooled_side(192), Some(6));
        assert_eq!(Vgg16Layers::FEATURES.len(), 31);
        assert_eq!(Vgg16Layers::top_conv(), 28);
    }

    #[test]
    #[should_panic(expected = "multiple of 32, not 200")]
    fn images_that_cannot_be_halved_five_times_are_refused() {
        Vgg16Config::new().with_input(200).init(&Device::flex());
    }
}
