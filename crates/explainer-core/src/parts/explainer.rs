//! The explainer made of part detectors.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use super::detectors::PartDetectors;
use super::embedding::evenly;
use crate::features::floats;
use crate::fit::batches;
use crate::{Features, Performer};

/// Units on either side of a part's peak whose features it carries.
pub const REACH: usize = 2;
/// Rows of one pass.
const BATCH: usize = 64;
/// Rows of which the mean map is taken, at most.
const ROWS: usize = 2048;

/// An explainer whose interpretable track is made of [`PartDetectors`].
///
/// For target features x of a picture,
///
/// - detector k finds its part at the unit μ_k of the largest evidence, with the probability π_k that it is there;
/// - its *mask* is `m_k(u) = π_k [‖u − μ_k‖_∞ ≤ 2]`, and where the masks of several parts add up to more than 1 they
///   are divided by their sum;
/// - the interpretable track carries `x_interp = Σ_k m_k ∘ x`, the ordinary track the rest,
///   `x_ordin = (1 − Σ_k m_k) ∘ x`;
/// - the decoder is the performer itself, from the target layer on
///   ([`Performer::forward_from_target`]).
///
/// The two tracks add up to the target features, so that nothing of the prediction is lost. What there is to judge is
/// how they divide it: [`PartValidation`](super::PartValidation) has what the parts carry and what the performer makes
/// of them alone.
///
/// Source: the frame of arXiv:1805.07468 (two tracks, masks at the strongest unit, a decoder towards the performer's
/// upper features); detectors and masks are ours.
#[derive(Module, Debug)]
pub struct PartExplainer {
    pub(crate) detectors: PartDetectors,
    /// The mean of the target features over the training pictures, `[C, height, width]`: what stands for a part, or for
    /// everything else, where it is taken away.
    pub(crate) mean: Param<Tensor<3>>,
    /// The mean place of each part, in rows and columns of units, `[K, 2]`.
    pub(crate) places: Param<Tensor<2>>,
}

/// What the tracks of a [`PartExplainer`] make of a batch of target features.
#[derive(Clone, Debug)]
pub struct PartTracks {
    /// [`PartDetectors::evidence`], `[batch, K, height, width]`.
    pub evidence: Tensor<4>,
    /// π, the probability that each part is in the picture, `[batch, K]`.
    pub presence: Tensor<2>,
    /// m, `[batch, K, height, width]`.
    pub masks: Tensor<4>,
    /// x_interp, `[batch, C, height, width]`.
    pub interpretable: Tensor<4>,
    /// x_ordin, likewise.
    pub ordinary: Tensor<4>,
}

impl PartExplainer {
    /// With these detectors, and the mean features of `train`.
    pub(crate) fn new(detectors: PartDetectors, train: &Features) -> Self {
        let rows = evenly(train.len(), ROWS);
        let sums = rows.chunks(BATCH).map(|rows| train.batch(rows).target.sum_dim(0));
        let sum = sums.reduce(|sum, more| sum + more).expect("there is a training row");
        let mean = sum.squeeze_dim::<3>(0) / rows.len() as f64;
        let places = places(&detectors, train);
        Self { detectors, mean: frozen(mean), places: frozen(places) }
    }

    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.detectors.len()
    }

    /// Its detectors.
    pub fn detectors(&self) -> &PartDetectors {
        &self.detectors
    }

    /// The mean of the training pictures' target features, `[C, height, width]`.
    pub fn mean(&self) -> Tensor<3> {
        self.mean.val()
    }

    /// Where its tensors are.
    pub fn device(&self) -> Device {
        self.mean.val().device()
    }

    /// Both tracks of target features, `[batch, C, height, width]`.
    pub fn tracks(&self, target: Tensor<4>) -> PartTracks {
        let evidence = self.detectors.evidence(target.clone());
        let presence = presence(evidence.clone());
        let masks = masks(&evidence, &presence);
        let carried = masks.clone().sum_dim(1);
        let interpretable = target.clone() * carried;
        PartTracks { ordinary: target - interpretable.clone(), evidence, presence, masks, interpretable }
    }

    /// The scores of `performer` with only what the parts carry; everything else is the mean of the training pictures.
    ///
    /// # Shapes
    /// - target: `[batch, C, height, width]`
    /// - output: `[batch, classes]`
    pub fn scores_of_parts<P: Performer>(&self, performer: &P, target: Tensor<4>) -> Tensor<2> {
        let masks = self.tracks(target.clone()).masks;
        performer.forward_from_target(self.blend(target, masks.sum_dim(1))).scores
    }

    /// The scores of one picture, `[1, C, height, width]`, each time without the parts of one group: within their masks
    /// stands the mean of the training pictures.
    ///
    /// # Shapes
    /// - output: `[groups, classes]`
    ///
    /// # Panics
    /// If there is no group, or a part of one does not exist.
    pub fn scores_without<P: Performer>(
        &self,
        performer: &P,
        target: Tensor<4>,
        groups: &[Vec<usize>],
    ) -> Tensor<2> {
        assert!(!groups.is_empty(), "there is no group of parts to leave out");
        let masks = self.tracks(target.clone()).masks;
        let [_, parts, height, width] = masks.dims();
        let mut member = vec![0f32; groups.len() * parts];
        for (group, row) in groups.iter().zip(member.chunks_exact_mut(parts)) {
            for &part in group {
                assert!(part < parts, "part {part} of {parts}");
                row[part] = 1.0;
            }
        }
        let member = Tensor::<2>::from_data(TensorData::new(member, [groups.len(), parts]), &masks.device());
        let removed = member.matmul(masks.reshape([parts, height * width]));
        let kept = removed.reshape([groups.len(), 1, height, width]).neg().add_scalar(1.0);
        let scores = batches(groups.len(), BATCH).map(|groups| {
            let kept = kept.clone().narrow(0, groups[0], groups.len());
            let [count, ..] = kept.dims();
            performer.forward_from_target(self.blend(target.clone().repeat_dim(0, count), kept)).scores
        });
        Tensor::cat(scores.collect(), 0)
    }

    /// A control: places alone. Each part fires at its mean place in the training pictures, as strongly in every picture.
    ///
    /// # Shapes
    /// - target: `[batch, C, height, width]`
    /// - output: `[batch, K, height, width]`, 1 at one unit each and 0 elsewhere
    pub fn at_places(&self, target: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = target.dims();
        let mut maps = vec![0f32; self.parts() * height * width];
        for (map, place) in
            maps.chunks_exact_mut(height * width).zip(floats(self.places.val()).chunks_exact(2))
        {
            let along = |place: f32, length: usize| (place.round() as usize).min(length - 1);
            map[along(place[0], height) * width + along(place[1], width)] = 1.0;
        }
        let maps = TensorData::new(maps, [1, self.parts(), height, width]);
        Tensor::<4>::from_data(maps, &target.device()).repeat_dim(0, batch)
    }

    /// `kept ∘ x + (1 − kept) ∘ mean`.
    pub(crate) fn blend(&self, target: Tensor<4>, kept: Tensor<4>) -> Tensor<4> {
        let mean = self.mean.val().unsqueeze::<4>();
        (target - mean.clone()) * kept + mean
    }
}

