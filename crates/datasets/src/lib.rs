//! Image sets for explainer networks: images cropped to one object, with categories, boxes and the
//! positions of landmarks.
//!
//! Fitting an explainer needs images only; the landmarks serve to measure what its filters follow.
//!
//! # Primary types
//!
//! - [`Dataset`]: what all sets can do; [`Sample`]: an image and all that is known of it.
//! - [`Cub`], [`PascalPart`], [`AnimalPart`]: readers of the sets that the method was published on, each in the
//!   layout in which it is published. [`ImageFolder`]: a reader of one's own pictures. What they
//!   return is a [`PhotoSet`].
//! - [`Negatives`]: where the pictures without an object come from, the same for all of them.
//! - [`SyntheticSpecies`]: birds of eight species, drawn by rule, that differ in the shapes of five parts, and scenes
//!   without one. [`write_cub`] writes them, or any set, in CUB's layout.
//! - [`Rendered`]: a set that draws its images, with and without each part.
//! - [`Prefetch`]: samples read on threads ahead of the network, in order and within bounded memory.
//! - [`Faults`]: whether damage stops or is left out and listed in a [`Report`].
//! - [`Interventions`]: a photo with a part erased or moved; [`PartMask`]: the pixels of a part.
//! - [`Crop`]: where pixels, points and boxes go when a picture is cropped and resized.
//! - [`read_mat`]: MATLAB files of versions 5 and 7.3, the form in which such annotations come.
//! - [`resize_bilinear`]: the antialiased resizing that the networks were trained with.
//! - [`DatasetError`]: what goes wrong, with the file, what was expected and what was found.
//!
//! # Coordinates
//!
//! A [`Point`] is in pixels of the sample's image, 0-based, with a pixel's centre at whole numbers. A
//! [`BoundingBox`] covers whole pixels, from `left` up to, but without, `right`.
//!
//! # Example
//!
//! ```no_run
//! use explainer_datasets::{AnimalPart, AnimalPartConfig, Dataset, Split, SplitRule};
//!
//! let config = AnimalPartConfig::new().with_split(SplitRule::ByPhoto);
//! let tigers = AnimalPart::open("animal-part", &["n02129604"], &config)?;
//!
//! for index in (0..tigers.len()).filter(|&i| tigers.split(i) == Split::Train) {
//!     let sample = tigers.sample(index)?;
//!     for (name, landmark) in tigers.landmark_names().iter().zip(&sample.landmarks) {
//!         if let Some(point) = landmark {
//!             println!("{}: {name} at {:.1}, {:.1}", sample.id, point.x, point.y);
//!         }
//!     }
//! }
//! # Ok::<(), explainer_datasets::DatasetError>(())
//! ```
//!
//! # Files are not trusted
//!
//! What a file states about its own size is checked before memory is set aside for it, pictures are
//! decoded within limits, and damage is reported as a [`DatasetError`]. Every parser is fuzzed: `fuzz/` has
//! the targets, `tests/fuzz.rs` runs them on mutations of sound files.

mod ahead;
mod animal_part;
mod crop;
mod cub;
mod error;
mod faults;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod intervention;
mod landmark;
mod lines;
pub mod mat;
mod part_mask;
mod pascal_part;
mod photos;
mod picture;
mod prefetch;
mod rendered;
mod resize;
mod sample;
mod synthetic;

pub use animal_part::{AnimalPart, AnimalPartConfig};
pub use crop::Crop;
pub use cub::{Cub, CubCategories, CubConfig, write_cub};
pub use error::DatasetError;
pub use faults::{Faults, Report};
pub use folder::{ImageFolder, ImageFolderConfig};
pub use intervention::{Intervened, InterventionError, InterventionScale, Interventions};
pub use landmark::Landmark;
pub use mat::{MatFile, MatStruct, MatValue, read_mat};
pub use part_mask::PartMask;
pub use pascal_part::{PascalPart, PascalPartConfig};
pub use photos::{Negatives, PhotoConfig, PhotoSet, SplitRule};
pub use picture::Orientation;
pub use prefetch::{Prefetch, Samples};
pub use rendered::{Change, Rendered};
pub use resize::resize_bilinear;
pub use sample::{BoundingBox, Dataset, Point, Sample, Split};
pub use synthetic::{SpeciesByShape, SyntheticSpecies, SyntheticSpeciesConfig};
