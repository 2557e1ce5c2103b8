//! The filter loss against plain loops in `f64`, written from the definitions. `BURN_DEVICE` names the backend,
//! where others than flex were built.

mod maps;
mod oracle;
mod published;
mod variants;
