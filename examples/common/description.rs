//! A performer from a file, and what is known of it: from the file itself, or from a JSON file beside it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use explainer_core::Preprocessing;
use explainer_performers::{Architecture, ConvNet, PerformerError, Weights};
use serde::Deserialize;

use crate::common::Failure;

/// The file of the weights' name that ends in `.json`, or what is needed of it.
#[derive(Debug, Default, Deserialize)]
struct Description {
    /// The classes, in the order of the scores.
    classes: Option<Vec<String>>,
    /// Subtracted from each channel, in 0..1.
    mean: Option<[f32; 3]>,
    /// Divides each channel.
    std: Option<[f32; 3]>,
    /// Channels, height and width of the images.
    input: Option<[usize; 3]>,
}

impl Description {
    /// The preprocessing it states, the usual one of its size where it states a part of it; `None` if it says nothing.
    fn preprocessing(
        &self,
        side: usize,
        usual: fn(usize) -> Preprocessing,
    ) -> Result<Option<Preprocessing>, String> {
        let Self { mean, std, input, .. } = *self;
        if mean.is_none() && std.is_none() && input.is_none() {
            return Ok(None);
        }
        let size = match input {
            None => side,
            Some([3, height, width]) if height == width && height > 0 => height,
            Some(input) => return Err(format!("input: expected [3, n, n], found {input:?}")),
        };
        let usual = usual(size);
        let (mean, std) = (mean.unwrap_or(usual.mean), std.unwrap_or(usual.std));
        match std.iter().find(|&&std| std <= 0.0) {
            Some(found) => Err(format!("std: expected values above 0, found {found}")),
            None => Ok(Some(Preprocessing::new(size, mean, std))),
        }
    }
}

/// The names of a performer's classes.
#[derive(Debug)]
pub struct Classes {
    names: Vec<String>,
    /// The file that has them.
    file: PathBuf,
}

impl Classes {
    /// The class of a name.
    pub fn index(&self, name: &str) -> Result<usize, Failure> {
        let position = self.names.iter().position(|class| class == name);
        position.ok_or_else(|| {
            format!("{}: there is no class {name} among {:?}", self.file.display(), self.names).into()
        })
    }
}

/// A performer as its files describe it, with the names of its classes where they state them. A JSON file beside it
/// comes before what the weights' file says of classes; where both state a preprocessing, they must agree.
///
/// `side` is that of the images it is made for, and `usual` the preprocessing of images of a side. `load` loads it, and
/// `known` tells the number of its classes and what its own file says of their names.
pub fn load_as<N>(
    weights: &Path,
    (side, usual): (usize, fn(usize) -> Preprocessing),
    load: impl FnOnce(Weights) -> Result<N, PerformerError>,
    known: impl FnOnce(&N) -> (usize, Vec<String>),
) -> Result<(N, Option<Classes>), Failure> {
    let file = weights.with_extension("json");
    let refused = |what: String| -> Failure { format!("{}: {what}", file.display()).into() };
    let description: Description = match fs::read(&file) {
        Ok(json) => serde_json::from_slice(&json).map_err(|error| refused(error.to_string()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Description::default(),
        Err(error) => return Err(refused(error.to_string())),
    };
    let given = Weights::file(weights);
    let given = match description.preprocessing(side, usual).map_err(refused)? {
        Some(preprocessing) => given.with_preprocessing(preprocessing),
        None => given,
    };
    let performer = load(given)?;
    let (expected, own) = known(&performer);
    let (names, file) = match description.classes {
        Some(names) => (names, file),
        None if own.is_empty() => return Ok((performer, None)),
        None => (own, weights.to_owned()),
    };
    let found = names.len();
    if expected != found {
        let what = format!("classes: expected {expected}, as many as the network has scores, found {found}");
        return Err(format!("{}: {what}", file.display()).into());
    }
    Ok((performer, Some(Classes { names, file })))
}

/// Loads a plain network, whose classes must have names.
pub fn load<A: Architecture>(weights: &Path, device: &Device) -> Result<(ConvNet<A>, Classes), Failure> {
    let network = |weights| ConvNet::<A>::load(weights, device);
    let known = |network: &ConvNet<A>| (network.sizes().classes, network.class_names().to_vec());
    // A file that says nothing of its input is one of ImageNet's.
    let (performer, classes) = load_as(weights, (224, Preprocessing::imagenet), network, known)?;
    let classes = classes.ok_or_else(|| {
        let (what, file) =
            ("has no names of classes; a file beside it may state them", weights.with_extension("json"));
        format!("{}: {what}, {{\"classes\": [...]}}: {}", weights.display(), file.display())
    })?;
    Ok((performer, classes))
}
