//! Which checks an explanation passed, and which it did not.

use crate::figures::{self, Row};

/// Whether a check was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was.
    Passed,
    /// It was not.
    Failed,
    /// What it needs is not there: landmarks, or a control.
    NotMeasured,
}

/// One check, with its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is asked.
    pub question: &'static str,
    /// The answer.
    pub verdict: Verdict,
    /// What was found, in numbers.
    pub found: String,
    /// What would pass.
    pub bar: String,
    /// Why it is asked.
    pub reason: &'static str,
}

/// The predictions of performer and explainer must agree on this share of the images. Below that, what is
/// explained is often another prediction.
const AGREEMENT: f64 = 0.95;
/// This share of the filters must fire at all. A filter that never does looks very stable.
const LIVE: f64 = 0.9;
/// Mean tracking must be this many times that against the landmarks of other images: the best of several
/// landmarks is above 0 by chance.
const ABOVE_NULL: f64 = 2.0;
/// Spread and diversity must be this share of the performer's own. Filters that gather in one place are
/// stable, and tell one part at most.
const NOT_COLLAPSED: f64 = 0.5;
/// Silencing the filters of the group that gave most must lower the score in this share of the images.
const SILENCING: f64 = 0.9;
/// Contributions must add up to the score, but for this share of their sizes together: `f32` has seven digits.
const ADDS_UP: f64 = 1e-4;

/// What the checks are made from.
pub(crate) struct Evidence<'a> {
    pub(crate) rows: &'a [Row],
    /// The row of the explained layer.
    pub(crate) explained: &'a str,
    pub(crate) agreement: f64,
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
        let mut checks = vec![self.agreement(), self.adds_up(), self.silencing(), self.live()];
        checks.extend(self.stability());
        checks.extend(self.tracking());
        checks.extend(self.collapse());
        checks
    }

    fn agreement(&self) -> Check {
        check(
            "Does the explainer predict what the performer predicts?",
            Some(self.agreement >= AGREEMENT),
            format!("the same class on {:.1} % of the images", 100.0 * self.agreement),
            format!("at least {:.0} %", 100.0 * AGREEMENT),
            "An explanation of another prediction explains nothing.",
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
                "Masks and random weights alone follow objects. What is above that was learned.",
            ),
            above(
                "Better than a performer with random weights?",
                of(figures::RANDOM_PERFORMER),
                1.0,
                "What a random network does as well says nothing of the trained one.",
            ),
        ]
    }

    fn collapse(&self) -> [Check; 2] {
        let held = |question, of: fn(&Row) -> Option<f64>, digits, reason| {
            let pair = self.own().and_then(of).zip(self.row(figures::TOP_CONV).and_then(of));
            let verdict = pair.map(|(own, channels)| own >= NOT_COLLAPSED * channels);
            check(
                question,
                verdict,
                versus(pair, digits),
                format!("at least {NOT_COLLAPSED} times that"),
                reason,
            )
        };
        [
            held(
                "Do the peaks still move, as the performer's do?",
                |row| row.spread,
                3,
                "A filter that stays in one place is stable and follows nothing.",
            ),
            held(
                "Do the filters still differ, as the performer's do?",
                |row| row.diversity,
                1,
                "Nothing in the published method keeps all filters from one part.",
            ),
        ]
    }
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
    let found = if passed.is_some() { found } else { "not measured".to_string() };
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

    fn verdicts(rows: &[Row], agreement: f64, silenced: [usize; 2], remainder: f64) -> Vec<Verdict> {
        let evidence = Evidence { rows, explained: "own", agreement, silenced, remainder };
        evidence.checks().into_iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn a_good_explainer_passes_and_a_bad_one_fails_everything() {
        use Verdict::{Failed, NotMeasured, Passed};
        let others = |own: Row| {
            vec![
                own,
                row(figures::TOP_CONV, [0.13, 0.1, 0.26, 60.0]),
                row(figures::UNFITTED, [0.12, 0.2, 0.25, 30.0]),
                row(figures::RANDOM_PERFORMER, [0.14, 0.05, 0.27, 50.0]),
                row(figures::NULL, [0.0, 0.1, 0.0, 0.0]),
                row(figures::CENTRE, [0.07, 0.0, 0.0, 0.0]),
            ]
        };
        let good = others(row("own", [0.06, 0.3, 0.2, 40.0]));
        assert_eq!(verdicts(&good, 0.97, [9, 10], 1e-6), [Passed; 12]);
        let mut poor = row("own", [0.2, 0.04, 0.1, 20.0]);
        poor.live = Some([50, 64]);
        assert_eq!(verdicts(&others(poor), 0.9, [8, 10], 1e-3), [Failed; 12]);
        let blind = Row { instability: None, tracking: None, ..row("own", [0.0, 0.0, 0.2, 40.0]) };
        let found = verdicts(&others(blind), 0.97, [0, 0], 0.0);
        assert_eq!(found[4..10], [NotMeasured; 6]);
        assert_eq!((found[2], found[3], &found[10..]), (NotMeasured, Passed, &[Passed, Passed][..]));
    }
}
