//! Many fits on the same features: a plan of variations and seeds, the finished cells of its table on
//! disk, and the table.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::Failure;
use super::program::files;
use super::settings::Setting;

/// A file of variations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Every variation is fitted with each of them.
    pub seeds: Vec<u64>,
    #[serde(rename = "variation")]
    pub variations: Vec<Variation>,
}

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variation {
    pub name: String,
    /// What differs from the defaults, as `--set` takes it.
    #[serde(default)]
    pub set: Vec<Setting>,
}

impl Plan {
    /// Reads a plan in TOML.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| at(&error))?;
        let plan: Self = toml::from_str(&text).map_err(|error| at(&error))?;
        if plan.seeds.is_empty() || plan.variations.is_empty() {
            return Err(at(&"expected a seed and a variation at least").into());
        }
        Ok(plan)
    }
}

/// What makes two cells the same fit.
const IDENTITY: &[&str] = &["dataset", "category", "performer", "images", "seed", "settings"];

/// The finished cells, a line of JSON each, in a file that is whole at any time. One process writes it.
pub struct Cells {
    path: PathBuf,
    cells: Vec<Value>,
}

impl Cells {
    /// Those of a file, or none where there is no file yet.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        files::check(&path)?;
        let text = match path.exists() {
            true => fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?,
            false => String::new(),
        };
        let cell = |(index, line)| {
            serde_json::from_str(line)
                .map_err(|error| format!("{}, line {}: {error}", path.display(), index + 1))
        };
        let cells = text.lines().enumerate().map(cell).collect::<Result<_, _>>()?;
        Ok(Self { path, cells })
    }

    /// The finished cell of the same fit as one that has at least the keys that tell fits apart.
    pub fn find(&self, cell: &Value) -> Option<&Value> {
        self.cells.iter().find(|finished| IDENTITY.iter().all(|&key| finished[key] == cell[key]))
    }

    /// Adds one, on disk before this returns.
    pub fn push(&mut self, cell: Value) -> Result<(), Failure> {
        self.cells.push(cell);
        files::write(&self.path, |file| {
            for cell in &self.cells {
                serde_json::to_writer(&mut *file, cell)?;
                std::io::Write::write_all(file, b"\n")?;
            }
            Ok(())
        })
    }
}

/// A column: its heading, the digits of its values, and how to read one from a cell.
type Column = (&'static str, usize, fn(&Value) -> f64);

fn number(cell: &Value, pointer: &str) -> f64 {
    cell.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// conv-interp-2's figure over the top conv's.
fn factor(cell: &Value, of: &str, tail: &str) -> f64 {
    number(cell, &format!("{of}/conv_interp_2{tail}")) / number(cell, &format!("{of}/top_conv{tail}"))
}

const COLUMNS: &[Column] = &[
    ("instability ×", 2, |cell| factor(cell, "/location_instability", "")),
    ("tracking ×", 2, |cell| factor(cell, "/tracking", "/mean")),
    ("live", 2, |cell| number(cell, "/live_filters") / number(cell, "/filters")),
    ("spread ×", 2, |cell| factor(cell, "/peak_spread", "")),
    ("diversity ×", 2, |cell| factor(cell, "/diversity", "")),
    ("p", 2, |cell| number(cell, "/share")),
    ("rel fc-dec-1", 4, |cell| number(cell, "/reconstruction/fc_dec_1")),
    ("agreement", 3, |cell| number(cell, "/agreement")),
    ("fit s", 0, |cell| number(cell, "/seconds/fit")),
];

/// Rows of Markdown: the mean over seeds of every figure, and the lowest and highest in brackets.
pub fn table<'a>(rows: impl IntoIterator<Item = (&'a str, Vec<&'a Value>)>) -> String {
    let headings: Vec<&str> = COLUMNS.iter().map(|&(heading, ..)| heading).collect();
    let mut lines =
        vec![format!("| | {} |", headings.join(" | ")), format!("|---|{}", "---|".repeat(COLUMNS.len()))];
    for (name, cells) in rows {
        let shown = |&(_, digits, of): &Column| {
            let values: Vec<f64> = cells.iter().map(|cell| of(cell)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            match values.len() {
                1 => format!("{mean:.digits$}"),
                _ => format!("{mean:.digits$} ({least:.digits$}–{most:.digits$})"),
            }
        };
        let cells: Vec<String> = COLUMNS.iter().map(shown).collect();
        lines.push(format!("| {name} | {} |", cells.join(" | ")));
    }
    lines.join("\n")
}
