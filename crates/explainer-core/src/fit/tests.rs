use std::path::Path;

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor};
use explainer_filter_loss::{MaskCenter, Shape};
use explainer_metrics::{InstabilityConfig, Landmarks, Peaks, location_instability};

use super::*;
use crate::features::floats;
use crate::testing::{SIZE, TinyPerformer, features, images};
use crate::{ExplainerConfig, FeatureConfig, InterpretableLayer, MaskLayer, Masking, Share, Windowing};

mod runs;

fn setup(count: usize) -> (TinyPerformer, Features, Explainer) {
    setup_with(count, vec![Masking::PUBLISHED])
}

fn setup_with(count: usize, masks: Vec<Masking>) -> (TinyPerformer, Features, Explainer) {
    let performer = TinyPerformer::new(5);
    let train = features(&performer, count, &FeatureConfig::plain().with_mirror(true));
    let config = ExplainerConfig::for_performer(&performer).with_masks(masks);
    let explainer = config.init_from(&performer, &Device::flex());
    (performer, train, explainer)
}

/// Learned on both layers, each from another centre.
fn learned() -> Vec<Masking> {
    [MaskCenter::Peak, MaskCenter::CenterOfMass].map(|center| Masking::Learned { center }).to_vec()
}

/// `features` with two landmarks; the second is not seen in every row, and nothing is in the last.
fn marked(features: Features) -> Features {
    let mut landmarks = Landmarks::new(["head", "tail"]);
    let rows = features.len();
    for row in 0..rows {
        let at = |factor: usize| [(row * factor % SIZE) as f64, (row * row % SIZE) as f64];
        let seen = row + 1 < rows;
        landmarks.push([seen.then(|| at(3)), (seen && row % 3 > 0).then(|| at(5))]);
    }
    features.with_landmarks(landmarks)
}

fn config() -> FitConfig {
    let rates = LearningRates::uniform(3e-3, 1e-2);
    // A light one, for a fit of a few steps on random images.
    let push = Push { ratio: 0.3, schedule: PushSchedule::Constant };
    FitConfig::new()
        .with_epochs(3)
        .with_batch_size(8)
        .with_rates(rates)
        .with_weights(LossWeights { eta: 0.2, share: 2.0 / 3.0, ..LossWeights::RELATIVE })
        .with_decay(0.0)
        .with_push(vec![push])
        .with_progress(false)
}

fn weights(explainer: &Explainer) -> Vec<f32> {
    let mut values = floats(explainer.share_logit.val());
    for layer in &explainer.interpretable.layers {
        values.extend(floats(layer.conv.weight.val()));
        if let Some(MaskLayer::Learned(mask)) = layer.mask() {
            values.extend(floats(mask.beta()));
        }
    }
    values.extend(floats(explainer.ordinary.convs[0].weight.val()));
    values.extend(floats(explainer.decoder.layers[1].weight.val()));
    values.extend(floats(explainer.interpretable_norm.alpha()));
    values
}

/// The performer is recognised in them as well: its relevance and its layers are found.
#[test]
fn features_of_half_precision_give_nearly_the_same_fit() {
    let (performer, single, explainer) = setup(12);
    let plain = FeatureConfig::plain().with_mirror(true);
    let half = features(&performer, 12, &plain.with_half(true));
    let config = config().with_epochs(1);
    let [single, half] = [&single, &half]
        .map(|train| config.fit(explainer.clone(), &performer, train, Some(&single)).expect("a fit"));
    let [own, other] = [&single, &half].map(|fit| fit.validation.as_ref().unwrap().relative_error[0]);
    assert!(own != other && (other / own - 1.0).abs() < 0.05, "{own} {other}");
    let [own, other] = [&single, &half].map(|fit| weights(&fit.explainer));
    let largest = own.iter().fold(0.0, |most: f32, weight| most.max(weight.abs()));
    for (own, other) in own.iter().zip(&other) {
        assert!((own - other).abs() < 0.02 * largest, "{own} {other}");
    }
}

