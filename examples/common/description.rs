//! A performer from a file, and what is known of it: from the file itself, or from a JSON file beside it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use explainer_core::Preprocessing;
use explainer_performers::{Architecture, ConvNet, Weights};
use serde::Deserialize;

use crate::common::Failure;

/// Side of the input that ImageNet's networks are made for.
const SIDE: usize = 224;

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
    /// The preprocessing it states, ImageNet's where it states a part of it; `None` if it says nothing.
    fn preprocessing(&self) -> Result<Option<Preprocessing>, String> {
        let Self { mean, std, input, .. } = *self;
        if mean.is_none() && std.is_none() && input.is_none() {
            return Ok(None);
        }
        let size = match input {
            None => SIDE,
            Some([3, height, width]) if height == width && height > 0 => height,
            Some(input) => return Err(format!("input: expected [3, n, n], found {input:?}")),
        };
        let imagenet = Preprocessing::imagenet(size);
        let (mean, std) = (mean.unwrap_or(imagenet.mean), std.unwrap_or(imagenet.std));
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

/// Loads a performer. A JSON file beside it comes before what the weights' file says of classes; where both
/// state a preprocessing, they must agree.
pub fn load<A: Architecture>(weights: &Path, device: &Device) -> Result<(ConvNet<A>, Classes), Failure> {
    let file = weights.with_extension("json");
    let refused = |what: String| -> Failure { format!("{}: {what}", file.display()).into() };
    let description: Description = match fs::read(&file) {
        Ok(json) => serde_json::from_slice(&json).map_err(|error| refused(error.to_string()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Description::default(),
        Err(error) => return Err(refused(error.to_string())),
    };
    let given = Weights::file(weights);
    let given = match description.preprocessing().map_err(refused)? {
        Some(preprocessing) => given.with_preprocessing(preprocessing),
        None => given,
    };
    let performer = ConvNet::<A>::load(given, device)?;
    let (names, file) = match description.classes {
        Some(names) => (names, file),
        None if performer.class_names().is_empty() => {
            let what = "has no names of classes; a file beside it may state them, {\"classes\": [...]}";
            return Err(format!("{}: {what}: {}", weights.display(), file.display()).into());
        }
        None => (performer.class_names().to_vec(), weights.to_owned()),
    };
    let (expected, found) = (performer.sizes().classes, names.len());
    if expected != found {
        let what = format!("classes: expected {expected}, as many as the network has scores, found {found}");
        return Err(format!("{}: {what}", file.display()).into());
    }
    Ok((performer, Classes { names, file }))
}
