//! How well a network tells the species, and on which parts its decisions rest.

use burn::tensor::Device;
use burn::tensor::activation::log_softmax;
use explainer_core::Performer;
use explainer_datasets::{Change, Dataset, Rendered, Sample, SyntheticSpecies};
use serde::Serialize;

use crate::program::Failure;

/// A mean and its standard error.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Mean {
    pub mean: f64,
    pub standard_error: f64,
}

impl Mean {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Self { mean, standard_error: (variance / n).sqrt() }
    }
}

/// What a change to a part does to the decisions of a network.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Effect {
    /// By how much the log-probability of the bird's species falls.
    pub log_probability_drop: Mean,
    /// Share of the birds that are taken for something else than before.
    pub decisions_changed: Mean,
}

/// On how much a network's decisions depend on a part.
#[derive(Clone, Debug, Serialize)]
pub struct Dependence {
    pub part: String,
    /// Birds that show it.
    pub birds: usize,
    /// It is not drawn.
    pub removed: Effect,
    /// It has its other shape.
    pub exchanged: Effect,
}

/// Shares of the images that are classified rightly.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Accuracy {
    /// Birds and negatives.
    pub all: f64,
    pub birds: f64,
    /// Birds that show all of their parts.
    pub birds_with_all_parts: f64,
    /// Birds of which one part or more cannot be seen.
    pub birds_with_hidden_parts: f64,
    pub negatives: f64,
}

/// Images at a time.
const BATCH: usize = 16;

/// The log-probabilities of each class.
fn log_probabilities(
    network: &impl Performer,
    samples: &[Sample],
    device: &Device,
) -> Result<Vec<Vec<f64>>, Failure> {
    let mut rows = Vec::new();
    for samples in samples.chunks(BATCH) {
        let images: Vec<&[u8]> = samples.iter().map(|sample| sample.image.as_raw().as_slice()).collect();
        let scores = network.tap(network.preprocessing().batch(&images, device)?).scores;
        let [_, classes] = scores.dims();
        let logs: Vec<f64> = log_softmax(scores, 1).into_data().iter::<f64>().collect();
        rows.extend(logs.chunks(classes).map(<[f64]>::to_vec));
    }
    Ok(rows)
}

/// The class of the highest score.
fn decision(scores: &[f64]) -> usize {
    (0..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

/// The accuracy on a set; `negative` is the class of images without a bird.
pub fn accuracy(
    network: &impl Performer,
    set: &SyntheticSpecies,
    negative: usize,
    device: &Device,
) -> Result<Accuracy, Failure> {
    let (mut right, mut all) = ([0; 3], [0; 3]);
    let indices: Vec<usize> = (0..set.len()).collect();
    for indices in indices.chunks(BATCH) {
        let samples = indices.iter().map(|&index| set.sample(index)).collect::<Result<Vec<_>, _>>()?;
        for (scores, sample) in log_probabilities(network, &samples, device)?.iter().zip(&samples) {
            let kind = match sample.category {
                Some(_) => usize::from(sample.landmarks.iter().any(Option::is_none)),
                None => 2,
            };
            all[kind] += 1;
            right[kind] += usize::from(decision(scores) == sample.category.unwrap_or(negative));
        }
    }
    let share = |kinds: &[usize]| {
        let count = |counts: [usize; 3]| kinds.iter().map(|&kind| counts[kind]).sum::<usize>() as f64;
        count(right) / count(all)
    };
    Ok(Accuracy {
        all: share(&[0, 1, 2]),
        birds: share(&[0, 1]),
        birds_with_all_parts: share(&[0]),
        birds_with_hidden_parts: share(&[1]),
        negatives: share(&[2]),
    })
}

/// How much the decisions on the first `number` birds of a set depend on each of their parts.
pub fn dependence(
    network: &impl Performer,
    set: &SyntheticSpecies,
    number: usize,
    device: &Device,
) -> Result<Vec<Dependence>, Failure> {
    let birds: Vec<(usize, usize)> =
        (0..set.len()).filter_map(|index| Some((index, set.category(index)?))).take(number).collect();
    let before = birds.iter().map(|&(index, _)| set.sample(index)).collect::<Result<Vec<_>, _>>()?;
    let scores = log_probabilities(network, &before, device)?;
    let mut parts = Vec::new();
    for (part, name) in set.landmark_names().iter().enumerate() {
        let seen: Vec<usize> = (0..birds.len()).filter(|&i| before[i].landmarks[part].is_some()).collect();
        let effect = |change: &dyn Fn(usize) -> Change| -> Result<Effect, Failure> {
            let changed = |&i: &usize| set.changed(birds[i].0, &[change(birds[i].1)]);
            let after = seen.iter().map(changed).collect::<Result<Vec<_>, _>>()?;
            let after = log_probabilities(network, &after, device)?;
            let pairs = || seen.iter().zip(&after).map(|(&i, after)| (birds[i].1, &scores[i], after));
            let drops: Vec<f64> = pairs().map(|(species, a, b)| a[species] - b[species]).collect();
            let other: Vec<f64> =
                pairs().map(|(_, a, b)| f64::from(u8::from(decision(a) != decision(b)))).collect();
            Ok(Effect { log_probability_drop: Mean::of(&drops), decisions_changed: Mean::of(&other) })
        };
        let other_shape = |species: usize| {
            let mut others = 0..set.categories().len();
            let other = others.find(|&other| set.shape(other, part) != set.shape(species, part));
            Change::Exchanged { part, category: other.unwrap_or(species) }
        };
        parts.push(Dependence {
            part: name.clone(),
            birds: seen.len(),
            removed: effect(&|_| Change::Without { part })?,
            exchanged: effect(&other_shape)?,
        });
    }
    Ok(parts)
}
