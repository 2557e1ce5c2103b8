//! The share of the filter loss in a fitting step: its value and gradient on both interpretable layers,
//! against everything a step does.
//!
//! ```sh
//! cargo bench --bench filter_loss
//! ```

mod made_up;

use std::time::Instant;

use burn::tensor::{Bool, Device, Tensor};
use explainer_core::{FitConfig, InterpretabilityLoss, LearningRates, Refit};
use explainer_filter_loss::{FilterLoss, FilterLossConfig, Gradient, Scale};
use made_up::{ROWS, Sizes, Small, alexnet, narrow, setting, vgg16};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first epoch warms up.
const EPOCHS: usize = 4;

/// The filter loss with a watch.
struct Watched {
    loss: FilterLoss,
    /// Seconds of each call.
    seconds: Vec<f64>,
}

impl InterpretabilityLoss for Watched {
    fn description(&self) -> String {
        "filter loss with a watch".to_string()
    }

    fn value_and_gradient(
        &mut self,
        _: usize,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<4>) {
        let device = maps.device();
        let finish = || device.sync().expect("the device is there");
        finish();
        let started = Instant::now();
        let result = self.loss.value_and_gradient(maps, members);
        finish();
        self.seconds.push(started.elapsed().as_secs_f64());
        result
    }
}

/// Prints the median step and the loss's share of it.
fn measure(name: &str, sizes: Sizes, gradient: Gradient, diversity: f64) {
    let device = Device::default();
    let length = sizes.length;
    let performer = Small::new(sizes, &device);
    let (explainer, features) = setting(&performer, ROWS, &device);
    let loss = FilterLossConfig::new(length)
        .with_scale(Scale::Mass { trace: 0.7 })
        .with_gradient(gradient)
        .with_diversity(diversity)
        .init(&device);
    let mut watched = Watched { loss, seconds: Vec::new() };
    let config = FitConfig::new()
        .with_epochs(EPOCHS)
        .with_batch_size(ROWS)
        .with_refit(Refit::None)
        // On made-up features nothing is to be learned: the weights stay where they are.
        .with_rates(LearningRates::uniform(1e-9, 1e-9))
        .with_progress(false);
    let fit = config.fit_with(&mut watched, explainer, &performer, &features, None).expect("a fit");
    let mut shares: Vec<(f64, f64)> = fit
        .records
        .iter()
        .zip(watched.seconds.chunks_exact(2))
        .skip(1)
        .map(|(record, layers)| (record.seconds, layers.iter().sum::<f64>()))
        .collect();
    shares.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (step, loss) = shares[shares.len() / 2];
    println!(
        "{name:<12} {gradient:<12} κ {diversity:<5} step {:>7.1} ms, filter loss {:>6.1} ms: {:>5.1} %",
        1e3 * step,
        1e3 * loss,
        100.0 * loss / step,
        gradient = format!("{gradient:?}"),
    );
}

fn main() {
    for (gradient, diversity) in [
        (Gradient::Released, 0.0),
        (Gradient::Released, 0.01),
        (Gradient::Approximate, 0.0),
        (Gradient::Exact, 0.0),
    ] {
        measure("narrow", narrow(), gradient, diversity);
        measure("AlexNet", alexnet(), gradient, diversity);
        measure("VGG-16", vgg16(), gradient, diversity);
    }
}
