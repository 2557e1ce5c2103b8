//! The norm-layers' first α, and a decoder that fits it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use explainer_filter_loss::Windows;

use crate::explainer::Tracks;
use crate::features::{Features, floats};
use crate::norm::channel_mass;
use crate::{Explainer, ScaleNorm, Share};

/// Rows of one pass.
pub(crate) const BATCH: usize = 64;

/// A filter's share of its channel in its windows counts as at least this part of the mean share, and the mean share
/// is this far from 0 and from 1: neither track is blown up.
const LEAST_SHARE: f64 = 0.01;

impl Explainer {
    /// The explainer with α_k of both norm-layers measured on `features`, and the decoder's first
    /// layer adapted to them.
    ///
    /// A copied fc-dec-1 was trained for the performer's own pooled channels, of mean mass α*_k;
    /// behind the norm-layers every channel has mass one. So the rows of channel k are multiplied by
    /// α*_k, measured on conv-interp-1, which at this point is the performer's top conv-layer.
    /// (Without the copy of fc6 the factor is harmless: the weights are random in any case. Where conv-interp-1
    /// starts at random and fc6 is copied, α* is that of the random layer: fc-dec-1 then starts at another scale,
    /// with channels that are not the performer's anyway.)
    ///
    /// Where the ordinary track has what the windows leave ([`complement`](crate::ExplainerConfig::complement)), the
    /// two halves of a channel are put together in the proportion in which they were parted. With a_k the mean mass of
    /// part k, m_k^in and m_k^out those of channel k within its windows and outside,
    ///
    /// ```text
    /// α*_k = m_k^in + m_k^out      q_k = m_k^in / α*_k                P = mean_k q_k
    /// α_k  = P · a_k / q_k         (1 − P) · α*_k  (ordinary track)   p = P, if it is learned
    /// ```
    ///
    /// Then the parts have a share of P in the encoder's output, by mass as by p, and where filter k hands channel k
    /// on, channel k of the output is the performer's, divided by α*_k.
    ///
    /// α is measured on the rows that have a category, or on all if none has: for a single-category
    /// performer on its positive images alone (arXiv:1805.07468, norm-layer). What is done where the ordinary track
    /// has what the windows leave is ours.
    ///
    /// Call it before fitting only; [`FitConfig::fit`](crate::FitConfig::fit) does.
    pub fn calibrated(self, features: &Features) -> Self {
        let explainer = self.valid();
        let masses = explainer.mean_masses(features);
        let (scales, share) = match explainer.complement {
            true => masses.parted(features.device()),
            false => (masses.whole(), None),
        };
        let norm = |norm: &ScaleNorm, mass| norm.clone().with_alpha(mass);
        let gain = norm(&explainer.interpretable_norm, scales.performer).alpha();
        let mut calibrated = explainer.clone();
        calibrated.interpretable_norm = norm(&explainer.interpretable_norm, scales.parts);
        calibrated.ordinary_norm = norm(&explainer.ordinary_norm, scales.ordinary);
        if let (Some(share), Share::Learned) = (share, explainer.share) {
            let logit = (share / (1.0 - share)).ln() as f32;
            calibrated.share_logit = calibrated.share_logit.map(|before| before.full_like(logit));
        }
        calibrated.decoder = calibrated.decoder.with_gain(gain);
        calibrated
    }

