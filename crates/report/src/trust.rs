//! Which checks an explanation passed, and which it did not.

mod control_fits;

use explainer_core::Validation;
use serde::Serialize;

use crate::control::ControlFigures;
use crate::figures::{self, Row};

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
    pub question: &'static str,
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
/// This share of the filters must fire at all. A filter that never does looks very stable.
const LIVE: f64 = 0.9;
/// Mean tracking must be this many times that against the landmarks of other images: the best of several
/// landmarks is above 0 by chance.
const ABOVE_NULL: f64 = 2.0;
/// Spread must be this share of the landmarks' (of the performer's own, where there are none), and diversity this share
/// of the performer's. Filters that gather in one place are stable, and tell one part at most.
const NOT_COLLAPSED: f64 = 0.5;
/// Silencing the filters of the group that gave most must lower the score in this share of the images.
const SILENCING: f64 = 0.9;
/// Contributions must add up to the score, but for this share of their sizes together: `f32` has seven digits.
const ADDS_UP: f64 = 1e-4;

/// An explainer's squared error must be this share of that of the training images' mean, at most. At 1 nothing
/// of what tells one image from another was reconstructed; at a half, half of its variance is unexplained.
const UNEXPLAINED: f64 = 0.5;
/// The interpretable track must have this share of the mass that the decoder reads, at least as much as the rest.
const CARRIED: f64 = 0.5;

/// What the checks are made from.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) rows: &'a [Row],
    /// The row of the explained layer.
    pub(crate) explained: &'a str,
    pub(crate) agreement: f64,
    /// Held-out figures, if there are any that a reconstruction was fitted for.
    pub(crate) validation: Option<&'a Validation>,
    /// The same of a decoder that looks at no image.
    pub(crate) without_looking: Option<&'a Validation>,
    pub(crate) control_fits: &'a [ControlFigures],
    /// Images in which silencing the strongest group lowered the score, of how many.
    pub(crate) silenced: [usize; 2],
    /// The largest difference between a score and its terms, over the terms' sizes together.
    pub(crate) remainder: f64,
}

