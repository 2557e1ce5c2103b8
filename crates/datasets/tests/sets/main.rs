//! MAT files, and the readers of sets of photos on small sets made up for the purpose.
#![allow(clippy::unwrap_used)]

mod animal_part;
mod cub;
mod folder;
mod mat;
mod mat_files;
mod pascal_part;
