//! The networks against PyTorch's, on fixtures made by `fixtures/make_fixtures.py`, on the backend that
//! `BURN_DEVICE` names.

use std::path::{Path, PathBuf};

use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::{DType, Device, Tensor, TensorData};
use explainer_core::{Performer, PerformerLayer, PoolKind, TopLayer, performer_grad_cam};
use explainer_performers::{
    AlexNet, Architecture, CaffeAlexNet, ConvNet, ResNet, ResNet18, ResNet50, ResidualArchitecture, Vgg11,
    Vgg13, Vgg16, Vgg19, VggM, VggS, Weights,
};

/// Largest difference allowed, over the largest value of the tensor.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The image of the fixtures' script, from the same formula, times `scale`.
fn image(size: usize, scale: f64, device: &Device) -> Tensor<4> {
    let mut values = Vec::with_capacity(3 * size * size);
    for channel in 0..3 {
        for y in 0..size {
            for x in 0..size {
                let (c, y, x) = (f64::from(channel), y as f64, x as f64);
                let wave = (0.11 * x + 0.7 * c).sin() * (0.07 * y - 0.3 * c).cos()
                    + 0.5 * (0.031 * x * (y + 1.0) / 16.0).sin();
                values.push((scale * 1.5 * wave) as f32);
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 3, size, size]), device)
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

/// Of the paper's networks' fixtures: they read pixels in 0..255.
const PIXELS: f64 = 60.0;

/// The tensors of a fixture by their names.
fn reader(file: &str) -> impl FnMut(&str) -> Vec<f32> {
    let mut file = SafetensorsStore::from_file(fixture(file));
    move |name| {
        let tensor = file.get_tensor(name).expect("a fixture").expect("a tensor of it");
        bridge::to_data(tensor).expect("its bytes").try_to_vec().expect("f32 values")
    }
}

/// Compares every tapped feature with what PyTorch saved.
fn assert_taps_agree(network: &impl Performer, tapped_file: &str, scale: f64, tolerance: f32) {
    let device = Device::default();
    let mut expected = reader(tapped_file);
    let tapped = network.tap(image(network.preprocessing().size, scale, &device));
    assert_close("target", &values(&tapped.target), &expected("target"), tolerance);
    assert_close("top conv", &values(&tapped.top_conv), &expected("top_conv"), tolerance);
    for (upper, name) in tapped.upper.iter().zip(["relu6", "relu7"]) {
        assert_close(name, &values(upper), &expected(name), tolerance);
    }
    assert_close("scores", &values(&tapped.scores), &expected("scores"), tolerance);
    // What the trait promises.
    let last = tapped.upper.last().expect("an upper feature").clone();
    assert_eq!(values(&network.head(last)), values(&tapped.scores));
    let images = image(network.preprocessing().size, scale, &device);
    assert_eq!(values(&network.target_features(images)), values(&tapped.target));
}

/// Compares Grad-CAM of both layers for each class with PyTorch's; one that is 0 everywhere must be here too.
fn assert_grad_cams_agree<A: Architecture>(network: &ConvNet<A>, file: &str) {
    let (mut expected, mut seen) = (reader(file), 0);
    let images = image(network.preprocessing().size, 1.0, &Device::default());
    for (name, layer) in [("target", PerformerLayer::Target), ("top_conv", PerformerLayer::TopConv)] {
        for class in 0..3 {
            let found = performer_grad_cam(network, images.clone(), layer, &[class]).expect("a map");
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
    let device = Device::default();
    let alexnet = AlexNet::load(Weights::file(fixture("alexnet_slim.pth")), &device).unwrap();
    assert_grad_cams_agree(&alexnet, "alexnet_slim_grad_cam.safetensors");
    let vgg = Vgg16::load(Weights::file(fixture("vgg16_slim.pth")), &device).unwrap();
    assert_grad_cams_agree(&vgg, "vgg16_slim_grad_cam.safetensors");
}

/// Loads each file and compares it.
fn assert_agrees<A: Architecture>(files: &[&str], widths: [usize; 5], scale: f64) -> ConvNet<A> {
    let device = Device::default();
    let tapped = format!("{}_tapped.safetensors", files[0].split('.').next().expect("a name"));
    let mut loaded = files.iter().map(|file| {
        let network = ConvNet::<A>::load(Weights::file(fixture(file)), &device).expect(file);
        assert_eq!(network.sizes().widths, widths, "{file}");
        assert_eq!((network.sizes().hidden, network.sizes().classes), ([10, 8], 3), "{file}");
        assert_taps_agree(&network, &tapped, scale, TOLERANCE);
        let images = image(network.preprocessing().size, scale, &device);
        assert_eq!(values(&network.forward(images.clone())), values(&network.tap(images).scores));
        network
    });
    loaded.next_back().expect("a file")
}

#[test]
fn alexnet_agrees_with_torch_in_every_format() {
    let files = [
        "alexnet_slim.pth",
        "alexnet_slim.safetensors",
        "alexnet_slim_checkpoint.pth",
        "alexnet_slim_legacy.pth",
        "alexnet_slim_tar.pth",
    ];
    for file in files {
        let network = AlexNet::load(Weights::file(fixture(file)), &Device::default()).expect(file);
        assert_eq!(network.sizes().widths, [4, 6, 8, 6, 5], "{file}");
        assert_taps_agree(&network, "alexnet_slim_tapped.safetensors", 1.0, TOLERANCE);
    }
}

#[test]
fn the_vgg_family_agrees_with_torch() {
    let widths = [2, 3, 4, 4, 5];
    assert_agrees::<<Vgg11 as Table>::Layers>(&["vgg11_slim.safetensors"], widths, 1.0);
    assert_agrees::<<Vgg13 as Table>::Layers>(&["vgg13_slim.safetensors"], widths, 1.0);
    assert_agrees::<<Vgg16 as Table>::Layers>(&["vgg16_slim.pth"], widths, 1.0);
    assert_agrees::<<Vgg16 as Table>::Layers>(&["vgg16_slim.safetensors"], widths, 1.0);
    assert_agrees::<<Vgg19 as Table>::Layers>(&["vgg19_slim.safetensors"], widths, 1.0);
    assert_agrees::<<Vgg16 as Table>::Layers>(&["vgg16_bn_slim.pth"], widths, 1.0);
}

/// The table of a network.
trait Table {
    type Layers: Architecture;
}

impl<A: Architecture> Table for ConvNet<A> {
    type Layers = A;
}

#[test]
fn the_papers_networks_agree_with_torch() {
    let table = [4, 6, 6, 8, 6];
    assert_agrees::<<CaffeAlexNet as Table>::Layers>(&["caffe_alexnet_slim.safetensors"], table, PIXELS);
    assert_agrees::<<VggM as Table>::Layers>(&["vgg_m_slim.safetensors"], [4, 5, 6, 6, 5], PIXELS);
    assert_agrees::<<VggS as Table>::Layers>(&["vgg_s_slim.safetensors"], [4, 5, 6, 6, 5], PIXELS);
}

#[test]
fn residual_networks_agree_with_torch_and_come_back_from_their_own_files() {
    let device = Device::default();
    let folder = tempfile::tempdir().expect("a folder");
    let eighteen = ResNet18::load(Weights::file(fixture("resnet18_slim.pth")), &device).expect("18");
    let fifty = ResNet50::load(Weights::file(fixture("resnet50_slim.safetensors")), &device).expect("50");
    assert_eq!((eighteen.sizes().stem, eighteen.sizes().widths), (3, [3, 4, 5, 6]));
    assert_eq!((fifty.sizes().stem, fifty.sizes().widths), (2, [2, 2, 3, 3]));
    assert_residual_agrees(&eighteen, "resnet18_slim_tapped.safetensors", folder.path());
    assert_residual_agrees(&fifty, "resnet50_slim_tapped.safetensors", folder.path());
}

fn assert_residual_agrees<A: ResidualArchitecture>(network: &ResNet<A>, tapped: &str, folder: &Path) {
    assert_taps_agree(network, tapped, 1.0, TOLERANCE);
    let blueprint = network.blueprint();
    assert!(matches!(blueprint.top, TopLayer::Block { .. }) && blueprint.upper.is_empty());
    assert_eq!((blueprint.length, blueprint.pool.kind), (7, PoolKind::Average));
    assert_eq!(network.target_field().stride, 32.0);
    let path = folder.join("again.safetensors");
    network.save(&path, DType::F32).expect("a file");
    let again = ResNet::<A>::load(Weights::file(&path), &Device::default()).expect("its own file");
    assert_eq!((again.sizes(), again.preprocessing()), (network.sizes(), network.preprocessing()));
    assert_taps_agree(&again, tapped, 1.0, TOLERANCE);
}

#[test]
fn half_precision_weights_become_f32() {
    // f16 keeps 11 bits of each weight and bf16 8, through eight layers.
    for (file, tolerance) in [("alexnet_slim_f16.pth", 5e-3), ("alexnet_slim_bf16.safetensors", 4e-2)] {
        let network = AlexNet::load(Weights::file(fixture(file)), &Device::default()).unwrap();
        assert_taps_agree(&network, "alexnet_slim_tapped.safetensors", 1.0, tolerance);
    }
}

#[test]
fn the_blueprint_hands_out_the_layers_behind_the_target() {
    let network = Vgg16::load(Weights::file(fixture("vgg16_slim.pth")), &Device::default()).unwrap();
    let blueprint = network.blueprint();
    let TopLayer::Conv(top_conv) = blueprint.top else { panic!("conv5-3") };
    assert_eq!(top_conv.weight.dims(), [5, 5, 3, 3]);
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
    let device = Device::default();
    let network = AlexNet::load(Weights::file(path), &device).unwrap();
    assert_eq!((network.sizes().hidden, network.sizes().classes), ([1024, 1024], 31));
    let tapped = network.tap(image(224, 1.0, &device));
    assert_eq!(tapped.target.dims(), [1, 256, 13, 13]);
    assert_close("logits", &values(&tapped.scores), &LOGITS, TOLERANCE);
}
