//! What makes every example a good program: errors that people can read, flags that refuse nonsense,
//! a choice of device, files that appear whole or not at all, and an end without loss when it is interrupted or nobody
//! reads what it says.

mod device;
pub mod failure;
pub mod files;
pub mod say;
pub mod stopping;

pub use device::DeviceArgs;
pub use failure::{Failure, exit};
pub(crate) use say::say;

/// Parses a number of things of which there must be one at least.
pub fn at_least_one(number: &str) -> Result<usize, String> {
    let number = number.parse().ok().filter(|&number: &usize| number > 0);
    number.ok_or_else(|| "expected a whole number, 1 or more".to_string())
}