#[test]
fn a_fit_reconstructs_better_and_records_every_term() {
    let (performer, train, _) = setup(24);
    // As published, so that there is something to learn; at these rates running norms leave a layer without a push.
    let start = ExplainerConfig::for_performer(&performer).published().init_from(&performer, train.device());
    let config = || config().with_norm(NormUpdate::Fixed);
    let fit = config().with_epochs(12).fit(start, &performer, &train, Some(&train)).unwrap();
    let (first, last) = (&fit.records[0], fit.records.last().unwrap());
    assert_eq!(fit.records.len(), 12);
    assert_eq!((last.epoch, last.steps, last.reconstruction.len(), last.filter_loss.len()), (12, 6, 2, 2));
    assert!(last.reconstruction[0] < 0.5 * first.reconstruction[0], "{first:?} {last:?}");
    let eta_log_p = -config().weights.eta * last.share.ln();
    assert!((last.share_loss / eta_log_p - 1.0).abs() < 0.05, "{} {eta_log_p}", last.share_loss);
    assert!(last.filter_loss.iter().all(|&value| value <= 0.0));
    assert!(last.push.iter().all(|&push| push > 0.0));
    let validation = last.validation.as_ref().unwrap();
    assert!(validation.relative_error[0] < 0.3 && validation.agreement > 0.6, "{validation:?}");
    assert!((f64::from(fit.share()) - last.share).abs() < 1e-9);
    let handed_out = fit.validation.unwrap();
    assert_eq!(fit.explainer.validate(&performer, &train).unwrap(), handed_out);
    let errors = handed_out.relative_error.iter().zip(&validation.relative_error);
    assert!(errors.clone().all(|(refitted, fitted)| refitted < fitted), "{handed_out:?} {validation:?}");
}

