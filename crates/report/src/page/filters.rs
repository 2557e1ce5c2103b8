//! The gallery of filters; each opens into a page of its own.

use maud::{Markup, html};

use super::media::{badge, grid, jpeg, photo};
use super::{number, signed};
use crate::ReportError;
use crate::observations::{Network, Observations};
use crate::report::spaced;

/// What all galleries of a report may take of the file in bytes, and the sides of their pictures: fewer pixels
/// where there are more filters, or pictures with more in them.
const GALLERIES: f64 = 12e6;
const SIDES: [f64; 2] = [48.0, 112.0];
/// What a pixel takes is measured on so many galleries.
const MEASURED: usize = 16;
/// Side of the picture of a receptive field.
const FIELD_SIDE: u32 = 64;

pub(crate) fn section(seen: &Observations) -> Result<Markup, ReportError> {
    let side = side(seen)?;
    let cards =
        (0..seen.filters.len()).map(|filter| card(seen, filter, side)).collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        section #filters {
            h2 { "Filters" }
            p {
                "Each filter with its strongest images. The yellow line is its receptive field: the place whose "
                "covering costs it half or more of what it can lose. Open one for its maps, its field and where it peaks."
            }
            form.controls role="search" aria-label="Filters" {
                label { "Sort by "
                    select #sort {
                        option value="contribution" { "contribution" }
                        option value="activation" { "activation" }
                        option value="instability" { "stability" }
                        option value="tracking" { "tracking" }
                        option value="number" { "number" }
                    }
                }
                label { "Find " input #search type="search" placeholder="number or part" autocomplete="off"; }
                output #shown aria-live="polite" { (cards.len()) " filters" }
            }
            div.gallery #filter-list { @for card in &cards { (card) } }
            (sheet(seen)?)
        }
    })
}

/// Side of the pictures in galleries: as large as allowed, or so that all of them take what they may by what some
/// of them, evenly spaced, take per pixel.
fn side(seen: &Observations) -> Result<u32, ReportError> {
    let [least, most] = SIDES;
    let live: Vec<usize> = (0..seen.filters.len()).filter(|&filter| seen.filters[filter].fired > 0).collect();
    let mut side = most;
    // Small pictures have more in a pixel: measured at most, and once more at what that gives.
    for _ in 0..2 {
        let mut bytes = 0;
        let measured = spaced(live.len(), MEASURED);
        for &at in &measured {
            let gallery = seen.gallery(Network::Explainer, live[at], side as u32);
            bytes += gallery.map(|gallery| jpeg(&gallery)).transpose()?.map_or(0, |text| text.len());
        }
        let all = bytes as f64 * live.len() as f64 / measured.len().max(1) as f64;
        if all <= GALLERIES {
            break;
        }
        side = (side * (GALLERIES / all).sqrt()).max(least);
    }
    Ok(side as u32)
}

fn card(seen: &Observations, filter: usize, side: u32) -> Result<Markup, ReportError> {
    let (figures, part) = (&seen.filters[filter], seen.part_of(filter));
    let contribution = seen.contribution(filter);
    let name = part.map_or_else(|| "scattered".to_string(), |part| seen.part_name(part));
    let alt = format!("Strongest images of filter {filter}, its receptive field outlined");
    let gallery = seen.gallery(Network::Explainer, filter, side);
    let gallery = gallery.map(|gallery| photo(&gallery, "strongest", &alt)).transpose()?;
    // What sorts as nothing: unknown instability is the worst.
    let instability = figures.instability.filter(|_| figures.fired > 0).unwrap_or(f64::MAX);
    let tracking = figures.tracking.map_or(f64::MIN, |(_, value)| value);
    Ok(html! {
        details.filter id={ "filter-" (filter) } data-number=(filter) data-contribution=(contribution)
            data-activation=(figures.activation[0]) data-instability=(instability) data-tracking=(tracking)
            data-words=(name.to_lowercase()) {
            summary {
                @match gallery { Some(gallery) => (gallery), None => { span.silent { "never fired" } } }
                span.name {
                    b { "Filter " (filter) }
                    @if let Some(part) = part { " " (badge(part)) span.of { " " (name) } }
                    span.gave title="mean contribution to the score" { (signed(contribution)) }
                }
            }
            @if figures.fired > 0 { (page(seen, filter)?) }
        }
    })
}

fn page(seen: &Observations, filter: usize) -> Result<Markup, ReportError> {
    let figures = &seen.filters[filter];
    let maps =
        seen.maps(filter).map(|maps| grid(&maps, &format!("Raw maps of filter {filter} in the same images")));
    let (maps, field) = (maps.transpose()?, seen.field_picture(filter, FIELD_SIDE));
    let field = field
        .map(|field| photo(&field, "field", &format!("Receptive field of filter {filter} around its peak")));
    let peaks = grid(&seen.peak_histogram(filter), &format!("How often filter {filter} peaks at each unit"))?;
    Ok(html! {
        div.page {
            @if let Some(maps) = maps { figure { (maps) figcaption { "Its maps in these images" } } }
            @if let Some(field) = field.transpose()? {
                figure { (field) figcaption { "Receptive field, as wide as the image" } }
            }
            figure { (peaks) figcaption { "Where it peaks" } }
            dl {
                (row("Fired in", &format!("{} of {} images", figures.fired, seen.images().len())))
                (row("Activation", &format!("{} at most, {} on average", number(figures.activation[0]), number(figures.activation[1]))))
                (row("Contribution", &format!("{} to the score, on average", signed(seen.contribution(filter)))))
                (row("Peak's spread", &number(figures.spread)))
                @if let Some(instability) = figures.instability { (row("Location instability", &number(instability))) }
                @if let Some((landmark, tracking)) = figures.tracking {
                    (row("Tracking", &format!("{} of {}", number(tracking), seen.landmarks[landmark])))
                }
                @if let Some(field) = seen.receptive_field(filter) {
                    (row("Field", &format!("{:.0} pixels, from {} images", field.side(), field.images())))
                }
            }
        }
    })
}

fn row(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// The contact sheet, to compare with the performer's own channels.
fn sheet(seen: &Observations) -> Result<Markup, ReportError> {
    let alt = "Strongest images of eight filters, the peak ringed: the explainer on the left, the performer on the right";
    Ok(html! {
        figure.sheet {
            h3 { "Beside the performer's own channels" }
            div.scroll tabindex="0" role="group" aria-label="Contact sheet" { (photo(&seen.contact_sheet(), "sheet", alt)?) }
            figcaption {
                "Eight of the explainer's filters on the left, eight of the performer's channels on the right, each "
                "with its strongest images and a ring around the peak. Evenly spaced from the one that follows a "
                "landmark best to the one that follows least: neither side shows its best only."
            }
        }
    })
}
