//! EfficientNet-Lite against PyTorch's, on fixtures made by `fixtures/make_efficientnet.py`, on the backend that
//! `BURN_DEVICE` names.

mod support;

use burn::tensor::{DType, Device, Tensor};
use explainer_core::{Activation, Performer, PerformerLayer, performer_grad_cam};
use explainer_performers::{EfficientNetLite, EfficientNetLiteSizes, PerformerError, TargetLayer, Weights};
use support::{TOLERANCE, assert_close, fixture, image, reader, real, values};

const SLIM: EfficientNetLiteSizes = EfficientNetLiteSizes {
    stem: 2,
    widths: [1, 2, 3, 5, 7, 12, 20],
    head: 80,
    input: 75,
    ..EfficientNetLiteSizes::LITE0
};

fn slim() -> EfficientNetLite {
    let weights = Weights::file(fixture("efficientnet_lite0_slim.safetensors"));
    EfficientNetLite::load(SLIM, weights, &Device::default()).expect("a slim network")
}

/// Every layer at which a network of 16 blocks can be explained, and its name in the fixtures.
fn layers() -> impl Iterator<Item = (TargetLayer, String)> {
    let blocks = (0..16).map(|block| (TargetLayer::Block(block), format!("block{block}")));
    std::iter::once((TargetLayer::Stem, "stem".to_string())).chain(blocks)
}

/// Compares the features of every layer, and what the rest of the network makes of them, with what `expected` has
/// of each, all values or a sample.
fn assert_every_tap_agrees(
    network: &EfficientNetLite,
    mut expected: impl FnMut(&str) -> Vec<f32>,
    sample: fn(Vec<f32>) -> Vec<f32>,
) {
    let size = network.preprocessing().size;
    let images = image(size, 1.0, &Device::default());
    for (layer, name) in layers() {
        let network = network.clone().with_target(layer).expect("a layer");
        let tapped = network.tap(images.clone());
        for (name, found) in [
            (name.as_str(), values(&tapped.target)),
            ("top_conv", values(&tapped.top_conv)),
            ("upper", values(&tapped.upper[0])),
            ("scores", values(&tapped.scores)),
        ] {
            assert_close(&format!("{name} from {layer:?}"), &sample(found), &expected(name), TOLERANCE);
        }
        let last = tapped.upper.last().expect("the pooled maps").clone();
        assert_eq!(values(&network.head(last)), values(&tapped.scores));
    }
}

#[test]
fn every_tap_of_a_slim_network_agrees_with_torch() {
    assert_every_tap_agrees(&slim(), reader("efficientnet_lite0_slim_tapped.safetensors"), |all| all);
}

/// The largest value of all, and some at even distances, as the fixtures' script takes them.
fn sample(all: Vec<f32>) -> Vec<f32> {
    let largest = all.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    std::iter::once(largest).chain(all.iter().copied().step_by((all.len() / 256).max(1))).collect()
}

#[test]
fn every_tap_of_the_published_lite0_agrees_with_torch() {
    let Some(path) = real("performer/efficientnet-lite0-57934424.pth") else { return };
    let weights = Weights::file(path);
    let network =
        EfficientNetLite::load(EfficientNetLiteSizes::LITE0, weights, &Device::default()).expect("Lite0");
    assert_every_tap_agrees(&network, reader("efficientnet_lite0_samples.safetensors"), sample);
}

#[test]
fn gradients_reach_the_features_of_every_layer() {
    let (network, device) = (slim(), Device::default());
    let images = image(SLIM.input, 1.0, &device);
    for (layer, name) in layers() {
        let network = network.clone().with_target(layer).expect("a layer");
        let target = network.target_features(images.clone());
        let leaf = Tensor::from_inner(target.clone()).require_grad();
        let score = |target: Tensor<4>| network.forward_from_target(target).scores.slice([0..1, 0..1]);
        let gradient =
            leaf.grad(&score(leaf.clone()).sum().backward()).expect("the scores depend on the target");
        // Along the gradient the score grows by the square of its length, for a step that few of the ReLU6 notice.
        let square = gradient.clone().square().sum().into_scalar::<f32>();
        assert!(square > 0.0, "{name}");
        let step = 1e-3 * score(target.clone()).abs().into_scalar::<f32>().max(0.1) / square;
        let along = |sign: f32| score(target.clone() + gradient.clone() * (sign * step)).into_scalar::<f32>();
        let found = (along(1.0) - along(-1.0)) / (2.0 * step);
        assert!((found / square - 1.0).abs() < 0.1, "{name}: {found}, expected {square}");
        let cam = performer_grad_cam(&network, images.clone(), PerformerLayer::Target, &[0]).expect("a map");
        assert_eq!(cam.dims()[1], network.blueprint().length);
    }
}

#[test]
fn grad_cam_of_the_top_conv_goes_through_its_blueprint() {
    let network = slim();
    assert_eq!(network.blueprint().activations.top, Activation::Relu6);
    let images = image(SLIM.input, 1.0, &Device::default());
    let cam = performer_grad_cam(&network, images, PerformerLayer::TopConv, &[1]).expect("a map");
    assert_eq!(cam.dims(), [1, 3, 3]);
}

#[test]
fn it_comes_back_from_its_own_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("again.safetensors");
    let (network, device) = (slim(), Device::default());
    network.save(&path, DType::F32).expect("a file");
    let again = EfficientNetLite::load(SLIM, Weights::file(&path), &device).expect("its own file");
    let images = image(SLIM.input, 1.0, &device);
    assert_close("scores", &values(&again.forward(images.clone())), &values(&network.forward(images)), 1e-5);
    assert_eq!(again.preprocessing(), network.preprocessing());
}

#[test]
fn a_file_of_other_sizes_is_refused() {
    let load = |sizes| {
        let weights = Weights::file(fixture("efficientnet_lite0_slim.safetensors"));
        EfficientNetLite::load(sizes, weights, &Device::default()).expect_err("another network")
    };
    let PerformerError::Mismatch { architecture, misshapen, missing, .. } =
        load(EfficientNetLiteSizes::LITE1)
    else {
        panic!("a mismatch")
    };
    assert_eq!(architecture, "EfficientNet-Lite1");
    assert!(misshapen.iter().any(|tensor| tensor.name == "_conv_stem.weight"));
    // Sixteen blocks here, twenty-one there.
    assert!(missing.contains(&"_blocks.20._project_conv.weight".to_string()), "{missing:?}");
    let PerformerError::Mismatch { misshapen, missing, unexpected, .. } =
        load(EfficientNetLiteSizes { head: 81, ..SLIM })
    else {
        panic!("a mismatch")
    };
    assert!(missing.is_empty() && unexpected.is_empty());
    let names: Vec<&str> = misshapen.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names.len(), 6, "{names:?}: the convolution, its batch-norm and the head");
    let message = load(SLIM_DEEPER).to_string();
    assert!(message.contains("missing: _blocks.16._expand_conv.weight"), "{message}");
}

/// Two blocks in the last stage.
const SLIM_DEEPER: EfficientNetLiteSizes = EfficientNetLiteSizes { repeats: [1, 2, 2, 3, 3, 4, 2], ..SLIM };
