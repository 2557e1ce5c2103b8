//! Images that are drawn again, with detectors and contributions of which it is known what they do.

mod set;

use burn::tensor::{Device, Tensor};
use explainer_core::{ExplainerConfig, Performer, Tapped};
use explainer_datasets::{Change, Dataset, Prefetch, Rendered};
use explainer_evaluation::verdict::{AREA, CHANCE, Causes, Follows, in_words};
use explainer_evaluation::{
    Account, Accounts, Deletion, DeletionConfig, EvaluationError, Evidence, EvidenceConfig, Given, Probes,
    from_fn, names,
};
use explainer_metrics::Figure;
use set::Scenes;

use super::blobs::Colors;

fn measured(probes: &Probes<'_>, count: usize) -> Evidence {
    let device = Device::flex();
    let config = EvidenceConfig::new().with_atoms(2).with_batch_size(16).with_progress(false);
    let performer = Colors::new(&device);
    config.measure(&performer, &Scenes::new(count), probes, Prefetch::new(), &device).expect("evidence")
}

/// Purple, yellow and green: one detector for each part.
fn parts(tapped: &Tapped) -> Tensor<4> {
    let [red, green, blue] = [0, 1, 2].map(|at| tapped.target.clone().narrow(1, at, 1));
    let purple = red.clone().min_pair(blue.clone()) - green.clone();
    let yellow = red.clone().min_pair(green.clone()) - blue.clone();
    Tensor::cat(vec![purple, yellow, green - red.max_pair(blue)], 1)
}

/// A detector of the whole: at the body, which is the brightest, as strong as the picture is different from grey.
fn object(tapped: &Tapped) -> Tensor<4> {
    let mean = tapped.target.clone().mean_dim(1);
    let strength = (tapped.target.clone() - 100.0 / 255.0).abs().sum_dim(1).sum_dim(2).sum_dim(3);
    mean * strength
}

fn value(figure: &Option<Figure>) -> f64 {
    figure.as_ref().expect("measured").value()
}

#[test]
fn figures_come_from_images_drawn_again() {
    let field = Colors::field();
    let probes = Probes::new()
        .with("parts", from_fn(field, f64::NEG_INFINITY, parts))
        .with("object", from_fn(field, f64::NEG_INFINITY, object));
    let evidence = measured(&probes, 60);
    let table = evidence.table("parts").to_string();
    println!("{table}");
    assert!(evidence.rendered && table.contains("drawn again"));
    for (landmark, name) in evidence.landmarks.iter().enumerate() {
        let best = &evidence.figures("parts", landmark).expect("figures").best;
        // Two detectors of three count as matched: one of them is that of the part.
        assert!(value(&best.gain) > 0.4 && value(&best.transplant_hit) > 0.4, "{name}: {best:?}");
        assert!(value(&best.erase_auc) > 0.7, "{name}");
        // Its moves are followed by its own detector, those of others by that of another part: half of each.
        assert!(value(&best.crosstalk) > 0.1 && value(&best.crosstalk) < 0.45, "{name}: {best:?}");
        let ceiling = &evidence.figures(names::CEILING, landmark).expect("figures").best;
        // Where the tail is out of sight its detector may be anywhere, on another part too.
        assert!(value(&ceiling.gain) > 0.9 && value(&ceiling.crosstalk).abs() < 0.25, "{name}: {ceiling:?}");
        assert!(value(&ceiling.erase_auc) > 0.9 && value(&ceiling.stays) < 0.05, "{name}: {ceiling:?}");
        // A detector of the whole is weaker without any part than without a stone; it never moves.
        let object = &evidence.figures("object", landmark).expect("figures").best;
        assert!(value(&object.erase_auc) > 0.75 && value(&object.gain).abs() < 0.1, "{name}: {object:?}");
        assert!(!Follows::of(&evidence, "object", landmark).expect("measured").passed());
        // Where nothing hides a part there is no pair of images.
        assert_eq!(best.presence_auc.is_some(), landmark == 1, "{name}");
    }
    let presence = |layer: &str| evidence.figures(layer, 1)?.best.presence_auc.as_ref().map(Figure::value);
    assert!(presence(names::CEILING) > Some(0.95), "{:?}", presence(names::CEILING));
    let selectivity =
        |layer: &str| evidence.layer(layer).and_then(|layer| layer.selectivity).expect("measured");
    assert_eq!(selectivity("parts").value, 1.0);
    assert_eq!(selectivity(names::CEILING).value, 1.0);
    let json = serde_json::to_value(&evidence).expect("JSON");
    assert_eq!(json["parts"]["selectivity"], serde_json::json!([1.0, 0.0]));
    assert!(json["kmeans"]["foot"]["crosstalk"].is_array());
    // The pictures that are kept show the step: beyond twice the radius of a hit, and within the image.
    let diagonal = 64.0f64.hypot(64.0);
    assert_eq!(evidence.examples.len(), 4 * 3, "four images of three landmarks");
    for example in &evidence.examples {
        let [dx, dy] = [0, 1].map(|axis| example.paste[axis] - example.place[axis]);
        assert!((dx.hypot(dy) - 20.0).abs() < 1e-3 && 20.0 > 0.2 * diagonal, "{example:?}");
        assert!(example.paste.iter().all(|at| (5.0..59.0).contains(at)), "{:?}", example.paste);
        assert!(example.original != example.erased && example.erased != example.transplanted);
    }
}