#[test]
fn an_interrupted_fit_goes_on_to_the_same_result() {
    let published = vec![Masking::PUBLISHED];
    for (norm, decay, masks, memory) in [
        (NormUpdate::Fixed, 0.5, published.clone(), None),
        (NormUpdate::Running { momentum: 0.01 }, 0.0, published, Some(0.3)),
        (NormUpdate::Fixed, 0.5, learned(), None),
    ] {
        let (performer, train, explainer) = setup_with(10, masks);
        let train = marked(train);
        let config = config().with_norm(norm).with_decay(decay).with_memory(memory);
        let whole = config.fit(explainer.clone(), &performer, &train, Some(&train)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = config.with_checkpoints(Some(folder.path().to_path_buf()));
        let mut loss = config.layered_filter_loss(&explainer, &train);
        config.fit_until(2, &mut loss, explainer.clone(), &performer, &train, Some(&train)).unwrap();
        let resumed = config.fit(explainer.clone(), &performer, &train, Some(&train)).unwrap();
        assert_eq!(weights(&resumed.explainer), weights(&whole.explainer));
        assert_eq!(resumed.records.len(), 3);
        for (own, other) in resumed.records.iter().zip(&whole.records) {
            assert!(own.validation.as_ref().is_some_and(|figures| figures.instability.is_some()), "{own:?}");
            assert_eq!(
                EpochRecord { seconds: 0.0, ..own.clone() },
                EpochRecord { seconds: 0.0, ..other.clone() }
            );
        }
        assert_eq!(entries(folder.path()), ["epoch-0003"], "one whole checkpoint stays");
    }
}

#[test]
fn landmarks_tell_after_every_epoch_how_stable_the_parts_are() {
    let (performer, train, explainer) = setup(40);
    let plain = config().fit(explainer.clone(), &performer, &train, Some(&train)).unwrap();
    let train = marked(train);
    let fit = config().fit(explainer, &performer, &train, Some(&train)).unwrap();

    // As the metrics crate has it, image by image.
    let field = performer.target_field();
    let mut peaks = Peaks::new(fit.explainer.filters(), [SIZE, SIZE]);
    for row in 0..train.len() {
        let maps = fit.explainer.forward(train.batch(&[row]).target).interpretable.pop().unwrap();
        peaks.push(&floats(maps)).unwrap();
    }
    let figure = InstabilityConfig::new([SIZE, SIZE]);
    let expected = location_instability(&peaks, &field, train.landmarks().unwrap(), &figure).mean;
    let of = |validation: &Option<Validation>| validation.as_ref().unwrap().instability;
    assert!((of(&fit.validation).unwrap() - expected).abs() < 1e-12, "{:?} {expected}", fit.validation);
    let course: Vec<f64> = fit.records.iter().map(|record| of(&record.validation).unwrap()).collect();
    // The closing refit is the decoder's alone.
    assert_eq!(course[2], of(&fit.validation).unwrap());
    assert_ne!(course[0], course[2]);

    // They are looked at and not learned from; without them nothing is measured.
    assert_eq!(weights(&fit.explainer), weights(&plain.explainer));
    assert!(plain.records.iter().all(|record| of(&record.validation).is_none()));
    let mut nowhere = Landmarks::new(["head"]);
    (0..train.len()).for_each(|_| nowhere.push([None]));
    let nowhere = fit.explainer.validate(&performer, &train.with_landmarks(nowhere)).unwrap();
    assert_eq!(nowhere.instability, None);
    // Checkpoints of before there was such a figure can be gone on from.
    let old = serde_json::json!({"relative_error": [0.5], "agreement": 1.0});
    assert_eq!(serde_json::from_value::<Validation>(old).unwrap().instability, None);
}

#[test]
#[should_panic(expected = "features of 10 rows, landmarks of 1 images")]
fn every_row_has_its_landmarks() {
    let (_, train, _) = setup(5);
    let mut landmarks = Landmarks::new(["head"]);
    landmarks.push([None]);
    let _ = train.with_landmarks(landmarks);
}

/// Asks filters to fall silent, and counts how often it was asked itself.
struct Silence {
    calls: usize,
    strength: f64,
}

impl InterpretabilityLoss for Silence {
    fn description(&self) -> String {
        format!("silence of strength {}", self.strength)
    }

    fn value_and_gradient(
        &mut self,
        layer: usize,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<4>) {
        self.calls += 1;
        let [batch, filters, _, _] = maps.dims();
        assert!(layer < 2 && members.dims() == [batch, filters]);
        let value = maps.clone().sum_dims(&[0, 2, 3]).reshape([filters]).mul_scalar(self.strength);
        (value, maps.ones_like().mul_scalar(self.strength))
    }

    fn save(&self, folder: &Path) -> Result<(), CoreError> {
        let path = folder.join("calls");
        std::fs::write(&path, self.calls.to_string()).map_err(CoreError::io(&path, "writing"))
    }

    fn load(&mut self, folder: &Path) -> Result<(), CoreError> {
        let path = folder.join("calls");
        let text = std::fs::read_to_string(&path).map_err(CoreError::io(&path, "reading"))?;
        self.calls = text.parse().expect("a number");
        Ok(())
    }
}

#[test]
fn a_loss_of_ones_own_pushes_and_is_remembered() {
    let (performer, train, _) = setup(10);
    // What maps have within windows may grow as these move.
    let explainer = ExplainerConfig::for_performer(&performer).with_windows(vec![Windowing::None]);
    let explainer = explainer.init_from(&performer, &Device::flex());
    let push = |ratio| vec![Push { ratio, schedule: PushSchedule::Constant }];
    let mass = |ratio: f64| {
        let mut loss = Silence { calls: 0, strength: 2.0 };
        let config = config().with_push(push(ratio));
        let fit = config.fit_with(&mut loss, explainer.clone(), &performer, &train, None).unwrap();
        // Two layers, three epochs of three steps.
        assert_eq!(loss.calls, 2 * 3 * 3);
        assert!(fit.records.iter().all(|record| record.filter_loss.iter().all(|&value| value > 0.0)));
        let maps = fit.explainer.forward(train.batch(&[0, 1, 2]).target).interpretable.pop().unwrap();
        maps.sum().into_scalar::<f32>()
    };
    let [pushed, left] = [3.0, 0.0].map(mass);
    assert!(pushed < 0.9 * left, "{pushed} {left}");

    let folder = tempfile::tempdir().unwrap();
    let config = config().with_checkpoints(Some(folder.path().to_path_buf()));
    let mut loss = Silence { calls: 0, strength: 2.0 };
    config.fit_until(1, &mut loss, explainer.clone(), &performer, &train, None).unwrap();
    let mut other = Silence { calls: 0, strength: 3.0 };
    let error = config.fit_with(&mut other, explainer.clone(), &performer, &train, None).unwrap_err();
    assert!(error.to_string().contains("silence of strength 3"), "{error}");
    let mut resumed = Silence { calls: 0, strength: 2.0 };
    config.fit_with(&mut resumed, explainer, &performer, &train, None).unwrap();
    assert_eq!(resumed.calls, 2 * 3 * 3);
}

fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".lock").collect()
}

