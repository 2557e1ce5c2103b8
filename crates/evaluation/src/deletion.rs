//! Do contributions to a prediction name the parts whose removal matters?

use std::collections::{BTreeMap, BTreeSet};

use burn::config::Config;
use burn::tensor::{Device, Tensor};
use explainer_core::Performer;
use explainer_datasets::{Change, DatasetError, PartMask, Rendered, Sample};
use explainer_metrics::{Figure, background_independence, deletion, distractibility};
use image::RgbImage;
use rayon::prelude::*;

use crate::account::{Account, Given};
use crate::config::spaced;
use crate::progress::progress_bar;
use crate::scene::{Scene, Shares};
use crate::tensors::floats;
use crate::{Accounts, Deletion, EvaluationError};

/// From 0.01 to 0.5: shares of what was attributed from which on a thing may be said to matter.
const THRESHOLDS: usize = 80;

/// Settings of a measurement of contributions, on a set that draws its images.
///
/// An image is drawn without each part that it shows and without each object of its background, and the score of its
/// class is read. What a part is said to have given is the sum of what an [account](Account) places on it: a filter
/// counts where its peak lies. Of the things (parts by their masks, objects by the pixels that change without them) that
/// reach into the peak's unit it counts for the nearest. The figures are those of FunnyBirds (Hesse et al.,
/// arXiv:2308.06248) as [`explainer_metrics`] has them:
///
/// - **single deletion** over the parts that the image shows;
/// - **deletion** and **preservation** in the images that the performer assigns to their class: without all parts that are
///   said to matter at once, and without all others, those out of sight among them;
/// - **background independence** and **distractibility**.
///
/// A thing is said to matter if it was given more than a share t of all amounts above 0. As there, t is the one of 80
/// from 0.01 to 0.5 that serves the account best, here by `(deletion + preservation) / 2 + distractibility`
/// ([`Deletion::threshold`]).
#[derive(Config, Debug, PartialEq)]
pub struct DeletionConfig {
    /// Images that are looked at, at most; evenly spaced if the set has more.
    #[config(default = 200)]
    pub images: usize,
    /// Images of one pass of the performer, and at most in memory at a time, but for as many that they are made from.
    #[config(default = 32)]
    pub batch_size: usize,
    /// Whether standard error has a bar (if it is a terminal).
    #[config(default = true)]
    pub progress: bool,
}

impl Default for DeletionConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl DeletionConfig {
    /// Measures all accounts on the same images, those of a category that show a part; `classes` has the performer's
    /// class of each category. An account that says nothing is left out.
    ///
    /// # Errors
    /// A set without such images, or of another size than the performer's input; a category without a class; contributions
    /// that cannot be had, are not finite or not of all pictures; a setting that cannot be met.
    pub fn measure<P: Performer>(
        &self,
        performer: &P,
        set: &dyn Rendered,
        classes: &[usize],
        accounts: &Accounts<'_>,
        device: &Device,
    ) -> Result<Vec<(String, Deletion)>, EvaluationError> {
        self.check()?;
        let run = Run { performer, set, classes, accounts, device, batch_size: self.batch_size };
        let annotated = run.annotated()?;
        let images: Vec<usize> =
            spaced(annotated.len(), self.images).into_iter().map(|at| annotated[at]).collect();
        let bar = progress_bar(images.len(), "deletion", self.progress);
        let mut scenes = Vec::with_capacity(images.len());
        for images in images.chunks(self.batch_size) {
            scenes.extend(run.scenes(images)?);
            bar.inc(images.len() as u64);
        }
        bar.finish_and_clear();
        let mut found = Vec::new();
        for (account, (name, _)) in accounts.list.iter().enumerate() {
            if scenes.iter().all(|scene| scene.shares[account].is_some()) {
                found.push((name.clone(), figures(&scenes, account)?));
            }
        }
        Ok(found)
    }

    fn check(&self) -> Result<(), EvaluationError> {
        let settings = [("images", self.images), ("batch_size", self.batch_size)];
        match settings.into_iter().find(|&(_, value)| value == 0) {
            None => Ok(()),
            Some((setting, found)) => {
                let (config, expected) = ("DeletionConfig", "1 or more");
                Err(EvaluationError::Config { config, setting, expected, found })
            }
        }
    }
}

