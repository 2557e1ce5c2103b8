//! The VGG family of any widths.

use explainer_core::Pooling;

use crate::architecture::{Architecture, Layer, conv};
use crate::{ConvNet, ConvNetConfig};

/// VGG-16 (configuration D of Simonyan and Zisserman, arXiv:1409.1556).
///
/// fc6 reads the last pool's maps as they are, 7×7 for 224×224 images, where torchvision's average pool is
/// the identity. Weights of torchvision's networks with batch-norm are loaded too, with the norms folded
/// into the convolutions; what comes of it is a plain VGG-16.
///
/// | layer of the method | here | maps at 224×224 |
/// |---|---|---|
/// | target | relu5-2, the 28th layer | 14×14×512 |
/// | top conv | conv5-3 | 14×14×512 |
/// | upper | relu6, relu7 | 4096, 4096 |
pub type Vgg16 = ConvNet<Vgg16Layers>;
/// Configuration of a [`Vgg16`].
pub type Vgg16Config = ConvNetConfig<Vgg16Layers>;
/// The table of [`Vgg16`].
#[derive(Clone, Debug)]
pub struct Vgg16Layers;

/// VGG-11 (configuration A): the target is relu5-1, the top conv conv5-2. See [`Vgg16`].
pub type Vgg11 = ConvNet<Vgg11Layers>;
/// Configuration of a [`Vgg11`].
pub type Vgg11Config = ConvNetConfig<Vgg11Layers>;
/// The table of [`Vgg11`].
#[derive(Clone, Debug)]
pub struct Vgg11Layers;

/// VGG-13 (configuration B): the target is relu5-1, the top conv conv5-2. See [`Vgg16`].
pub type Vgg13 = ConvNet<Vgg13Layers>;
/// Configuration of a [`Vgg13`].
pub type Vgg13Config = ConvNetConfig<Vgg13Layers>;
/// The table of [`Vgg13`].
#[derive(Clone, Debug)]
pub struct Vgg13Layers;

/// VGG-19 (configuration E): the target is relu5-3, the top conv conv5-4. See [`Vgg16`].
pub type Vgg19 = ConvNet<Vgg19Layers>;
/// Configuration of a [`Vgg19`].
pub type Vgg19Config = ConvNetConfig<Vgg19Layers>;
/// The table of [`Vgg19`].
#[derive(Clone, Debug)]
pub struct Vgg19Layers;

/// Five stages of 3×3 convolutions, each with a ReLU, and a pool behind each stage.
const fn stages<const ROWS: usize>(convs: [usize; 5]) -> [Layer; ROWS] {
    let mut rows = [Layer::Relu; ROWS];
    let (mut row, mut stage) = (0, 0);
    while stage < convs.len() {
        let pool = row + 2 * convs[stage];
        while row < pool {
            rows[row] = conv(stage, 3, 1, 1);
            row += 2;
        }
        rows[pool] = Layer::Pool(Pooling::max(2, 2));
        row = pool + 1;
        stage += 1;
    }
    assert!(row == ROWS, "as many rows as two for each convolution and one for each stage");
    rows
}

macro_rules! vgg {
    ($layers:ty, $name:literal, $rows:literal, $convs:expr) => {
        impl Architecture for $layers {
            const NAME: &'static str = $name;
            const FEATURES: &'static [Layer] = &stages::<$rows>($convs);
            // 0 fc6, 1 ReLU, 2 dropout, 3 fc7, 4 ReLU, 5 dropout, 6 head.
            const CLASSIFIER: [usize; 3] = [0, 3, 6];
            const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];
            // Its maps are halved five times.
            const MULTIPLE: usize = 32;
        }
    };
}

vgg!(Vgg11Layers, "VGG-11", 21, [1, 1, 2, 2, 2]);
vgg!(Vgg13Layers, "VGG-13", 25, [2, 2, 2, 2, 2]);
vgg!(Vgg16Layers, "VGG-16", 31, [2, 2, 3, 3, 3]);
vgg!(Vgg19Layers, "VGG-19", 37, [2, 2, 4, 4, 4]);

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::architecture::testing::assert_fields;

    /// Stride, centre and size of the fields of a stage's convolutions.
    fn stage(stride: f64, center: f64, sizes: &[usize]) -> Vec<(f64, f64, usize)> {
        sizes.iter().map(|&size| (stride, center, size)).collect()
    }

    #[test]
    fn receptive_fields_match_those_worked_out_by_hand() {
        // The convolutions keep the centre. The four pools move it by half of the stride in front of
        // them: 0.5 + 1 + 2 + 4 = 7.5. A convolution adds twice the stride to the size, a pool once.
        // VGG-16: stage 1: 1 + 2·2 = 5, pool 6; stage 2 (stride 2): 6 + 2·4 = 14, pool 16; stage 3 (4):
        // 16 + 3·8 = 40, pool 44; stage 4 (8): 44 + 3·16 = 92, pool 100; stage 5 (16): 132, 164, 196.
        let fields = |sizes: [&[usize]; 5]| {
            let geometry = [(1.0, 0.0), (2.0, 0.5), (4.0, 1.5), (8.0, 3.5), (16.0, 7.5)];
            let stages = geometry.into_iter().zip(sizes);
            stages.flat_map(|((stride, center), sizes)| stage(stride, center, sizes)).collect::<Vec<_>>()
        };
        assert_fields::<Vgg16Layers>(&fields([
            &[3, 5],
            &[10, 14],
            &[24, 32, 40],
            &[60, 76, 92],
            &[132, 164, 196],
        ]));
        // VGG-11: 3, pool 4; 8, pool 10; 18, 26, pool 30; 46, 62, pool 70; 102, 134.
        assert_fields::<Vgg11Layers>(&fields([&[3], &[8], &[18, 26], &[46, 62], &[102, 134]]));
        // VGG-13: 5, 6; 14, 16; 24, 32, pool 36; 52, 68, pool 76; 108, 140.
        assert_fields::<Vgg13Layers>(&fields([&[3, 5], &[10, 14], &[24, 32], &[52, 68], &[108, 140]]));
        // VGG-19: as VGG-16 up to 40; 48, pool 52; 68, 84, 100, 116, pool 124; 156, 188, 220, 252.
        assert_fields::<Vgg19Layers>(&fields([
            &[3, 5],
            &[10, 14],
            &[24, 32, 40, 48],
            &[68, 84, 100, 116],
            &[156, 188, 220, 252],
        ]));
    }

    #[test]
    fn sides_and_rows_are_those_of_the_paper() {
        assert_eq!(Vgg16Layers::target() + 1, 28);
        fn assert_stage_five<A: Architecture>(rows: usize) {
            assert_eq!(A::FEATURES.len(), rows);
            assert_eq!(A::top_conv(), rows - 3);
            assert_eq!(A::side(A::target(), 224), Some(14), "{}", A::NAME);
            assert_eq!((A::pooled_side(224), A::pooled_side(192)), (Some(7), Some(6)));
            assert_eq!(A::FEATURES.iter().filter(|layer| matches!(layer, Layer::Pool(_))).count(), 5);
        }
        assert_stage_five::<Vgg11Layers>(21);
        assert_stage_five::<Vgg13Layers>(25);
        assert_stage_five::<Vgg16Layers>(31);
        assert_stage_five::<Vgg19Layers>(37);
    }

    #[test]
    #[should_panic(expected = "multiple of 32, not 200")]
    fn images_that_cannot_be_halved_five_times_are_refused() {
        Vgg16Config::new().with_input(200).init(&Device::flex());
    }
}
