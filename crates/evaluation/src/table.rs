//! The figures as a table for people.

use std::fmt::{self, Display, Formatter};

use explainer_metrics::{Estimate, Figure};

use crate::evidence::{Evidence, Figures, LayerEvidence};
use crate::verdict::{described, in_words};

/// Width of the names of layers.
const NAME: usize = 34;
/// Width of a figure.
const CELL: usize = 19;

/// A column: its heading, what is better, and its figure.
struct Column {
    heading: &'static str,
    better: &'static str,
    of: fn(&Figures) -> Option<&Figure>,
}

const COLUMNS: [Column; 9] = [
    Column { heading: "erase-AUC", better: "higher", of: |f| f.erase_auc.as_ref() },
    Column { heading: "hit", better: "higher", of: |f| f.hit.as_ref() },
    Column { heading: "transplant hit", better: "higher", of: |f| f.transplant_hit.as_ref() },
    Column { heading: "stays", better: "lower", of: |f| f.stays.as_ref() },
    Column { heading: "gain", better: "higher", of: |f| f.gain.as_ref() },
    Column { heading: "residual tracking", better: "higher", of: |f| f.residual_tracking.as_ref() },
    Column { heading: "its null", better: "0", of: |f| f.residual_null.as_ref() },
    Column { heading: "presence AUC", better: "higher", of: |f| f.presence_auc.as_ref() },
    Column { heading: "crosstalk", better: "0", of: |f| f.crosstalk.as_ref() },
];

/// A table of [`Evidence`]: for each landmark a row for each layer and control, each figure with its standard error
/// over photographs and, in parentheses, the mean over all detectors; and a verdict on `explained` in words. Figures
/// that no layer has are left out.
pub struct Table<'a> {
    evidence: &'a Evidence,
    explained: &'a str,
}

impl Evidence {
    /// The table, with a verdict on the layer of this name.
    pub fn table<'a>(&'a self, explained: &'a str) -> Table<'a> {
        Table { evidence: self, explained }
    }
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Evidence { landmarks, layers, images, photos, available, rendered, .. } = self.evidence;
        writeln!(
            f,
            "evidence on {images} of {available} images with landmarks ({photos} photographs{}): mean over the eighth of \
             the detectors that match best ± standard error (mean over all)",
            if *rendered { ", drawn again" } else { "" }
        )?;
        for (landmark, name) in landmarks.iter().enumerate() {
            let found = layers.iter().filter_map(|layer| layer.landmarks[landmark].as_ref());
            let shown = found.map(|found| found.images).max();
            let Some(shown) = shown else {
                writeln!(f, "\n{name}: not measured, no image shows it")?;
                continue;
            };
            let columns: Vec<&Column> =
                COLUMNS.iter().filter(|column| self.measured(landmark, column)).collect();
            writeln!(
                f,
                "\n{:<NAME$}{}",
                format!("{name}, {shown} images"),
                headings(&columns, |c| c.heading)
            )?;
            writeln!(f, "{:NAME$}{}", "", headings(&columns, |column| column.better))?;
            layers.iter().try_for_each(|layer| row(f, layer, landmark, &columns))?;
        }
        self.besides(f)?;
        write!(f, "\n{}", in_words(self.evidence, self.explained))
    }
}

impl Table<'_> {
    /// Whether any layer has the figure.
    fn measured(&self, landmark: usize, column: &Column) -> bool {
        let found = self.evidence.layers.iter().filter_map(|layer| layer.landmarks[landmark].as_ref());
        found.into_iter().any(|found| (column.of)(&found.best).is_some())
    }

    /// What is not of a single landmark.
    fn besides(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for layer in &self.evidence.layers {
            let deletion = layer.deletion.clone().unwrap_or_default();
            let figures = [
                ("selectivity", layer.selectivity),
                ("single deletion", deletion.single.map(|f| f.estimate)),
                ("that of the parts' areas", deletion.single_by_area.map(|f| f.estimate)),
                ("deletion", deletion.deletion.map(|f| f.estimate)),
                ("preservation", deletion.preservation.map(|f| f.estimate)),
                ("background independence", deletion.background_independence.map(|f| f.estimate)),
                ("distractibility", deletion.distractibility.map(|f| f.estimate)),
            ];
            let figures = figures.into_iter().filter_map(|(name, figure)| Some((name, figure?)));
            let figures: Vec<String> =
                figures.map(|(name, figure)| format!("{name} {}", plain(figure))).collect();
            if !figures.is_empty() {
                writeln!(f, "{}: {}", described(&layer.name), figures.join(", "))?;
            }
        }
        Ok(())
    }
}

fn headings(columns: &[&Column], of: impl Fn(&Column) -> &'static str) -> String {
    columns.iter().map(|column| format!("{:>CELL$}", of(column))).collect()
}

fn row(f: &mut Formatter<'_>, layer: &LayerEvidence, landmark: usize, columns: &[&Column]) -> fmt::Result {
    let Some(found) = &layer.landmarks[landmark] else { return Ok(()) };
    let name = format!("{}, {}", described(&layer.name), layer.detectors);
    write!(f, "{name:<NAME$}")?;
    for column in columns {
        let cell = match ((column.of)(&found.best), (column.of)(&found.all)) {
            (None, _) => "–".to_string(),
            (Some(best), None) => plain(best.estimate),
            (Some(best), Some(all)) => format!("{} ({:.2})", plain(best.estimate), all.value()),
        };
        write!(f, "{cell:>CELL$}")?;
    }
    writeln!(f)
}

fn plain(estimate: Estimate) -> String {
    format!("{:.2}±{:.2}", estimate.value, estimate.standard_error)
}
