//! A whole small fit, and the filter loss at any magnitude, on every CPU backend that was built, with the
//! same result on each.

mod small;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use explainer_core::{
    ExplainerConfig, FeatureConfig, Features, Fit, FitConfig, LabelledImage, LearningRates, LossWeights,
    Pooling, Push, PushSchedule, Refit,
};
use explainer_filter_loss::{FilterLossConfig, Gradient, Population, Scale};
use small::{Sizes, Small};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZE: usize = 6;

/// What the fit came to: the reconstruction terms of either layer and p, epoch by epoch, and the relative
/// errors of the explainer that was handed out. Made by this test; they change with the method's numbers.
const EPOCHS: [[f64; 3]; 2] = [[10.576_212, 0.563_581, 0.493_763], [6.426_349, 0.528_540, 0.488_759]];
const RELATIVE_ERRORS: [f64; 2] = [0.051_005, 0.003_021_03];

/// Backends convolve by different algorithms, and Adam makes steps of the sign of gradients that are nearly
/// zero.
const ALIKE: f64 = 5e-3;

fn images() -> impl Iterator<Item = Result<LabelledImage, std::io::Error>> {
    (0..6u32).map(|image| {
        let pixels = (0..(3 * SIZE * SIZE) as u32)
            .map(|at| ((at * 37 + image * 91).wrapping_mul(2_654_435_761) >> 24) as u8);
        Ok(LabelledImage { pixels: pixels.collect(), category: (image % 3 > 0).then_some(0) })
    })
}

fn fit(device: &Device) -> Fit {
    let pool = Pooling { kernel: 2, stride: 2, padding: 0 };
    let performer = Small::new(Sizes { channels: [4, 5], length: SIZE, pool, upper: [7, 6] }, device);
    let features = Features::extract(&performer, images(), &FeatureConfig::plain().with_mirror(true), device)
        .expect("features");
    let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, device);
    // Settings of its own, so that tuning the defaults leaves the expected values alone.
    let push = [0.3, 3.0].map(|ratio| Push { ratio, schedule: PushSchedule::Constant });
    let config = FitConfig::new()
        .with_epochs(2)
        .with_batch_size(4)
        .with_rates(LearningRates::uniform(1e-3, 1e-2))
        .with_weights(LossWeights { eta: 0.1, ..LossWeights::RELATIVE })
        .with_push(push.to_vec())
        .with_diversity(0.1)
        .with_refit(Refit::Ridge { ridge: 0.03, iterations: 40 })
        .with_progress(false);
    config.fit(explainer, &performer, &features, Some(&features)).expect("a fit")
}

#[cfg_attr(feature = "ndarray", expect(deprecated, reason = "for comparison, while Burn has it"))]
fn backends() -> Vec<(&'static str, Device)> {
    vec![
        #[cfg(feature = "flex")]
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", Device::ndarray()),
    ]
}

#[test]
fn every_cpu_backend_fits_alike() {
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
                (found - expected).abs() <= ALIKE * expected.abs(),
                "{name}: {found} for {expected}; epochs {epochs:?}, errors {errors:?}"
            );
        }
    }
}

/// Value and gradient, filter by filter, of every variant of the filter loss on filters whose maps are of
/// very different magnitudes.
fn filter_losses(device: &Device) -> Vec<(String, Vec<f32>)> {
    const N: usize = 5;
    const MAGNITUDES: [f32; 5] = [0.0, 1e-30, 1e-3, 1.0, 1e4];
    let map = |image: usize, magnitude: f32| {
        (0..N * N).map(move |at| magnitude * (12.9898 * (image * N * N + at) as f32 + 0.7).sin().max(0.0))
    };
    let values: Vec<f32> =
        (0..6).flat_map(|image| MAGNITUDES.into_iter().flat_map(move |m| map(image, m))).collect();
    let shape = [6, MAGNITUDES.len(), N, N];
    let maps = Tensor::<4>::from_data(TensorData::new(values, shape), device);
    let members: Vec<bool> =
        (0..6 * MAGNITUDES.len()).map(|at| !(at / MAGNITUDES.len()).is_multiple_of(3)).collect();
    let members = Tensor::<2, Bool>::from_data(TensorData::new(members, [6, MAGNITUDES.len()]), device);
    let mut found = Vec::new();
    for scale in [Scale::AsIs, Scale::Mass { trace: 2.0 }, Scale::Energy { trace: 2.0 }] {
        for gradient in [Gradient::Approximate, Gradient::Exact, Gradient::Released] {
            for population in [Population::All, Population::Members] {
                let config = FilterLossConfig::new(N)
                    .with_scale(scale)
                    .with_gradient(gradient)
                    .with_population(population)
                    .with_diversity(0.1);
                let (value, slope) = config.init(device).value_and_gradient(maps.clone(), members.clone());
                let name = |filter: usize| format!("{scale:?} {gradient:?} {population:?} filter {filter}");
                for filter in 0..MAGNITUDES.len() {
                    let numbers = |data: TensorData| data.iter::<f32>().collect::<Vec<_>>();
                    found.push((name(filter), numbers(value.clone().narrow(0, filter, 1).into_data())));
                    found.push((name(filter), numbers(slope.clone().narrow(1, filter, 1).into_data())));
                }
            }
        }
    }
    found
}

#[test]
fn the_filter_loss_is_finite_and_alike_on_every_cpu_backend() {
    let mut first: Option<Vec<(String, Vec<f32>)>> = None;
    for (backend, device) in backends() {
        let found = filter_losses(&device);
        for (name, values) in &found {
            assert!(values.iter().all(|value| value.is_finite()), "{backend} {name}: {values:?}");
        }
        let expected = first.get_or_insert_with(|| found.clone());
        for ((name, found), (_, expected)) in found.iter().zip(expected.iter()) {
            let largest = expected.iter().fold(1e-7f32, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-3 * largest, "{backend} {name}: {found} {expected}");
            }
        }
    }
}
