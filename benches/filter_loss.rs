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
use explainer_filter_loss::{FilterLoss, FilterLossConfig, Gradient, Memory, Population, Scale};
use made_up::{ROWS, Sizes, Small, alexnet, narrow, setting, vgg16};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first epoch warms up.
const EPOCHS: usize = 4;

/// The filter loss with a watch.
struct Watched {
    loss: FilterLoss,
    /// Of earlier batches, of each layer.
    memories: Option<[Memory; 2]>,
    /// Seconds of each call.
    seconds: Vec<f64>,
}

impl InterpretabilityLoss for Watched {
    fn description(&self) -> String {
        "filter loss with a watch".to_string()
    }

    fn value_and_gradient(
        &mut self,
        layer: usize,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<4>) {
        let device = maps.device();
        let finish = || device.sync().expect("the device is there");
        finish();
        let started = Instant::now();
        let result = match &mut self.memories {
            Some(memories) => self.loss.value_and_gradient_with(&mut memories[layer], maps, members),
            None => self.loss.value_and_gradient(maps, members),
        };
        finish();
        self.seconds.push(started.elapsed().as_secs_f64());
        result
    }
}

/// A form of the filter loss.
struct Form {
    name: &'static str,
    of: fn(FilterLossConfig) -> FilterLossConfig,
    remembers: bool,
}

/// That of a fit first, from which the others differ.
const FORMS: [Form; 8] = [
    Form { name: "released", of: |loss| loss, remembers: false },
    Form { name: "released, mass", of: |loss| loss.with_scale(Scale::Mass { trace: 0.7 }), remembers: false },
    Form { name: "released, as it is", of: |loss| loss.with_scale(Scale::AsIs), remembers: false },
    Form { name: "released, κ 0.02", of: |loss| loss.with_diversity(0.02), remembers: false },
    Form { name: "exact", of: |loss| loss.with_gradient(Gradient::Exact), remembers: false },
    Form { name: "approximate", of: approximate, remembers: false },
    Form {
        name: "approximate, members",
        of: |loss| approximate(loss).with_population(Population::Members),
        remembers: false,
    },
    Form { name: "approximate, log Z", of: approximate, remembers: true },
];

fn approximate(loss: FilterLossConfig) -> FilterLossConfig {
    loss.with_gradient(Gradient::Approximate)
}

/// Prints the median step and the loss's share of it.
fn measure(name: &str, sizes: Sizes, form: &Form) {
    let device = Device::default();
    let (length, filters) = (sizes.length, sizes.channels[1]);
    let performer = Small::new(sizes, &device);
    let (explainer, features) = setting(&performer, ROWS, &device);
    let FitConfig { scale, gradient, .. } = FitConfig::new();
    let loss = FilterLossConfig::new(length).with_scale(scale).with_gradient(gradient);
    let loss = (form.of)(loss).init(&device);
    let memories = form.remembers.then(|| [(); 2].map(|()| loss.memory(filters, 0.9)));
    let mut watched = Watched { loss, memories, seconds: Vec::new() };
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
        "{name:<12} {:<20} step {:>7.1} ms, filter loss {:>6.1} ms: {:>5.1} %",
        form.name,
        1e3 * step,
        1e3 * loss,
        100.0 * loss / step,
    );
}

fn main() {
    for form in &FORMS {
        measure("narrow", narrow(), form);
        measure("AlexNet", alexnet(), form);
        measure("VGG-16", vgg16(), form);
    }
}
