//! The objects of one file of annotations.

use super::mask::Mask;
use crate::mat::{MatField, MatFile};
use crate::{BoundingBox, DatasetError, Landmark, PartMask, Point};

/// What a file says of one picture.
pub(crate) struct Annotated {
    /// The picture's name, without its ending.
    pub picture: String,
    pub objects: Vec<Result<Object, DatasetError>>,
}

/// One object.
pub(crate) struct Object {
    /// Counted from 1, in the order of the file.
    pub number: usize,
    pub class: String,
    /// `None` if the class is not wanted.
    pub seen: Option<Seen>,
}

/// What its masks tell.
pub(crate) struct Seen {
    pub frame: BoundingBox,
    pub picture_size: [u32; 2],
    pub landmarks: Box<[Option<Point>]>,
    pub masks: Box<[Option<PartMask>]>,
}

/// The objects of a file; what their masks tell of those only whose class is `wanted`.
pub(crate) fn of(
    file: &MatFile,
    landmarks: &[Landmark],
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Annotated, DatasetError> {
    let anno = file.variable("anno")?;
    let picture = anno.field("imname")?.text()?.to_owned();
    let objects = anno.field("objects")?;
    let object = |i| {
        let class = objects.element(i, "class")?.text()?.to_owned();
        let seen = wanted(&class).then(|| seen(&objects, i, landmarks)).transpose()?;
        Ok(Object { number: i + 1, class, seen })
    };
    Ok(Annotated { picture, objects: (0..objects.len()).map(object).collect() })
}

fn seen(objects: &MatField<'_>, i: usize, landmarks: &[Landmark]) -> Result<Seen, DatasetError> {
    let field = objects.element(i, "mask")?;
    let mask = Mask::of(&field)?;
    let frame = mask.bounding_box().ok_or_else(|| field.unexpected("a mask of an object", "an empty one"))?;
    let [width, height] = mask.size();
    let picture_size = [width, height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let parts = objects.element(i, "parts")?;
    let mut united: Vec<Option<Mask<'_>>> = landmarks.iter().map(|_| None).collect();
    for k in 0..parts.len() {
        let name = parts.element(k, "part_name")?.text()?;
        let Some(which) = landmarks.iter().position(|l| l.parts.iter().any(|part| part == name)) else {
            continue;
        };
        let field = parts.element(k, "mask")?;
        let part = Mask::of(&field)?;
        if part.size() != mask.size() {
            let size = |[width, height]: [usize; 2]| format!("a mask of {width} × {height} pixels");
            return Err(field.unexpected(size(mask.size()), size(part.size())));
        }
        match &mut united[which] {
            Some(mask) => mask.unite(&part),
            none => *none = Some(part),
        }
    }
    let landmarks = united.iter().map(|mask| mask.as_ref().and_then(Mask::center)).collect();
    let masks = united.iter().map(|mask| mask.as_ref().and_then(Mask::part)).collect();
    Ok(Seen { frame, picture_size, landmarks, masks })
}
