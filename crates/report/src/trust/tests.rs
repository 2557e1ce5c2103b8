//! What passes and what does not.

use super::*;
use crate::control::FitFigures;
use crate::figures::Row;
use explainer_core::ControlFit;
use explainer_evaluation::{Deletion, Figures, LandmarkFigures, LayerEvidence, Took};
use explainer_metrics::{Figure, LandmarkImages, LandmarkResponses, Responses, filter_evidence};

/// A figure that is 1 in so many of twenty photographs, and 0 in the others.
fn figure(ones: usize) -> Option<Figure> {
    let images = LandmarkImages::new(vec![[0.0, 0.0]; 20], (0..20).collect(), 100.0).unwrap();
    let mut responses = Responses::new(1);
    for image in 0..20 {
        responses.push(&[1.0], &[[if image < ones { 0.0 } else { 50.0 }, 0.0]]).unwrap();
    }
    let all: Vec<usize> = (0..20).collect();
    filter_evidence(&images, &LandmarkResponses::new(responses), 0, &all).unwrap().hit
}

/// A layer whose figures are all `ones` of twenty; it stays in so many.
fn layer(name: &str, ones: usize, stays: usize) -> LayerEvidence {
    let best = Figures {
        erase_auc: figure(ones.max(10)),
        hit: figure(ones),
        transplant_hit: figure(ones),
        stays: figure(stays),
        gain: figure(ones),
        residual_tracking: figure(ones),
        residual_null: figure(0),
        ..Figures::default()
    };
    let found = LandmarkFigures { all: best.clone(), best, strongest: 0, images: 20 };
    LayerEvidence {
        name: name.to_string(),
        detectors: 4,
        landmarks: vec![Some(found), None],
        selectivity: None,
        deletion: None,
    }
}

fn evidence(layers: Vec<LayerEvidence>) -> Evidence {
    Evidence {
        landmarks: vec!["head".to_string(), "tail".to_string()],
        layers,
        images: 20,
        photos: 20,
        available: 20,
        left_out: 0,
        rendered: false,
        took: Took::default(),
        examples: Vec::new(),
    }
}

fn held_out(relative_error: [f64; 2], agreement: f64) -> Validation {
    Validation {
        relative_error: relative_error.to_vec(),
        agreement,
        mass_share: Some(0.5),
        instability: None,
    }
}

/// A control fit with shuffled features of such relative error and agreement.
fn shuffled(error: f64, agreement: f64) -> ControlFigures {
    let row = Row {
        name: "control".to_string(),
        control: true,
        instability: None,
        tracking: None,
        spread: None,
        diversity: None,
        live: None,
    };
    let figures = FitFigures {
        row,
        share: 0.6,
        validation: Some(held_out([error; 2], agreement)),
        followed: None,
        returned: 0.5,
        returned_null: 0.2,
    };
    ControlFigures { control: ControlFit::ShuffledFeatures, missing: None, figures: Some(figures) }
}

fn checks(evidence: Option<&Evidence>, own: &Validation, controls: &[ControlFigures]) -> Vec<Check> {
    let mean = held_out([0.3, 0.4], 0.75);
    let grounds = Grounds {
        evidence,
        agreement: own.agreement,
        validation: Some(own),
        without_looking: Some(&mean),
        control_fits: controls,
        exact: false,
    };
    grounds.checks()
}

fn verdicts(checks: &[Check]) -> Vec<Verdict> {
    checks.iter().map(|check| check.verdict).collect()
}

#[test]
fn parts_that_follow_evidence_pass_and_places_do_not() {
    use Verdict::{Failed, NotMeasured, Passed};
    let of = |own: usize| {
        evidence(vec![
            layer("target", 6, 9),
            layer(EXPLAINED, own, 1),
            layer("places", 0, 18),
            layer("kmeans", 7, 6),
            layer("ceiling", 19, 0),
        ])
    };
    let good = held_out([0.01, 0.02], 0.97);
    let control = [shuffled(0.5, 0.7)];
    let passed = checks(Some(&of(18)), &good, &control);
    assert_eq!(
        verdicts(&passed),
        [Passed, Passed, NotMeasured, NotMeasured, NotMeasured, Passed, Passed, Passed]
    );
    assert_eq!(passed[0].question, "Do the parts follow evidence of the head?");
    assert!(
        passed[0].bar.contains("places alone") && !passed[0].bar.contains("top conv"),
        "{}",
        passed[0].bar
    );
    assert_eq!(passed[2].found, "interventions were not measured");
    // As good as a control, and no better: that is not enough.
    for own in [0, 7, 10] {
        assert_eq!(verdicts(&checks(Some(&of(own)), &good, &control))[..2], [Failed, Passed], "{own} of 20");
    }
    let found = &checks(Some(&of(10)), &good, &control)[0].found;
    assert!(
        found.contains("transplant hit 0.50 ± 0.11") && found.contains("; the closest: erase-AUC"),
        "{found}"
    );
}

