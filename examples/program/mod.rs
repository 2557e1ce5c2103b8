//! What makes every example a good program: errors that people can read, flags that refuse nonsense,
//! a choice of device, and files that appear whole or not at all.

mod device;
pub mod failure;
pub mod files;

pub use device::DeviceArgs;
pub use failure::{Failure, exit};

/// Parses a number of things of which there must be one at least.
pub fn at_least_one(number: &str) -> Result<usize, String> {
    let number = number.parse().ok().filter(|&number: &usize| number > 0);
    number.ok_or_else(|| "expected a whole number, 1 or more".to_string())
}
