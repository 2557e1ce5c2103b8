//! The readers of this crate on files that nobody vouches for. Each function either reads them or not, and never
//! panics; `fuzz/` and `tests/fuzz.rs` call them.

use std::path::Path;

use super::file;

/// A file of weights in PyTorch's formats or safetensors, with its metadata. Returns whether it was read.
pub fn weights(path: &Path) -> bool {
    file::read(path).is_ok()
}

/// A network of MatConvNet. Returns whether it was read.
#[cfg(feature = "matconvnet")]
pub fn matconvnet(path: &Path) -> bool {
    super::matconvnet::read::<crate::VggMLayers>(path).is_ok()
}
