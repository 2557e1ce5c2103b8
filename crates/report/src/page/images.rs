//! What single predictions are made of.

use explainer_datasets::Split;
use maud::{Markup, html};

use super::media::{badge, bar, color, jpeg, photo};
use super::{number, signed};
use crate::ReportError;
use crate::draw;
use crate::observations::{Network, Observations, Page};

/// Filters shown by themselves, those that gave most or took most.
const FILTERS: usize = 8;
/// Side of the picture on the closed page, and the least of the one on the open page.
const THUMBNAIL: u32 = 96;
const LEAST_SIDE: u32 = 256;
/// What is said of a Grad-CAM without a warm place: it is no fault of the picture.
const BLANK: &str = ": 0 everywhere. Taken map by map, nothing here speaks for this class.";
/// Contributions add up to the score, but for this share of their sizes together: `f32` has seven digits.
const ADDS_UP: f64 = 1e-4;
/// Colours of what is no part.
const PLAIN: &str = "var(--plain)";
const SCORE: &str = "var(--ink)";

/// A line of the account of a score.
struct Line {
    label: Markup,
    gave: f64,
    color: &'static str,
    /// The score without it.
    without: Option<f64>,
}

pub(crate) fn section(seen: &Observations) -> Result<Markup, ReportError> {
    let pages = seen.pages.iter().enumerate().map(|(at, page)| card(seen, page, at == 0));
    let pages = pages.collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        section #images {
            h2 { "What a prediction is made of" }
            p {
                "Each bar is what a part gave to the score of the predicted class, by gradient × activation through the "
                "decoder and the performer's head. With the ordinary track and the biases, the bars add up to the "
                "score. Beside them stands what remains of the score when the part's filters are silenced."
                @if seen.remainder > ADDS_UP {
                    " Here they do not add up: up to " (number(seen.remainder)) " of their sizes together is missing, as "
                    "where a head has bends of its own."
                }
            }
            @for page in &pages { (page) }
        }
    })
}

fn card(seen: &Observations, page: &Page, open: bool) -> Result<Markup, ReportError> {
    let image = &seen.images()[page.image];
    let class = image.contributions.class;
    let class = seen.text.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    let split = if image.split == Split::Train { "fitted on" } else { "held out" };
    let small = photo(&draw::thumbnail(&image.picture, THUMBNAIL), "thumb", "")?;
    Ok(html! {
        details.image id={ "image-" (image.index) } open[open] {
            summary {
                (small)
                span.name {
                    b { (class) } " " span.of { (image.id) ", " (split) }
                    span.gave { "performer's score " (signed(f64::from(image.scores[image.contributions.class]))) }
                }
            }
            div.page {
                div.figures { (overlay(seen, page)?) (grad_cams(seen, page.image)?) }
                (account(seen, page))
                (filters(seen, page))
            }
        }
    })
}

/// The picture with the parts on it.
fn overlay(seen: &Observations, page: &Page) -> Result<Markup, ReportError> {
    let (side, image) = (seen.side as f64, &seen.images()[page.image]);
    let picture = match image.picture.width() < LEAST_SIDE {
        true => draw::thumbnail(&image.picture, LEAST_SIDE),
        false => image.picture.clone(),
    };
    let given = |part: usize| image.contributions.of(&seen.parts[part].group.filters);
    let mut places: Vec<(usize, [f64; 2])> = seen
        .part_places(page.image)
        .into_iter()
        .enumerate()
        .filter_map(|(part, at)| Some((part, at?)))
        .collect();
    // The one that gave most is drawn last, on top.
    places.sort_by(|a, b| given(a.0).total_cmp(&given(b.0)));
    let at = |value: f64| format!("{value:.1}");
    let alt = format!("Parts on image {}", image.id);
    Ok(html! {
        figure {
            svg.parts viewBox={ "0 0 " (side) " " (side) } role="img" aria-label=(alt) {
                image href=(jpeg(&picture)?) width=(side) height=(side) {}
                @for (part, [x, y]) in places {
                    g {
                        title { (seen.part_name(part)) }
                        circle cx=(at(x)) cy=(at(y)) r=(at(side * 0.042)) fill=(color(part)) {}
                        text x=(at(x)) y=(at(y + side * 0.019)) font-size=(at(side * 0.052)) { (part + 1) }
                    }
                }
            }
            figcaption { "Where the parts are" }
        }
    })
}

