//! Networks of MatConvNet, from files that `fixtures/make_fixtures.py` wrote with SciPy.
#![cfg(feature = "matconvnet")]

use std::path::PathBuf;

use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::{DType, Device, Tensor};
use explainer_core::{Performer, Preprocessing};
use explainer_performers::{
    Architecture, CaffeAlexNet, ConvNet, Head, PerformerError, Vgg16, VggM, VggS, Weights,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn file<A: Architecture>(name: &str) -> Result<ConvNet<A>, PerformerError> {
    ConvNet::load(Weights::file(fixture(name)), &Device::flex())
}

/// All tensors of a network as saved, in the order of their names.
fn saved<A: Architecture>(network: &ConvNet<A>) -> Vec<(String, Vec<f32>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("saved.safetensors");
    network.save(&path, DType::F32).expect("a file");
    let mut store = SafetensorsStore::from_file(&path);
    let tensors = store.get_all_tensors().expect("its tensors");
    let values =
        |tensor| bridge::to_data(tensor).expect("its bytes").try_to_vec::<f32>().expect("f32 values");
    tensors.iter().map(|(name, tensor)| (name.clone(), values(tensor))).collect()
}

/// The network of a MAT file has, to the bit, the weights of the same network in PyTorch's form, whose
/// features parity.rs compares.
fn assert_same<A: Architecture>(mat: &str, safetensors: &str) -> ConvNet<A> {
    let (ours, theirs) = (file::<A>(mat).expect(mat), file::<A>(safetensors).expect(safetensors));
    assert_eq!(saved(&ours), saved(&theirs), "{mat}");
    ours
}

const NAMES: [&str; 3] = ["goldfish, Carassius auratus", "tench", "hen"];

#[test]
fn the_papers_four_networks_are_read() {
    let alexnet: CaffeAlexNet = assert_same("caffe_alexnet_slim.mat", "caffe_alexnet_slim.safetensors");
    let vgg_m: VggM = assert_same("vgg_m_slim.mat", "vgg_m_slim.safetensors");
    let vgg_s: VggS = assert_same("vgg_s_slim.mat", "vgg_s_slim.safetensors");
    let vgg16: Vgg16 = assert_same("vgg16_slim.mat", "vgg16_slim.safetensors");
    for names in [alexnet.class_names(), vgg_m.class_names(), vgg_s.class_names(), vgg16.class_names()] {
        assert_eq!(names, NAMES);
    }
    // A colour in each of the forms that there are.
    for preprocessing in [vgg_m.preprocessing(), vgg_s.preprocessing(), vgg16.preprocessing()] {
        let mean = [123.0 / 255.0, 117.0 / 255.0, 104.0 / 255.0].map(|mean: f64| mean as f32);
        assert_eq!(preprocessing, Preprocessing::new(224, mean, [1.0 / 255.0; 3]));
    }
}

#[test]
fn the_average_image_is_taken_off_each_pixel() {
    let network: CaffeAlexNet = file("caffe_alexnet_slim.mat").unwrap();
    let input = network.preprocessing();
    let mean = input.mean_image.as_ref().expect("an average image").values();
    assert_eq!((input.size, mean.len()), (227, 3 * 227 * 227));
    // The script's formula at places that tell rows from columns and channels.
    for (channel, row, column) in [(0, 3, 200), (1, 200, 3), (2, 100, 31)] {
        let (c, y, x) = (f64::from(channel), f64::from(row), f64::from(column));
        let wave = (0.11 * x + 0.7 * c).sin() * (0.07 * y - 0.3 * c).cos()
            + 0.5 * (0.031 * x * (y + 1.0) / 16.0).sin();
        let expected = (100.0 + 10.0 * (3.0 * wave).round()) / 255.0;
        let found = mean[(channel * 227 * 227 + row * 227 + column) as usize];
        assert!((f64::from(found) - expected).abs() < 1e-6, "{found} for {expected}");
    }
    let gray = vec![100; 3 * 227 * 227];
    let values: Vec<f32> =
        input.batch(&[&gray], &Device::flex()).unwrap().into_data().iter::<f32>().collect();
    assert!((values[7] - (100.0 - 255.0 * mean[7])).abs() < 1e-3);

    // It goes into our own file and comes back, and so do the names.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.safetensors");
    network.save(&path, DType::F32).unwrap();
    let again = CaffeAlexNet::load(Weights::file(&path), &Device::flex()).unwrap();
    assert_eq!(again.preprocessing(), input);
    assert_eq!(again.class_names(), NAMES);
}

#[test]
fn a_network_of_another_architecture_is_told_by_its_first_layer_that_differs() {
    let message = |error: PerformerError| {
        assert!(matches!(error, PerformerError::Layer { .. }), "{error}");
        error.to_string()
    };
    let error = message(file::<<Vgg16 as Table>::Layers>("vgg_m_slim.mat").unwrap_err());
    assert!(error.contains("vgg_m_slim.mat: not a VGG-16: layers: expected 36 of them"), "{error}");
    // VGG-M has as many layers as Caffe's AlexNet.
    let error = message(file::<<CaffeAlexNet as Table>::Layers>("vgg_m_slim.mat").unwrap_err());
    let expected = "conv1: expected stride 4, padding 0 and 0, found stride 2, padding 0 and 0";
    assert!(error.contains(expected), "{error}");
    let error = message(file::<<VggM as Table>::Layers>("caffe_alexnet_slim.mat").unwrap_err());
    assert!(error.contains("conv1: expected stride 2"), "{error}");
}

trait Table {
    type Layers: Architecture;
}

impl<A: Architecture> Table for ConvNet<A> {
    type Layers = A;
}

#[test]
fn a_new_head_drops_the_names_and_another_preprocessing_is_refused() {
    let weights = || Weights::file(fixture("vgg_s_slim.mat"));
    let network = VggS::load(weights().with_head(Head::replace(2)), &Device::flex()).unwrap();
    assert_eq!((network.sizes().classes, network.class_names().len()), (2, 0));
    let images = Tensor::<4>::ones([1, 3, 224, 224], &Device::flex());
    assert_eq!(network.forward(images).dims(), [1, 2]);
    let error = VggS::load(weights().with_preprocessing(Preprocessing::imagenet(224)), &Device::flex());
    assert!(matches!(error, Err(PerformerError::Preprocessing { .. })));
}

#[test]
fn damaged_absent_and_foreign_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("vgg_s_slim.mat")).unwrap();
    for length in [0, 100, whole.len() / 2, whole.len() - 1] {
        let path = folder.path().join(format!("cut-{length}.mat"));
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = VggS::load(Weights::file(&path), &Device::flex()).unwrap_err();
        assert!(error.to_string().contains(&format!("cut-{length}.mat")), "{error}");
    }
    let error = VggS::load(Weights::file(folder.path().join("none.mat")), &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("none.mat"), "{error}");
    // A MAT file of something else.
    let values = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/fixtures/values_v5.mat");
    let error = VggS::load(Weights::file(values), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("layers"), "{error}");
}
