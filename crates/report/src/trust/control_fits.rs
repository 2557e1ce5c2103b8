//! What control fits say of a fit.

use explainer_core::ControlFit;

use super::{Check, Evidence, check, each, errors, versus};
use crate::control::FitFigures;
use crate::figures::Row;

/// With another image's upper features the error must be this share of the mean's, at least. The mean is the best
/// that can be done without looking; somewhat less is luck on few images.
const NO_BETTER_THAN_MEAN: f64 = 0.9;
/// With another image's upper features the predictions must not agree on a larger share of the images than one
/// answer for all does, but for this: two standard errors of a share of three quarters of some 75 images.
const AGREEMENT_BY_LUCK: f64 = 0.1;
/// Of the filters that chance leaves (1 − the null), a second seed must bring back this share.
const COME_BACK: f64 = 0.5;
/// A difference counts that is larger than so many times the one between two seeds. One pair of seeds tells
/// roughly how far fits lie apart; the factor is for that roughness.
const SEEDS_APART: f64 = 2.0;

impl Evidence<'_> {
    /// Figures of a control fit.
    ///
    /// # Errors
    /// Why there are none.
    fn control(&self, control: ControlFit) -> Result<&FitFigures, String> {
        let found = self.control_fits.iter().find(|figures| figures.control == control);
        let found = found.ok_or("this control fit was not made")?;
        found.figures.as_ref().ok_or_else(|| found.missing.clone().unwrap_or_default())
    }

    pub(super) fn second_seed(&self) -> Check {
        let found = self.control(ControlFit::SecondSeed).map(|figures| {
            let FitFigures { returned, returned_null, .. } = *figures;
            let passed = returned - returned_null > COME_BACK * (1.0 - returned_null);
            let [returned, null] = [returned, returned_null].map(|share| 100.0 * share);
            (passed, format!("{returned:.0} % of the live filters, {null:.0} % with the images permuted"))
        });
        control_check(
            "Does a second seed find the same parts?",
            found,
            format!("{:.0} % of those that chance leaves", 100.0 * COME_BACK),
            "A part that another fit does not find is the fit's, and not the network's. Filters are paired one to \
             one; those that never move come back from permuted images too.",
        )
    }

    pub(super) fn random_performer(&self) -> Check {
        let found = self.compared(ControlFit::RandomPerformer).map(|[own, other]| {
            let passed = own.tracking > other.tracking && own.instability < other.instability;
            (passed, format!("tracking {}, instability {}", own.tracks(&other), own.strays(&other)))
        });
        control_check(
            "Are the parts better than those of an explainer of random weights?",
            found,
            "better in both".to_string(),
            "Windows and filter loss make parts of whatever they are given. What they make of a network that never \
             learned is no knowledge.",
        )
    }

    pub(super) fn shuffled_features(&self) -> Check {
        let found = self.control(ControlFit::ShuffledFeatures).and_then(|figures| {
            let missing = || "there were no validation images".to_string();
            let (shuffled, mean) =
                figures.validation.as_ref().zip(self.without_looking).ok_or_else(missing)?;
            let lost = each(shuffled, mean, |error, mean| error >= NO_BETTER_THAN_MEAN * mean);
            let passed = lost && shuffled.agreement <= mean.agreement + AGREEMENT_BY_LUCK;
            let [agreement, one_answer] = [shuffled, mean].map(|figures| 100.0 * figures.agreement);
            let (errors, of_mean) = (errors(shuffled), errors(mean));
            let found = format!(
                "a relative error of {errors}, {of_mean} of the mean; the same class on {agreement:.1} % of the \
                 images, {one_answer:.1} % with one answer for all"
            );
            Ok((passed, found))
        });
        control_check(
            "Is the reconstruction lost when each image has another's upper features?",
            found,
            format!(
                "errors of {NO_BETTER_THAN_MEAN} times the mean's or more, agreement at most {:.0} points above \
                 one answer's",
                100.0 * AGREEMENT_BY_LUCK
            ),
            "What is reconstructed even then is not reconstructed from the image, and the error of the fit says \
             nothing.",
        )
    }

    pub(super) fn permuted_categories(&self) -> Check {
        let seeds = self.compared(ControlFit::SecondSeed);
        let found = self.compared(ControlFit::PermutedCategories).and_then(|[own, permuted]| {
            let [_, second] =
                seeds.map_err(|why| format!("without a second seed there is no scale: {why}"))?;
            let apart = |own: f64, second: f64| SEEDS_APART * (own - second).abs();
            let gains = [
                (own.tracking - permuted.tracking, apart(own.tracking, second.tracking)),
                (permuted.instability - own.instability, apart(own.instability, second.instability)),
            ];
            let better = gains.iter().any(|(gain, apart)| gain > apart);
            let worse = gains.iter().any(|(gain, apart)| *gain < -apart);
            let found = format!(
                "tracking {}, instability {}; a second seed has {:.3} and {:.4}",
                own.tracks(&permuted),
                own.strays(&permuted),
                second.tracking,
                second.instability
            );
            Ok((better && !worse, found))
        });
        control_check(
            "Are the parts better for knowing which images show the object?",
            found,
            format!("better in one by {SEEDS_APART} times what two seeds differ by, worse in neither"),
            "The filter loss is told. Where permuted categories do as well, the parts owe nothing to it, and are \
             what windows and reconstruction make of any images.",
        )
    }

    /// Tracking and instability of the fit and of a control.
    fn compared(&self, control: ControlFit) -> Result<[Places; 2], String> {
        let missing = || "there are no landmarks to measure it by".to_string();
        let other = Places::of(&self.control(control)?.row).ok_or_else(missing)?;
        let own = self.own().and_then(Places::of).ok_or_else(missing)?;
        Ok([own, other])
    }
}

/// How well filters follow landmarks, and how steadily.
#[derive(Clone, Copy)]
struct Places {
    tracking: f64,
    instability: f64,
}

impl Places {
    fn of(row: &Row) -> Option<Self> {
        Some(Self { tracking: row.tracking?.mean, instability: row.instability? })
    }

    fn tracks(&self, other: &Self) -> String {
        versus(Some((self.tracking, other.tracking)), 3)
    }

    fn strays(&self, other: &Self) -> String {
        versus(Some((self.instability, other.instability)), 4)
    }
}

fn control_check(
    question: &'static str,
    found: Result<(bool, String), String>,
    bar: String,
    reason: &'static str,
) -> Check {
    let (passed, found) = found.map_or_else(|why| (None, why), |(passed, found)| (Some(passed), found));
    check(question, passed, found, bar, reason)
}
