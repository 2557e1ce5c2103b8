//! Files that do not fit are refused, with everything a user needs to see why.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Param;
use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::{DType, Device, Tensor};
use explainer_core::{ChannelOrder, Performer, Preprocessing, TopLayer};
use explainer_performers::{
    AlexNet, AlexNetConfig, ConvNet, Head, Misshapen, PerformerError, ResNet18, ResNet50, Vgg16, Vgg16Config,
    Weights,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn load_vgg(path: &Path) -> Result<Vgg16, PerformerError> {
    Vgg16::load(Weights::file(path).with_preprocessing(Preprocessing::imagenet(32)), &Device::flex())
}

fn tiny() -> Vgg16Config {
    Vgg16Config::new().with_widths([1, 1, 2, 2, 3]).with_hidden([4, 5]).with_classes(2).with_input(32)
}

#[test]
fn saved_weights_come_back_bit_by_bit() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.safetensors");
    // Wide enough that some unit of every layer is alive.
    let network = tiny().with_widths([8; 5]).with_hidden([16, 16]).init(&device);
    network.save(&path, DType::F32).unwrap();
    let again = load_vgg(&path).unwrap();
    assert_eq!(again.sizes(), network.sizes());
    let image = Tensor::<4>::ones([1, 3, 32, 32], &device);
    assert_eq!(
        again.forward(image.clone()).into_data(),
        network.forward(image.clone()).into_data(),
        "the same weights"
    );

    network.save(&path, DType::F16).unwrap();
    let half = load_vgg(&path).unwrap();
    let difference = (half.forward(image.clone()) - network.forward(image)).abs().max().into_scalar::<f32>();
    assert!(difference > 0.0 && difference < 0.01, "saved in half precision, and replaced: {difference}");
}

