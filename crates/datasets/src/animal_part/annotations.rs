//! The annotations of one category: boxes and landmarks.

use std::path::Path;

use crate::mat::{MatField, read_mat};
use crate::picture::SourceBox;
use crate::{DatasetError, Point};

/// Side of the crops in whose pixels the landmarks are stored.
pub(super) const ANNOTATED_SIZE: f64 = 224.0;

/// No picture is this large; a coordinate beyond is an error.
const MAX_COORDINATE: f64 = 1e6;

/// Reads `samples(i).obj.bndbox` of `data.mat`.
pub(super) fn read_boxes(path: &Path) -> Result<Vec<SourceBox>, DatasetError> {
    let file = read_mat(path)?;
    let samples = file.variable("samples")?;
    (0..samples.len())
        .map(|i| {
            let bndbox = samples.element(i, "obj")?.field("bndbox")?;
            let side = |name| pixel(&bndbox.field(name)?);
            let found = SourceBox {
                xmin: side("xmin")?,
                ymin: side("ymin")?,
                xmax: side("xmax")?,
                ymax: side("ymax")?,
            };
            match found {
                b if b.xmin <= b.xmax && b.ymin <= b.ymax => Ok(b),
                b => Err(bndbox.unexpected("xmin ≤ xmax and ymin ≤ ymax", format!("{b:?}"))),
            }
        })
        .collect()
}

fn pixel(field: &MatField<'_>) -> Result<i64, DatasetError> {
    let x = field.scalar()?;
    if x.fract() != 0.0 || x.abs() > MAX_COORDINATE {
        return Err(field.unexpected("a whole number of pixels", x.to_string()));
    }
    Ok(x as i64)
}

/// Reads `truth(i).pHW_center`: per sample the landmark, 0-based, in a crop of 224 × 224, or `None`
/// if it is not annotated or there are several.
pub(super) fn read_landmarks(path: &Path, samples: usize) -> Result<Vec<Option<Point>>, DatasetError> {
    let file = read_mat(path)?;
    let truth = file.variable("truth")?;
    if truth.len() != samples {
        return Err(DatasetError::Count {
            path: path.to_owned(),
            what: "elements of truth, one for each of samples in data.mat".into(),
            expected: samples,
            found: truth.len(),
        });
    }
    (0..samples).map(|i| landmark(&truth.element(i, "pHW_center")?)).collect()
}

/// `[]`, one `[y; x]` counted from 1, or several side by side.
fn landmark(center: &MatField<'_>) -> Result<Option<Point>, DatasetError> {
    if center.is_empty() {
        return Ok(None);
    }
    let (dims, data) = center.numbers()?;
    match (dims, &data[..]) {
        ([2, 1], &[y, x]) if x.abs().max(y.abs()) > MAX_COORDINATE => {
            Err(center.unexpected("a position in a crop", format!("[{y}; {x}]")))
        }
        ([2, 1], &[y, x]) => Ok(Some(Point { x: (x - 1.0) as f32, y: (y - 1.0) as f32 })),
        ([2, _], _) => Ok(None),
        _ => Err(center.unexpected("[] or 2×k numbers", center.value().describe())),
    }
}

/// A position in the annotated crop, in one of another size: the pixels' outer edges coincide.
pub(super) fn rescaled(point: Point, size: u32) -> Point {
    let scale = f64::from(size) / ANNOTATED_SIZE;
    let along = |v: f32| ((f64::from(v) + 0.5) * scale - 0.5) as f32;
    Point { x: along(point.x), y: along(point.y) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rescaling_keeps_the_edges() {
        let p = Point { x: -0.5, y: 223.5 };
        assert_eq!(rescaled(p, 112), Point { x: -0.5, y: 111.5 });
        assert_eq!(rescaled(Point { x: 17.0, y: 3.5 }, 224), Point { x: 17.0, y: 3.5 });
    }
}
