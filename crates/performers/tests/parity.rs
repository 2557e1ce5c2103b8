//! The networks against PyTorch's, on fixtures made by `fixtures/make_fixtures.py`, on the backend that
//! `BURN_DEVICE` names.

mod support;

use std::path::Path;

use burn::tensor::{DType, Device};
use explainer_core::{Performer, PerformerLayer, PoolKind, Tapped, TopLayer, performer_grad_cam};
use explainer_performers::{
    AlexNet, AlexNetLayers, Architecture, CaffeAlexNet, ConvNet, PerformerError, ResNet, ResNet18, ResNet50,
    ResidualArchitecture, TargetLayer, Vgg11, Vgg13, Vgg16, Vgg19, VggM, VggS, Weights,
};
use support::{TOLERANCE, assert_close, fixture, image, reader, real, values};

/// Of the paper's networks' fixtures: they read pixels in 0..255.
const PIXELS: f64 = 60.0;

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

/// Continues from the network's target, which is not the usual one, to what the usual one leads to.
fn assert_continues(network: &impl Performer, whole: &Tapped, channels: usize) {
    let images = image(network.preprocessing().size, 1.0, &Device::default());
    let tapped = network.tap(images);
    let (blueprint, [_, found, side, _]) = (network.blueprint(), tapped.target.dims());
    assert_eq!((blueprint.top.channels()[0], blueprint.length), (found, side));
    assert_eq!((found, blueprint.top_length()), (channels, tapped.top_conv.dims()[2]));
    assert!(matches!(blueprint.top, TopLayer::Layers { .. }));
    assert_close("top conv", &values(&tapped.top_conv), &values(&whole.top_conv), TOLERANCE);
    assert_close("scores", &values(&tapped.scores), &values(&whole.scores), TOLERANCE);
}

#[test]
fn any_layer_can_be_the_target() {
    let (device, images) = (Device::default(), image(224, 1.0, &Device::default()));
    let alexnet = AlexNet::load(Weights::file(fixture("alexnet_slim.pth")), &device).unwrap();
    let whole = alexnet.tap(images.clone());
    // Widths 4, 6, 8, 6, 5; rows 0 and 6 are convolutions in front of their ReLU.
    let channels = [4, 4, 4, 6, 6, 6, 8, 8, 6];
    for (row, channels) in channels.into_iter().enumerate() {
        let network = alexnet.clone().with_target(row).unwrap();
        assert_continues(&network, &whole, channels);
        assert_eq!(network.target_field(), AlexNetLayers::field(row));
    }
    assert!(matches!(alexnet.clone().with_target(9).unwrap().blueprint().top, TopLayer::Conv(_)));
    let error = alexnet.with_target(10).unwrap_err().to_string();
    assert_eq!(error, "AlexNet can be explained at layers 0 to 9, not at layer 10");

    let resnet = ResNet18::load(Weights::file(fixture("resnet18_slim.pth")), &device).unwrap();
    let whole = resnet.tap(images);
    // The stem has 3, the stages 3, 4, 5 and 6 channels.
    for (below, channels) in [3, 3, 3, 4, 4, 5, 5].into_iter().enumerate() {
        let layer = below.checked_sub(1).map_or(TargetLayer::Stem, TargetLayer::Block);
        assert_continues(&resnet.clone().with_target(layer).unwrap(), &whole, channels);
    }
    let usual = resnet.clone().with_target(TargetLayer::Block(6)).unwrap();
    assert!(matches!(usual.blueprint().top, TopLayer::Block { .. }));
    let error = resnet.with_target(TargetLayer::Block(7)).unwrap_err();
    assert!(matches!(error, PerformerError::Target { .. }), "{error}");
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
