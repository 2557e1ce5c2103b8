//! A whole small fit, performers from files and the filter loss, on every backend that was built: the same results
//! on each.

mod small;

#[cfg(feature = "wgpu")]
use std::sync::LazyLock;

#[cfg(feature = "wgpu")]
use burn::tensor::wgpu::WgpuInitError;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use explainer_core::{
    ExplainerConfig, FeatureConfig, Features, Fit, FitConfig, LabelledImage, LearningRates, LossWeights,
    Masking, NormUpdate, Performer, Pooling, Push, PushSchedule, Refit, Start, Windowing,
};
use explainer_filter_loss::{Anchors, Facing, FilterLossConfig, Gradient, Scale, Shape, StarWindowConfig};
use explainer_performers::{
    AlexNet, CaffeAlexNet, PerformerError, ResNet18, ResNet50, Vgg16, VggM, VggS, Weights,
};
use small::{Sizes, Small};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZE: usize = 6;

/// What the fit came to: the reconstruction terms of either layer and p, epoch by epoch, and the relative
/// errors of the explainer that was handed out. Made by this test; they change with the method's numbers.
const EPOCHS: [[f64; 3]; 2] = [[0.878_064, 1.581_099, 0.492_618], [0.754_802, 1.318_267, 0.485_931]];
const RELATIVE_ERRORS: [f64; 2] = [0.057_389_6, 0.069_504_1];

fn images() -> impl Iterator<Item = Result<LabelledImage, std::io::Error>> {
    (0..6u32).map(|image| {
        let pixels = (0..(3 * SIZE * SIZE) as u32)
            .map(|at| ((at * 37 + image * 91).wrapping_mul(2_654_435_761) >> 24) as u8);
        Ok(LabelledImage { pixels: pixels.collect(), category: (image % 3 > 0).then_some(0) })
    })
}

fn fit(device: &Device) -> Fit {
    let pool = Pooling::max(2, 2);
    let performer = Small::new(Sizes { channels: [4, 5], length: SIZE, pool, upper: [7, 6] }, device);
    let features = Features::extract(&performer, images(), &FeatureConfig::plain().with_mirror(true), device)
        .expect("features");
    // Settings of its own, so that tuning the defaults leaves the expected values alone.
    let [window, reading] = [0.8, 2.0].map(|beta| Shape::Pyramid { beta });
    let explainer = ExplainerConfig::for_performer(&performer)
        .with_windows(vec![Windowing::None, Windowing::Star { window, reading }])
        .with_masks(vec![Masking::None, Masking::PUBLISHED])
        .with_second_start(Start::Random)
        .with_ordinary_start(Start::Random)
        .with_complement(false);
    let explainer = explainer.init_from(&performer, device);
    let push = [0.3, 3.0].map(|ratio| Push { ratio, schedule: PushSchedule::Constant });
    let config = FitConfig::new()
        .with_epochs(2)
        .with_batch_size(4)
        .with_rates(LearningRates::uniform(1e-3, 1e-2))
        .with_weights(LossWeights { eta: 0.1, share: 2.0 / 3.0, ..LossWeights::RELATIVE })
        .with_push(push.to_vec())
        .with_norm(NormUpdate::Fixed)
        .with_gradient(Gradient::Released)
        .with_scale(Scale::Energy { trace: 0.7 })
        .with_diversity(0.1)
        .with_refit(Refit::Ridge { performer: 1.0, fitted: 0.03 })
        .with_progress(false);
    config.fit(explainer, &performer, &features, Some(&features)).expect("a fit")
}

/// Opened once, by whichever test comes first.
#[cfg(feature = "wgpu")]
fn wgpu() -> Device {
    static DEVICE: LazyLock<Result<Device, WgpuInitError>> = LazyLock::new(|| Device::wgpu_options().init());
    let device = DEVICE.as_ref().unwrap_or_else(|error| {
        panic!("the feature wgpu needs a graphics driver (Debian: mesa-vulkan-drivers): {error}")
    });
    device.clone()
}

