//! The whole pass over small pictures, with detectors of which it is known what they do.

mod blobs;
mod redrawn;

use blobs::{Blobs, Colors, SIDE};
use burn::tensor::{Device, Tensor, TensorData};
use explainer_core::Tapped;
use explainer_datasets::{Dataset, Prefetch};
use explainer_evaluation::verdict::{Follows, Holds, in_words};
use explainer_evaluation::{
    EvaluationError, Evidence, EvidenceConfig, Probe, Probes, Reading, from_fn, names,
};
use explainer_metrics::ReceptiveField;

const COUNT: usize = 80;
const UNITS: usize = 8;

/// Few atoms, so that k-means does not find the head by itself.
fn config() -> EvidenceConfig {
    EvidenceConfig::new().with_atoms(2).with_batch_size(16).with_progress(false)
}

fn measured(probes: &Probes<'_>, dataset: &Blobs) -> Result<Evidence, EvaluationError> {
    let device = Device::flex();
    config().measure(&Colors::new(&device), dataset, probes, Prefetch::new(), &device)
}

/// How much of red and blue there is, less of green: heads.
fn purple(tapped: &Tapped) -> Tensor<4> {
    let [red, green, blue] = [0, 1, 2].map(|at| tapped.target.clone().narrow(1, at, 1));
    red.clone().min_pair(blue) - green
}

/// One map for each picture.
fn maps(tapped: &Tapped, of: impl Fn(&[f32]) -> Vec<f32>) -> Tensor<4> {
    let [batch, _, height, width] = tapped.target.dims();
    let values: Vec<f32> = tapped.target.to_data().iter::<f32>().collect();
    let made: Vec<f32> = values.chunks_exact(3 * height * width).flat_map(of).collect();
    Tensor::from_data(TensorData::new(made, [batch, 1, height, width]), &tapped.target.device())
}

/// Fires at one unit as strongly as `strength` says.
fn at(unit: usize, strength: f32) -> Vec<f32> {
    (0..UNITS * UNITS).map(|other| if other == unit { strength } else { 0.0 }).collect()
}

/// Two units above the body, which is where the picture is whitest: a place on the object.
fn on_the_object(tapped: &Tapped) -> Tensor<4> {
    let green = tapped.target.clone().narrow(1, 1, 1);
    let [batch, _, height, width] = green.dims();
    // The body is the brightest in green, whatever becomes of the head.
    let rest = Tensor::zeros([batch, 1, 2, width], &green.device());
    Tensor::cat(vec![green.narrow(2, 2, height - 2), rest], 2)
}

