//! Whether parts follow evidence, and whether the layer holds any to follow.

use explainer_metrics::{Estimate, Figure};

use crate::evidence::{Evidence, Figures};
use crate::names::{
    CEILING, EXPLAINED, KMEANS, PLACES, RANDOM_PARTS, RANDOM_PERFORMER, SHUFFLED_PARTS, TARGET, TOP_CONV,
    UNFITTED,
};

/// The controls that a set of parts has to exceed, those that were measured.
pub const CONTROLS: [&str; 5] = [PLACES, TARGET, TOP_CONV, KMEANS, RANDOM_PERFORMER];

/// A figure by which parts are told from places, and what a place that looks at nothing has.
struct Asked {
    name: &'static str,
    of: fn(&Figures) -> Option<&Figure>,
    blind: fn(&Figures) -> Option<f64>,
}

/// The four of them.
const ASKED: [Asked; 4] = [
    Asked { name: "erase-AUC", of: |f| f.erase_auc.as_ref(), blind: |_| Some(0.5) },
    Asked { name: "transplant hit", of: |f| f.transplant_hit.as_ref(), blind: |_| Some(0.0) },
    Asked { name: "gain", of: |f| f.gain.as_ref(), blind: |_| Some(0.0) },
    Asked {
        name: "residual tracking",
        of: |f| f.residual_tracking.as_ref(),
        blind: |f| f.residual_null.as_ref().map(|null| null.value().max(0.0)),
    },
];

/// A figure of the parts against one control.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The figure, in words.
    pub figure: &'static str,
    /// The control's key, or `blind place` for what such a place has by definition.
    pub control: &'static str,
    /// The parts' figure.
    pub own: Estimate,
    /// The difference, paired over photographs.
    pub margin: Estimate,
}

/// What a place that looks at nothing is called among controls.
pub const BLIND: &str = "blind place";

/// Whether a set of detectors follows a landmark: [erase-AUC, transplant hit, gain and residual
/// tracking](Figures) each exceed those of every control by more than two standard errors of the paired difference
/// over photographs, and what a place that looks at nothing has by definition (½, 0, 0, and the larger of 0 and the
/// null).
///
/// A blind place fails by definition. A filter at random places fails too, and so does a control, for nothing exceeds
/// itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Follows {
    /// Every comparison.
    pub comparisons: Vec<Comparison>,
}

impl Follows {
    /// Of a layer and a landmark, by its number. `None` where one of the four figures was not measured, or no control.
    pub fn of(evidence: &Evidence, layer: &str, landmark: usize) -> Option<Self> {
        let own = &evidence.figures(layer, landmark)?.best;
        let mut comparisons = Vec::new();
        for Asked { name, of, blind } in &ASKED {
            let figure = of(own)?;
            let blind = blind(own)?;
            let above = Estimate { value: figure.value() - blind, ..figure.estimate };
            let mut add = |control, margin| {
                comparisons.push(Comparison { figure: name, control, own: figure.estimate, margin });
            };
            add(BLIND, above);
            for control in CONTROLS {
                if let Some(margin) = evidence.margin([layer, control], landmark, of) {
                    add(control, margin);
                }
            }
        }
        let measured = comparisons.iter().any(|comparison| comparison.control != BLIND);
        measured.then_some(Self { comparisons })
    }

    /// Whether it does.
    pub fn passed(&self) -> bool {
        self.comparisons.iter().all(|comparison| comparison.margin.exceeds_zero())
    }

    /// The comparison that fell shortest, counted in standard errors.
    pub fn worst(&self) -> Option<&Comparison> {
        worst(&self.comparisons)
    }
}

/// The comparison that fell shortest.
fn worst(comparisons: &[Comparison]) -> Option<&Comparison> {
    let short = |comparison: &&Comparison| {
        let Estimate { value, standard_error } = comparison.margin;
        // Without any error, whatever is not above is infinitely far below.
        if standard_error > 0.0 { value / standard_error } else { value.signum() * f64::INFINITY }
    };
    let failed = comparisons.iter().filter(|comparison| !comparison.margin.exceeds_zero());
    let least = failed.min_by(|a, b| short(a).total_cmp(&short(b)));
    least.or_else(|| comparisons.iter().min_by(|a, b| short(a).total_cmp(&short(b))))
}

/// What contributions that name parts at random are called among controls, and what they have of single deletion.
pub const CHANCE: &str = "chance";
const BY_CHANCE: f64 = 0.5;
/// What an explanation that gives every pixel the same is called among controls.
pub const AREA: &str = "the parts' areas";

/// Whether the contributions of a layer name the parts whose removal matters: their [single
/// deletion](crate::Deletion::single) exceeds chance (½), that of an explanation that gives every pixel the same, and that
/// of the same contributions at [blind places](crate::Account::of_places), where they were measured, each by more than
/// two standard errors over photographs, paired but for chance.
#[derive(Clone, Debug, PartialEq)]
pub struct Causes {
    /// Every comparison.
    pub comparisons: Vec<Comparison>,
}

impl Causes {
    /// Of a layer. `None` where its single deletion was not measured.
    pub fn of(evidence: &Evidence, layer: &str) -> Option<Self> {
        let of = |layer: &str| evidence.layer(layer)?.deletion.as_ref();
        let deletion = of(layer)?;
        let single = deletion.single.as_ref()?;
        let own = single.estimate;
        let above = Estimate { value: own.value - BY_CHANCE, ..own };
        let compared = |control, margin| Comparison { figure: "single deletion", control, own, margin };
        let mut comparisons = vec![compared(CHANCE, above)];
        let area = deletion.single_by_area.as_ref();
        comparisons.extend(area.map(|area| compared(AREA, single.difference(area))));
        let places = of(PLACES).and_then(|places| places.single.as_ref());
        comparisons.extend(places.map(|places| compared(PLACES, single.difference(places))));
        Some(Self { comparisons })
    }

