//! The table of figures with its controls.

use maud::{Markup, html};

use crate::figures::Row;
use crate::observations::Observations;

pub(crate) fn section(seen: &Observations) -> Markup {
    let layers = seen.rows.iter().filter(|row| !row.control);
    let controls: Vec<&Row> = seen.rows.iter().filter(|row| row.control).collect();
    html! {
        section #figures {
            h2 { "Figures" }
            p {
                "On " (seen.images().len()) " images. Location instability is lower where a filter keeps its distance from "
                "the landmarks; tracking is higher where its peak follows one. Neither says anything without the "
                "other, nor without the controls."
            }
            div.scroll tabindex="0" role="group" aria-label="Table of figures" {
                table.figures {
                    thead { tr {
                        th scope="col" { "Layer" }
                        @for name in ["Instability", "Tracking", "Median", "90th pct.", "Spread", "Diversity", "Live"] {
                            th.num scope="col" { (name) }
                        }
                    } }
                    tbody { @for row in layers { (line(row)) } }
                    @if !controls.is_empty() {
                        tbody {
                            tr { th.head scope="rowgroup" colspan="8" { "Controls" } }
                            @for row in controls { (line(row)) }
                        }
                    }
                }
            }
        }
    }
}

fn line(row: &Row) -> Markup {
    let cell = |value: Option<f64>, digits: usize| {
        value.map(|value| format!("{value:.digits$}")).unwrap_or_default()
    };
    let tracking = row.tracking;
    let cells = [
        cell(row.instability, 4),
        cell(tracking.map(|t| t.mean), 3),
        cell(tracking.map(|t| t.median), 3),
        cell(tracking.map(|t| t.p90), 3),
        cell(row.spread, 3),
        cell(row.diversity, 1),
        row.live.map(|[live, of]| format!("{live}/{of}")).unwrap_or_default(),
    ];
    html! {
        tr {
            th scope="row" { (row.name) }
            @for cell in cells { td.num { (cell) } }
        }
    }
}
