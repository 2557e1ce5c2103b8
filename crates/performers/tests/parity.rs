//! The networks against PyTorch's, on fixtures made by `fixtures/make_fixtures.py`.

use std::path::PathBuf;

use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::{Device, Tensor, TensorData};
use explainer_core::{Performer, PerformerLayer, performer_grad_cam};
use explainer_performers::{AlexNet, Architecture, ConvNet, Vgg16, Weights};

/// Largest difference allowed, over the largest value of the tensor.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The image of the fixtures' script, from the same formula.
fn image(device: &Device) -> Tensor<4> {
    let mut values = Vec::with_capacity(3 * 224 * 224);
    for channel in 0..3 {
        for y in 0..224 {
            for x in 0..224 {
                let (c, y, x) = (f64::from(channel), f64::from(y), f64::from(x));
                let wave = (0.11 * x + 0.7 * c).sin() * (0.07 * y - 0.3 * c).cos()
                    + 0.5 * (0.031 * x * (y + 1.0) / 16.0).sin();
                values.push((1.5 * wave) as f32);
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 3, 224, 224]), device)
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec().expect("f32 values")
}

fn assert_close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    assert!(scale > 0.0, "{name} is all zero: a fixture that shows nothing");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference <= tolerance * scale, "{name}[{index}]: {found}, expected {expected} of {scale}");
    }
}

/// The tensors of a fixture by their names.
fn reader(file: &str) -> impl FnMut(&str) -> Vec<f32> {
    let mut file = SafetensorsStore::from_file(fixture(file));
    move |name| {
        let tensor = file.get_tensor(name).expect("a fixture").expect("a tensor of it");
        bridge::to_data(tensor).expect("its bytes").try_to_vec().expect("f32 values")
    }
}

/// Compares every tapped feature with what PyTorch saved.
fn assert_taps_agree<A: Architecture>(network: &ConvNet<A>, tapped_file: &str, tolerance: f32) {
    let device = Device::flex();
    let mut expected = reader(tapped_file);
    let tapped = network.tap(image(&device));
    let [relu6, relu7] = tapped.upper.as_slice() else { panic!("two upper layers") };
    assert_close("target", &values(&tapped.target), &expected("target"), tolerance);
    assert_close("top conv", &values(&tapped.top_conv), &expected("top_conv"), tolerance);
    assert_close("relu6", &values(relu6), &expected("relu6"), tolerance);
    assert_close("relu7", &values(relu7), &expected("relu7"), tolerance);
    assert_close("scores", &values(&tapped.scores), &expected("scores"), tolerance);

    // What the trait promises, and that the three ways to the scores are one.
    assert_eq!(values(&network.head(relu7.clone())), values(&tapped.scores));
    assert_eq!(values(&network.forward(image(&device))), values(&tapped.scores));
    assert_eq!(values(&network.target_features(image(&device))), values(&tapped.target));
}

