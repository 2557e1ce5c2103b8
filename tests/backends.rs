//! A whole small fit on every CPU backend that was built, and the same result on each.

mod small;

use burn::tensor::Device;
use explainer_core::{
    ExplainerConfig, FeatureConfig, Features, Fit, FitConfig, LabelledImage, LearningRates, LossWeights,
    Pooling, Push, PushSchedule, Refit,
};
use small::{Sizes, Small};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZE: usize = 6;

/// What the fit came to: the reconstruction terms of either layer and p, epoch by epoch, and the relative
/// errors of the explainer that was handed out. Made by this test; they change with the method's numbers.
const EPOCHS: [[f64; 3]; 2] = [[10.576_212, 0.563_581, 0.493_763], [6.426_349, 0.528_540, 0.488_759]];
const RELATIVE_ERRORS: [f64; 2] = [0.051_005, 0.003_021_03];

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
        .with_refit(Refit::Ridge { ridge: 0.03 })
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
                (found - expected).abs() <= 1e-3 * expected.abs(),
                "{name}: {found} for {expected}; epochs {epochs:?}, errors {errors:?}"
            );
        }
    }
}