/// The mean place of each part's peak in the training pictures with an object (in all, if none has), each as much as the
/// part is likely there; rows and columns of units, `[K, 2]`.
fn places(detectors: &PartDetectors, train: &Features) -> Tensor<2> {
    let images = || (0..train.len()).step_by(train.views());
    let objects: Vec<usize> = images().filter(|&row| train.categories()[row].is_some()).collect();
    let rows = if objects.is_empty() { images().collect() } else { objects };
    let (parts, width) = (detectors.len(), train.shape().target[2]);
    let (mut sums, mut weights) = (vec![[0.0; 2]; parts], vec![0.0; parts]);
    for rows in rows.chunks(BATCH) {
        let evidence = detectors.evidence(train.batch(rows).target);
        let presence = floats(presence(evidence.clone()));
        for (at, (peak, presence)) in peaks(&evidence).into_iter().zip(presence).enumerate() {
            let (part, weight) = (at % parts, f64::from(presence));
            weights[part] += weight;
            sums[part][0] += weight * (peak / width) as f64;
            sums[part][1] += weight * (peak % width) as f64;
        }
    }
    let mean = |(sum, weight): (&[f64; 2], &f64)| {
        sum.map(|sum| if *weight > 0.0 { (sum / weight) as f32 } else { 0.0 })
    };
    let places: Vec<f32> = sums.iter().zip(&weights).flat_map(mean).collect();
    Tensor::from_data(TensorData::new(places, [parts, 2]), train.device())
}

/// A tensor that is saved and never optimised.
pub(crate) fn frozen<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(tensor).set_require_grad(false)
}

/// `π_k = σ(max_u E_k(u))` of evidence E, `[batch, K]`.
fn presence(evidence: Tensor<4>) -> Tensor<2> {
    let [batch, filters, height, width] = evidence.dims();
    sigmoid(evidence.reshape([batch, filters, height * width]).max_dim(2).squeeze_dim::<2>(2))
}

/// The unit of the largest evidence of each part in each picture, as a row-major index.
fn peaks(evidence: &Tensor<4>) -> Vec<usize> {
    let [batch, filters, height, width] = evidence.dims();
    let peaks = evidence.clone().reshape([batch, filters, height * width]).argmax(2);
    peaks.into_data().iter::<i64>().map(|at| at as usize).collect()
}

/// m of [`PartExplainer`].
fn masks(evidence: &Tensor<4>, presence: &Tensor<2>) -> Tensor<4> {
    let [batch, filters, height, width] = evidence.dims();
    let mut masks = vec![0f32; batch * filters * height * width];
    let presence = floats(presence.clone());
    for ((mask, peak), presence) in masks.chunks_exact_mut(height * width).zip(peaks(evidence)).zip(presence)
    {
        let (row, column) = (peak / width, peak % width);
        for row in row.saturating_sub(REACH)..(row + REACH + 1).min(height) {
            let columns = column.saturating_sub(REACH)..(column + REACH + 1).min(width);
            mask[row * width..][columns].fill(presence);
        }
    }
    let masks = Tensor::<4>::from_data(TensorData::new(masks, evidence.dims()), &evidence.device());
    let together = masks.clone().sum_dim(1).clamp_min(1.0);
    masks / together
}
