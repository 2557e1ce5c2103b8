//! Interventions: their figures, and what becomes of peaks.

use explainer_evaluation::verdict::{described, in_words};
use explainer_evaluation::{Deletion, Evidence, Figures, LayerEvidence, names};
use explainer_metrics::{Estimate, Figure};
use maud::{Markup, html};

use super::media::photo;
use crate::ReportError;
use crate::interventions::{DRAWN, intervention_picture};
use crate::observations::Observations;

/// Side of each picture in pixels.
const SIDE: u32 = 176;

/// A column: its heading and its figure.
type Column = (&'static str, fn(&Figures) -> Option<&Figure>);

const COLUMNS: [Column; 9] = [
    ("erase-AUC", |f| f.erase_auc.as_ref()),
    ("hit", |f| f.hit.as_ref()),
    ("transplant hit", |f| f.transplant_hit.as_ref()),
    ("stays", |f| f.stays.as_ref()),
    ("gain", |f| f.gain.as_ref()),
    ("residual tracking", |f| f.residual_tracking.as_ref()),
    ("its null", |f| f.residual_null.as_ref()),
    ("presence AUC", |f| f.presence_auc.as_ref()),
    ("crosstalk", |f| f.crosstalk.as_ref()),
];

pub(crate) fn section(seen: &Observations) -> Result<Markup, ReportError> {
    let body = match &seen.evidence {
        Some(evidence) => measured(evidence)?,
        None => html! { p { "No interventions were made: the report was not handed any." } },
    };
    Ok(html! {
        section #evidence {
            h2 { "Do parts follow evidence?" }
            p {
                "A filter at the head may have found the head, or a place on the animal. So the picture is changed and "
                "the object left where it is: "
                @if seen.evidence.as_ref().is_some_and(|evidence| evidence.rendered) {
                    "it is drawn again without the part, without something in the background, with the part moved. "
                } @else {
                    "the landmark is erased, a place without it is erased, the landmark is moved there. "
                }
                "A part is weaker without the landmark (erase-AUC; ½ is what a blind place has) and goes "
                "where it went (transplant hit, gain; 0 for a blind place), rather than to stay."
            }
            (body)
        }
    })
}

fn measured(evidence: &Evidence) -> Result<Markup, ReportError> {
    let pictures = evidence.examples.iter().map(|example| {
        let landmark = &evidence.landmarks[example.landmark];
        let alt = format!("{}: as it is, {landmark} erased, {landmark} moved", example.id);
        let picture = photo(&intervention_picture(example, SIDE), "shot", &alt)?;
        Ok(html! { figure { (picture) figcaption { (example.id) ": as it is, " (landmark) " erased, " (landmark) " moved" } } })
    });
    let pictures = pictures.collect::<Result<Vec<_>, ReportError>>()?;
    Ok(html! {
        p { b { (in_words(evidence, names::EXPLAINED)) } }
        @for (landmark, name) in evidence.landmarks.iter().enumerate() { (table(evidence, landmark, name)) }
        (besides(evidence))
        p {
            "On " (evidence.images) " of " (evidence.available) " images with landmarks, from " (evidence.photos)
            " photographs. Filters are matched to a landmark on one half of the photographs and measured on the other; "
            "each figure is the mean over the eighth that matches best ± its standard error over photographs."
        }
        @if !pictures.is_empty() {
            p {
                "Rings mark the peaks of "
                @for (at, (_, name, color)) in DRAWN.iter().enumerate() {
                    @if at > 0 { ", " }
                    span style={ "color:" (hex(color.0)) } { "◯" } " " (name)
                }
                "."
            }
            div.shots { @for picture in &pictures { (picture) } }
        }
    })
}

/// A column of what is not of a single landmark.
type Beside = (&'static str, fn(&LayerEvidence) -> Option<Estimate>);

const BESIDES: [Beside; 7] = [
    ("selectivity", |layer| layer.selectivity),
    ("single deletion", |layer| estimate(layer, |found| found.single.as_ref())),
    ("that of the parts' areas", |layer| estimate(layer, |found| found.single_by_area.as_ref())),
    ("deletion", |layer| estimate(layer, |found| found.deletion.as_ref())),
    ("preservation", |layer| estimate(layer, |found| found.preservation.as_ref())),
    ("background independence", |layer| estimate(layer, |found| found.background_independence.as_ref())),
    ("distractibility", |layer| estimate(layer, |found| found.distractibility.as_ref())),
];

fn estimate(layer: &LayerEvidence, of: fn(&Deletion) -> Option<&Figure>) -> Option<Estimate> {
    layer.deletion.as_ref().and_then(of).map(|figure| figure.estimate)
}

fn besides(evidence: &Evidence) -> Markup {
    let measured = |layer: &&LayerEvidence| BESIDES.iter().any(|(_, of)| of(layer).is_some());
    let layers: Vec<&LayerEvidence> = evidence.layers.iter().filter(measured).collect();
    if layers.is_empty() {
        return html! {};
    }
    let shown = |(_, of): &Beside| layers.iter().any(|layer| of(layer).is_some());
    let columns: Vec<Beside> = BESIDES.into_iter().filter(shown).collect();
    html! {
        h3 { "All parts" }
        p {
            "Selectivity is the share of filters that miss the part they match more than any other. The further figures are "
            "of predictions: whether what is said to have given most to a score is what the score drops without "
            "(single deletion; ½ is chance, and an explanation that gives every pixel the same has that of the parts' "
            "areas), and whether the decision changes without the parts that are said to matter (deletion) and does not "
            "without the others (preservation)."
        }
        div.scroll tabindex="0" role="group" aria-label="Figures of all parts" {
            table.figures {
                thead { tr {
                    th scope="col" { "Layer or control" }
                    @for (heading, _) in &columns { th.num scope="col" { (heading) } }
                } }
                tbody {
                    @for layer in &layers {
                        tr {
                            th scope="row" { (described(&layer.name)) }
                            @for (_, of) in &columns { td.num { (of(layer).map_or("–".to_string(), plain)) } }
                        }
                    }
                }
            }
        }
    }
}

fn plain(found: Estimate) -> String {
    format!("{:.2} ± {:.2}", found.value, found.standard_error)
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn table(evidence: &Evidence, landmark: usize, name: &str) -> Markup {
    let layers: Vec<_> = evidence
        .layers
        .iter()
        .filter_map(|layer| Some((layer, layer.landmarks[landmark].as_ref()?)))
        .collect();
    if layers.is_empty() {
        return html! { h3 { (name) } p { "Not measured: no image shows it." } };
    }
    let shown = |of: &Column| layers.iter().any(|(_, found)| of.1(&found.best).is_some());
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| shown(column)).collect();
    html! {
        h3 { (name) }
        div.scroll tabindex="0" role="group" aria-label={ "Interventions on the " (name) } {
            table.figures {
                thead { tr {
                    th scope="col" { "Layer or control" }
                    @for (heading, _) in &columns { th.num scope="col" { (heading) } }
                } }
                tbody {
                    @for (layer, found) in &layers {
                        tr {
                            th scope="row" { (described(&layer.name)) }
                            @for (_, of) in &columns { td.num { (cell(of(&found.best))) } }
                        }
                    }
                }
            }
        }
    }
}

fn cell(figure: Option<&Figure>) -> String {
    figure.map_or("–".to_string(), |found| plain(found.estimate))
}
