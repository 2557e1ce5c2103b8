use burn::module::Module;
use burn::tensor::{Device, Tensor};
use explainer_core::{CoreError, Performer, Preprocessing, StopFlag};
use std::fs;

use super::*;
use crate::{ResNet18, ResNetSizes, Vgg16, Vgg16Config};

/// Bright and dark images.
struct Shades {
    len: usize,
    label: fn(usize) -> Option<usize>,
    /// The epoch from which on there are none.
    until: usize,
}

impl Examples for Shades {
    fn len(&self) -> usize {
        self.len
    }

    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
        if epoch >= self.until {
            return Err("the power went out".into());
        }
        let bright = index % 2;
        let shade = 200 * bright + (7 * index + 3 * epoch) % 50;
        Ok((vec![shade as u8; 3 * 32 * 32], (self.label)(bright)))
    }
}

const SHADES: Shades = Shades { len: 40, label: Some, until: usize::MAX };
/// Bright ones are the category, dark ones negatives.
const BRIGHT: Shades = Shades { label: |bright| (bright == 1).then_some(0), ..SHADES };

fn tiny(classes: usize) -> Vgg16 {
    Vgg16Config::new()
        .with_widths([4, 4, 4, 4, 8])
        .with_hidden([8, 8])
        .with_classes(classes)
        .with_input(32)
        .with_seed(1)
        .init(&Device::flex())
}

fn config() -> TrainConfig {
    TrainConfig::new(12).with_batch_size(8).with_warmup_steps(5).with_learning_rate(3e-3)
}

/// The same in other epochs.
fn within(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, ..config() }
}

/// What a network makes of an image.
fn scores(network: &impl Performer) -> Vec<f32> {
    let image = Tensor::<4>::ones([1, 3, 32, 32], &Device::flex());
    network.tap(image).scores.into_data().iter::<f32>().collect()
}

#[test]
fn a_tiny_network_learns_bright_from_dark_and_does_so_again() {
    let (network, records) = config().fit(tiny(2), &SHADES, &SHADES).unwrap();
    assert_eq!(records.len(), 12);
    assert!(records[11].loss < 0.8 * records[0].loss, "{records:?}");
    assert_eq!(records[11].validation_error, 0.0, "{records:?}");

    let (again, same) = config().fit(tiny(2), &SHADES, &SHADES).unwrap();
    assert_eq!(records, same);
    assert_eq!(scores(&network), scores(&again));

    let (_, other) = config().with_seed(5).fit(tiny(2), &SHADES, &SHADES).unwrap();
    assert_ne!(records, other, "another order");
}

#[test]
fn one_score_tells_a_category_from_negatives() {
    let config = config().with_objective(Objective::Logistic);
    let (network, records) = config.fit(tiny(1), &BRIGHT, &BRIGHT).unwrap();
    assert_eq!(records[11].validation_error, 0.0, "{records:?}");
    assert_eq!(scores(&network).len(), 1);
    let error = config.with_objective(Objective::Softmax).fit(tiny(1), &BRIGHT, &BRIGHT).map(|_| ());
    assert!(matches!(error, Err(TrainError::Unlabelled { .. })), "{error:?}");
}

#[test]
fn a_trained_network_is_tuned_with_momentum_and_without_norms() {
    let (network, _) = config().fit(tiny(2), &SHADES, &SHADES).unwrap();
    let before = validation_error(&network, Objective::Softmax, &SHADES, 8).unwrap();
    let tuning = TrainConfig::fine_tuning(2)
        .with_batch_size(8)
        .with_optimizer(Optimizer::Momentum { momentum: 0.9 })
        .with_schedule(Schedule::LogSpaced { last: 0.1 });
    let (tuned, records) = tuning.clone().fit(network.clone(), &SHADES, &SHADES).unwrap();
    assert!(records[0].loss < 0.5, "it starts from what was learned: {records:?}");
    assert!(records[1].validation_error <= before);
    assert_ne!(scores(&tuned), scores(&network));

    // The first step of gradient descent is the gradient itself times the rate.
    let still = tuning.clone().with_learning_rate(0.0).fit(network.clone(), &SHADES, &SHADES).unwrap().0;
    assert_eq!(scores(&still), scores(&network));
}

