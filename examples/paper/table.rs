//! The tables of a plan, in Markdown.

use serde_json::Value;

use super::cells::find;
use super::group::{Group, Run};
use super::plan::{Experiment, Network};
use super::published::Published;
use crate::common::Failure;

/// 0.975 quantiles of Student's t for 1, 2, … degrees of freedom.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/// The 0.975 quantile of Student's t: from the table, and above it by the expansion in 1/n (Abramowitz and
/// Stegun, 26.7.5), which is good to a thousandth there.
fn student(freedom: usize) -> f64 {
    const Z: f64 = 1.959_964;
    let n = freedom as f64;
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    let third = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
    let expanded = Z + first / n + second / (n * n) + third / (n * n * n);
    freedom.checked_sub(1).and_then(|at| STUDENT.get(at).copied()).unwrap_or(expanded)
}

/// Mean and half of the 95 % interval of it; no interval for one value.
pub fn mean_and_half_interval(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let half = (values.len() > 1).then(|| {
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        student(values.len() - 1) * (square / count).sqrt()
    });
    (mean, half)
}

/// A column: its heading, the digits of its values, how to read one from a cell's figures, and from the paper.
struct Column {
    heading: &'static str,
    digits: usize,
    of: fn(&Value) -> f64,
    published: fn(&Published) -> Option<f64>,
}

impl Column {
    const fn new(heading: &'static str, digits: usize, of: fn(&Value) -> f64) -> Self {
        Self { heading, digits, of, published: |_| None }
    }

    const fn beside(self, published: fn(&Published) -> Option<f64>) -> Self {
        Self { published, ..self }
    }

    fn shown(&self, values: &[f64]) -> String {
        let digits = self.digits;
        let (mean, half) = mean_and_half_interval(values);
        match half {
            _ if !mean.is_finite() => "–".to_string(),
            Some(half) => format!("{mean:.digits$} ± {half:.digits$}"),
            None => format!("{mean:.digits$}"),
        }
    }
}

fn number(figures: &Value, pointer: &str) -> f64 {
    figures.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// conv-interp-2's figure over the top conv's.
fn factor(figures: &Value, of: &str, tail: &str) -> f64 {
    number(figures, &format!("{of}/conv_interp_2{tail}")) / number(figures, &format!("{of}/top_conv{tail}"))
}

/// The performer and the controls: nothing here is fitted.
const PERFORMERS: &[Column] = &[
    Column::new("images", 0, |cell| number(cell, "/images")),
    Column::new("instability: target", 4, |cell| number(cell, "/location_instability/target")),
    Column::new("top conv", 4, |cell| number(cell, "/location_instability/top_conv"))
        .beside(|paper| Some(paper.top_conv)),
    Column::new("random weights", 4, |cell| number(cell, "/location_instability/random_performer")),
    Column::new("always centre", 4, |cell| number(cell, "/location_instability/always_centre")),
    Column::new("dead", 4, |cell| number(cell, "/location_instability/dead_filter")),
    Column::new("random unit", 4, |cell| number(cell, "/location_instability/random_unit")),
    Column::new("tracking: target", 3, |cell| number(cell, "/tracking/target/mean")),
    Column::new("top conv", 3, |cell| number(cell, "/tracking/top_conv/mean")),
    Column::new("random weights", 3, |cell| number(cell, "/tracking/random_performer/mean")),
    Column::new("error %", 2, |cell| 100.0 * number(cell, "/error_among/performer"))
        .beside(|paper| Some(100.0 * paper.performer)),
];

/// What is fitted. × is over the performer's top conv.
const EXPLAINERS: &[Column] = &[
    Column::new("instability: conv-interp-1", 4, |cell| number(cell, "/location_instability/conv_interp_1")),
    Column::new("conv-interp-2", 4, |cell| number(cell, "/location_instability/conv_interp_2"))
        .beside(|paper| Some(paper.conv_interp_2)),
    Column::new("×", 2, |cell| factor(cell, "/location_instability", ""))
        .beside(|paper| Some(paper.conv_interp_2 / paper.top_conv)),
    Column::new("unfitted", 4, |cell| number(cell, "/location_instability/unfitted")),
    Column::new("places alone", 4, |cell| number(cell, "/location_instability/places")),
    Column::new("tracking", 3, |cell| number(cell, "/tracking/conv_interp_2/mean")),
    Column::new("×", 2, |cell| factor(cell, "/tracking", "/mean")),
    Column::new("unfitted", 3, |cell| number(cell, "/tracking/unfitted/mean")),
    Column::new("places alone", 3, |cell| number(cell, "/tracking/places/mean")),
    Column::new("permuted", 3, |cell| number(cell, "/tracking/null/mean")),
    Column::new("live", 2, |cell| number(cell, "/live_filters") / number(cell, "/filters")),
    Column::new("spread ×", 2, |cell| factor(cell, "/peak_spread", "")),
    Column::new("diversity ×", 2, |cell| factor(cell, "/diversity", "")),
    Column::new("p", 3, |cell| number(cell, "/share")).beside(|paper| Some(paper.share)),
    Column::new("by mass", 3, |cell| number(cell, "/mass_share")),
    Column::new("rel fc-dec-1", 4, |cell| number(cell, "/reconstruction/fc_dec_1")),
    Column::new("Δerror, points", 2, |cell| {
        100.0 * (number(cell, "/error_among/explainer") - number(cell, "/error_among/performer"))
    })
    .beside(|paper| Some(100.0 * (paper.explainer - paper.performer))),
    Column::new("agreement", 3, |cell| number(cell, "/agreement_among")),
    Column::new("fit s", 0, |cell| number(cell, "/seconds/fit")),
];

/// The finished fits of one row of a table.
struct Row<'a> {
    name: String,
    experiment: &'a Experiment,
    network: Network,
    /// Of each seed that is finished, the figures of each list of categories.
    finished: Vec<Vec<&'a Value>>,
    /// Fits that came to nothing, and what stopped the first of them.
    failed: Vec<&'a str>,
}

