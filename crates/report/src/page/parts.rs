//! Parts: groups of filters that fire at one place.

use maud::{Markup, html};

use super::media::{badge, photo};
use crate::ReportError;
use crate::draw;
use crate::observations::{Observations, Part};

/// Patches shown beside the mean one.
const EXAMPLES: usize = 7;

pub(crate) fn section(seen: &Observations) -> Result<Markup, ReportError> {
    let cards = (0..seen.parts.len()).map(|part| card(seen, part)).collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        section #parts {
            h2 { "Parts" }
            p {
                "Filters that fire at one place of the object, found without labels, with what lies around their peaks. The "
                "framed picture is the mean of up to a hundred peaks, its contrast stretched: the sharper it is, the more "
                "they agree."
            }
            @if cards.is_empty() { p.note { "No two filters fire at one place." } }
            div.cards { @for card in &cards { (card) } }
            @if !seen.scattered.is_empty() {
                @let further = match seen.scattered.len() {
                    1 => "1 further filter fires at a place of its own: ".to_string(),
                    count => format!("{count} further filters fire at places of their own: "),
                };
                p.note { (further) (links(&seen.scattered)) "." }
            }
            (names(seen))
        }
    })
}

fn card(seen: &Observations, part: usize) -> Result<Markup, ReportError> {
    let Part { group, .. } = &seen.parts[part];
    let name = seen.part_name(part);
    let (mean, examples) = seen.patches(part, EXAMPLES);
    let mean = mean
        .map(|mean| {
            photo(&draw::stretched(mean), "patch mean", &format!("Mean patch around the peaks of {name}"))
        })
        .transpose()?;
    let alt = |at: usize| format!("Example {} of {name}", at + 1);
    let examples = examples.iter().enumerate().map(|(at, patch)| photo(patch, "patch", &alt(at)));
    let examples = examples.collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        article.part id={ "part-" (part + 1) } {
            h3 { (badge(part)) " " (name) }
            div.patches {
                @if let Some(mean) = mean { (mean) }
                @for example in examples { (example) }
            }
            p {
                (group.filters.len()) " filters, some " (percent(group.width)) " of the image's diagonal apart"
                @if let Some(near) = &group.landmark {
                    "; " (percent(near.distance)) " from " (seen.landmarks[near.landmark]) ", give or take "
                    (percent(near.spread))
                }
                "."
            }
            details.members { summary { "Its filters" } p { (links(&group.filters)) } }
        }
    })
}

fn links(filters: &[usize]) -> Markup {
    html! {
        @for (at, filter) in filters.iter().enumerate() {
            @if at > 0 { " " }
            a href={ "#filter-" (filter) } { (filter) }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// How to name parts.
fn names(seen: &Observations) -> Markup {
    let example: String =
        seen.parts.iter().take(3).map(|part| format!("{} = \"…\"\n", part.group.filters[0])).collect();
    html! {
        @if !example.is_empty() {
            details { summary { "Give them names" }
                p {
                    "Write a small TOML file, a line for each part with one of its filters, and make the report again with it:"
                }
                pre tabindex="0" { "[names]\n" (example) }
            }
        }
    }
}