#[test]
fn a_layer_whose_ceiling_stays_behind_holds_no_part() {
    let of = |ones, stays| {
        let found = evidence(vec![layer(EXPLAINED, 4, 8), layer("ceiling", ones, stays)]);
        checks(Some(&found), &held_out([0.01; 2], 0.97), &[])[1].clone()
    };
    assert_eq!(of(18, 1).verdict, Verdict::Passed);
    let stays = of(8, 8);
    assert_eq!(stays.verdict, Verdict::Failed);
    assert!(stays.found.ends_with("this layer holds no such part"), "{}", stays.found);
    assert_eq!(of(0, 0).verdict, Verdict::Failed);
}

#[test]
fn contributions_are_judged_where_parts_can_be_removed() {
    let of = |ones: Option<usize>| {
        let mut own = layer(EXPLAINED, 18, 1);
        own.deletion = ones.map(|ones| Deletion { single: figure(ones), ..Deletion::default() });
        checks(Some(&evidence(vec![own])), &held_out([0.01; 2], 0.97), &[])[4].verdict
    };
    assert_eq!(of(None), Verdict::NotMeasured);
    assert_eq!(of(Some(18)), Verdict::Passed);
    assert_eq!(of(Some(11)), Verdict::Failed, "0.55 ± 0.11 is no more than chance");
}

#[test]
fn what_was_not_measured_says_why() {
    let diverged = ControlFigures {
        control: ControlFit::ShuffledFeatures,
        missing: Some("it diverged".to_string()),
        figures: None,
    };
    let one_answer = held_out([0.3, 0.4], 0.98);
    let own = held_out([0.01; 2], 1.0);
    let grounds = Grounds {
        evidence: None,
        agreement: 1.0,
        validation: Some(&own),
        without_looking: Some(&one_answer),
        control_fits: std::slice::from_ref(&diverged),
        exact: false,
    };
    let checks = grounds.checks();
    let open: Vec<&Check> = checks.iter().filter(|check| check.verdict == Verdict::NotMeasured).collect();
    let found: Vec<&str> = open.iter().map(|check| check.found.as_str()).collect();
    let expected = [
        "interventions were not measured",
        "interventions were not measured",
        "images of this set cannot be rendered without a part",
        "the same class on 100.0 % of the images; one answer for all of them would be on 98.0 %",
        "it diverged",
    ];
    assert_eq!(found, expected);
    let trust = Trust::new(480, checks, vec![diverged]);
    assert_eq!((trust.passed, trust.failed, trust.not_measured), (1, 0, 5));
    let json = serde_json::to_value(&trust).expect("JSON");
    assert_eq!(json["checks"][0]["verdict"], "not-measured");
    assert_eq!(json["control_fits"][0]["control"], "shuffled-features");
    assert_eq!(json["control_fits"][0]["missing"], "it diverged");
}

#[test]
fn shuffled_features_pass_and_fail_by_their_bars() {
    for (error, agreement, expected) in
        [(0.37, 0.84, Verdict::Passed), (0.35, 0.84, Verdict::Failed), (0.37, 0.86, Verdict::Failed)]
    {
        let found = checks(None, &held_out([0.01; 2], 0.97), &[shuffled(error, agreement)]);
        assert_eq!(found.last().expect("a check").verdict, expected, "{error} {agreement}");
    }
    let poor = checks(None, &held_out([0.01, 0.3], 0.9), &[]);
    assert_eq!(verdicts(&poor)[3..5], [Verdict::Failed; 2]);
}

#[test]
fn parts_of_nothing_have_to_fail() {
    use Verdict::{Failed, NotMeasured, Passed};
    let of = |followed: Option<&[&str]>| {
        let mut control = shuffled(0.5, 0.7);
        control.control = ControlFit::RandomPerformer;
        control.figures.as_mut().expect("figures").followed =
            followed.map(|names| names.iter().map(ToString::to_string).collect());
        let grounds = Grounds {
            evidence: None,
            agreement: 1.0,
            validation: None,
            without_looking: None,
            control_fits: &[control],
            exact: true,
        };
        let checks = grounds.checks();
        // Landmarks, the contributions, and the two controls: neither agreement nor reconstruction.
        assert_eq!(checks.len(), 5);
        assert_eq!(checks[3].question, "Do parts of a performer with random weights follow nothing?");
        assert_eq!(checks[4].found, "this control fit was not made");
        [checks[3].verdict, checks[4].verdict]
    };
    assert_eq!(of(None), [NotMeasured, NotMeasured]);
    assert_eq!(of(Some(&[])), [Passed, NotMeasured]);
    assert_eq!(of(Some(&["head"])), [Failed, NotMeasured]);
}