#[test]
fn another_fits_checkpoint_is_refused_by_name_of_the_setting() {
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    let config = config().with_epochs(1).with_checkpoints(Some(folder.path().to_path_buf()));
    config.fit(explainer.clone(), &performer, &train, None).unwrap();
    let refused =
        |config: FitConfig| config.fit(explainer.clone(), &performer, &train, None).unwrap_err().to_string();
    let error = refused(config.clone().with_seed(9));
    assert!(error.contains("fit.seed was 0, is 9") && error.contains("epoch-0001"), "{error}");
    // More epochs are another fit where the rates fall towards the last one.
    config.clone().with_epochs(2).fit(explainer.clone(), &performer, &train, None).unwrap();
    let error = refused(config.with_decay(0.5));
    assert!(error.contains("decay") && error.contains("epoch-0002"), "{error}");
}

#[test]
fn a_checkpoint_of_other_features_or_first_weights_is_refused() {
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    let config = config().with_epochs(1).with_checkpoints(Some(folder.path().to_path_buf()));
    config.fit(explainer.clone(), &performer, &train, None).unwrap();
    let refused = |explainer: &Explainer, train: &Features| {
        config.fit(explainer.clone(), &performer, train, None).unwrap_err().to_string()
    };
    let other = features(&TinyPerformer::new(8), 10, &FeatureConfig::plain().with_mirror(true));
    let error = refused(&explainer, &other);
    assert!(error.contains("checksum of the features"), "{error}");
    let sizes = ExplainerConfig::for_performer(&performer);
    let error = refused(&sizes.clone().with_seed(3).init_from(&performer, &Device::flex()), &train);
    assert!(error.contains("checksum of the first weights"), "{error}");
    let shape = Shape::PUBLISHED;
    let mass = Masking::Template { shape, floor: 0.0, center: MaskCenter::CenterOfMass };
    for masks in [vec![Masking::None], vec![Masking::PUBLISHED, Masking::None], vec![mass]] {
        let other = sizes.clone().with_masks(masks).init_from(&performer, &Device::flex());
        let error = refused(&other, &train);
        assert!(error.contains("masks"), "{error}");
    }
    // What is the same but made anew goes on.
    let (performer, train, explainer) = setup(10);
    config.fit(explainer, &performer, &train, None).unwrap();
}

#[test]
fn a_state_that_does_not_fit_its_folder_is_refused() {
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    let config = config().with_epochs(1).with_checkpoints(Some(folder.path().to_path_buf()));
    config.fit(explainer.clone(), &performer, &train, None).unwrap();
    let refused =
        |config: &FitConfig| config.fit(explainer.clone(), &performer, &train, None).unwrap_err().to_string();
    let file = folder.path().join("epoch-0001").join("state.json");
    let whole: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for (key, value, expected) in [
        ("categories", serde_json::json!([]), "layers with categories: expected 2, found 0"),
        ("records", serde_json::json!([]), "records of epochs: expected 1, found 0"),
    ] {
        let mut broken = whole.clone();
        broken[key] = value;
        std::fs::write(&file, broken.to_string()).unwrap();
        let error = refused(&config.clone().with_epochs(2));
        assert!(error.contains(expected) && error.contains("state.json"), "{error}");
    }
    std::fs::write(&file, whole.to_string()).unwrap();
    let error = refused(&config.with_epochs(0));
    assert!(error.contains("at most 0 epochs, found 1"), "{error}");
}

#[test]
fn what_a_killed_run_was_writing_is_swept_away() {
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".writing-abc")).unwrap();
    let config = config().with_epochs(1).with_checkpoints(Some(folder.path().to_path_buf()));
    config.fit(explainer, &performer, &train, None).unwrap();
    assert_eq!(entries(folder.path()), ["epoch-0001"]);
}