impl Evidence<'_> {
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn own(&self) -> Option<&Row> {
        self.row(self.explained)
    }

    /// All checks.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.agreement(), self.reconstruction(), self.carried()];
        checks.extend([self.adds_up(), self.silencing(), self.live()]);
        checks.extend(self.stability());
        checks.extend(self.tracking());
        checks.extend(self.seen());
        checks.extend(self.collapse());
        checks.extend([self.second_seed(), self.random_performer()]);
        checks.extend([self.shuffled_features(), self.permuted_categories()]);
        checks
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

    fn carried(&self) -> Check {
        let share = self.validation.and_then(|figures| figures.mass_share);
        check(
            "Do the parts carry as much of what is decoded as the rest does?",
            share.map(|share| share >= CARRIED),
            share.map_or_else(String::new, |share| format!("{:.1} % of its mass", 100.0 * share)),
            format!("at least {:.0} %", 100.0 * CARRIED),
            "No part explains what the ordinary track carries. p does not tell how much that is: the track may grow.",
        )
    }

    fn adds_up(&self) -> Check {
        check(
            "Do the contributions add up to the score?",
            Some(self.remainder <= ADDS_UP),
            format!("all but {:.1e} of their sizes together, at worst", self.remainder),
            format!("all but {ADDS_UP:.0e}"),
            "Otherwise the bars leave something out. A head with bends of its own may fail here.",
        )
    }

    fn silencing(&self) -> Check {
        let [lower, of] = self.silenced;
        check(
            "Does the score fall when the strongest part is silenced?",
            (of > 0).then_some(lower as f64 >= SILENCING * of as f64),
            format!("in {lower} of {of} images"),
            format!("in {:.0} % of them", 100.0 * SILENCING),
            "A contribution is an account; only an intervention shows a cause.",
        )
    }

    fn live(&self) -> Check {
        let live = self.own().and_then(|row| row.live).unwrap_or([0, 0]);
        check(
            "Do the filters fire at all?",
            Some(live[0] as f64 >= LIVE * live[1] as f64 && live[1] > 0),
            format!("{} of {} do", live[0], live[1]),
            format!("at least {:.0} %", 100.0 * LIVE),
            "A filter that never fires looks very stable.",
        )
    }

    fn stability(&self) -> [Check; 2] {
        let of = |name: &str| self.row(name).and_then(|row| row.instability);
        let own = of(self.explained);
        let [channels, centre] = [of(figures::TOP_CONV), of(figures::CENTRE)];
        [
            below(
                "Are the parts more stable than the performer's own channels?",
                own.zip(channels),
                "The published claim. It says something only together with tracking.",
            ),
            below(
                "Are they more stable than a filter that always fires at the centre?",
                own.zip(centre),
                "A constant at the centre beats most published figures. Where this fails, low instability \
                 alone is no sign of a part.",
            ),
        ]
    }

    fn tracking(&self) -> [Check; 4] {
        let of = |name: &str| self.row(name).and_then(|row| row.tracking).map(|tracking| tracking.mean);
        let own = of(self.explained);
        let above = |question, other: Option<f64>, factor: f64, reason| {
            let verdict = own.zip(other).map(|(own, other)| own > factor * other);
            let bar =
                if factor == 1.0 { "more".to_string() } else { format!("more than {factor} times that") };
            check(question, verdict, versus(own.zip(other), 3), bar, reason)
        };
        [
            above(
                "Do the parts follow a landmark at all?",
                of(figures::NULL),
                ABOVE_NULL,
                "Tracking against the landmarks of other images is what chance gives.",
            ),
            above(
                "Do they follow better than the performer's own channels?",
                of(figures::TOP_CONV),
                1.0,
                "Otherwise the channels would have served as well.",
            ),
            above(
                "Better than the unfitted explainer?",
                of(figures::UNFITTED),
                1.0,
                "Windows and random weights alone follow objects. What is above that was learned.",
            ),
            above(
                "Better than a performer with random weights?",
                of(figures::RANDOM_PERFORMER),
                1.0,
                "What a random network does as well says nothing of the trained one.",
            ),
        ]
    }

    /// Of parts with windows.
    fn seen(&self) -> Option<Check> {
        let of = |row: &Row| row.tracking.map(|tracking| tracking.mean);
        let places = self.row(figures::PLACES)?;
        let pair = self.own().and_then(of).zip(of(places));
        Some(check(
            "Better than their places on the object alone?",
            pair.map(|(own, places)| own > places),
            versus(pair, 3),
            "more".to_string(),
            "All places move with one root. What a part follows beyond that, its own filter has seen.",
        ))
    }

    fn collapse(&self) -> [Check; 2] {
        let held = |question, other, of: fn(&Row) -> Option<f64>, digits, reason| {
            let pair = self.own().and_then(of).zip(self.row(other).and_then(of));
            let verdict = pair.map(|(own, other)| own >= NOT_COLLAPSED * other);
            check(
                question,
                verdict,
                versus(pair, digits),
                format!("at least {NOT_COLLAPSED} times that"),
                reason,
            )
        };
        let (moving, like) = match self.row(figures::LANDMARKS) {
            Some(_) => ("Do the peaks move, as the landmarks do?", figures::LANDMARKS),
            None => ("Do the peaks still move, as the performer's do?", figures::TOP_CONV),
        };
        [
            held(
                moving,
                like,
                |row| row.spread,
                3,
                "A filter that stays in one place is stable and follows nothing.",
            ),
            held(
                "Do the filters still differ, as the performer's do?",
                figures::TOP_CONV,
                |row| row.diversity,
                1,
                "Nothing in the published method keeps all filters from one part.",
            ),
        ]
    }
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
    question: &'static str,
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
    Check { question, verdict, found, bar, reason }
}

fn versus(pair: Option<(f64, f64)>, digits: usize) -> String {
    pair.map_or_else(String::new, |(own, other)| format!("{own:.digits$} against {other:.digits$}"))
}

