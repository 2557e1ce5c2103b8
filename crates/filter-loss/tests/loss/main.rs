//! The filter loss against plain loops in `f64`, written from the definitions.

mod maps;
mod oracle;
mod published;
mod variants;