#[test]
fn running_norms_follow_images_with_an_object_only() {
    let (performer, train, mut explainer) = setup(9);
    // With what windows leave the first α is another.
    explainer.complement = false;
    let moved = |momentum| {
        let norm = NormUpdate::Running { momentum };
        let rates = LearningRates::uniform(0.0, 0.0);
        let config = config().with_epochs(1).with_batch_size(train.len()).with_norm(norm).with_rates(rates);
        let fit = config.fit(explainer.clone(), &performer, &train, None).unwrap();
        floats(fit.explainer.interpretable_norm.alpha())
    };
    // In one step over all rows with weights that stay, the batch's α is that of the first pass.
    for (still, moved) in moved(0.0).into_iter().zip(moved(0.5)) {
        assert!((still - moved).abs() < 1e-4 * still, "{still} {moved}");
    }
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let (performer, train, explainer) = setup(10);
    for name in ["state.json", "explainer.bpk", "optimizer.bpk"] {
        let folder = tempfile::tempdir().unwrap();
        let config = config().with_epochs(1).with_checkpoints(Some(folder.path().to_path_buf()));
        config.fit(explainer.clone(), &performer, &train, None).unwrap();
        let file = folder.path().join("epoch-0001").join(name);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        let error = config.with_epochs(2).fit(explainer.clone(), &performer, &train, None).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_fit_that_diverges_names_layer_epoch_and_step() {
    let (performer, train, mut explainer) = setup(10);
    let bias = explainer.decoder.layers[1].bias.take().unwrap();
    explainer.decoder.layers[1].bias = Some(bias.map(|bias| bias * f32::NAN));
    let error = config().fit(explainer.clone(), &performer, &train, None).unwrap_err().to_string();
    assert!(error.contains("fc-dec-2") && error.contains("epoch 1, step 1"), "{error}");

    let bias = explainer.decoder.layers[1].bias.take().unwrap();
    let width = bias.dims();
    explainer.decoder.layers[1].bias = Some(Param::from_tensor(Tensor::full(width, 1e6, &Device::flex())));
    let error = config().fit(explainer, &performer, &train, None).unwrap_err().to_string();
    assert!(error.contains("fc-dec-2"), "{error}");
}

#[test]
fn one_row_cannot_be_fitted() {
    let performer = TinyPerformer::new(5);
    let train = features(&performer, 1, &FeatureConfig::plain());
    let explainer = ExplainerConfig::for_performer(&performer).init(&Device::flex());
    let error = config().fit(explainer, &performer, &train, None).unwrap_err();
    assert!(matches!(error, CoreError::TooFew { found: 1, .. }), "{error}");
}

#[test]
fn a_copied_decoder_reads_calibrated_features_as_it_reads_the_performers() {
    let (performer, train, explainer) = setup(16);
    // The ordinary track as the performer's top conv-layer, whole, and p = 0: the performer itself.
    let mut explainer = explainer;
    explainer.complement = false;
    explainer.ordinary.convs[0] = explainer.interpretable.layers[0].conv.clone();
    explainer.share_logit = Param::from_tensor(Tensor::full([1], -40.0, &Device::flex()));
    let calibrated = explainer.calibrated(&train);
    let validation = calibrated.validate(&performer, &train).unwrap();
    assert!(validation.relative_error.iter().all(|&error| error < 1e-9), "{validation:?}");
    assert_eq!(validation.agreement, 1.0);
}

#[test]
fn published_settings_run() {
    let (performer, train, explainer) = setup(10);
    let published =
        FitConfig::published(LossWeights::PUBLISHED).with_epochs(2).with_batch_size(8).with_progress(false);
    let fit = published.fit(explainer, &performer, &train, None).unwrap();
    assert!(fit.records[1].reconstruction[0] > 100.0, "the paper's λ_l are large: {:?}", fit.records);
}

#[test]
fn parts_lie_in_the_image_and_come_strongest_first() {
    let (performer, train, explainer) = setup(10);
    let explainer = explainer.calibrated(&train);
    let image = &images(1, 3)[0];
    let explanation = explainer.explain(&performer, &image.pixels).unwrap();
    assert!(!explanation.parts.is_empty());
    let maps = floats(explanation.features.clone());
    for (part, next) in explanation.parts.iter().zip(explanation.parts.iter().skip(1)) {
        assert!(part.strength >= next.strength);
    }
    for part in &explanation.parts {
        let [row, column] = part.unit;
        let map = &maps[part.filter * SIZE * SIZE..][..SIZE * SIZE];
        assert_eq!(part.activation, map[row * SIZE + column]);
        assert!(map.iter().all(|&value| value <= part.activation));
        assert_eq!(part.center, [column as f64, row as f64], "stride 1: a unit is a pixel");
    }
    assert_eq!(explanation.top_parts(2).len(), 2);
    let error = explainer.explain(&performer, &image.pixels[1..]).unwrap_err();
    assert!(matches!(error, CoreError::ImageSize { .. }), "{error}");
}

#[test]
fn an_explainer_survives_its_file() {
    let (_, train, explainer) = setup(10);
    let explainer = explainer.calibrated(&train);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("explainer.bpk");
    explainer.save(&file).unwrap();
    let performer = TinyPerformer::new(6);
    let other = ExplainerConfig::for_performer(&performer).with_seed(4).init(&Device::flex());
    let loaded = other.clone().load(&file).unwrap();
    assert_eq!(weights(&loaded), weights(&explainer));
    let wider = ExplainerConfig { channels: 7, ..ExplainerConfig::for_performer(&performer) };
    for error in [wider.init(&Device::flex()).load(&file), other.load(&folder.path().join("none.bpk"))] {
        assert!(error.unwrap_err().to_string().contains(".bpk"));
    }
}

#[test]
fn learned_masks_are_fitted_and_survive_their_file() {
    let (performer, train, explainer) = setup_with(10, learned());
    let betas = |explainer: &Explainer| -> Vec<f32> {
        let masks = explainer.interpretable.layers.iter().filter_map(InterpretableLayer::mask);
        let beta = |mask: &MaskLayer| match mask {
            MaskLayer::Learned(mask) => floats(mask.beta()),
            MaskLayer::Template(_) => Vec::new(),
        };
        masks.flat_map(beta).collect()
    };
    let fit = config().fit(explainer.clone(), &performer, &train, None).unwrap();
    let fitted = betas(&fit.explainer);
    assert_eq!(fitted.len(), 2 * explainer.filters());
    for (first, last) in betas(&explainer).into_iter().zip(&fitted) {
        assert!((first - 4.0).abs() < 1e-6 && (last - 4.0).abs() > 1e-5, "{fitted:?}");
        assert!((3.0..=6.0).contains(last), "{fitted:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("explainer.bpk");
    fit.explainer.save(&file).unwrap();
    assert_eq!(betas(&explainer.load(&file).unwrap()), fitted);
    // A file without them is none of an explainer that has them.
    setup(2).2.save(&file).unwrap();
    assert!(fit.explainer.load(&file).is_err());
}

#[test]
fn the_last_entry_of_the_list_of_masks_is_the_last_layers() {
    let config = ExplainerConfig::for_performer(&TinyPerformer::new(5)).with_interpretable_layers(3);
    let masked = |masks: Vec<Masking>| -> Vec<bool> {
        let explainer = config.clone().with_masks(masks).init(&Device::flex());
        explainer.interpretable.layers.iter().map(|layer| layer.mask().is_some()).collect()
    };
    assert_eq!(masked(vec![Masking::PUBLISHED]), [true, true, true]);
    assert_eq!(masked(vec![Masking::None, Masking::PUBLISHED]), [false, false, true]);
    assert_eq!(masked(vec![Masking::PUBLISHED, Masking::None]), [true, true, false]);
    assert_eq!(masked(Vec::new()), [false, false, false]);
}

#[test]
fn every_parameter_has_the_rate_of_its_layer() {
    struct Rates(Vec<(String, f64)>, Vec<String>);
    impl burn::module::ModuleVisitor for Rates {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = self.1.join(".");
            let rates = LearningRates {
                first: 1.0,
                interpretable: 2.0,
                ordinary: 3.0,
                decoder_input: 4.0,
                decoder: 5.0,
                mask: 7.0,
                share: 6.0,
            };
            let rate = rates.groups().lr_from_param(param.id, Some(&path));
            self.0.push((path, rate));
        }
    }
    let mut rates = Rates(Vec::new(), Vec::new());
    setup_with(2, learned()).2.visit(&mut rates);
    let expected = [
        ("interpretable.layers.0.conv.weight", 1.0),
        ("interpretable.layers.0.conv.bias", 1.0),
        ("interpretable.layers.1.conv.weight", 2.0),
        ("interpretable.layers.1.conv.bias", 2.0),
        ("interpretable.layers.0.mask.Learned.beta_logit", 7.0),
        ("interpretable.layers.1.mask.Learned.beta_logit", 7.0),
        ("ordinary.convs.0.weight", 3.0),
        ("ordinary.convs.0.bias", 3.0),
        ("share_logit", 6.0),
        ("decoder.layers.0.weight", 4.0),
        ("decoder.layers.0.bias", 5.0),
        ("decoder.layers.1.weight", 5.0),
        ("decoder.layers.1.bias", 5.0),
    ];
    let found: Vec<_> = rates.0.iter().map(|(path, rate)| (path.as_str(), *rate)).collect();
    for pair in expected {
        assert!(found.contains(&pair), "{pair:?} is not among {found:?}");
    }
}

#[test]
fn a_share_that_is_fixed_stays_and_without_an_ordinary_track_nothing_of_it_is_learned() {
    let (performer, train, _) = setup(12);
    for share in [0.4, 1.0] {
        let config = ExplainerConfig::for_performer(&performer).with_share(Share::Fixed { share });
        let explainer = config.init_from(&performer, &Device::flex());
        let fit = self::config().fit(explainer.clone(), &performer, &train, Some(&train)).unwrap();
        assert_eq!(fit.share(), explainer.share());
        assert!((f64::from(fit.share()) - share).abs() < 1e-6);
        let ordinary = |explainer: &Explainer| floats(explainer.ordinary.convs[0].weight.val());
        assert_eq!(ordinary(&fit.explainer) == ordinary(&explainer), share == 1.0);
        assert_ne!(weights(&fit.explainer), weights(&explainer));
    }
}

#[test]
fn without_norms_alpha_is_one_and_the_decoder_starts_as_it_is() {
    let (performer, train, explainer) = setup(12);
    let config = config().with_norm(NormUpdate::None).with_refit(Refit::None).with_relevance(false);
    let fit =
        config.with_rates(LearningRates::uniform(0.0, 0.0)).fit(explainer.clone(), &performer, &train, None);
    let fit = fit.unwrap().explainer;
    assert!(floats(fit.interpretable_norm.alpha()).iter().all(|&alpha| alpha == 1.0));
    assert!(floats(fit.ordinary_norm.alpha()).iter().all(|&alpha| alpha == 1.0));
    assert_eq!(weights(&fit), weights(&explainer));
}

#[test]
fn an_explainer_learns_to_classify_and_its_decoder_is_not_refitted() {
    let (performer, train, explainer) = setup(24);
    let labels = Labels { categories: vec![0, 1], negative: Some(2) };
    let config = config().with_epochs(24).with_task(Task::Classification(labels.clone()));
    let fit = config.fit(explainer.clone(), &performer, &train, Some(&train)).unwrap();
    let losses: Vec<f64> = fit.records.iter().map(|record| record.classification.unwrap()).collect();
    assert!(losses[23] < 0.85 * losses[0], "{losses:?}");
    // The same without a refit at all.
    let plain = config.with_refit(Refit::None).fit(explainer, &performer, &train, Some(&train)).unwrap();
    assert_eq!(weights(&fit.explainer), weights(&plain.explainer));
}

#[test]
#[should_panic(expected = "no class of images of category None")]
fn images_to_be_classified_have_a_class() {
    let (performer, train, explainer) = setup(12);
    let labels = Labels { categories: vec![0, 1], negative: None };
    let _ = config().with_task(Task::Classification(labels)).fit(explainer, &performer, &train, None);
}
