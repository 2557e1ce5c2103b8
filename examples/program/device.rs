//! Where an example computes.

use burn::tensor::Device;
use clap::{Args, ValueEnum};

use super::{Failure, at_least_one};

#[cfg(not(any(feature = "flex", feature = "ndarray", feature = "wgpu", feature = "cuda")))]
compile_error!("the examples need a backend: enable one of the features flex, ndarray, wgpu, cuda");

/// Where tensors are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// The pure-Rust CPU backend.
    #[cfg(feature = "flex")]
    Flex,
    /// The older CPU backend (slow; for comparison).
    #[cfg(feature = "ndarray")]
    Ndarray,
    /// The first GPU through Vulkan, Metal, DirectX or WebGPU.
    #[cfg(feature = "wgpu")]
    Wgpu,
    /// The first NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl DeviceName {
    #[cfg_attr(feature = "ndarray", expect(deprecated, reason = "for comparison, while Burn has it"))]
    fn open(self) -> Result<Device, Failure> {
        Ok(match self {
            #[cfg(feature = "flex")]
            Self::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            Self::Ndarray => Device::ndarray(),
            // Opened at once: a driver that is missing is told here, and not at the first tensor, by a panic.
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu_options().init()?,
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
        })
    }
}

#[derive(Args, Debug)]
pub struct DeviceArgs {
    /// Backend and device; those built in are listed (build with --features wgpu, cuda or ndarray).
    #[arg(long, value_enum, default_value_t = DeviceName::value_variants()[0])]
    pub device: DeviceName,
    /// Threads of the CPU backend; all cores if not given.
    #[arg(long, value_parser = at_least_one)]
    pub threads: Option<usize>,
}

impl DeviceArgs {
    /// Sets the number of threads and opens the device.
    pub fn open(&self) -> Result<Device, Failure> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        self.device.open()
    }
}