/// Compares Grad-CAM of both layers for each class with PyTorch's; one that is 0 everywhere must be here too.
fn assert_grad_cams_agree<A: Architecture>(network: &ConvNet<A>, file: &str) {
    let (mut expected, mut seen) = (reader(file), 0);
    for (name, layer) in [("target", PerformerLayer::Target), ("top_conv", PerformerLayer::TopConv)] {
        for class in 0..3 {
            let found = performer_grad_cam(network, image(&Device::flex()), layer, &[class]).expect("a map");
            let (name, found) = (format!("{name}_{class}"), values(&found));
            let expected = expected(&name);
            if expected.iter().any(|&value| value > 0.0) {
                assert_close(&name, &found, &expected, TOLERANCE);
                seen += 1;
            } else {
                assert!(found.iter().all(|&value| value == 0.0), "{name}");
            }
        }
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn grad_cam_agrees_with_torch() {
    let device = Device::flex();
    let alexnet = AlexNet::load(Weights::file(fixture("alexnet_slim.pth")), &device).unwrap();
    assert_grad_cams_agree(&alexnet, "alexnet_slim_grad_cam.safetensors");
    let vgg = Vgg16::load(Weights::file(fixture("vgg16_slim.pth")), &device).unwrap();
    assert_grad_cams_agree(&vgg, "vgg16_slim_grad_cam.safetensors");
}

#[test]
fn alexnet_agrees_with_torch_in_both_formats() {
    for file in ["alexnet_slim.pth", "alexnet_slim.safetensors", "alexnet_slim_checkpoint.pth"] {
        let network = AlexNet::load(Weights::file(fixture(file)), &Device::flex()).unwrap();
        assert_eq!(network.sizes().widths, [4, 6, 8, 6, 5], "{file}");
        assert_eq!((network.sizes().hidden, network.sizes().classes), ([10, 8], 3), "{file}");
        assert_taps_agree(&network, "alexnet_slim_tapped.safetensors", TOLERANCE);
    }
}

#[test]
fn vgg16_agrees_with_torch_in_both_formats() {
    for file in ["vgg16_slim.pth", "vgg16_slim.safetensors"] {
        let network = Vgg16::load(Weights::file(fixture(file)), &Device::flex()).unwrap();
        assert_eq!(network.sizes().widths, [2, 3, 4, 4, 5], "{file}");
        assert_taps_agree(&network, "vgg16_slim_tapped.safetensors", TOLERANCE);
    }
}

#[test]
fn half_precision_weights_become_f32() {
    // f16 keeps 11 bits of each weight and bf16 8, through eight layers.
    for (file, tolerance) in [("alexnet_slim_f16.pth", 5e-3), ("alexnet_slim_bf16.safetensors", 4e-2)] {
        let network = AlexNet::load(Weights::file(fixture(file)), &Device::flex()).unwrap();
        assert_taps_agree(&network, "alexnet_slim_tapped.safetensors", tolerance);
    }
}

#[test]
fn the_blueprint_hands_out_the_layers_behind_the_target() {
    let network = Vgg16::load(Weights::file(fixture("vgg16_slim.pth")), &Device::flex()).unwrap();
    let blueprint = network.blueprint();
    assert_eq!(blueprint.top_conv.weight.dims(), [5, 5, 3, 3]);
    assert_eq!((blueprint.length, blueprint.pool.output(blueprint.length)), (14, 7));
    let widths: Vec<_> = blueprint.upper.iter().map(|linear| linear.weight.dims()).collect();
    assert_eq!(widths, [[5 * 49, 10], [10, 8]]);
    assert_eq!((network.target_field().center, network.top_conv_field().stride), (7.5, 16.0));
}

/// The folder of real weights, if there is one.
fn real(name: &str) -> Option<PathBuf> {
    let data = std::env::var("EXPLAINER_DATA").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = data.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: no {} (set EXPLAINER_DATA)", path.display());
    None
}

#[test]
fn real_alexnet_weights_give_the_logits_torch_gave() {
    // From `make_fixtures.py <weights>`, PyTorch 2.15 on a CPU.
    const LOGITS: [f32; 31] = [
        1.68708, 0.96807, 0.07784, -0.34633, -0.90665, -1.19534, 0.77483, -0.20602, 1.30798, 1.42031,
        -1.96673, 1.30064, -1.55578, -0.81068, -0.6025, -0.76788, -0.0187, 0.19726, -1.10285, -0.53124,
        -0.45836, -1.03137, -0.06341, -1.9325, -0.27971, -1.06719, 1.04168, -1.53676, 5.45624, -0.35422,
        2.58421,
    ];
    let Some(path) = real("performer/alexnet_animalpart.pth") else { return };
    let device = Device::flex();
    let network = AlexNet::load(Weights::file(path), &device).unwrap();
    assert_eq!((network.sizes().hidden, network.sizes().classes), ([1024, 1024], 31));
    let tapped = network.tap(image(&device));
    assert_eq!(tapped.target.dims(), [1, 256, 13, 13]);
    assert_close("logits", &values(&tapped.scores), &LOGITS, TOLERANCE);
}
