//! Which checks an explanation passed, and which it did not.

mod control_fits;

use explainer_core::{ControlFit, Validation};
use explainer_evaluation::Evidence;
use explainer_evaluation::names::EXPLAINED;
use explainer_evaluation::verdict::{CONTROLS, Causes, Comparison, Follows, Holds, described};
use explainer_metrics::Estimate;
use serde::Serialize;

use crate::control::ControlFigures;

/// Whether a check was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was.
    Passed,
    /// It was not.
    Failed,
    /// What it needs is not there: landmarks, or a control. Or it could only be passed.
    NotMeasured,
}

/// One check, with its figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What is asked.
    pub question: String,
    /// The answer.
    pub verdict: Verdict,
    /// What was found, in numbers; if nothing was measured, why.
    pub found: String,
    /// What would pass.
    pub bar: String,
    /// Why it is asked.
    pub reason: &'static str,
}

/// Whether a fit may be trusted, in numbers: the checks of a report, by themselves and for JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trust {
    /// Checks that were passed.
    pub passed: usize,
    /// Checks that were not.
    pub failed: usize,
    /// Checks that tell nothing, for what they need is not there.
    pub not_measured: usize,
    /// Images on which peaks were measured.
    pub images: usize,
    /// All checks.
    pub checks: Vec<Check>,
    /// The control fits that were handed in.
    pub control_fits: Vec<ControlFigures>,
}

impl Trust {
    pub(crate) fn new(images: usize, checks: Vec<Check>, control_fits: Vec<ControlFigures>) -> Self {
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        let [passed, failed, not_measured] =
            [Verdict::Passed, Verdict::Failed, Verdict::NotMeasured].map(count);
        Self { passed, failed, not_measured, images, checks, control_fits }
    }
}

/// The predictions of performer and explainer must agree on this share of the images. Below that, what is
/// explained is often another prediction.
const AGREEMENT: f64 = 0.95;
/// An explainer's squared error must be this share of that of the training images' mean, at most. At 1 nothing
/// of what tells one image from another was reconstructed; at a half, half of its variance is unexplained.
const UNEXPLAINED: f64 = 0.5;

/// What the checks are made from.
#[derive(Clone, Copy)]
pub(crate) struct Grounds<'a> {
    /// Interventions on the images, where they were made.
    pub(crate) evidence: Option<&'a Evidence>,
    pub(crate) agreement: f64,
    /// Held-out figures, if there are any that a reconstruction was fitted for.
    pub(crate) validation: Option<&'a Validation>,
    /// The same of a decoder that looks at no image.
    pub(crate) without_looking: Option<&'a Validation>,
    pub(crate) control_fits: &'a [ControlFigures],
    /// Whether the decoder is the performer itself and the tracks add up. Then agreement and reconstruction could only be
    /// passed, and are not asked for.
    pub(crate) exact: bool,
}

impl Grounds<'_> {
    /// All checks. None is here that a control passes: stability, tracking and diversity are reached by places that
    /// look at nothing, and a second seed finds such places again.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let mut checks = self.interventions();
        checks.push(self.contributions());
        match self.exact {
            true => checks.extend([
                self.follows_nothing(ControlFit::RandomPerformer, "a performer with random weights"),
                self.follows_nothing(ControlFit::ShuffledFeatures, "shuffled features"),
            ]),
            false => checks.extend([self.agreement(), self.reconstruction(), self.shuffled_features()]),
        }
        checks
    }

    /// For each landmark: do the parts follow it, and does the layer hold it?
    fn interventions(&self) -> Vec<Check> {
        let Some(evidence) = self.evidence else {
            return vec![follows("landmarks", None), holds("landmarks", None)];
        };
        let of = |(landmark, name): (usize, &String)| {
            [
                follows(name, Follows::of(evidence, EXPLAINED, landmark).as_ref()),
                holds(name, Holds::of(evidence, landmark).as_ref()),
            ]
        };
        evidence.landmarks.iter().enumerate().flat_map(of).collect()
    }

    fn contributions(&self) -> Check {
        let found = self.evidence.and_then(|evidence| Causes::of(evidence, EXPLAINED));
        let said = |found: &Causes| {
            let own = found.comparisons.first().map_or(String::new(), |comparison| shown(comparison.own));
            let worst = found.worst().map_or(String::new(), |worst| {
                let Comparison { control, margin, .. } = worst;
                format!("; the closest: above that of {} by {}", described(control), shown(*margin))
            });
            format!("single deletion {own}{worst}")
        };
        check(
            "Do the contributions name the parts whose removal matters?",
            found.as_ref().map(Causes::passed),
            found.as_ref().map_or_else(|| self.no_deletion(), said),
            "above ½, what chance gives, above that of the parts' areas, and above that of the same contributions at \
             blind places where there are any, by more than two standard errors"
                .to_string(),
            "A contribution is an account; only taking the part out of the picture shows a cause.",
        )
    }

    /// Why contributions were not measured.
    fn no_deletion(&self) -> String {
        match self.evidence.is_some_and(|evidence| evidence.rendered) {
            true => "contributions were not measured",
            false => "images of this set cannot be rendered without a part",
        }
        .to_string()
    }

    fn agreement(&self) -> Check {
        let mut found = format!("the same class on {:.1} % of the images", 100.0 * self.agreement);
        let one_answer = self.without_looking.map(|figures| figures.agreement);
        if let Some(share) = one_answer {
            found += &format!("; one answer for all of them would be on {:.1} %", 100.0 * share);
        }
        let agrees = self.agreement >= AGREEMENT;
        // Where one answer would pass, passing says nothing.
        let empty = agrees && one_answer.is_some_and(|share| share >= AGREEMENT);
        check(
            "Does the explainer predict what the performer predicts?",
            (!empty).then_some(agrees),
            found,
            format!("at least {:.0} %", 100.0 * AGREEMENT),
            "An explanation of another prediction explains nothing.",
        )
    }

    fn reconstruction(&self) -> Check {
        let pair = self.validation.zip(self.without_looking);
        let verdict = pair.map(|(own, mean)| each(own, mean, |own, mean| own <= UNEXPLAINED * mean));
        let found = pair.map_or_else(String::new, |(own, mean)| {
            format!("a relative error of {} against {} of their mean", errors(own), errors(mean))
        });
        check(
            "Does the explainer reconstruct what tells the images apart?",
            verdict,
            found,
            format!("at most {UNEXPLAINED} times that"),
            "What all images have in common is reconstructed without looking, and may be most of it.",
        )
    }
}