    /// Mean masses of pooled channels.
    fn mean_masses(&self, features: &Features) -> Masses {
        let rows = objects(features);
        let zero = || Tensor::zeros([self.filters()], features.device());
        let mut masses = [zero(), zero(), zero(), zero()];
        for batch in rows.chunks(BATCH) {
            let share = batch.len() as f64 / rows.len() as f64;
            let Tracks { mut interpretable, parts, ordinary } = self.tracks(features.batch(batch).target);
            let windows = interpretable.last_mut().and_then(|last| last.windows.take());
            let top = interpretable.swap_remove(0).maps;
            let (inside, outside) = match windows {
                Some(Windows { carried, .. }) if self.complement => {
                    (top.clone() * carried.clone(), top * (1.0 - carried))
                }
                _ => (top.clone(), top.zeros_like()),
            };
            let maps =
                [self.pooled_parts(parts), self.pooled(ordinary), self.pooled(inside), self.pooled(outside)];
            for (mass, maps) in masses.iter_mut().zip(maps) {
                *mass = mass.clone() + channel_mass(maps).mul_scalar(share);
            }
        }
        let [parts, ordinary, inside, outside] = masses;
        Masses { parts, ordinary, inside, outside }
    }
}

/// Mean masses of pooled channels, `[channels]` each.
struct Masses {
    /// Of the interpretable track.
    parts: Tensor<1>,
    /// Of the ordinary track.
    ordinary: Tensor<1>,
    /// Of conv-interp-1, as far as it lies within the windows that the ordinary track leaves out; whole, if it leaves
    /// none out.
    inside: Tensor<1>,
    /// The rest of it.
    outside: Tensor<1>,
}

/// What the channels of both tracks are divided by, and the performer's own.
struct Scales {
    parts: Tensor<1>,
    ordinary: Tensor<1>,
    performer: Tensor<1>,
}

impl Masses {
    /// Every channel comes out with mass one.
    fn whole(self) -> Scales {
        Scales { parts: self.parts, ordinary: self.ordinary, performer: self.inside }
    }

    /// What the windows parted is put together again; and P, unless every channel is silent.
    fn parted(self, device: &Device) -> (Scales, Option<f64>) {
        let [parts, inside, outside] =
            [&self.parts, &self.inside, &self.outside].map(|mass| floats(mass.clone()));
        let performer: Vec<f32> =
            inside.iter().zip(&outside).map(|(inside, outside)| inside + outside).collect();
        let within = |channel: usize| f64::from(inside[channel]) / f64::from(performer[channel]);
        let live: Vec<f64> = (0..performer.len()).filter(|&k| performer[k] > 0.0).map(within).collect();
        if live.is_empty() {
            return (self.whole(), None);
        }
        let mean = (live.iter().sum::<f64>() / live.len() as f64).clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
        let alphas = (0..performer.len()).map(|channel| {
            // A silent channel is like the others.
            let within = if performer[channel] > 0.0 { within(channel) } else { mean };
            (mean * f64::from(parts[channel]) / within.max(LEAST_SHARE * mean)) as f32
        });
        let alphas: Vec<f32> = alphas.collect();
        let tensor = |values: &[f32]| Tensor::from_floats(values, device);
        let performer = tensor(&performer);
        let scales =
            Scales { parts: tensor(&alphas), ordinary: performer.clone().mul_scalar(1.0 - mean), performer };
        (scales, Some(mean))
    }
}