#[cfg_attr(feature = "ndarray", expect(deprecated, reason = "for comparison, while Burn has it"))]
fn backends() -> Vec<(&'static str, Device)> {
    vec![
        #[cfg(feature = "flex")]
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", Device::ndarray()),
        #[cfg(feature = "wgpu")]
        ("wgpu", wgpu()),
    ]
}

#[test]
fn every_backend_fits_alike() {
    for (name, device) in backends() {
        let fit = fit(&device);
        let epochs: Vec<Vec<f64>> = fit
            .records
            .iter()
            .map(|record| record.reconstruction.iter().copied().chain([record.share]).collect())
            .collect();
        let errors = fit.validation.expect("validation features").relative_error;
        let found = epochs.concat().into_iter().chain(errors.iter().copied());
        let expected = EPOCHS.concat().into_iter().chain(RELATIVE_ERRORS);
        for (found, expected) in found.zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-3 * expected.abs(),
                "{name}: {found} for {expected}; epochs {epochs:?}, errors {errors:?}"
            );
        }
    }
}

/// All that a performer makes of one picture.
fn taps<P: Performer>(
    load: impl Fn(Weights, &Device) -> Result<P, PerformerError>,
    file: &str,
    device: &Device,
) -> Vec<Vec<f32>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/performers/tests/fixtures/");
    let performer = load(Weights::file(format!("{folder}{file}")), device).expect(file);
    let side = performer.preprocessing().size;
    let pixels: Vec<f32> = (0..3 * side * side).map(|at| (0.37 * at as f32).sin()).collect();
    let tapped = performer.tap(Tensor::from_data(TensorData::new(pixels, [1, 3, side, side]), device));
    let maps = [tapped.target, tapped.top_conv].map(Tensor::into_data);
    let rows = tapped.upper.into_iter().chain([tapped.scores]).map(Tensor::into_data);
    maps.into_iter().chain(rows).map(|data| data.iter().collect()).collect()
}

/// On the first backend they are compared with PyTorch's, in the crate's own tests.
#[test]
fn every_backend_has_the_same_performers() {
    let all = |device: &Device| {
        [
            taps(AlexNet::load, "alexnet_slim.pth", device),
            taps(CaffeAlexNet::load, "caffe_alexnet_slim.safetensors", device),
            taps(VggM::load, "vgg_m_slim.mat", device),
            taps(VggS::load, "vgg_s_slim.safetensors", device),
            taps(Vgg16::load, "vgg16_slim.safetensors", device),
            taps(ResNet18::load, "resnet18_slim.pth", device),
            taps(ResNet50::load, "resnet50_slim.safetensors", device),
        ]
        .concat()
    };
    let backends = backends();
    let expected = all(&backends[0].1);
    for (name, device) in &backends[1..] {
        for (found, expected) in all(device).iter().zip(&expected) {
            assert_eq!(found.len(), expected.len());
            let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= 1e-4 * largest,
                    "{name}: {found}, {expected} of {largest}"
                );
            }
        }
    }
}

/// Zeros, tiny and huge values, one hot unit, constant maps: `[images, filters, n, n]`.
fn extreme_maps(images: usize, n: usize, device: &Device) -> Tensor<4> {
    let magnitudes = [0.0, 1e-38, 1e-30, 1.0, 1e4, 1e30];
    let forms: [fn(usize, usize) -> f32; 3] = [
        |image, unit| (0.37 * (31 * image + unit) as f32).sin().max(0.0),
        |image, unit| f32::from(u8::from(unit == 7 * image)),
        |_, _| 1.0,
    ];
    let filters: Vec<_> = magnitudes.iter().flat_map(|&size| forms.map(|form| (size, form))).collect();
    let map = |image: usize, (size, form): (f32, fn(usize, usize) -> f32)| {
        (0..n * n).map(move |unit| size * form(image, unit))
    };
    let of_image = |image: usize| filters.iter().flat_map(move |&filter| map(image, filter));
    let values: Vec<f32> = (0..images).flat_map(of_image).collect();
    Tensor::from_data(TensorData::new(values, [images, filters.len(), n, n]), device)
}