/// A number that depends on every pixel.
fn noise(values: &[f32]) -> u64 {
    let mixed =
        |sum: u64, value: &f32| (sum ^ u64::from(value.to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let sum = values.iter().fold(1, mixed);
    sum ^ (sum >> 31)
}

#[test]
fn the_supervised_detector_passes_and_places_fail() {
    let field = Colors::field();
    let probes = Probes::new()
        .with("head", from_fn(field, f64::NEG_INFINITY, purple))
        .with("blind", from_fn(field, 0.0, |tapped| maps(tapped, |_| at(27, 1.0))))
        .with("object", from_fn(field, 0.0, on_the_object))
        .with(
            "random",
            from_fn(field, 0.0, |tapped| {
                maps(tapped, |values| {
                    let number = noise(values);
                    at(number as usize % (UNITS * UNITS), 1.0 + (number >> 40) as f32 / 1e6)
                })
            }),
        );
    let evidence = measured(&probes, &Blobs::new(COUNT)).expect("evidence");
    println!("{}", evidence.table("head"));
    assert_eq!((evidence.images, evidence.photos, evidence.available), (COUNT, COUNT, COUNT));
    let passes = |layer: &str| Follows::of(&evidence, layer, 0).expect("measured").passed();
    assert!(passes("head") && passes(names::CEILING));
    for control in ["blind", "object", "random", names::TARGET, names::TOP_CONV, names::KMEANS] {
        assert!(!passes(control), "{control}");
    }
    let blind = &evidence.figures("blind", 0).expect("figures").best;
    assert_eq!(blind.erase_auc.as_ref().expect("measured").value(), 0.5);
    assert_eq!(blind.gain.as_ref().expect("measured").value(), 0.0);
    let ceiling = &evidence.figures(names::CEILING, 0).expect("figures").best;
    for figure in [&ceiling.erase_auc, &ceiling.transplant_hit, &ceiling.gain] {
        assert!(figure.as_ref().expect("measured").value() > 0.9, "{figure:?}");
    }
    assert!(Holds::of(&evidence, 0).expect("measured").passed());
    // Nothing marks the tail: it lies opposite to the head.
    assert_eq!(evidence.figures("head", 1).expect("figures").images, COUNT / 2);
    assert!(!Holds::of(&evidence, 1).expect("measured").passed());
    let words = in_words(&evidence, "head");
    assert!(words.starts_with("The parts follow the head beyond every control"), "{words}");
    assert!(words.contains("This layer holds no part for the tail"), "{words}");
    let words = in_words(&evidence, "object");
    assert!(words.starts_with("The parts do not follow the head beyond every control"), "{words}");
}

/// A probe with places of its own.
struct Placed;

impl Probe for Placed {
    fn read(&self, tapped: &Tapped) -> Result<Reading, EvaluationError> {
        let places = maps(tapped, |_| at(27, 1.0));
        Ok(Reading { places: Some(places), ..purple(tapped).into() })
    }
    fn field(&self) -> ReceptiveField {
        Colors::field()
    }
    fn threshold(&self) -> f64 {
        f64::NEG_INFINITY
    }
}

#[test]
fn places_alone_get_rows_of_their_own() {
    let probes = Probes::new().with(names::EXPLAINED, Box::new(Placed)).with("other", Box::new(Placed));
    let evidence = measured(&probes, &Blobs::new(20)).expect("evidence");
    let found: Vec<&str> = evidence.layers.iter().map(|layer| layer.name.as_str()).collect();
    let expected =
        ["target", "top_conv", "conv_interp_2", "places", "other", "other, places", "kmeans", "ceiling"];
    assert_eq!(found, expected);
    let gain = |layer: &str| evidence.figures(layer, 0)?.best.gain.as_ref().map(|gain| gain.value());
    assert_eq!(gain("places"), Some(0.0));
    assert!(gain("conv_interp_2") > Some(0.9), "{:?}", gain("conv_interp_2"));
    let json = serde_json::to_value(&evidence).expect("JSON");
    assert_eq!(json["places"]["head"]["gain"], serde_json::json!([0.0, 0.0]));
    assert_eq!(json["conv_interp_2"]["head"]["crosstalk"], serde_json::json!(null));
}

#[test]
fn images_are_evenly_spaced_and_counted() {
    let device = Device::flex();
    let few = config().with_images(7);
    let evidence =
        few.measure(&Colors::new(&device), &Blobs::new(30), &Probes::new(), Prefetch::new(), &device);
    let evidence = evidence.expect("evidence");
    assert_eq!((evidence.images, evidence.available), (7, 30));
    assert!(evidence.table(names::TARGET).to_string().contains("evidence on 7 of 30 images"));
}

#[test]
fn what_cannot_be_measured_is_told() {
    let found = |probes: Probes<'_>, dataset: Blobs| measured(&probes, &dataset).expect_err("an error");
    let none = found(Probes::new(), Blobs::new(9).with_landmarks(&[]));
    assert!(matches!(none, EvaluationError::NoLandmarks { .. }), "{none}");
    let none = found(Probes::new(), Blobs::new(0));
    assert!(matches!(none, EvaluationError::NoImages { .. }), "{none}");
    let outside = found(Probes::new(), Blobs::new(9).outside());
    assert!(matches!(outside, EvaluationError::Dataset(_)), "{outside}");
    assert!(outside.to_string().contains("blob 0"), "{outside}");
    let twice = Probes::new().with("target", Box::new(Placed));
    assert!(matches!(found(twice, Blobs::new(9)), EvaluationError::SameName { .. }));
    let changing = from_fn(Colors::field(), 0.0, |tapped| {
        let batch = tapped.target.dims()[0];
        Tensor::ones([batch, 1 + batch % 2, 2, 2], &tapped.target.device())
    });
    let changed = found(Probes::new().with("changing", changing), Blobs::new(9));
    assert!(matches!(changed, EvaluationError::Maps { .. }), "{changed}");
    let nan = from_fn(Colors::field(), 0.0, |tapped| tapped.target.clone() * f32::NAN);
    assert!(matches!(found(Probes::new().with("nan", nan), Blobs::new(9)), EvaluationError::Metrics(_)));
    let config = config().with_images(0);
    let device = Device::flex();
    let error =
        config.measure(&Colors::new(&device), &Blobs::new(9), &Probes::new(), Prefetch::new(), &device);
    assert!(matches!(error, Err(EvaluationError::Config { setting: "images", .. })));
    assert_eq!(Blobs::new(9).sample(3).expect("a picture").image.width(), SIDE as u32);
}

/// Of a landmark that no image shows nothing is measured, rather than 0.
#[test]
fn a_landmark_that_no_image_shows_is_not_measured() {
    let evidence = measured(&Probes::new(), &Blobs::new(9).with_landmarks(&["head", "tail", "crown"]));
    // The picture says nothing of a crown.
    let evidence = evidence.expect("evidence");
    assert!(evidence.layers.iter().all(|layer| layer.landmarks[2].is_none()));
    assert!(Follows::of(&evidence, names::TOP_CONV, 2).is_none() && Holds::of(&evidence, 2).is_none());
    assert!(evidence.table(names::TOP_CONV).to_string().contains("crown: not measured"));
    let json = serde_json::to_value(&evidence).expect("JSON");
    assert_eq!(json["target"]["crown"]["hit"], serde_json::json!(null));
}
