//! The filter loss with other templates than the paper's, against plain loops in `f64`, on the backend that
//! `BURN_DEVICE` names.

use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use explainer_filter_loss::{
    FilterLoss, FilterLossConfig, Gradient, Shape, TemplateShape, Templates, TemplatesConfig,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const N: usize = 4;
const UNITS: usize = N * N;

/// A shape of a user's own that is not symmetric: it reaches further down than up.
struct Teardrop;

impl TemplateShape for Teardrop {
    fn value(&self, rows: f64, columns: f64) -> f64 {
        let down = if rows > 0.0 { 1.5 } else { 4.0 };
        (1.0 - down * rows.abs() - 3.0 * columns.abs()).max(-1.0)
    }
}

/// τ · `shape`, from its definition, and the negative template.
fn templates(shape: &dyn Fn(f64, f64) -> f64) -> Vec<Vec<f64>> {
    let tau = 0.5 / UNITS as f64;
    let offset = |unit: usize, center: usize| (unit as f64 - center as f64) / N as f64;
    let value =
        |center: usize, unit: usize| tau * shape(offset(unit / N, center / N), offset(unit % N, center % N));
    let mut rows: Vec<Vec<f64>> =
        (0..UNITS).map(|center| (0..UNITS).map(|unit| value(center, unit)).collect()).collect();
    rows.push(vec![-tau; UNITS]);
    rows
}

/// −MI(X; T) of one filter's maps, all templates equally likely.
fn negative_information(maps: &[Vec<f64>], templates: &[Vec<f64>]) -> f64 {
    let density = |template: &Vec<f64>| -> Vec<f64> {
        let exps: Vec<f64> =
            maps.iter().map(|map| map.iter().zip(template).map(|(x, t)| x * t).sum::<f64>().exp()).collect();
        let partition: f64 = exps.iter().sum();
        exps.iter().map(|exp| exp / partition).collect()
    };
    let densities: Vec<Vec<f64>> = templates.iter().map(density).collect();
    let prior = 1.0 / templates.len() as f64;
    let mut information = 0.0;
    for x in 0..maps.len() {
        let marginal: f64 = densities.iter().map(|row| prior * row[x]).sum();
        information += densities.iter().map(|row| prior * row[x] * (row[x] / marginal).ln()).sum::<f64>();
    }
    -information
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f32>().map(f64::from).collect()
}

fn agrees(loss: &FilterLoss, templates: &[Vec<f64>]) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let data = TensorData::random::<f32, _, _>([5, 1, N, N], Distribution::Uniform(0.0, 40.0), &mut rng);
    let maps = Tensor::<4>::from_data(data, &Device::default());
    let members = Tensor::<2, Bool>::from_data(TensorData::new(vec![true; 5], [5, 1]), &Device::default());
    let (value, gradient) = loss.value_and_gradient(maps.clone(), members);
    let maps: Vec<Vec<f64>> = floats(maps).chunks(UNITS).map(<[f64]>::to_vec).collect();
    let expected = negative_information(&maps, templates);
    assert!((floats(value)[0] - expected).abs() < 1e-5 * expected.abs(), "{expected}");
    let derivative = |index: usize| {
        let moved = |step: f64| {
            let mut moved = maps.clone();
            moved[index / UNITS][index % UNITS] += step;
            negative_information(&moved, templates)
        };
        (moved(1e-4) - moved(-1e-4)) / 2e-4
    };
    let expected: Vec<f64> = (0..5 * UNITS).map(derivative).collect();
    let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    for (found, expected) in floats(gradient).iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4 * largest, "{found} {expected}");
    }
}

#[test]
fn value_and_exact_gradient_are_those_of_the_shape() {
    let config = FilterLossConfig::new(N).with_gradient(Gradient::Exact);
    for shape in [Shape::PUBLISHED, Shape::Cone { beta: 2.0 }, Shape::Gaussian { width: 0.3 }] {
        let loss = config.clone().with_shape(shape).init(&Device::default());
        agrees(&loss, &templates(&|rows, columns| shape.value(rows, columns)));
    }
    let loss = config.init_with(Templates::of(N, &Teardrop, &Device::default()));
    agrees(&loss, &templates(&|rows, columns| Teardrop.value(rows, columns)));
}

#[test]
#[should_panic(expected = "4 × 4 units got templates of 5 × 5")]
fn templates_of_another_length_are_refused() {
    FilterLossConfig::new(N).init_with(TemplatesConfig::new(5).init(&Device::default()));
}
