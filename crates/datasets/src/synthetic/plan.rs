//! What of a scene is drawn, and how: the changes to it, one after the other.

use super::species::{PARTS, SPECIES, shapes};
use crate::{Change, DatasetError};

/// How a part is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drawn {
    pub shape: usize,
    /// In pixels, to the right and down.
    pub moved: [f32; 2],
    pub shown: bool,
}

/// How a scene is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// The parts of a bird; `None` where there is none.
    pub parts: Option<[Drawn; PARTS]>,
    /// Whether each object is drawn.
    pub objects: Vec<bool>,
    /// Whether the ground is more than one colour.
    pub ground: bool,
}

impl Plan {
    /// A scene as it is.
    pub fn new(species: Option<usize>, objects: usize) -> Plan {
        let parts = species.map(|s| shapes(s).map(|shape| Drawn { shape, moved: [0.0; 2], shown: true }));
        Plan { parts, objects: vec![true; objects], ground: true }
    }

    /// With one more change to a scene of a species; the last one to a part counts.
    pub fn change(&mut self, species: Option<usize>, change: Change) -> Result<(), DatasetError> {
        match change {
            Change::Without { part } => {
                let drawn = self.part(species, part)?;
                drawn.shown = false;
            }
            Change::Moved { part, by } => {
                if !by.iter().all(|v| v.is_finite()) {
                    return Err(refused("a finite number of pixels", format!("{by:?}")));
                }
                self.part(species, part)?.moved = by;
            }
            Change::Exchanged { part, category } => {
                if category >= SPECIES.len() {
                    return Err(refused(format!("a category below {}", SPECIES.len()), category.to_string()));
                }
                let drawn = self.part(species, part)?;
                drawn.shape = shapes(category)[part];
            }
            Change::WithoutObject { object } => {
                let objects = self.objects.len();
                let Some(shown) = self.objects.get_mut(object) else {
                    return Err(refused(format!("one of {objects} objects"), object.to_string()));
                };
                *shown = false;
            }
            Change::WithoutBackground => {
                self.objects.fill(false);
                self.ground = false;
            }
        }
        Ok(())
    }

    /// A part, as it was before any change.
    fn part(&mut self, species: Option<usize>, part: usize) -> Result<&mut Drawn, DatasetError> {
        let (Some(parts), Some(species)) = (&mut self.parts, species) else {
            return Err(refused("a sample with a bird", "a negative"));
        };
        let Some(drawn) = parts.get_mut(part) else {
            return Err(refused(format!("one of {PARTS} parts"), part.to_string()));
        };
        *drawn = Drawn { shape: shapes(species)[part], moved: [0.0; 2], shown: true };
        Ok(drawn)
    }
}

fn refused(expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
    DatasetError::config("a change to a synthetic image", expected, found)
}