/// On the first backend they are compared with the definitions, in the crate's own tests.
#[test]
fn every_backend_has_the_same_finite_filter_loss_of_maps_of_any_magnitude() {
    let (images, n) = (6, 7);
    for gradient in [Gradient::Approximate, Gradient::Exact, Gradient::Released] {
        for scale in [Scale::AsIs, Scale::Mass { trace: 0.7 }, Scale::Energy { trace: 0.7 }] {
            let all = backends().into_iter().map(|(name, device)| {
                let maps = extreme_maps(images, n, &device);
                let [_, filters, ..] = maps.dims();
                let members: Vec<bool> = (0..images * filters).map(|at| at % 4 > 0).collect();
                let members = TensorData::new(members, [images, filters]);
                let config = FilterLossConfig::new(n).with_scale(scale).with_gradient(gradient);
                let loss = config.with_diversity(0.1).init(&device);
                let members = Tensor::<2, Bool>::from_data(members, &device);
                let (value, slope) = loss.value_and_gradient(maps, members);
                let [value, slope] = [value.into_data(), slope.into_data()].map(|data| data.iter().collect());
                (name, value, slope)
            });
            let all: Vec<(&str, Vec<f32>, Vec<f32>)> = all.collect();
            let filters = all[0].1.len();
            for (name, value, slope) in &all {
                let case = format!("{name}, {gradient:?}, {scale:?}");
                assert!(value.iter().chain(slope).all(|x| x.is_finite()), "{case}");
                // At 10³⁰ a trace has no digit left that tells two templates apart unless maps are scaled.
                for filter in 0..filters - if matches!(scale, Scale::AsIs) { 3 } else { 0 } {
                    let of = |values: &[f32]| {
                        let maps = values.chunks_exact(n * n);
                        maps.skip(filter).step_by(filters).flatten().copied().collect::<Vec<f32>>()
                    };
                    let close = |found: &[f32], expected: &[f32], what: &str| {
                        let largest = expected.iter().fold(1e-30f32, |most, value| most.max(value.abs()));
                        for (found, expected) in found.iter().zip(expected) {
                            let far = (found - expected).abs() / largest;
                            assert!(far < 1e-3, "{case}, filter {filter}, {what}: {found} for {expected}");
                        }
                    };
                    close(&of(slope), &of(&all[0].2), "gradient");
                    let [found, expected] = [value, &all[0].1].map(|values| values[filter]);
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{case}, filter {filter}: {found} for {expected}"
                    );
                }
            }
        }
    }
}

/// On the first backend they are compared with their definition, in the crate's own tests.
#[test]
fn every_backend_has_the_same_star_windows() {
    let (images, filters, n) = (5, 4, 7);
    let values = (0..images * filters * n * n).map(|at| (0.37 * (at * at) as f32).sin().max(0.0));
    let values = TensorData::new(values.collect::<Vec<f32>>(), [images, filters, n, n]);
    let all = backends().into_iter().map(|(name, device)| {
        let maps = Tensor::<4>::from_data(values.clone(), &device);
        let mirrored = maps.clone().flip([3]);
        let mut facing = Facing::new(n, filters);
        facing.push(maps.clone(), mirrored.clone());
        let maps = Tensor::cat(vec![maps, mirrored], 0);
        let windows = StarWindowConfig::new(n, filters).init(&device).with_facing(&facing);
        let mut anchors = Anchors::new(n, filters);
        anchors.push(maps.clone(), windows.roots(maps.clone()), windows.facing(maps.clone()));
        let windows = windows.with_anchors(&anchors);
        let seen = Tensor::cat(vec![windows.forward(maps.clone()), windows.read(maps)], 0).into_data();
        (name, anchors.offsets(), seen.iter::<f32>().collect::<Vec<_>>())
    });
    let all: Vec<_> = all.collect();
    let (_, offsets, seen) = &all[0];
    assert_ne!(offsets[0], offsets[1]);
    assert!(seen.iter().any(|&value| value > 0.0));
    for (name, others, theirs) in &all[1..] {
        assert_eq!(others, offsets, "{name}");
        assert!(seen.iter().zip(theirs).all(|(own, their)| (own - their).abs() < 1e-6), "{name}");
    }
}
