//! What a JSON file beside a performer's weights says about it.

use std::fs;
use std::path::{Path, PathBuf};

use explainer_core::Preprocessing;
use serde::Deserialize;

use crate::common::Failure;

/// Side of the input that ImageNet's networks are made for.
const SIDE: usize = 224;

/// The part of the file that is needed.
#[derive(Debug, Deserialize)]
struct Contents {
    /// The classes, in the order of the scores.
    classes: Vec<String>,
    /// Subtracted from each channel, in 0..1.
    mean: Option<[f32; 3]>,
    /// Divides each channel.
    std: Option<[f32; 3]>,
    /// Channels, height and width of the images.
    input: Option<[usize; 3]>,
}

/// A performer's description.
#[derive(Debug)]
pub struct Description {
    file: PathBuf,
    contents: Contents,
}

impl Description {
    /// Reads the file of the weights' name that ends in `.json`.
    pub fn of(weights: &Path) -> Result<Self, Failure> {
        let file = weights.with_extension("json");
        let json = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let contents =
            serde_json::from_slice(&json).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { file, contents })
    }

    /// The class of a name.
    pub fn class(&self, name: &str) -> Result<usize, Failure> {
        let classes = &self.contents.classes;
        let position = classes.iter().position(|class| class == name);
        position.ok_or_else(|| self.refused(&format!("there is no class {name} among {classes:?}")))
    }

    /// The input it states; what it does not is ImageNet's.
    pub fn preprocessing(&self) -> Result<Preprocessing, Failure> {
        let Contents { mean, std, input, .. } = self.contents;
        let size = match input {
            None => SIDE,
            Some([3, height, width]) if height == width && height > 0 => height,
            Some(input) => return Err(self.refused(&format!("input: expected [3, n, n], found {input:?}"))),
        };
        let imagenet = Preprocessing::imagenet(size);
        let (mean, std) = (mean.unwrap_or(imagenet.mean), std.unwrap_or(imagenet.std));
        if let Some(found) = std.iter().find(|&&std| std <= 0.0) {
            return Err(self.refused(&format!("std: expected values above 0, found {found}")));
        }
        Ok(Preprocessing::new(size, mean, std))
    }

    /// Checks that it describes a network of `outputs` scores.
    pub fn check(&self, outputs: usize) -> Result<(), Failure> {
        let found = self.contents.classes.len();
        if found == outputs {
            return Ok(());
        }
        Err(self.refused(&format!(
            "classes: expected {outputs}, as many as the network has scores, found {found}"
        )))
    }

    fn refused(&self, what: &str) -> Failure {
        format!("{}: {what}", self.file.display()).into()
    }
}
