//! What figures were made with.

/// Counts the changes that move figures: raised with each entry under *Numerics* in the CHANGELOG.
///
/// Checkpoints carry it and are refused by another, and so do the finished cells of a plan, which are made again: what
/// one version began is not finished by another, and figures of two versions do not stand in one table as if they were
/// of one.
pub const NUMERICS_VERSION: u32 = 1;