/// What each class's score owes to each channel of a unit, where no ReLU is below 0.
fn weights() -> [[f32; 3]; 2] {
    let conv = [[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.3, 0.3, 0.3]];
    let head = [[1.0, -1.0], [0.0, 0.5], [1.0, -1.0], [-0.5, 0.5]];
    [0, 1].map(|class| {
        [0, 1, 2].map(|channel| (0..4).map(|at: usize| head[at][class] * conv[at][channel]).sum())
    })
}

/// The exact account of a linear score, against a grey picture, times `sign`.
fn account<'a>(sign: f32) -> Account<'a> {
    let field = Colors::field();
    Account::from_fn(field, move |target: Tensor<4>, classes: &[usize]| {
        let [_, channels, height, width] = target.dims();
        let units = height * width;
        let values: Vec<f32> = target.into_data().iter::<f32>().collect();
        let picture = |(values, &class): (&[f32], &usize)| {
            let unit = |unit: usize| {
                let amount: f32 = (0..channels)
                    .map(|channel| {
                        weights()[class][channel] * (values[channel * units + unit] - 100.0 / 255.0)
                    })
                    .sum();
                let at = [unit % width, unit / width].map(|unit| field.pixel(unit));
                Given { amount: f64::from(sign * amount), at }
            };
            (0..units).map(unit).collect()
        };
        Ok(values.chunks_exact(channels * units).zip(classes).map(picture).collect())
    })
}

/// A performer that says 0 where there is a head: its scores are about 0, so that a head is 5 % of them.
fn decided_by_heads(device: &Device) -> Colors {
    let (performer, scenes) = (Colors::new(device), Scenes::new(1));
    let score = |changes: &[Change]| -> Vec<f32> {
        let picture = scenes.changed(0, changes).expect("a scene").image;
        let images = performer.preprocessing().batch(&[picture.as_raw()], device).expect("a picture");
        performer.tap(images).scores.into_data().iter::<f32>().collect()
    };
    let (with, without) = (score(&[]), score(&[Change::Without { part: 0 }]));
    let bias = [0, 1].map(|class| 0.05 - (with[class] + without[class]) / 2.0);
    performer.with_bias(bias)
}

fn of_predictions(
    accounts: &Accounts<'_>,
    classes: &[usize],
) -> Result<Vec<(String, Deletion)>, EvaluationError> {
    let device = Device::flex();
    let config = DeletionConfig::new().with_images(40).with_batch_size(8).with_progress(false);
    config.measure(&decided_by_heads(&device), &Scenes::new(60), classes, accounts, &device)
}

