//! The course of the fit.

use explainer_core::EpochRecord;
use maud::{Markup, html};

use super::number;

/// Sizes of a chart and of its margins, in units of its view box.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;

/// One line of a chart.
struct Series {
    name: String,
    values: Vec<f64>,
}

/// A chart.
struct Chart {
    title: &'static str,
    note: &'static str,
    series: Vec<Series>,
    /// The least and the most that its figure can be.
    bounds: [f64; 2],
}

/// Of a share.
const SHARE: [f64; 2] = [0.0, 1.0];
const ANY: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

pub(crate) fn section(records: &[EpochRecord]) -> Markup {
    html! {
        section #training {
            h2 { "Training" }
            @if records.is_empty() {
                p.note { "The fit had no epochs: detectors of parts are solved for, not trained." }
            } @else {
                p { (records.len()) @if records.len() == 1 { " epoch of " } @else { " epochs of " } (records[0].steps) " steps. The decoder's closing refit comes after the last one and is not in these curves." }
                div.charts { @for chart in charts(records) { @if !chart.series.is_empty() { (draw(&chart)) } } }
                (table(records))
            }
        }
    }
}

fn charts(records: &[EpochRecord]) -> Vec<Chart> {
    let one = |name: &str, of: &dyn Fn(&EpochRecord) -> f64| {
        vec![Series { name: name.to_string(), values: records.iter().map(of).collect() }]
    };
    let validated = records.iter().all(|record| record.validation.is_some());
    let validation = |record: &EpochRecord| record.validation.clone();
    let agreement = |record: &EpochRecord| validation(record).map_or(f64::NAN, |v| v.agreement);
    // Landmarks are what it takes; where none is known there is no such curve.
    let instability =
        |record: &EpochRecord| validation(record).and_then(|v| v.instability).unwrap_or(f64::NAN);
    let mass_share = |record: &EpochRecord| validation(record).and_then(|v| v.mass_share).unwrap_or(f64::NAN);
    let stable = records.iter().all(|record| instability(record).is_finite());
    let last = format!("conv-interp-{}", records[0].filter_loss.len());
    vec![
        Chart {
            title: "Reconstruction",
            note: "λ‖x − x*‖² of each layer",
            series: layers(records, "fc-dec", |record| record.reconstruction.clone()),
            bounds: ANY,
        },
        Chart {
            title: "Held-out error",
            note: "relative squared error",
            series: layers(records, "fc-dec", |record| {
                validation(record).map(|v| v.relative_error).unwrap_or_default()
            }),
            bounds: ANY,
        },
        Chart {
            title: "Held-out agreement",
            note: "share of images with the same class",
            series: if validated { one("agreement", &agreement) } else { Vec::new() },
            bounds: SHARE,
        },
        Chart {
            title: "Held-out instability",
            note: "location instability, mean over filters",
            series: if stable { one(&last, &instability) } else { Vec::new() },
            bounds: ANY,
        },
        Chart {
            title: "Share p",
            note: "of the interpretable track",
            series: {
                let mut series = one("p", &|record| record.share);
                let weighed = records.iter().all(|record| mass_share(record).is_finite());
                if weighed {
                    series.extend(one("by mass, held out", &mass_share));
                }
                series
            },
            bounds: SHARE,
        },
        Chart {
            title: "Share loss",
            note: "−η log p",
            series: one("loss", &|record| record.share_loss),
            bounds: ANY,
        },
        Chart {
            title: "Filter loss",
            note: "−MI(X; T), mean over filters",
            series: layers(records, "conv-interp", |record| record.filter_loss.clone()),
            bounds: ANY,
        },
        Chart {
            title: "Push λ_f",
            note: "weight of the filter loss",
            series: layers(records, "conv-interp", |record| record.push.clone()),
            bounds: ANY,
        },
    ]
}

