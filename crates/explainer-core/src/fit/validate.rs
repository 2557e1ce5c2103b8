//! How well an explainer stands in for the performer.

use std::collections::BTreeMap;

use explainer_metrics::{
    InstabilityConfig, Peaks, RelativeError, agreement, decisions, location_instability,
};

use super::record::Validation;
use super::step::batches;
use crate::explainer::Tracks;
use crate::features::{Features, floats};
use crate::{CoreError, Decoder, Explainer, Performer};

/// Rows of one pass.
const BATCH: usize = 64;

impl Validation {
    /// The figures on `validation` of a decoder that looks at no image: its upper features are the means of
    /// `train`'s, its decision is the one that the performer makes most often. With mean m_l,
    ///
    /// `relative_error_l = Σ‖m_l − x*_l‖² / Σ‖x*_l‖²`,
    ///
    /// so that an explainer's error over this one is the share of the variance that it leaves unexplained.
    /// Upper features are not negative and have much in common: the error of their mean may be far below the 1
    /// of reconstructing zeros.
    ///
    /// # Errors
    /// As [`decisions`].
    pub(crate) fn without_looking(
        decoder: &Decoder,
        train: &Features,
        validation: &Features,
    ) -> Result<Self, CoreError> {
        let widths = train.wanted_widths(decoder);
        let mut means: Vec<Vec<f64>> = widths.iter().map(|&width| vec![0.0; width]).collect();
        for row in 0..train.len() {
            for (sums, values) in means.iter_mut().zip(train.wanted(decoder, row)) {
                sums.iter_mut().zip(&values).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
        let mean = |sum: f64| (sum / train.len() as f64) as f32;
        let means: Vec<Vec<f32>> =
            means.into_iter().map(|sums| sums.into_iter().map(mean).collect()).collect();
        let mut errors = vec![RelativeError::default(); means.len()];
        let mut chosen = BTreeMap::new();
        for row in 0..validation.len() {
            for ((error, mean), theirs) in errors.iter_mut().zip(&means).zip(validation.wanted(decoder, row))
            {
                error.add(mean, &theirs);
            }
            for class in decisions(validation.scores(row), validation.shape().classes)? {
                *chosen.entry(class).or_insert(0usize) += 1;
            }
        }
        let most = chosen.into_values().max().unwrap_or(0);
        Ok(Self {
            relative_error: errors.iter().map(RelativeError::value).collect(),
            agreement: most as f64 / validation.len() as f64,
            mass_share: None,
            instability: None,
        })
    }
}

impl Explainer {
    /// Relative reconstruction errors, the head's agreement and the share of the interpretable track on `features`; and
    /// the location instability of the last interpretable conv-layer, if they have landmarks.
    ///
    /// # Errors
    /// [`CoreError::Scores`] if a score or an activation is not a number.
    pub fn validate<P: Performer>(
        &self,
        performer: &P,
        features: &Features,
    ) -> Result<Validation, CoreError> {
        let mut errors = vec![RelativeError::default(); features.wanted_widths(&self.decoder).len()];
        let (mut own_scores, mut scores) = (Vec::new(), Vec::new());
        let mut masses = [0.0; 2];
        let mut peaks = None;
        for indices in batches(features.len(), BATCH) {
            let batch = features.batch_for(&self.decoder, &indices);
            let Tracks { mut interpretable, parts, ordinary, .. } = self.tracks(batch.target);
            let tracks = self.terms(self.pools(parts, ordinary));
            for (mass, track) in masses.iter_mut().zip(&tracks) {
                *mass += f64::from(track.clone().sum().into_scalar::<f32>());
            }
            let [parts, ordinary] = tracks;
            let upper = self.decoder.forward(parts + ordinary);
            if features.landmarks().is_some() {
                let maps = interpretable.pop().expect("there is an interpretable layer").read();
                let [_, filters, height, width] = maps.dims();
                let peaks = peaks.get_or_insert_with(|| Peaks::new(filters, [height, width]));
                peaks.push_batch(&floats(maps))?;
            }
            let last = upper.last().expect("there is a decoder layer").clone();
            own_scores.extend(floats(self.scores(performer, last)));
            scores.extend(floats(batch.scores));
            for (error, (own, theirs)) in errors.iter_mut().zip(upper.into_iter().zip(batch.upper)) {
                error.add(&floats(own), &floats(theirs));
            }
        }
        let side = performer.preprocessing().size;
        let instability = peaks.as_ref().zip(features.landmarks()).map(|(peaks, landmarks)| {
            let (field, config) = (performer.target_field(), InstabilityConfig::new([side, side]));
            location_instability(peaks, &field, landmarks, &config).mean
        });
        Ok(Validation {
            relative_error: errors.iter().map(RelativeError::value).collect(),
            agreement: agreement(&own_scores, &scores, features.shape().classes)?,
            mass_share: Some(masses[0] / (masses[0] + masses[1])).filter(|share| share.is_finite()),
            instability: instability.filter(|mean| mean.is_finite()),
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::testing::{TinyPerformer, features};
    use crate::{ExplainerConfig, FeatureConfig};

    #[test]
    fn the_share_by_mass_is_p_until_a_track_grows() {
        let performer = TinyPerformer::new(2);
        let rows = features(&performer, 8, &FeatureConfig::plain());
        let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &Device::flex());
        let mut explainer = explainer.anchored(&rows).calibrated(&rows);
        let share =
            |explainer: &Explainer| explainer.validate(&performer, &rows).unwrap().mass_share.unwrap();
        let before = share(&explainer);
        // The norm-layers were measured on the rows with an object, and hold back channels that are nearly silent.
        let p = f64::from(explainer.share());
        assert!((before - p).abs() < 0.05, "{before} {p}");
        let last = explainer.ordinary.convs.last_mut().unwrap();
        last.weight = last.weight.clone().map(|weight| weight * 3.0);
        let (found, expected) = (share(&explainer), before / (before + 3.0 * (1.0 - before)));
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }

    #[test]
    fn without_looking_all_images_get_the_mean() {
        let performer = TinyPerformer::new(2);
        let train = features(&performer, 8, &FeatureConfig::plain().with_mirror(true));
        let validation = features(&performer, 5, &FeatureConfig::plain());
        let explainer = ExplainerConfig::for_performer(&performer).init(&Device::flex());
        let found = Validation::without_looking(&explainer.decoder, &train, &validation).unwrap();
        for (layer, &found) in found.relative_error.iter().enumerate() {
            let upper = |features: &Features| {
                let rows: Vec<usize> = (0..features.len()).collect();
                features.batch(&rows).upper[layer].clone()
            };
            let theirs = upper(&validation);
            let missed = (upper(&train).mean_dim(0) - theirs.clone()).square().sum().into_scalar::<f32>();
            let expected = missed / theirs.square().sum().into_scalar::<f32>();
            assert!((found - f64::from(expected)).abs() < 1e-5, "{found} {expected}");
            assert!(found > 0.0);
        }
        let scores: Vec<f32> = (0..5).flat_map(|row| validation.scores(row)).copied().collect();
        let classes = decisions(&scores, 3).unwrap();
        let most = (0..3).map(|class| classes.iter().filter(|&&other| other == class).count()).max();
        assert_eq!(found.agreement, most.unwrap() as f64 / 5.0);
    }
}
