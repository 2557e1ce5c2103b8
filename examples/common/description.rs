//! A performer from a file, and what is known of it: from the file itself, or from a JSON file beside it.

#[path = "description/statistics.rs"]
mod statistics;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use explainer_core::Preprocessing;
use explainer_performers::{Architecture, ConvNet, PerformerError, Weights};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::common::Failure;
use statistics::{Channels, Order, Range};

/// Side of the input that ImageNet's networks are made for.
const SIDE: usize = 224;
/// Largest description.
const MAX_BYTES: u64 = 16 << 20;

/// The file of the weights' name that ends in `.json`, or what is needed of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// The classes, in the order of the scores.
    classes: Option<Vec<String>>,
    /// Subtracted from each channel, in the range of the pixels.
    mean: Option<Channels>,
    /// Divides each channel.
    std: Option<Channels>,
    /// Channels, height and width of the images.
    input: Option<[usize; 3]>,
    /// The order of the channels in the network's input: rgb or bgr.
    order: Option<Order>,
    /// The range of the pixels that mean and standard deviation are of: [0, 1] or [0, 255].
    range: Option<Range>,
    /// The same as this library states it in weights that it saves, or a remark.
    preprocessing: Option<Stated>,
}

/// What stands under `preprocessing`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stated {
    Remark(String),
    Whole(Preprocessing),
    /// Anything else, which is refused with its own error.
    Other(IgnoredAny),
}

/// Keys of what is kept on record of a performer and says nothing of its input; so do those of [`RECORDS`].
const RECORD: [&str; 24] = [
    "architecture",
    "widths",
    "hidden",
    "data",
    "dataset",
    "command",
    "arguments",
    "epoch",
    "epochs",
    "seed",
    "accuracy",
    "parts",
    "loss",
    "history",
    "log",
    "crop",
    "name",
    "title",
    "note",
    "notes",
    "source",
    "license",
    "date",
    "version",
];
/// Beginnings of such keys.
const RECORDS: [&str; 8] = ["_", "live_", "val_", "validation", "train_", "training", "test_", "trained"];

/// An object of which no key stands twice: serde_json would take the last.
struct Unique(Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a description, {\"classes\": [...], ...}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut all = Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if all.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key {key} stands twice")));
                    }
                    all.insert(key, value);
                }
                Ok(Unique(all))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Description {
    fn parse(json: &[u8]) -> Result<Self, String> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let Unique(mut all) = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        all.retain(|key, _| {
            !RECORD.contains(&key.as_str()) && !RECORDS.iter().any(|begin| key.starts_with(begin))
        });
        let preprocessing = all.get("preprocessing").cloned();
        let description: Self = serde_json::from_value(Value::Object(all))
            .map_err(|error| format!("{error} (the key of a remark begins with `_`)"))?;
        if let (Some(Stated::Other(_)), Some(value)) = (&description.preprocessing, preprocessing) {
            let error = serde_json::from_value::<Preprocessing>(value).err();
            return Err(format!(
                "preprocessing: {}",
                error.map_or_else(String::new, |error| error.to_string())
            ));
        }
        Ok(description)
    }

    /// The preprocessing it states, the usual one of its size where it states a part of it; `None` if it says nothing.
    fn preprocessing(
        &self,
        side: usize,
        usual: fn(usize) -> Preprocessing,
    ) -> Result<Option<Preprocessing>, String> {
        let Self { mean, std, input, order, range, .. } = self;
        let size = match *input {
            None => None,
            Some([3, height, width]) if height == width && height > 0 => Some(height),
            Some(input) => return Err(format!("input: expected [3, n, n], found {input:?}")),
        };
        let parts = mean.is_some() || std.is_some() || order.is_some() || range.is_some();
        if let Some(Stated::Whole(whole)) = &self.preprocessing {
            if parts {
                return Err(
                    "preprocessing: expected it alone, found mean, std, order or range beside it".into()
                );
            }
            if size.is_some_and(|size| size != whole.size) {
                return Err(format!(
                    "input: expected {}, as preprocessing states, found {input:?}",
                    whole.size
                ));
            }
            statistics::check([whole.mean, whole.std], Range::One)?;
            return Ok(Some(whole.clone()));
        }
        if !parts && size.is_none() {
            return Ok(None);
        }
        let usual = usual(size.unwrap_or(side));
        let range = range.unwrap_or_default();
        let order = order.unwrap_or_default();
        let [mean, std] = statistics::stated([mean.as_ref(), std.as_ref()], range, order, &usual)?;
        Ok(Some(Preprocessing { mean, std, order: order.into(), ..usual }))
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
    let description = match explainer_files::read(&file, MAX_BYTES) {
        Ok(json) => Description::parse(&json).map_err(refused)?,
        Err(error) if error.kind() == ErrorKind::NotFound => Description::default(),
        Err(error) => return Err(refused(error.to_string())),
    };
    if let Some(Stated::Remark(remark)) = &description.preprocessing {
        eprintln!("{}: preprocessing is taken for a remark: {remark:?}", file.display());
    }
    let given = Weights::file(weights);
    let stated = description.preprocessing(side, usual).map_err(refused)?;
    let assumed = stated.is_some() && description.input.is_none() && !description.is_whole();
    let given = match stated {
        Some(preprocessing) => given.with_preprocessing(preprocessing),
        None => given,
    };
    let performer = load(given).map_err(|error| -> Failure {
        match assumed {
            true => {
                let file = file.display();
                format!("{error}\n  input [3, {side}, {side}] was assumed, as {file} states none").into()
            }
            false => error.into(),
        }
    })?;
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
    if let Some(twice) = names.iter().enumerate().find(|&(i, name)| names[..i].contains(name)) {
        return Err(format!(
            "{}: classes: expected each name once, found {:?} again",
            file.display(),
            twice.1
        )
        .into());
    }
    Ok((performer, Some(Classes { names, file })))
}

/// Loads a plain network, whose classes must have names.
pub fn load<A: Architecture>(weights: &Path, device: &Device) -> Result<(ConvNet<A>, Classes), Failure> {
    let network = |weights| ConvNet::<A>::load(weights, device);
    let known = |network: &ConvNet<A>| (network.sizes().classes, network.class_names().to_vec());
    // A file that says nothing of its input is one of ImageNet's.
    let (performer, classes) = load_as(weights, (SIDE, Preprocessing::imagenet), network, known)?;
    let classes = classes.ok_or_else(|| {
        let (what, file) =
            ("has no names of classes; a file beside it may state them", weights.with_extension("json"));
        format!("{}: {what}, {{\"classes\": [...]}}: {}", weights.display(), file.display())
    })?;
    Ok((performer, classes))
}

impl Description {
    fn is_whole(&self) -> bool {
        matches!(self.preprocessing, Some(Stated::Whole(_)))
    }
}
