//! The annotations of one category: boxes and landmarks.

use crate::mat::{MatField, MatFile};
use crate::{BoundingBox, DatasetError, Point};

/// Side of the crops in whose pixels the landmarks are stored.
pub(super) const ANNOTATED_SIZE: u32 = 224;

/// No picture is this large; a coordinate beyond is an error.
const MAX_COORDINATE: f64 = 1e6;

/// What is said of each sample.
pub(crate) type OfEach<T> = Vec<Result<T, DatasetError>>;

/// `samples(i).obj.bndbox` of `data.mat`.
pub(crate) fn boxes(file: &MatFile) -> Result<OfEach<BoundingBox>, DatasetError> {
    let samples = file.variable("samples")?;
    Ok((0..samples.len()).map(|i| bounding_box(&samples.element(i, "obj")?.field("bndbox")?)).collect())
}

/// In pixels from 1, both ends inside.
fn bounding_box(bndbox: &MatField<'_>) -> Result<BoundingBox, DatasetError> {
    let side = |name| pixel(&bndbox.field(name)?);
    let [xmin, ymin, xmax, ymax] = [side("xmin")?, side("ymin")?, side("xmax")?, side("ymax")?];
    if xmin > xmax || ymin > ymax {
        let found = format!("xmin {xmin}, xmax {xmax}, ymin {ymin}, ymax {ymax}");
        return Err(bndbox.unexpected("xmin ≤ xmax and ymin ≤ ymax", found));
    }
    let [left, top, right, bottom] = [xmin - 1, ymin - 1, xmax, ymax].map(|v| v as f32);
    Ok(BoundingBox { left, top, right, bottom })
}

fn pixel(field: &MatField<'_>) -> Result<i64, DatasetError> {
    let x = field.scalar()?;
    if x.fract() != 0.0 || x.abs() > MAX_COORDINATE {
        return Err(field.unexpected("a whole number of pixels", x.to_string()));
    }
    Ok(x as i64)
}

/// `truth(i).pHW_center`: per sample the landmark, 0-based, in a crop of 224 × 224, or `None`
/// if it is not annotated or there are several.
pub(crate) fn landmarks(file: &MatFile, samples: usize) -> Result<OfEach<Option<Point>>, DatasetError> {
    let truth = file.variable("truth")?;
    if truth.len() != samples {
        return Err(DatasetError::Count {
            path: file.path().to_owned(),
            what: "elements of truth, one for each of samples in data.mat".into(),
            expected: samples,
            found: truth.len(),
        });
    }
    Ok((0..samples).map(|i| landmark(&truth.element(i, "pHW_center")?)).collect())
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
