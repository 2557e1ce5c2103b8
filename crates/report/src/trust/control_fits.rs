//! What control fits say of a fit.

use explainer_core::ControlFit;

use super::{Check, Grounds, check, each, errors};
use crate::control::FitFigures;

/// With another image's upper features the error must be this share of the mean's, at least. The mean is the best
/// that can be done without looking; somewhat less is luck on few images.
const NO_BETTER_THAN_MEAN: f64 = 0.9;
/// With another image's upper features the predictions must not agree on a larger share of the images than one
/// answer for all does, but for this: two standard errors of a share of three quarters of some 75 images.
const AGREEMENT_BY_LUCK: f64 = 0.1;

impl Grounds<'_> {
    /// Figures of a control fit.
    ///
    /// # Errors
    /// Why there are none.
    fn control(&self, control: ControlFit) -> Result<&FitFigures, String> {
        let found = self.control_fits.iter().find(|figures| figures.control == control);
        let found = found.ok_or("this control fit was not made")?;
        found.figures.as_ref().ok_or_else(|| found.missing.clone().unwrap_or_default())
    }

    /// Parts that were made of nothing have to fail where the explainer's pass.
    pub(super) fn follows_nothing(&self, control: ControlFit, made_of: &str) -> Check {
        let found = self.control(control).and_then(|figures| {
            let followed = figures.followed.as_ref().ok_or("interventions were not measured")?;
            let found = match followed.is_empty() {
                true => "they follow no landmark beyond their controls".to_string(),
                false => format!("they follow {}", followed.join(", ")),
            };
            Ok((followed.is_empty(), found))
        });
        control_check(
            format!("Do parts of {made_of} follow nothing?"),
            found,
            "that they fail for every landmark".to_string(),
            "A test that is passed by what nobody learned says nothing of what was learned.",
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
}

fn control_check(
    question: impl Into<String>,
    found: Result<(bool, String), String>,
    bar: String,
    reason: &'static str,
) -> Check {
    let (passed, found) = found.map_or_else(|why| (None, why), |(passed, found)| (Some(passed), found));
    check(question, passed, found, bar, reason)
}