/// A series for each layer that every epoch has a value of.
fn layers(records: &[EpochRecord], name: &str, of: impl Fn(&EpochRecord) -> Vec<f64>) -> Vec<Series> {
    let values: Vec<Vec<f64>> = records.iter().map(of).collect();
    let count = values.iter().map(Vec::len).min().unwrap_or(0);
    let series = |layer: usize| Series {
        name: format!("{name}-{}", layer + 1),
        values: values.iter().map(|values| values[layer]).collect(),
    };
    (0..count).map(series).collect()
}

/// The range of a chart's axis: some room around the values, from 0 where that is near; nothing beyond `bounds`.
fn range(series: &[Series], bounds: [f64; 2]) -> [f64; 2] {
    let values = series.iter().flat_map(|series| series.values.iter().copied()).filter(|v| v.is_finite());
    let [low, high] =
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
    if low > high {
        return [0.0, 1.0];
    }
    let [least, most] = bounds;
    let room = if high > low { 0.08 * (high - low) } else { 0.1 * high.abs().max(1e-6) };
    let near_zero = low >= 0.0 && low < 0.5 * high;
    [if near_zero { 0.0 } else { (low - room).max(least) }, (high + room).min(most)]
}

fn draw(chart: &Chart) -> Markup {
    let [low, high] = range(&chart.series, chart.bounds);
    let epochs = chart.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let x = |at: usize| LEFT + (WIDTH - LEFT - RIGHT) * at as f64 / epochs.saturating_sub(1).max(1) as f64;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low);
    let points = |series: &Series| -> Vec<[f64; 2]> {
        let values = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
        values.map(|(at, &value)| [x(at), y(value)]).collect()
    };
    let path = |series: &Series| {
        points(series).iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    };
    let ticks = [low, (low + high) / 2.0, high];
    let text = |series: &Series| {
        let (first, last) = (series.values.first().copied(), series.values.last().copied());
        format!(
            "{} from {} to {}",
            series.name,
            number(first.unwrap_or(f64::NAN)),
            number(last.unwrap_or(f64::NAN))
        )
    };
    let label = chart.series.iter().map(text).collect::<Vec<_>>().join("; ");
    html! {
        figure.chart {
            figcaption { b { (chart.title) } " " span.of { (chart.note) } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (chart.title) ": " (label) } {
                @for tick in ticks {
                    @let at = format!("{:.1}", y(tick));
                    line.tick x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at) y2=(at) {}
                    text.axis x=(LEFT - 5.0) y=(format!("{:.1}", y(tick) + 3.5)) text-anchor="end" { (number(tick)) }
                }
                text.axis x=(LEFT) y=(HEIGHT - 6.0) { "1" }
                @if epochs > 1 { text.axis x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" { (epochs) } }
                text.axis x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { "epoch" }
                @for (at, series) in chart.series.iter().enumerate() {
                    polyline class={ "curve s" (at % 4) } points=(path(series)) {}
                    @for [x, y] in points(series) {
                        circle class={ "dot s" (at % 4) } cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.5" {}
                    }
                }
            }
            @if chart.series.len() > 1 {
                p.legend {
                    @for (at, series) in chart.series.iter().enumerate() {
                        span class={ "key s" (at % 4) } { (series.name) }
                    }
                }
            }
        }
    }
}