impl Row<'_> {
    /// The mean over the lists of categories, for each seed.
    fn values(&self, of: impl Fn(&Value) -> f64) -> Vec<f64> {
        let mean = |lists: &Vec<&Value>| lists.iter().map(|cell| of(cell)).sum::<f64>() / lists.len() as f64;
        self.finished.iter().map(mean).collect()
    }

    fn of_one_performer(&self, other: &Self) -> bool {
        std::ptr::eq(self.experiment, other.experiment) && self.network == other.network
    }

    /// The paper's figures of this network.
    fn published(&self) -> Option<(&'static str, Published)> {
        let table = self.experiment.beside?;
        table.of(self.network).map(|row| (table.name(), row))
    }
}

/// All tables of a plan.
pub fn of(run: &Run<'_>) -> Result<String, Failure> {
    let cells = run.cells.read()?;
    let rows = rows(run, &cells)?;
    let mut text = format!("{}\n", heading("seeds", EXPLAINERS));
    for rows in rows.chunk_by(|row, next| row.of_one_performer(next)) {
        text += &paper(&rows[0], run.variations().iter().any(|variation| variation.classifies()));
        rows.iter().for_each(|row| text += &explained(row));
    }
    text += &format!("\nPerformers and controls.\n\n{}\n", heading("", PERFORMERS));
    for rows in rows.chunk_by(|row, next| row.of_one_performer(next)) {
        let Some(row) = rows.iter().find(|row| !row.finished.is_empty()) else { continue };
        if let Some((table, paper)) = row.published() {
            let name = format!("*paper: {table}, {}*", row.network);
            text += &line(&[name, String::new()], PERFORMERS, |column| beside(column, &paper));
        }
        let name = format!("{}, {}", row.experiment.name, row.network);
        text += &line(&[name, String::new()], PERFORMERS, |column| column.shown(&row.values(column.of)));
    }
    text += &evidence(&rows);
    text += &predictions(&rows);
    let several = rows.iter().filter(|row| row.experiment.categories.iter().any(|list| list.len() > 1));
    let several: String = several.map(by_category).collect();
    if !several.is_empty() {
        text += "\nFilters of each category, and their location instability.\n\n\
                 | | category | images | top conv: filters | instability | conv-interp-2: filters | instability |\n\
                 |---|---|---|---|---|---|---|\n";
        text += &several;
    }
    Ok(text)
}