/// The figures of one account.
fn figures(scenes: &[Scene], account: usize) -> Result<Deletion, EvaluationError> {
    let mut best: Option<(f64, Deletion)> = None;
    for threshold in thresholds() {
        let images: Vec<_> = scenes.iter().filter_map(|scene| scene.deletion(account, threshold)).collect();
        let scenes: Vec<_> = scenes.iter().map(|scene| scene.distraction(account, threshold)).collect();
        let found = deletion(&images)?;
        let found = Deletion {
            single: found.single,
            deletion: found.deletion,
            preservation: found.preservation,
            background_independence: background_independence(&scenes)?,
            distractibility: distractibility(&scenes)?,
            single_by_area: None,
            threshold: Some(threshold),
        };
        let value = |figure: &Option<Figure>| figure.as_ref().map_or(0.0, Figure::value);
        let score =
            (value(&found.deletion) + value(&found.preservation)) / 2.0 + value(&found.distractibility);
        if best.as_ref().is_none_or(|(best, _)| score > *best) {
            best = Some((score, found));
        }
    }
    let by_area: Vec<_> = scenes.iter().map(Scene::by_area).collect();
    let found = best.map(|(_, found)| found).unwrap_or_default();
    Ok(Deletion { single_by_area: deletion(&by_area)?.single, ..found })
}

fn thresholds() -> impl Iterator<Item = f64> {
    (0..THRESHOLDS).map(|at| 0.01 + 0.49 * at as f64 / (THRESHOLDS - 1) as f64)
}

/// What is looked at, and with what.
struct Run<'a, P> {
    performer: &'a P,
    set: &'a dyn Rendered,
    classes: &'a [usize],
    accounts: &'a Accounts<'a>,
    device: &'a Device,
    batch_size: usize,
}

/// An image of a batch without something.
struct Without<K> {
    /// Which image of the batch.
    at: usize,
    /// What is missing.
    what: K,
    picture: RgbImage,
}

/// The parts that an image shows, then the objects of its background.
#[derive(Default)]
struct Things {
    /// The score of the image's class without each.
    without: Vec<f64>,
    /// The pixels of each.
    regions: Vec<Option<PartMask>>,
}