/// The same numbers for those who do not see curves.
fn table(records: &[EpochRecord]) -> Markup {
    let list = |values: &[f64]| values.iter().map(|&value| number(value)).collect::<Vec<_>>().join(", ");
    html! {
        details { summary { "The numbers" }
            div.scroll tabindex="0" role="group" aria-label="Epochs" {
                table.figures {
                    thead { tr {
                        @for name in ["Epoch", "Reconstruction", "Share loss", "Filter loss", "Push", "p", "p by mass", "Held-out error", "Agreement", "Instability", "Seconds"] {
                            th.num scope="col" { (name) }
                        }
                    } }
                    tbody {
                        @for record in records {
                            tr {
                                th.num scope="row" { (record.epoch) }
                                td.num { (list(&record.reconstruction)) }
                                td.num { (number(record.share_loss)) }
                                td.num { (list(&record.filter_loss)) }
                                td.num { (list(&record.push)) }
                                td.num { (number(record.share)) }
                                td.num { @if let Some(v) = record.validation.as_ref().and_then(|v| v.mass_share) { (number(v)) } }
                                td.num { @if let Some(v) = &record.validation { (list(&v.relative_error)) } }
                                td.num { @if let Some(v) = &record.validation { (number(v.agreement)) } }
                                td.num { @if let Some(v) = record.validation.as_ref().and_then(|v| v.instability) { (number(v)) } }
                                td.num { (format!("{:.1}", record.seconds)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use explainer_core::Validation;

    fn series(values: &[f64]) -> Vec<Series> {
        vec![Series { name: "a".to_string(), values: values.to_vec() }]
    }

    #[test]
    fn axes_have_room_and_start_at_zero_where_that_is_near() {
        assert_eq!(range(&series(&[0.1, 1.1]), ANY), [0.0, 1.1 + 0.08]);
        let [low, high] = range(&series(&[10.0, 11.0]), ANY);
        assert!((low - 9.92).abs() < 1e-9 && (high - 11.08).abs() < 1e-9);
        assert_eq!(range(&series(&[2.0, f64::NAN]), ANY), [1.8, 2.2]);
        assert_eq!(range(&series(&[f64::NAN]), ANY), [0.0, 1.0]);
    }

    #[test]
    fn an_axis_of_shares_ends_at_one() {
        assert_eq!(range(&series(&[0.4, 1.0]), SHARE), [0.0, 1.0]);
        assert_eq!(range(&series(&[1.0, 1.0]), SHARE), [0.9, 1.0]);
        let [low, high] = range(&series(&[0.0, 0.0]), SHARE);
        assert!(low == 0.0 && high > 0.0, "{high}");
        let [low, high] = range(&series(&[0.6, 0.7]), SHARE);
        assert!((low - 0.592).abs() < 1e-9 && (high - 0.708).abs() < 1e-9);
    }

    fn record(epoch: usize, instability: Option<f64>) -> EpochRecord {
        let validation =
            Validation { relative_error: vec![0.1], agreement: 0.9, mass_share: Some(0.6), instability };
        EpochRecord {
            epoch,
            steps: 4,
            reconstruction: vec![0.5],
            classification: None,
            share_loss: 0.1,
            filter_loss: vec![-0.1, -0.2],
            push: vec![0.3, 10.0],
            share: 0.6,
            validation: Some(validation),
            seconds: 1.0,
        }
    }

    #[test]
    fn instability_is_drawn_where_landmarks_tell_it() {
        let page = |course: [Option<f64>; 2]| {
            let records: Vec<_> = (1..).zip(course).map(|(epoch, figure)| record(epoch, figure)).collect();
            section(&records).into_string()
        };
        let drawn = page([Some(0.125), Some(0.0625)]);
        assert!(drawn.contains("Held-out instability: conv-interp-2 from 0.125 to 0.0625"), "{drawn}");
        assert!(drawn.contains("<td class=\"num\">0.0625</td>"), "{drawn}");
        assert!(!page([None, None]).contains("Held-out instability"));
    }

    #[test]
    fn a_curve_goes_through_its_points() {
        let chart = Chart { title: "t", note: "n", series: series(&[0.0, 1.0, f64::INFINITY]), bounds: ANY };
        let drawn = draw(&chart).into_string();
        // The axis ends at 1.08: 0 lies at its foot, 1 at 1 − 1/1.08 of its 136 units from the top.
        assert!(drawn.contains("points=\"48.0,146.0 179.0,20.1\""), "{drawn}");
        assert!(drawn.contains("a from 0 to –"), "{drawn}");
    }
}