/// The rows that have a category, or all of them if none has.
pub(crate) fn objects(features: &Features) -> Vec<usize> {
    let categories = features.categories();
    let rows: Vec<usize> = (0..features.len()).filter(|&row| categories[row].is_some()).collect();
    if rows.is_empty() { (0..features.len()).collect() } else { rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyPerformer, features};
    use crate::{ExplainerConfig, FeatureConfig};
    use burn::module::Param;
    use burn::tensor::activation::relu;

    fn of(explainer: &Explainer) -> [Vec<f32>; 2] {
        [&explainer.interpretable_norm, &explainer.ordinary_norm].map(|norm| floats(norm.alpha()))
    }

    #[test]
    fn what_windows_part_is_put_together_again() {
        let device = Device::flex();
        let performer = TinyPerformer::new(3);
        let train = features(&performer, 12, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer).with_mixture(0.0);
        let mut explainer = config.init_from(&performer, &device).anchored(&train);
        // Filters that hand their channel on louder or softer.
        let loudness: Vec<f32> = (1..=explainer.filters()).map(|filter| filter as f32).collect();
        let loudness = Tensor::<1>::from_floats(&loudness[..], &device).unsqueeze_dims::<4>(&[1, 2, 3]);
        let second = &mut explainer.interpretable.layers[1].conv;
        second.weight = second.weight.clone().map(|weight| weight * loudness);
        let calibrated = explainer.clone().calibrated(&train);

        let target = train.batch(&objects(&train)).target;
        let Tracks { parts, ordinary, .. } = calibrated.tracks(target.clone());
        let terms = calibrated.terms(calibrated.pools(parts, ordinary));
        let [parts, ordinary] = terms.clone().map(|term| floats(channel_mass(term)));
        let p = calibrated.share();
        let mean = parts.iter().sum::<f32>() / parts.len() as f32;
        assert!((mean / p - 1.0).abs() < 1e-4 && p > 0.1 && p < 0.9, "{mean} {p}");
        for (part, rest) in parts.iter().zip(&ordinary) {
            assert!((part + rest - 1.0).abs() < 1e-4, "{part} and {rest} of a channel");
        }
        // Unit by unit the sum is the performer's channel, but for what pooling each half by itself adds.
        let top = calibrated.pooled(relu(performer.convs[1].forward(target)));
        let [parts, ordinary] = terms;
        let alpha = channel_mass(top.clone()).unsqueeze_dims::<4>(&[0, 2, 3]);
        let apart = (parts + ordinary - top.clone() / alpha.clone()).powi_scalar(2).sum();
        let apart = (apart / (top / alpha).powi_scalar(2).sum()).into_scalar::<f32>();
        assert!(apart < 0.01, "{apart}");
    }

    #[test]
    fn channels_that_are_silent_or_nowhere_within_their_windows_leave_the_others_as_they_are() {
        let device = Device::flex();
        let tensor = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device);
        let masses = Masses {
            parts: tensor([6.0, 0.0, 0.5]),
            ordinary: tensor([9.0; 3]),
            inside: tensor([3.0, 0.0, 0.0]),
            outside: tensor([1.0, 0.0, 2.0]),
        };
        let (scales, share) = masses.parted(&device);
        let mean = 0.75 / 2.0;
        assert!((share.unwrap() - mean).abs() < 1e-6);
        let [parts, ordinary] = [scales.parts, scales.ordinary].map(floats);
        let expected = [0.375 * 6.0 / 0.75, 0.0, 0.5 / LEAST_SHARE as f32];
        for (own, expected) in parts.iter().zip(expected) {
            assert!((own - expected).abs() < 1e-4 * expected.max(1.0), "{own} {expected}");
        }
        assert_eq!(ordinary, [0.625 * 4.0, 0.0, 0.625 * 2.0]);
        assert_eq!(floats(scales.performer), [4.0, 0.0, 2.0]);

        let silent = || tensor([0.0; 3]);
        let nothing = Masses { parts: silent(), ordinary: silent(), inside: silent(), outside: silent() };
        assert_eq!(nothing.parted(&device).1, None);
    }

    #[test]
    fn without_windows_every_channel_of_a_track_has_mass_one_and_p_stays() {
        let device = Device::flex();
        let performer = TinyPerformer::new(3);
        let train = features(&performer, 9, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer).with_complement(false);
        let mut explainer = config.init_from(&performer, &device).anchored(&train);
        explainer.share_logit = Param::from_tensor(Tensor::full([1], 0.7, &device));
        let calibrated = explainer.clone().calibrated(&train);
        assert_eq!(calibrated.share(), explainer.share());
        let Masses { parts, ordinary, .. } = explainer.mean_masses(&train);
        let norm = |mass| floats(ScaleNorm::identity(explainer.filters(), &device).with_alpha(mass).alpha());
        assert_eq!(of(&calibrated), [norm(parts), norm(ordinary)]);
    }
}