fn grad_cams(seen: &Observations, image: usize) -> Result<Markup, ReportError> {
    let kinds = [
        (Network::Explainer, "Grad-CAM of the explainer's parts"),
        (Network::Performer, "Grad-CAM of the performer's top conv"),
    ];
    let mut figures = Vec::new();
    for (network, name) in kinds {
        if let Some((picture, cam)) = seen.grad_cam(network, image).zip(seen.cam(network, image)) {
            let picture = draw::thumbnail(&picture, picture.width().max(LEAST_SIDE));
            figures.push((
                photo(&picture, "cam", &format!("{name} for image {}", seen.images()[image].id))?,
                name,
                cam.iter().all(|&value| value == 0.0),
            ));
        }
    }
    Ok(html! {
        @for (picture, name, blank) in figures {
            figure { (picture) figcaption { (name) @if blank { (BLANK) } } }
        }
    })
}

/// The bars of all parts and of everything else, which add up to the score.
fn account(seen: &Observations, page: &Page) -> Markup {
    let given = &seen.images()[page.image].contributions;
    let mut lines: Vec<Line> = (0..seen.parts.len())
        .map(|part| Line {
            label: html! { (badge(part)) " " (seen.part_name(part)) },
            gave: given.of(&seen.parts[part].group.filters),
            color: color(part),
            without: Some(page.silenced[part]),
        })
        .collect();
    lines.sort_by(|a, b| b.gave.total_cmp(&a.gave));
    let other =
        |name: &str, gave: f64, without| Line { label: html! { (name) }, gave, color: PLAIN, without };
    if !seen.scattered.is_empty() {
        lines.push(other("Scattered filters", given.of(&seen.scattered), page.silenced.last().copied()));
    }
    lines.push(other("Ordinary track", given.ordinary, None));
    lines.push(other("Biases", given.bias(), None));
    let sum = Line {
        label: html! { b { "Score, by the explainer" } },
        gave: given.score,
        color: SCORE,
        without: None,
    };
    bars(&lines, Some(sum), "What gave the score", "Silenced")
}

/// The bars of single filters.
fn filters(seen: &Observations, page: &Page) -> Markup {
    let given = &seen.images()[page.image].contributions;
    let mut filters: Vec<usize> = (0..given.filters.len()).collect();
    filters.sort_by(|&a, &b| given.filters[b].abs().total_cmp(&given.filters[a].abs()));
    filters.truncate(FILTERS);
    let line = |filter: usize| Line {
        label: html! { a href={ "#filter-" (filter) } { "Filter " (filter) } @if let Some(part) = seen.part_of(filter) { " " (badge(part)) } },
        gave: given.filters[filter],
        color: seen.part_of(filter).map_or(PLAIN, color),
        without: None,
    };
    let lines: Vec<Line> = filters.into_iter().map(line).collect();
    html! {
        details.members { summary { "The filters that gave or took most" } (bars(&lines, None, "Filter", "")) }
    }
}

/// A table of bars on one scale.
fn bars(lines: &[Line], sum: Option<Line>, heading: &str, silenced: &str) -> Markup {
    let all = lines.iter().chain(&sum).map(|line| line.gave);
    let scale = all.fold([0.0f64, 0.0], |[low, high], gave| [low.min(gave), high.max(gave)]);
    let row = |line: &Line| {
        html! {
            th scope="row" { (line.label) }
            td.track { (bar(line.gave, scale, line.color)) }
            td.num { (signed(line.gave)) }
            @if !silenced.is_empty() {
                td.num { @if let Some(without) = line.without { (signed(without)) } }
            }
        }
    };
    html! {
        table.bars {
            thead { tr {
                th scope="col" { (heading) }
                th scope="col" { span.hide { "Bar" } }
                th.num scope="col" { "Gave" }
                @if !silenced.is_empty() { th.num scope="col" { (silenced) } }
            } }
            tbody { @for line in lines { tr { (row(line)) } } }
            @if let Some(sum) = &sum { tfoot { tr { (row(sum)) } } }
        }
    }
}