#[test]
fn true_contributions_name_the_parts_and_false_ones_do_not() {
    let accounts = Accounts::new().with(names::EXPLAINED, account(1.0)).with(names::TOP_CONV, account(-1.0));
    let found = of_predictions(&accounts, &[0]).expect("figures");
    let [(_, honest), (_, liar)] = found.as_slice() else { panic!("{} accounts", found.len()) };
    println!("{honest:?}\n{liar:?}");
    assert!(value(&honest.single) > 0.9 && value(&liar.single) < 0.1);
    assert!(value(&honest.deletion) > 0.9 && value(&honest.preservation) > 0.9);
    assert_eq!((value(&honest.background_independence), value(&honest.distractibility)), (1.0, 1.0));
    assert_eq!(honest.single_by_area, liar.single_by_area);
    let by_area = value(&honest.single_by_area);
    assert!((0.2..0.8).contains(&by_area), "{by_area}: all parts are of one size");

    let evidence = measured(&Probes::new(), 20).with_deletion(found);
    let honest = Causes::of(&evidence, names::EXPLAINED).expect("measured");
    assert!(honest.passed());
    let controls: Vec<&str> = honest.comparisons.iter().map(|comparison| comparison.control).collect();
    assert_eq!(controls, [CHANCE, AREA]);
    assert!(!Causes::of(&evidence, names::TOP_CONV).expect("measured").passed());
    assert!(Causes::of(&evidence, names::TARGET).is_none());
    let words = in_words(&evidence, names::EXPLAINED);
    assert!(words.ends_with("The contributions name the parts whose removal matters."), "{words}");
    let words = in_words(&evidence, names::TOP_CONV);
    assert!(words.contains("single deletion is not above that of"), "{words}");
    assert!(evidence.table(names::EXPLAINED).to_string().contains("distractibility 1.00±0.00"));
    let json = serde_json::to_value(&evidence).expect("JSON");
    assert!(json[names::EXPLAINED]["deletion"]["single"].is_array());
    assert_eq!(json["target"]["deletion"]["single"], serde_json::json!(null));
}

/// An explainer's filters are at their peaks, and at blind places for the control; without windows there are none.
#[test]
fn explainers_give_account_of_themselves() {
    let device = Device::flex();
    let performer = decided_by_heads(&device);
    let config = ExplainerConfig::for_performer(&performer);
    let published = config.clone().published().init_from(&performer, &device);
    let explainer = config.init_from(&performer, &device);
    let accounts = Accounts::new()
        .with(names::EXPLAINED, Account::of_network(&explainer, &performer))
        .with(names::PLACES, Account::of_places(&explainer, &performer))
        .with(names::PUBLISHED, Account::of_network(&published, &performer))
        .with("published, places", Account::of_places(&published, &performer));
    let config = DeletionConfig::new().with_images(12).with_batch_size(5).with_progress(false);
    let measure = || config.measure(&performer, &Scenes::new(12), &[0], &accounts, &device).expect("figures");
    let found = measure();
    let accounts: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(accounts, [names::EXPLAINED, names::PLACES, names::PUBLISHED]);
    for (name, found) in &found {
        assert!(found.deletion.is_some() && found.distractibility.is_some(), "{name}: {found:?}");
    }
    assert_eq!(found, measure(), "the same again");
}

#[test]
fn what_cannot_be_asked_of_predictions_is_told() {
    let nobody = || Accounts::new().with("exact", account(1.0));
    for classes in [&[][..], &[2], &[0, 1]] {
        let error = of_predictions(&nobody(), classes).expect_err("no class");
        assert!(matches!(error, EvaluationError::Classes { categories: 1, .. }), "{error}");
    }
    let few = Account::from_fn(Colors::field(), |_, _| Ok(vec![Vec::new()]));
    let error = of_predictions(&Accounts::new().with("few", few), &[0]).expect_err("one picture of eight");
    assert!(matches!(error, EvaluationError::Account { expected: 8, found: 1, .. }), "{error}");
    let error = of_predictions(&Accounts::new().with("nan", account(f32::NAN)), &[0]).expect_err("NaN");
    assert!(matches!(error, EvaluationError::Metrics(_)), "{error}");
    let device = Device::flex();
    let none = DeletionConfig::new().with_progress(false);
    let error = none.measure(&Colors::new(&device), &Scenes::new(0), &[0], &nobody(), &device);
    assert!(matches!(error, Err(EvaluationError::NoImages { found: 0, .. })));
    assert!(Scenes::new(1).rendered().is_some());
}