    /// Whether they do.
    pub fn passed(&self) -> bool {
        self.comparisons.iter().all(|comparison| comparison.margin.exceeds_zero())
    }

    /// The comparison that fell shortest, counted in standard errors.
    pub fn worst(&self) -> Option<&Comparison> {
        worst(&self.comparisons)
    }
}

/// The gain from which on a detector goes with a landmark rather than to stay: on average its peak moves more than
/// half of the way.
const HALF_WAY: f64 = 0.5;

/// Whether the explained layer holds a landmark: whether a detector that was told where it is (the ceiling) follows
/// it. It does if
///
/// - it is weaker with the landmark erased than with a control place erased (erase-AUC above ½),
/// - with the landmark moved it is more often at the new place than at the old one (transplant hit above stays),
/// - its peak moves along more than that of places alone (or 0), and more than half of the way (gain above ½),
///
/// each but the last by more than two standard errors over photographs.
///
/// A supervised detector that stays behind reads where the landmark must be from what is around it. Then no
/// unsupervised part of this layer can be asked for more, and the layer holds no such part. No comparison with the
/// channels is made here: a layer in which one channel does as well as the ceiling holds the part.
#[derive(Clone, Debug, PartialEq)]
pub struct Holds {
    /// The ceiling's erase-AUC, less ½.
    pub erased: Estimate,
    /// Its gain, less that of places alone where it was measured.
    pub moved: Estimate,
    /// Its transplant hit, less the share in which it stays.
    pub left: Estimate,
    /// Its figures.
    pub ceiling: Figures,
}

impl Holds {
    /// Of a landmark, by its number. `None` where the ceiling was not measured.
    pub fn of(evidence: &Evidence, landmark: usize) -> Option<Self> {
        let ceiling = &evidence.figures(CEILING, landmark)?.best;
        let auc = ceiling.erase_auc.as_ref()?.estimate;
        let gain = ceiling.gain.as_ref()?.estimate;
        let (hit, stays) = ceiling.transplant_hit.as_ref().zip(ceiling.stays.as_ref())?;
        Some(Self {
            erased: Estimate { value: auc.value - 0.5, ..auc },
            moved: evidence.margin([CEILING, PLACES], landmark, |f| f.gain.as_ref()).unwrap_or(gain),
            left: hit.difference(stays),
            ceiling: ceiling.clone(),
        })
    }

    /// Whether it does.
    pub fn passed(&self) -> bool {
        let far = self.ceiling.gain.as_ref().is_some_and(|gain| gain.value() > HALF_WAY);
        far && [self.erased, self.moved, self.left].iter().all(Estimate::exceeds_zero)
    }
}

/// The landmarks that a layer [follows](Follows).
pub fn followed(evidence: &Evidence, layer: &str) -> Vec<String> {
    let passed = |&(landmark, _): &(usize, &String)| {
        Follows::of(evidence, layer, landmark).is_some_and(|found| found.passed())
    };
    evidence.landmarks.iter().enumerate().filter(passed).map(|(_, name)| name.clone()).collect()
}

/// The verdict on a layer, landmark by landmark, in a sentence each, and one on its contributions where they were
/// measured.
pub fn in_words(evidence: &Evidence, layer: &str) -> String {
    let sentence = |(landmark, name): (usize, &String)| {
        let (follows, holds) = (Follows::of(evidence, layer, landmark), Holds::of(evidence, landmark));
        match (follows.as_ref().map(Follows::passed), holds.as_ref().map(Holds::passed)) {
            (Some(true), _) => format!("The parts follow the {name} beyond every control: trust them there."),
            (_, Some(false)) => format!(
                "This layer holds no part for the {name}, for even a detector that was told of it does not follow it: \
                 trust none there, and choose another layer."
            ),
            (Some(false), _) => {
                let worst = follows.as_ref().and_then(Follows::worst).map_or(String::new(), |worst| {
                    let Comparison { figure, control, .. } = worst;
                    format!(" (their {figure} is not above that of {})", described(control))
                });
                format!(
                    "The parts do not follow the {name} beyond every control{worst}: do not trust them there."
                )
            }
            (None, _) => format!("Whether the parts follow the {name} was not measured."),
        }
    };
    let mut sentences: Vec<String> = evidence.landmarks.iter().enumerate().map(sentence).collect();
    sentences.extend(Causes::of(evidence, layer).map(|found| match found.worst() {
        Some(Comparison { control, .. }) if !found.passed() => format!(
            "The contributions do not name the parts whose removal matters (their single deletion is not above that of \
             {}): do not trust them.",
            described(control)
        ),
        _ => "The contributions name the parts whose removal matters.".to_string(),
    }));
    sentences.join(" ")
}

/// A layer or control for people.
pub fn described(name: &str) -> &str {
    match name {
        TARGET => "the target layer's channels",
        TOP_CONV => "the top conv's channels",
        PLACES => "places alone",
        KMEANS => "k-means of the target layer",
        EXPLAINED => "the explainer's parts",
        UNFITTED => "the explainer before fitting",
        RANDOM_PARTS => "parts of random weights",
        SHUFFLED_PARTS => "parts of shuffled features",
        CEILING => "a supervised detector (ceiling)",
        RANDOM_PERFORMER => "a performer with random weights",
        BLIND => "a place that looks at nothing",
        other => other,
    }
}