fn follows(landmark: &str, found: Option<&Follows>) -> Check {
    let mut bar =
        "each above that of every control, and of a place that looks at nothing, by more than two standard \
                   errors of the paired difference over photographs"
            .to_string();
    if let Some(found) = found {
        let controls: Vec<&str> = CONTROLS
            .into_iter()
            .filter(|control| found.comparisons.iter().any(|comparison| comparison.control == *control))
            .map(described)
            .collect();
        bar += &format!(" (controls: {})", controls.join(", "));
    }
    check(
        format!("Do the parts follow evidence of the {landmark}?"),
        found.map(Follows::passed),
        found.map_or_else(unmeasured, said),
        bar,
        "A place on the object is at the landmark too. It does not get weaker where the landmark is erased, and stays \
         where the landmark is moved.",
    )
}

/// The four figures, and where they fell short.
fn said(found: &Follows) -> String {
    let mut figures: Vec<String> = Vec::new();
    for comparison in &found.comparisons {
        let figure = format!("{} {}", comparison.figure, shown(comparison.own));
        if !figures.contains(&figure) {
            figures.push(figure);
        }
    }
    let worst = found.worst().map_or(String::new(), |worst| {
        let (figure, control, margin) = (worst.figure, described(worst.control), shown(worst.margin));
        format!("; the closest: {figure} above that of {control} by {margin}")
    });
    figures.join(", ") + &worst
}

fn holds(landmark: &str, found: Option<&Holds>) -> Check {
    let figures = |found: &Holds| {
        let ceiling = &found.ceiling;
        let figures = [
            ("erase-AUC", &ceiling.erase_auc),
            ("transplant hit", &ceiling.transplant_hit),
            ("stays", &ceiling.stays),
            ("gain", &ceiling.gain),
        ];
        let figures = figures.into_iter().filter_map(|(name, figure)| Some((name, figure.as_ref()?)));
        let figures: Vec<String> =
            figures.map(|(name, figure)| format!("{name} {}", shown(figure.estimate))).collect();
        let end = if found.passed() { "" } else { ": this layer holds no such part" };
        format!("a detector that was told where it is has {}{end}", figures.join(", "))
    };
    check(
        format!("Does the explained layer hold the {landmark} at all?"),
        found.map(Holds::passed),
        found.map_or_else(unmeasured, figures),
        "that detector: erase-AUC above ½, gain above that of places alone, transplant hit above stays, each by more \
         than two standard errors; and gain above ½"
            .to_string(),
        "No unsupervised part can be asked for more than a detector of the same layer that was told. Where even that \
         one stays behind, choose another layer.",
    )
}

fn unmeasured() -> String {
    "interventions were not measured".to_string()
}

fn shown(estimate: Estimate) -> String {
    format!("{:.2} ± {:.2}", estimate.value, estimate.standard_error)
}

/// Whether the relative errors of each layer are as asked.
fn each(own: &Validation, other: &Validation, asked: impl Fn(f64, f64) -> bool) -> bool {
    let pairs = own.relative_error.iter().zip(&other.relative_error);
    own.relative_error.len() == other.relative_error.len() && pairs.into_iter().all(|(&a, &b)| asked(a, b))
}

/// The relative errors of all layers.
fn errors(figures: &Validation) -> String {
    let errors = figures.relative_error.iter().map(|error| format!("{error:.4}"));
    errors.collect::<Vec<_>>().join(" / ")
}

fn check(
    question: impl Into<String>,
    passed: Option<bool>,
    found: String,
    bar: String,
    reason: &'static str,
) -> Check {
    let verdict = match passed {
        Some(true) => Verdict::Passed,
        Some(false) => Verdict::Failed,
        None => Verdict::NotMeasured,
    };
    let found = if found.is_empty() { "what it needs is not there".to_string() } else { found };
    Check { question: question.into(), verdict, found, bar, reason }
}

#[cfg(test)]
mod tests;