impl<P: Performer> Run<'_, P> {
    /// Images of a category that show a part.
    fn annotated(&self) -> Result<Vec<usize>, EvaluationError> {
        let set = self.set;
        if self.classes.len() != set.categories().len() {
            return Err(self.no_class(self.classes.len()));
        }
        let shows = |&index: &usize| set.category(index).is_some() && set.has_landmarks(index);
        let found: Vec<usize> = (0..set.len()).filter(shows).collect();
        let (dataset, all) = (set.name().to_string(), set.len());
        if found.is_empty() { Err(EvaluationError::NoImages { dataset, found: all }) } else { Ok(found) }
    }

    fn no_class(&self, scores: usize) -> EvaluationError {
        let (categories, found) = (self.set.categories().len(), self.classes.to_vec());
        EvaluationError::Classes { categories, scores, found }
    }

    /// A batch of images, each with and without its things.
    fn scenes(&self, indices: &[usize]) -> Result<Vec<Scene>, EvaluationError> {
        let set = self.set;
        let samples = indices.par_iter().map(|&index| set.sample(index));
        let samples: Vec<Sample> = samples.collect::<Result<_, DatasetError>>()?;
        let (target, scores) = self.look(samples.iter().map(|sample| &sample.image))?;
        let category = |&index: &usize| set.category(index).map_or(0, |category| self.classes[category]);
        let classes: Vec<usize> = indices.iter().map(category).collect();
        if let Some(scores) =
            scores.first().filter(|scores| classes.iter().any(|&class| class >= scores.len()))
        {
            return Err(self.no_class(scores.len()));
        }
        let given = self.given(target, &classes)?;
        let things = self.one_by_one(indices, &samples, &classes)?;
        let mut scenes = Vec::with_capacity(samples.len());
        for (at, (sample, things)) in samples.iter().zip(things).enumerate() {
            let Things { without, regions } = things;
            let parts = shown(sample);
            let shares =
                self.accounts.list.iter().zip(&given).map(|((_, account), given)| {
                    Some(Shares::of(&given.as_ref()?[at], account.reach, &regions))
                });
            let area = |region: &Option<PartMask>| region.as_ref().map_or(0.0, |mask| mask.area() as f64);
            let decision = highest(&scores[at]);
            scenes.push(Scene {
                photo: set.source(indices[at]),
                class: classes[at],
                decision,
                score: f64::from(scores[at][classes[at]]),
                landmarks: sample.landmarks.len(),
                areas: regions[..parts.len()].iter().map(area).collect(),
                without,
                shares: shares.collect(),
                decisions: BTreeMap::from([(Vec::new(), decision)]),
                parts,
            });
        }
        self.divide(indices, &mut scenes)?;
        Ok(scenes)
    }

    /// Target features of pictures, and their scores.
    fn look<'p>(
        &self,
        pictures: impl Iterator<Item = &'p RgbImage>,
    ) -> Result<(Tensor<4>, Vec<Vec<f32>>), EvaluationError> {
        let pixels: Vec<&[u8]> = pictures.map(|picture| &picture.as_raw()[..]).collect();
        let images = self.performer.preprocessing().batch(&pixels, self.device)?;
        let target = self.performer.target_features(images);
        let scores = self.performer.forward_from_target(target.clone()).scores;
        let [_, count] = scores.dims();
        Ok((target, floats(scores).chunks_exact(count).map(<[f32]>::to_vec).collect()))
    }

    /// What each account says of a batch.
    fn given(
        &self,
        target: Tensor<4>,
        classes: &[usize],
    ) -> Result<Vec<Option<Vec<Vec<Given>>>>, EvaluationError> {
        let of = |(name, account): &(String, Account<'_>)| {
            let given = (account.read)(target.clone(), classes)?;
            let (expected, found) = (classes.len(), given.as_ref().map_or(classes.len(), Vec::len));
            if found == expected {
                return Ok(given);
            }
            Err(EvaluationError::Account { account: name.clone(), expected, found })
        };
        self.accounts.list.iter().map(of).collect()
    }

    /// The things of each image, one by one.
    fn one_by_one(
        &self,
        indices: &[usize],
        samples: &[Sample],
        classes: &[usize],
    ) -> Result<Vec<Things>, EvaluationError> {
        let mut jobs = Vec::new();
        for (at, (&index, sample)) in indices.iter().zip(samples).enumerate() {
            jobs.extend(shown(sample).into_iter().map(|part| (at, Change::Without { part })));
            let objects = 0..self.set.objects(index);
            jobs.extend(objects.map(|object| (at, Change::WithoutObject { object })));
        }
        let mut things: Vec<Things> = samples.iter().map(|_| Things::default()).collect();
        for jobs in jobs.chunks(self.batch_size) {
            let drawn = self.draw(indices, jobs, |change| vec![*change])?;
            let (_, found) = self.look(drawn.iter().map(|drawn| &drawn.picture))?;
            for (Without { at, what, picture }, found) in drawn.into_iter().zip(found) {
                let mask = match what {
                    Change::Without { part } => samples[at].mask(part).cloned(),
                    _ => None,
                };
                things[at].regions.push(mask.or_else(|| changed(&samples[at].image, &picture)));
                things[at].without.push(f64::from(found[classes[at]]));
            }
        }
        Ok(things)
    }

    /// The decisions without the parts that are said to matter, and without all others, by any account and threshold.
    fn divide(&self, indices: &[usize], scenes: &mut [Scene]) -> Result<(), EvaluationError> {
        let mut jobs = Vec::new();
        for (at, scene) in scenes.iter().enumerate().filter(|(_, scene)| scene.decided()) {
            let shares = scene.shares.iter().flatten();
            let divided =
                shares.flat_map(move |shares| thresholds().flat_map(move |t| scene.divided(shares, t)));
            let wanted: BTreeSet<Vec<usize>> = divided.filter(|parts| !parts.is_empty()).collect();
            jobs.extend(wanted.into_iter().map(|parts| (at, parts)));
        }
        for jobs in jobs.chunks(self.batch_size) {
            let without = |parts: &Vec<usize>| -> Vec<Change> {
                parts.iter().map(|&part| Change::Without { part }).collect()
            };
            let drawn = self.draw(indices, jobs, without)?;
            let (_, scores) = self.look(drawn.iter().map(|drawn| &drawn.picture))?;
            for (Without { at, what, .. }, scores) in drawn.into_iter().zip(scores) {
                scenes[at].decisions.insert(what, highest(&scores));
            }
        }
        Ok(())
    }

    /// Draws images of a batch again.
    fn draw<K: Clone + Send + Sync>(
        &self,
        indices: &[usize],
        jobs: &[(usize, K)],
        changes: impl Fn(&K) -> Vec<Change> + Sync,
    ) -> Result<Vec<Without<K>>, EvaluationError> {
        let set = self.set;
        let draw = |(at, what): &(usize, K)| {
            let picture = set.changed(indices[*at], &changes(what))?.image;
            Ok(Without { at: *at, what: what.clone(), picture })
        };
        Ok(jobs.par_iter().map(draw).collect::<Result<_, DatasetError>>()?)
    }
}

/// The parts that a sample shows.
fn shown(sample: &Sample) -> Vec<usize> {
    (0..sample.landmarks.len()).filter(|&part| sample.landmarks[part].is_some()).collect()
}

/// The pixels in which two pictures differ.
fn changed(picture: &RgbImage, other: &RgbImage) -> Option<PartMask> {
    let size = [picture.width(), picture.height()];
    PartMask::from_fn(size, |x, y| picture.get_pixel(x, y) != other.get_pixel(x, y))
}

/// The class of the highest score, the first of equal ones.
fn highest(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_those_of_funny_birds() {
        let found: Vec<f64> = thresholds().collect();
        assert_eq!((found.len(), found[0]), (80, 0.01));
        assert!((found[79] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn settings_that_cannot_be_met_are_named() {
        let error = DeletionConfig::new().with_images(0).check().unwrap_err().to_string();
        assert_eq!(error, "DeletionConfig::images: expected 1 or more, found 0");
    }
}