#[test]
fn a_saved_file_has_torchvisions_names_shapes_and_values() {
    let tensors = |path: &Path| -> Vec<_> {
        let mut store = SafetensorsStore::from_file(path);
        let tensors = store.get_all_tensors().unwrap();
        tensors.iter().map(|(name, tensor)| (name.clone(), bridge::to_data(tensor).unwrap())).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.safetensors");
    for name in ["alexnet_slim.safetensors", "vgg16_slim.safetensors"] {
        let weights = Weights::file(fixture(name));
        match name.starts_with("alexnet") {
            true => AlexNet::load(weights, &Device::flex()).unwrap().save(&path, DType::F32).unwrap(),
            false => Vgg16::load(weights, &Device::flex()).unwrap().save(&path, DType::F32).unwrap(),
        }
        assert_eq!(tensors(&path), tensors(&fixture(name)), "{name}");
    }
}

#[test]
fn another_networks_weights_are_refused_with_all_differences() {
    let error = Vgg16::load(Weights::file(fixture("alexnet_slim.pth")), &Device::flex()).unwrap_err();
    let message = error.to_string();
    let PerformerError::Mismatch { missing, unexpected, misshapen, architecture, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(architecture, "VGG-16");
    // AlexNet has features.0, .10 in common with VGG-16, and the head.
    assert_eq!(missing.len(), 2 * (13 - 2 + 2), "{missing:?}");
    assert_eq!(unexpected.len(), 2 * (3 + 2), "{unexpected:?}");
    let first =
        misshapen.iter().find(|m: &&Misshapen| m.name == "features.0.weight").expect("11×11 is not 3×3");
    assert_eq!((first.expected.as_slice(), first.found.as_slice()), (&[4, 3, 3, 3][..], &[4, 3, 11, 11][..]));
    for part in ["alexnet_slim.pth", "missing: features.2.weight", "unexpected: features.3.bias"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(message.contains("features.0.weight: expected [4, 3, 3, 3], found [4, 3, 11, 11]"), "{message}");
}

#[test]
fn weights_for_another_input_size_are_refused() {
    let weights =
        Weights::file(fixture("vgg16_slim.safetensors")).with_preprocessing(Preprocessing::imagenet(192));
    let message = Vgg16::load(weights, &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("classifier.0.weight: expected [10, 180], found [10, 245]"), "{message}");

    let weights = Weights::file(fixture("alexnet_slim.pth")).with_preprocessing(Preprocessing::imagenet(40));
    let error = AlexNet::load(weights, &Device::flex()).unwrap_err();
    assert!(matches!(error, PerformerError::InputSize { size: 40, .. }), "{error}");
}

#[test]
fn a_nan_is_found_and_named() {
    struct Poison;
    impl burn::module::ModuleMapper for Poison {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D != 1 {
                return param;
            }
            param.map(|bias| bias.mul_scalar(f32::NAN))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poisoned.safetensors");
    burn::module::Module::map(tiny().init(&Device::flex()), &mut Poison).save(&path, DType::F32).unwrap();
    let error = load_vgg(&path).unwrap_err();
    let PerformerError::NonFinite { tensor, position, .. } = &error else { panic!("{error}") };
    assert!(tensor.ends_with(".bias"), "{tensor}");
    assert_eq!(*position, 0);
    assert!(error.to_string().contains("poisoned.safetensors"), "{error}");
}

#[test]
fn damaged_absent_and_foreign_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["vgg16_slim.pth", "vgg16_slim.safetensors"] {
        let whole = fs::read(fixture(name)).unwrap();
        for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
            let path = folder.path().join(format!("cut-{length}-{name}"));
            fs::write(&path, &whole[..length]).unwrap();
            let error = load_vgg(&path).map(|_| ()).unwrap_err();
            assert!(matches!(error, PerformerError::Unreadable { .. }), "{length} bytes: {error}");
            assert!(error.to_string().contains(name), "{error}");
        }
        let absent = folder.path().join(format!("absent-{name}"));
        let error = load_vgg(&absent).unwrap_err();
        assert!(error.to_string().contains("absent-"), "{error}");
    }
    let error = load_vgg(Path::new("weights.onnx")).unwrap_err();
    assert!(matches!(error, PerformerError::Format { .. }), "{error}");
}

#[test]
fn a_new_head_is_asked_for_and_all_else_is_the_files() {
    let device = Device::flex();
    let weights = || Weights::file(fixture("vgg16_slim.safetensors"));
    let whole = Vgg16::load(weights(), &device).unwrap();
    let tuned = Vgg16::load(weights().with_head(Head::replace(7)), &device).unwrap();
    assert_eq!((tuned.sizes().classes, tuned.sizes().hidden), (7, whole.sizes().hidden));
    let image = Tensor::<4>::ones([1, 3, 224, 224], &device);
    let (ours, theirs) = (tuned.tap(image.clone()), whole.tap(image.clone()));
    assert_eq!(ours.upper[1].to_data(), theirs.upper[1].to_data());
    assert!(ours.scores.clone().abs().max().into_scalar::<f32>() > 0.0, "the head is random, not zero");
    let other = Vgg16::load(weights().with_head(Head::replace(7).with_seed(1)), &device).unwrap();
    assert_ne!(other.tap(image.clone()).scores.to_data(), ours.scores.to_data(), "the seed decides");

    // Other fc6 and fc7 as well; a file without any of them will do then.
    let replaced = Head::replace(2).with_hidden([4, 3]);
    let wide = Vgg16::load(weights().with_head(replaced), &device).unwrap();
    assert_eq!((wide.sizes().hidden, wide.sizes().widths), ([4, 3], whole.sizes().widths));
    assert_eq!(wide.tap(image.clone()).top_conv.to_data(), theirs.top_conv.to_data());
    // What is not replaced is as strict as ever.
    let small = weights().with_head(Head::replace(2)).with_preprocessing(Preprocessing::imagenet(192));
    let message = Vgg16::load(small, &device).unwrap_err().to_string();
    assert!(message.contains("classifier.0.weight: expected [10, 180], found [10, 245]"), "{message}");
    assert!(!message.contains("classifier.6"), "{message}");

    let residual = Weights::file(fixture("resnet18_slim.pth")).with_head(Head::replace(5));
    assert_eq!(ResNet18::load(residual, &device).unwrap().sizes().classes, 5);
}

#[test]
fn a_saved_network_remembers_its_preprocessing() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.safetensors");
    let bgr = Preprocessing {
        order: ChannelOrder::Bgr,
        mean_image: Some((0..3 * 32 * 32).map(|at| at as f32 / 7e3).collect::<Vec<_>>().into()),
        ..Preprocessing::new(32, [0.1, 0.2, 0.3], [1.0 / 255.0, 1.0, 0.3])
    };
    let network: Vgg16 = ConvNet::init(tiny().init(&device).sizes(), bgr.clone(), 1, &device);
    network.save(&path, DType::F32).unwrap();
    let again = Vgg16::load(Weights::file(&path), &device).unwrap();
    assert_eq!(again.preprocessing(), bgr, "to the bit");
    assert!(Vgg16::load(Weights::file(&path).with_preprocessing(bgr), &device).is_ok());
    let error = load_vgg(&path).unwrap_err();
    assert!(matches!(error, PerformerError::Preprocessing { .. }), "{error}");
    let message = error.to_string();
    for part in ["own.safetensors", "Bgr, with a mean image", "mean [0.485, 0.456, 0.406]"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn batch_norms_are_checked_like_all_else() {
    let error = Vgg16::load(Weights::file(fixture("resnet18_slim.pth")), &Device::flex()).unwrap_err();
    let PerformerError::Mismatch { missing, unexpected, .. } = &error else { panic!("{error}") };
    assert!(missing.contains(&"features.1.running_var".to_string()), "{missing:?}");
    assert!(unexpected.contains(&"layer4.1.bn2.running_mean".to_string()), "{unexpected:?}");
    let error = ResNet50::load(Weights::file(fixture("resnet18_slim.pth")), &Device::flex()).unwrap_err();
    let PerformerError::Mismatch { missing, .. } = &error else { panic!("{error}") };
    assert!(missing.contains(&"layer1.0.bn3.weight".to_string()), "{missing:?}");
}

#[cfg(not(feature = "matconvnet"))]
#[test]
fn a_mat_file_names_the_feature_it_needs() {
    let error = load_vgg(&fixture("vgg16_slim.mat")).unwrap_err();
    assert!(
        error.to_string().contains("vgg16_slim.mat: files of this kind are read with the feature"),
        "{error}"
    );
}

#[test]
fn a_random_copy_has_the_same_sizes_and_other_weights() {
    let device = Device::flex();
    let network = AlexNetConfig::new()
        .with_widths([2, 2, 2, 2, 2])
        .with_hidden([3, 3])
        .with_classes(2)
        .with_input(64)
        .init(&device);
    let copy = network.randomized(1);
    assert_eq!(copy.sizes(), network.sizes());
    assert_eq!(copy.preprocessing(), network.preprocessing());
    let first = |network: &AlexNet| match network.blueprint().top {
        TopLayer::Conv(conv) => conv.weight.val().into_data(),
        _ => panic!("conv5"),
    };
    assert_ne!(first(&network), first(&copy));
    assert_eq!(first(&network.randomized(1)), first(&copy), "the seed decides");
}