fn rows<'a>(run: &Run<'a>, cells: &'a [Value]) -> Result<Vec<Row<'a>>, Failure> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    let groups = run.groups();
    let single = |of: fn(&Group<'_>) -> String| groups.iter().all(|group| of(group) == of(&groups[0]));
    let one_experiment = single(|group| group.experiment.name.clone());
    let one_network = single(|group| group.network.to_string());
    let mut seen: Vec<(&str, Network)> = Vec::new();
    for group in &groups {
        let (experiment, network) = (group.experiment, group.network);
        if seen.contains(&(&experiment.name, network)) {
            continue;
        }
        seen.push((&experiment.name, network));
        let lists = groups
            .iter()
            .filter(|other| std::ptr::eq(other.experiment, experiment) && other.network == network);
        let lists = lists.map(|list| run.cells_known(list)).collect::<Result<Vec<_>, _>>()?;
        for variation in run.variations() {
            let mut row =
                Row { name: String::new(), experiment, network, finished: Vec::new(), failed: Vec::new() };
            let parts = [
                (!one_experiment).then(|| experiment.name.clone()),
                (!one_network).then(|| network.to_string()),
                Some(variation.name.clone()),
            ];
            row.name = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
            for &seed in run.plan.seeds(experiment) {
                let own = lists.iter().flatten();
                let own = own.filter(|cell| std::ptr::eq(cell.variation, variation) && cell.seed == seed);
                let found: Vec<Option<&Value>> = own.map(|cell| find(cells, &cell.identity)).collect();
                let failures = found.iter().flatten().filter_map(|cell| cell["failure"].as_str());
                row.failed.extend(failures);
                let figures: Option<Vec<&Value>> =
                    found.into_iter().map(|cell| cell.and_then(|cell| cell.get("figures"))).collect();
                row.finished.extend(figures);
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

fn heading(second: &str, columns: &[Column]) -> String {
    let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    format!("| | {second} | {} |\n|---|---|{}", headings.join(" | "), "---|".repeat(columns.len()))
}

fn line(labels: &[String; 2], columns: &[Column], shown: impl Fn(&Column) -> String) -> String {
    let cells: Vec<String> = columns.iter().map(shown).collect();
    format!("| {} | {} | {} |\n", labels[0], labels[1], cells.join(" | "))
}

fn beside(column: &Column, paper: &Published) -> String {
    let value = (column.published)(paper).filter(|value| value.is_finite());
    value.map_or(String::new(), |value| format!("*{value:.0$}*", column.digits))
}

/// Figures of the interventions that are shown of the explainer's last interpretable layer: key and heading.
const EVIDENCE: [(&str, &str); 9] = [
    ("erase_auc", "erase-AUC"),
    ("hit", "hit"),
    ("transplant_hit", "transplant hit"),
    ("stays", "stays"),
    ("gain", "gain"),
    ("residual_tracking", "residual tracking"),
    ("residual_null", "its null"),
    ("crosstalk", "crosstalk"),
    ("presence_auc", "presence AUC"),
];
/// Those that are shown of the controls, which are these.
const OF_CONTROLS: [(&str, &str); 3] =
    [("erase_auc", "erase-AUC"), ("transplant_hit", "transplant hit"), ("gain", "gain")];
const CONTROLS: [(&str, &str); 6] = [
    ("places", "places alone"),
    ("target", "target"),
    ("top_conv", "top conv"),
    ("kmeans", "k-means"),
    ("unfitted", "unfitted"),
    ("ceiling", "ceiling"),
];

/// What interventions found, a line for each landmark of each row.
fn evidence(rows: &[Row<'_>]) -> String {
    let mut lines = String::new();
    for row in rows {
        for landmark in landmarks(row) {
            let figure = |layer: &str, key: &str| {
                let name = landmark.replace('~', "~0").replace('/', "~1");
                let pointer = format!("/evidence/{layer}/{name}/{key}/0");
                Column::new("", 2, |_| f64::NAN).shown(&row.values(|cell| number(cell, &pointer)))
            };
            let own = EVIDENCE.iter().map(|(key, _)| figure("conv_interp_2", key));
            let controls = OF_CONTROLS.iter().map(|(key, _)| {
                let of = |(layer, _): &(&str, &str)| figure(layer, key);
                CONTROLS.iter().map(of).collect::<Vec<_>>().join(" / ")
            });
            let cells: Vec<String> = own.chain(controls).collect();
            lines += &format!("| {} | {landmark} | {} |\n", row.name, cells.join(" | "));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    let names: Vec<&str> = CONTROLS.iter().map(|(_, name)| *name).collect();
    let own = EVIDENCE.iter().map(|(_, heading)| heading.to_string());
    let of_controls = OF_CONTROLS.iter().map(|(_, heading)| format!("{heading}: {}", names.join(" / ")));
    let headings: Vec<String> = own.chain(of_controls).collect();
    format!(
        "\nWhat interventions found: the eighth of the filters that match a landmark best, conv-interp-2 unless stated \
         otherwise.\n\n| | landmark | {} |\n|---|---|{}\n{lines}",
        headings.join(" | "),
        "---|".repeat(headings.len()),
    )
}

/// Figures of images that were drawn without their parts: key in a layer and heading.
const PREDICTIONS: [(&str, &str); 7] = [
    ("selectivity", "selectivity"),
    ("deletion/single", "single deletion"),
    ("deletion/single_by_area", "that of areas"),
    ("deletion/deletion", "deletion"),
    ("deletion/preservation", "preservation"),
    ("deletion/background_independence", "background independence"),
    ("deletion/distractibility", "distractibility"),
];

/// What contributions are worth, a line for each row in which they were measured.
fn predictions(rows: &[Row<'_>]) -> String {
    let pointer = |key: &str| format!("/evidence/conv_interp_2/{key}/0");
    let shown = |row: &Row<'_>, key: &str| {
        Column::new("", 2, |_| f64::NAN).shown(&row.values(|cell| number(cell, &pointer(key))))
    };
    let measured = rows.iter().filter(|row| shown(row, "deletion/single") != "–");
    let line = |row: &Row<'_>| {
        let cells: Vec<String> = PREDICTIONS.iter().map(|(key, _)| shown(row, key)).collect();
        format!("| {} | {} |\n", row.name, cells.join(" | "))
    };
    let lines: String = measured.map(line).collect();
    if lines.is_empty() {
        return lines;
    }
    let headings: Vec<&str> = PREDICTIONS.iter().map(|(_, heading)| *heading).collect();
    format!(
        "\nWhat contributions are worth, of images drawn without each part: conv-interp-2.\n\n| | {} |\n|---|{}\n{lines}",
        headings.join(" | "),
        "---|".repeat(headings.len()),
    )
}

/// The landmarks of a row's fits, by name.
fn landmarks(row: &Row<'_>) -> Vec<String> {
    let figures = row.finished.iter().flatten().next();
    let found = figures.and_then(|cell| cell["evidence"]["conv_interp_2"].as_object());
    let names = found.into_iter().flat_map(|found| found.keys());
    names.filter(|name| !["selectivity", "deletion"].contains(&name.as_str())).cloned().collect()
}

/// A row of fits.
fn explained(row: &Row<'_>) -> String {
    let mut seeds = row.finished.len().to_string();
    if let Some(first) = row.failed.first() {
        seeds += &format!("; failed: {} ({first})", row.failed.len());
    }
    let labels = [row.name.clone(), seeds];
    match row.finished.is_empty() {
        true => line(&labels, EXPLAINERS, |_| String::new()),
        false => line(&labels, EXPLAINERS, |column| column.shown(&row.values(column.of))),
    }
}

/// The paper's rows, above those of the same network.
fn paper(row: &Row<'_>, classifies: bool) -> String {
    let Some((table, paper)) = row.published() else { return String::new() };
    let of = |name: &str, paper: &Published| {
        let name = format!("*paper: {table}, {}{name}*", row.network);
        line(&[name, String::new()], EXPLAINERS, |column| beside(column, paper))
    };
    let mut text = of("", &paper);
    if classifies {
        text += &of(", explainer+cls", &paper.classifying());
    }
    text
}

/// The categories of an experiment of several, each a line.
fn by_category(row: &Row<'_>) -> String {
    let mut text = String::new();
    for (list, names) in row.experiment.categories.iter().enumerate() {
        for (place, name) in names.iter().enumerate() {
            let of = |tail: &str, digits: usize| {
                let figures = row.finished.iter().filter_map(|lists| lists.get(list));
                let pointer = format!("/by_category/{place}{tail}");
                let values: Vec<f64> = figures.map(|cell| number(cell, &pointer)).collect();
                Column::new("", digits, |_| 0.0).shown(&values)
            };
            let cells = [
                of("/images", 0),
                of("/top_conv/filters", 0),
                of("/top_conv/location_instability", 4),
                of("/conv_interp_2/filters", 0),
                of("/conv_interp_2/location_instability", 4),
            ];
            text += &format!("| {} | {name} | {} |\n", row.name, cells.join(" | "));
        }
    }
    if row.finished.is_empty() { String::new() } else { text }
}