#[test]
fn a_residual_network_trains_with_norms_that_are_folded_away() {
    let sizes = ResNetSizes { stem: 4, widths: [4, 4, 8, 8], classes: 2, input: 32 };
    let network = ResNet18::init(sizes, Preprocessing::imagenet(32), 3, &Device::flex());
    let parameters = network.num_params();
    let (network, records) = config().fit(network, &SHADES, &SHADES).unwrap();
    assert_eq!(records[11].validation_error, 0.0, "{records:?}");
    assert_eq!(network.num_params(), parameters);
}

#[test]
fn a_training_that_was_stopped_goes_on_as_if_it_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let plain = within(4).with_dropout(0.3).with_crops(0.5);
    let (whole, records) = plain.fit(tiny(2), &SHADES, &SHADES).unwrap();

    let kept = plain.clone().with_checkpoints(Some(folder.path().join("made")));
    let cut = Shades { until: 3, ..SHADES };
    let error = kept.fit(tiny(2), &cut, &SHADES).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("the power went out"), "{error}");
    let mut names: Vec<_> =
        fs::read_dir(folder.path().join("made")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".lock", "epoch-0002"]);

    let (resumed, same) = kept.fit(tiny(2), &SHADES, &SHADES).unwrap();
    assert_eq!(records, same);
    assert_eq!(scores(&whole), scores(&resumed));
    // Nothing is left to do the next time but to know the examples again.
    let none = Shades { until: 2, ..SHADES };
    let (finished, same) = kept.fit(tiny(2), &none, &SHADES).unwrap();
    assert_eq!((records, scores(&finished)), (same, scores(&whole)));
}

#[test]
fn a_training_that_is_told_to_stop_goes_on_as_if_it_was_not() {
    /// Raises the flag when the last example of an epoch is asked for.
    struct Raising<'a> {
        flag: &'a StopFlag,
        epoch: usize,
    }
    impl Examples for Raising<'_> {
        fn len(&self) -> usize {
            SHADES.len
        }
        fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
            if epoch == self.epoch {
                self.flag.raise();
            }
            SHADES.example(index, epoch)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let plain = within(3).with_dropout(0.3);
    let (whole, records) = plain.fit(tiny(2), &SHADES, &SHADES).unwrap();
    let flag = StopFlag::new();
    let kept = plain.clone().with_checkpoints(Some(folder.path().into()));
    let stopping = kept.clone().with_stop(Some(flag.clone()));
    let error = stopping.fit(tiny(2), &Raising { flag: &flag, epoch: 2 }, &SHADES).map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::Core(CoreError::Stopped { epoch: 2, .. })), "{error}");
    assert!(error.to_string().contains("1 is kept in"), "{error}");
    let (resumed, same) = kept.fit(tiny(2), &SHADES, &SHADES).unwrap();
    assert_eq!((records, scores(&whole)), (same, scores(&resumed)));
}

/// Bright and dark images whose brightness is an attribute too, known of every third.
struct Described;

impl Examples for Described {
    fn len(&self) -> usize {
        SHADES.len
    }

    fn example(&self, index: usize, epoch: usize) -> Result<(Vec<u8>, Option<usize>), SourceError> {
        SHADES.example(index, epoch)
    }

    fn attributes(&self, index: usize, _: usize) -> Result<Vec<Option<Attribute>>, SourceError> {
        Ok(vec![index.is_multiple_of(3).then_some(Attribute { value: index % 2, place: [4.0, 4.0] }), None])
    }
}