fn below(question: &'static str, pair: Option<(f64, f64)>, reason: &'static str) -> Check {
    check(question, pair.map(|(own, other)| own < other), versus(pair, 4), "less".to_string(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FitFigures;
    use explainer_core::ControlFit;
    use explainer_metrics::Summary;

    fn row(name: &str, [instability, tracking, spread, diversity]: [f64; 4]) -> Row {
        Row {
            name: name.to_string(),
            control: false,
            instability: Some(instability),
            tracking: Some(Summary::of([tracking])),
            spread: Some(spread),
            diversity: Some(diversity),
            live: Some([60, 64]),
        }
    }

    fn held_out(relative_error: [f64; 2], agreement: f64) -> Validation {
        let mass_share = Some(CARRIED);
        Validation { relative_error: relative_error.to_vec(), agreement, mass_share, instability: None }
    }

    /// A control fit of such instability, tracking, relative error, agreement and filters that come back.
    fn control(
        control: ControlFit,
        [instability, tracking, error, agreement, back]: [f64; 5],
    ) -> ControlFigures {
        let figures = FitFigures {
            row: row("control", [instability, tracking, 0.2, 40.0]),
            share: 0.6,
            validation: Some(held_out([error; 2], agreement)),
            returned: back,
            returned_null: 0.2,
        };
        ControlFigures { control, missing: None, figures: Some(figures) }
    }

    fn others(own: Row) -> Vec<Row> {
        vec![
            own,
            row(figures::TOP_CONV, [0.13, 0.1, 0.26, 60.0]),
            row(figures::UNFITTED, [0.12, 0.2, 0.25, 30.0]),
            row(figures::PLACES, [0.08, 0.15, 0.2, 40.0]),
            row(figures::RANDOM_PERFORMER, [0.14, 0.05, 0.27, 50.0]),
            row(figures::NULL, [0.0, 0.1, 0.0, 0.0]),
            row(figures::CENTRE, [0.07, 0.0, 0.0, 0.0]),
        ]
    }

    /// Everything else as good as the bars ask for.
    fn evidence<'a>(
        rows: &'a [Row],
        validation: &'a Validation,
        without_looking: &'a Validation,
        control_fits: &'a [ControlFigures],
    ) -> Evidence<'a> {
        Evidence {
            rows,
            explained: "own",
            agreement: validation.agreement,
            validation: Some(validation),
            without_looking: Some(without_looking),
            control_fits,
            silenced: [9, 10],
            remainder: 1e-6,
        }
    }

    /// All checks but those of control fits.
    const CHEAP: usize = 15;

    fn verdicts(evidence: Evidence<'_>) -> Vec<Verdict> {
        evidence.checks().into_iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn a_good_explainer_passes_and_a_bad_one_fails_everything() {
        use Verdict::{Failed, NotMeasured, Passed};
        let (good, mean) = (held_out([0.01, 0.02], 0.97), held_out([0.3, 0.4], 0.75));
        let rows = others(row("own", [0.06, 0.3, 0.2, 40.0]));
        let controls = [
            control(ControlFit::SecondSeed, [0.061, 0.29, 0.02, 0.97, 0.7]),
            control(ControlFit::ShuffledFeatures, [0.1, 0.1, 0.5, 0.7, 0.0]),
            control(ControlFit::PermutedCategories, [0.07, 0.295, 0.02, 0.97, 0.5]),
            control(ControlFit::RandomPerformer, [0.1, 0.1, 0.02, 0.97, 0.0]),
        ];
        let evidence = evidence(&rows, &good, &mean, &controls);
        assert_eq!(verdicts(evidence), [Passed; CHEAP + 4]);

        let bad = Validation { mass_share: Some(0.4), ..held_out([0.01, 0.3], 0.9) };
        let mut poor = row("own", [0.2, 0.04, 0.1, 20.0]);
        poor.live = Some([50, 64]);
        let rows = others(poor);
        let controls = [
            control(ControlFit::SecondSeed, [0.2, 0.04, 0.01, 0.9, 0.5]),
            control(ControlFit::ShuffledFeatures, [0.1, 0.1, 0.2, 0.7, 0.0]),
            control(ControlFit::PermutedCategories, [0.2, 0.04, 0.02, 0.97, 0.5]),
            control(ControlFit::RandomPerformer, [0.2, 0.1, 0.02, 0.97, 0.0]),
        ];
        let poor = Evidence {
            rows: &rows,
            agreement: 0.9,
            validation: Some(&bad),
            control_fits: &controls,
            silenced: [8, 10],
            remainder: 1e-3,
            ..evidence
        };
        assert_eq!(verdicts(poor), [Failed; CHEAP + 4]);

        let blind = Row { instability: None, tracking: None, ..row("own", [0.0, 0.0, 0.2, 40.0]) };
        let rows = others(blind);
        let blind = Evidence { rows: &rows, silenced: [0, 0], validation: None, ..evidence };
        let found = verdicts(blind);
        assert_eq!(found[..6], [Passed, NotMeasured, NotMeasured, Passed, NotMeasured, Passed]);
        assert_eq!((&found[6..13], &found[13..CHEAP]), (&[NotMeasured; 7][..], &[Passed; 2][..]));
        assert_eq!(found[CHEAP..], [Passed, NotMeasured, Passed, NotMeasured], "where no landmark is needed");
    }

    #[test]
    fn peaks_are_to_move_as_landmarks_do_where_there_are_any() {
        let (good, mean) = (held_out([0.01; 2], 0.97), held_out([0.4; 2], 0.75));
        let found = |spread: f64, landmarks: Option<f64>| {
            let mut rows = others(row("own", [0.06, 0.3, spread, 40.0]));
            rows.extend(landmarks.map(|spread| row(figures::LANDMARKS, [0.0, 0.0, spread, 0.0])));
            let checks = evidence(&rows, &good, &mean, &[]).checks();
            checks.into_iter().find(|check| check.question.contains("move")).expect("a check").verdict
        };
        assert_eq!(found(0.12, None), Verdict::Failed, "channels move by 0.26");
        assert_eq!(found(0.12, Some(0.2)), Verdict::Passed);
        assert_eq!(found(0.12, Some(0.25)), Verdict::Failed);
    }

    #[test]
    fn control_fits_pass_and_fail_by_their_bars() {
        let rows = others(row("own", [0.06, 0.3, 0.2, 40.0]));
        let (good, mean) = (held_out([0.01; 2], 0.97), held_out([0.4; 2], 0.75));
        let second = [0.062, 0.29, 0.01, 0.97, 0.7];
        let verdict = |kind: ControlFit, figures: [f64; 5]| {
            let mut controls = vec![control(kind, figures)];
            if kind != ControlFit::SecondSeed {
                controls.push(control(ControlFit::SecondSeed, second));
            }
            let evidence = evidence(&rows, &good, &mean, &controls);
            let at = [
                ControlFit::SecondSeed,
                ControlFit::RandomPerformer,
                ControlFit::ShuffledFeatures,
                ControlFit::PermutedCategories,
            ];
            let at = at.iter().position(|other| *other == kind).expect("one of four");
            verdicts(evidence)[CHEAP + at]
        };
        use Verdict::{Failed, Passed};
        for (kind, figures, expected) in [
            // Chance leaves 0.8, half of which is 0.4.
            (ControlFit::SecondSeed, [0.06, 0.3, 0.01, 0.97, 0.61], Passed),
            (ControlFit::SecondSeed, [0.06, 0.3, 0.01, 0.97, 0.59], Failed),
            (ControlFit::SecondSeed, [0.06, 0.3, 0.01, 0.97, f64::NAN], Failed),
            (ControlFit::RandomPerformer, [0.07, 0.29, 0.01, 0.97, 0.0], Passed),
            (ControlFit::RandomPerformer, [0.05, 0.29, 0.01, 0.97, 0.0], Failed),
            (ControlFit::RandomPerformer, [0.07, 0.31, 0.01, 0.97, 0.0], Failed),
            (ControlFit::ShuffledFeatures, [0.1, 0.1, 0.37, 0.84, 0.0], Passed),
            (ControlFit::ShuffledFeatures, [0.1, 0.1, 0.35, 0.84, 0.0], Failed),
            (ControlFit::ShuffledFeatures, [0.1, 0.1, 0.37, 0.86, 0.0], Failed),
            // Seeds differ by 0.01 in tracking and by 0.002 in instability.
            (ControlFit::PermutedCategories, [0.06, 0.27, 0.01, 0.97, 0.0], Passed),
            (ControlFit::PermutedCategories, [0.06, 0.285, 0.01, 0.97, 0.0], Failed),
            (ControlFit::PermutedCategories, [0.065, 0.3, 0.01, 0.97, 0.0], Passed),
            (ControlFit::PermutedCategories, [0.065, 0.33, 0.01, 0.97, 0.0], Failed),
        ] {
            assert_eq!(verdict(kind, figures), expected, "{kind:?} {figures:?}");
        }
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let rows = others(row("own", [0.06, 0.3, 0.2, 40.0]));
        let diverged = ControlFigures {
            control: ControlFit::SecondSeed,
            missing: Some("it diverged".to_string()),
            figures: None,
        };
        let (good, one_answer) = (held_out([0.01; 2], 1.0), held_out([0.4; 2], 0.98));
        let evidence = evidence(&rows, &good, &one_answer, std::slice::from_ref(&diverged));
        let checks = evidence.checks();
        let open: Vec<&Check> = checks.iter().filter(|check| check.verdict == Verdict::NotMeasured).collect();
        let found: Vec<&str> = open.iter().map(|check| check.found.as_str()).collect();
        let expected = [
            "the same class on 100.0 % of the images; one answer for all of them would be on 98.0 %",
            "it diverged",
            "this control fit was not made",
            "this control fit was not made",
            "this control fit was not made",
        ];
        assert_eq!(found, expected);
        let trust = Trust::new(480, checks, vec![diverged]);
        assert_eq!((trust.passed, trust.failed, trust.not_measured), (14, 0, 5));
        let json = serde_json::to_value(&trust).expect("JSON");
        assert_eq!(json["checks"][0]["verdict"], "not-measured");
        assert_eq!(json["control_fits"][0]["control"], "second-seed");
        assert_eq!(json["control_fits"][0]["missing"], "it diverged");
    }
}
