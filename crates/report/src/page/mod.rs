//! The HTML file.

mod curves;
mod evidence;
mod figures;
mod filters;
mod images;
mod media;
mod parts;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use explainer_core::EpochRecord;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::ReportError;
use crate::observations::Observations;
use crate::trust::Verdict;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What a browser is to allow: pictures that are in the file, and the one style sheet and the one script that it was
/// written with. Nothing is fetched or sent, and what else should look like a script is not run.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// Sections: their names in the file and for people.
const SECTIONS: [(&str, &str); 8] = [
    ("parts", "Parts"),
    ("images", "Predictions"),
    ("filters", "Filters"),
    ("trust", "Trust"),
    ("evidence", "Interventions"),
    ("figures", "Figures"),
    ("training", "Training"),
    ("settings", "Settings"),
];

/// The whole file.
pub(crate) fn document(seen: &Observations) -> Result<String, ReportError> {
    let title = title(seen);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#parts" { "Skip to the parts" }
                (header(seen, &title))
                nav aria-label="Sections" {
                    ul {
                        @for (id, name) in SECTIONS {
                            li { a href={ "#" (id) } { (name) } }
                        }
                    }
                }
                main {
                    (parts::section(seen)?)
                    (images::section(seen)?)
                    (filters::section(seen)?)
                    (trust(seen))
                    (evidence::section(seen)?)
                    (figures::section(seen))
                    (curves::section(&seen.records))
                    (settings(seen))
                }
                footer { p { "Made by explainer " (env!("CARGO_PKG_VERSION")) ". This file needs no network." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(markup.into_string())
}

/// The share of the interpretable track by mass, on the images held out; the closing refit does not change it.
fn mass_share(records: &[EpochRecord]) -> Option<f64> {
    records.last()?.validation.as_ref()?.mass_share
}

fn title(seen: &Observations) -> String {
    let performer = if seen.text.performer.is_empty() { "a network" } else { &seen.text.performer };
    match seen.text.categories.as_slice() {
        [] => format!("What {performer} looks at"),
        [one] => format!("What {performer} looks at in a {one}"),
        few @ ([_, _] | [_, _, _]) => format!("What {performer} looks at in {}", few.join(", ")),
        many => format!("What {performer} looks at in {} categories", many.len()),
    }
}

fn header(seen: &Observations, title: &str) -> Markup {
    let (passed, failed) = (seen.trust.passed, seen.trust.failed);
    let images = seen.images();
    let live = seen.filters.iter().filter(|filter| filter.fired > 0).count();
    html! {
        header {
            h1 { (title) }
            p.lead {
                "An explainer network re-expressed a middle layer as filters that follow object parts. "
                (live) " of its " (seen.filters.len()) " filters fired on " (images.len()) " images of "
                (seen.text.dataset) ", and fall into "
                @match seen.parts.len() {
                    1 => "1 part",
                    count => { (count) " parts" }
                }
                " that nobody had named. "
                @if seen.share.is_finite() {
                    "They carry a share of p = " (number(seen.share)) " of its signal"
                    @if let Some(share) = mass_share(&seen.records) { ", " (number(share)) " of its mass on other images" }
                    "."
                }
                @match seen.survey.left_out.len() {
                    0 => {}
                    1 => " 1 image that could not be read was left out.",
                    count => { " " (count) " images that could not be read were left out." }
                }
            }
            p.verdict {
                a href="#trust" {
                    (passed) " of " (passed + failed) " checks passed"
                    @if failed > 0 { ", " (failed) " did not" }
                }
                ". Read them before you believe the pictures."
            }
        }
    }
}

fn trust(seen: &Observations) -> Markup {
    html! {
        section #trust {
            h2 { "What may be trusted" }
            p {
                "Pictures persuade whether they are true or not. These are the checks that this explanation was "
                "put to, those it failed among them. None of them is passed by places that look at nothing."
                @if seen.trust.control_fits.is_empty() {
                    " The control fits were not run, so that the last of them is open."
                }
            }
            ul.checks {
                @for check in seen.checks() {
                    @let (class, mark, word) = match check.verdict {
                        Verdict::Passed => ("passed", "✓", "passed"),
                        Verdict::Failed => ("failed", "✗", "not passed"),
                        Verdict::NotMeasured => ("open", "–", "not measured"),
                    };
                    li class=(class) {
                        span.mark aria-hidden="true" { (mark) }
                        div {
                            h3 { (check.question) " " span.word { (word) } }
                            p.found { (check.found) @if check.verdict != Verdict::NotMeasured { "; asked: " (check.bar) } }
                            p.reason { (check.reason) }
                        }
                    }
                }
            }
        }
    }
}

fn settings(seen: &Observations) -> Markup {
    html! {
        section #settings {
            h2 { "Settings" }
            @for note in &seen.notes { p.note { (note) } }
            @if !seen.covering.images.is_empty() { p { "Receptive fields: " (seen.covering) "." } }
            @match &seen.text.settings {
                Some(settings) => { details { summary { "Everything the fit was made from" } pre tabindex="0" { (settings) } } }
                None => { p { "The settings of this fit were not handed to the report." } }
            }
        }
    }
}

/// A number with three digits that count.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_string();
    }
    let size = value.abs();
    match size {
        0.0 => "0".to_string(),
        _ if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        _ => format!("{value:.*}", (2 - size.log10().floor() as i32).clamp(0, 4) as usize),
    }
}

/// A number with its sign.
pub(crate) fn signed(value: f64) -> String {
    // Two digits round the smallest to zero, which has no sign.
    let text = format!("{value:+.2}");
    let text = if text.trim_start_matches(['+', '-']) == "0.00" { "0.00".to_string() } else { text };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_signs() {
        for (value, expected) in [
            (0.0, "0"),
            (0.12345, "0.123"),
            (12.345, "12.3"),
            (1234.5, "1234"),
            (0.012345, "0.0123"),
            (1e-5, "1.00e-5"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!([signed(1.0), signed(-2.345), signed(-0.001)], ["+1.00", "−2.35", "0.00"]);
    }
}