#[test]
fn attributes_are_learned_beside_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    let described = within(3).with_attributes(vec![2, 3]);
    let (plain, without) = within(3).fit(tiny(2), &Described, &SHADES).unwrap();
    let (network, records) = described.fit(tiny(2), &Described, &SHADES).unwrap();
    assert_ne!(scores(&network), scores(&plain));
    assert_eq!(network.num_params(), tiny(2).num_params(), "the heads are thrown away");
    // A third of the images adds ln 2 at first.
    assert!(records[0].loss > without[0].loss + 0.1, "{records:?} {without:?}");
    let weightless = described.clone().with_attribute_weight(0.0);
    assert_eq!(weightless.fit(tiny(2), &Described, &SHADES).unwrap().1, without);

    let kept = described.clone().with_checkpoints(Some(folder.path().into()));
    kept.fit(tiny(2), &Described, &SHADES).unwrap();
    let (resumed, same) = kept.fit(tiny(2), &Described, &SHADES).unwrap();
    assert_eq!((records, scores(&network)), (same, scores(&resumed)));

    let error = described.fit(tiny(2), &SHADES, &SHADES).map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::Attributes { .. }), "{error}");
}

#[test]
fn two_trainings_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let kept = within(1).with_checkpoints(Some(folder.path().into()));
    let held = explainer_core::Checkpoints::open(folder.path()).unwrap();
    let error = kept.fit(tiny(2), &SHADES, &SHADES).map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::Core(CoreError::InUse { .. })), "{error}");
    drop(held);
    kept.fit(tiny(2), &SHADES, &SHADES).unwrap();
}

#[test]
fn a_training_on_other_pictures_of_the_same_number_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let kept = within(1).with_checkpoints(Some(folder.path().into()));
    kept.fit(tiny(2), &SHADES, &SHADES).unwrap();
    let other = Shades { label: |bright| Some(1 - bright), ..SHADES };
    for (train, validation, expected) in
        [(&other, &SHADES, "the examples"), (&SHADES, &other, "the validation")]
    {
        let error = kept.fit(tiny(2), train, validation).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(&format!("checksum of {expected}")), "{error}");
    }
}

#[test]
fn checkpoints_of_another_training_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kept = within(1).with_checkpoints(Some(folder.path().into()));
    kept.fit(tiny(2), &SHADES, &SHADES).unwrap();
    let refused = |config: &TrainConfig, network: Vgg16| {
        config.fit(network, &SHADES, &SHADES).map(|_| ()).unwrap_err().to_string()
    };
    let error = refused(&kept.clone().with_seed(3), tiny(2));
    assert!(error.contains("state.json: belongs to another training: training was"), "{error}");
    let error = refused(&kept, tiny(2).randomized(9));
    assert!(error.contains("checksum of the first weights was"), "{error}");

    let place = folder.path().join("epoch-0001");
    for name in ["network.bpk", "optimizer.bpk", "state.json"] {
        let whole = fs::read(place.join(name)).unwrap();
        fs::write(place.join(name), &whole[..whole.len() / 2]).unwrap();
        let error = refused(&kept, tiny(2));
        assert!(error.contains(name), "{error}");
        fs::write(place.join(name), whole).unwrap();
    }
    kept.fit(tiny(2), &SHADES, &SHADES).unwrap();
}

#[test]
fn divergence_names_epoch_and_step() {
    let error = config()
        .with_learning_rate(1e30)
        .with_warmup_steps(1)
        .fit(tiny(2), &SHADES, &SHADES)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, TrainError::Diverged { epoch: 1, step: 2, .. }), "{error}");
    assert!(error.to_string().contains("epoch 1 at step 2"), "{error}");
}

#[test]
fn unknown_labels_wrong_sizes_and_empty_sets_are_refused() {
    let foreign = Shades { len: 4, label: |bright| Some(2 + bright), ..SHADES };
    let error = config().fit(tiny(2), &foreign, &SHADES).map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::Label { label: 2.., classes: 2, .. }), "{error}");
    let none = Shades { len: 0, ..SHADES };
    assert!(matches!(config().fit(tiny(2), &none, &SHADES), Err(TrainError::Empty("training"))));
    assert!(matches!(config().fit(tiny(2), &SHADES, &none), Err(TrainError::Empty("validation"))));
    let larger = Vgg16Config::new().with_widths([1; 5]).with_hidden([1; 2]).with_classes(2).with_input(64);
    let error = config().fit(larger.init(&Device::flex()), &SHADES, &SHADES).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("12288"), "{error}");
}
