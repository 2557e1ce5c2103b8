//! Flags of every example that fits an explainer.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use explainer_core::FitConfig;

use super::Failure;

/// Which form of the method is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// This library's: scale-free filter loss in proportion to the reconstruction.
    Default,
    /// The paper's: maps as they are, λ_f falling as 1/epoch, its weights.
    Published,
    /// This library's without the filter loss: the masks alone, as a control.
    MaskOnly,
}

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
    fn open(self) -> Device {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            Self::Ndarray => Device::ndarray(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(Default::default()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
        }
    }
}

#[derive(Args, Debug)]
pub struct FitArgs {
    /// Seed of the explainer's first weights, of the order of images and of the controls.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Passes over the training images, their crops and the mirror images of both.
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Random crops of every training image that are used beside it.
    #[arg(long, default_value_t = 3)]
    pub crops: usize,
    /// Images of one fitting step.
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Form of the method.
    #[arg(long, value_enum, default_value_t = Form::Default)]
    pub form: Form,
    /// Backend and device; those built in are listed (build with --features wgpu, cuda or ndarray).
    #[arg(long, value_enum, default_value_t = DeviceName::value_variants()[0])]
    pub device: DeviceName,
    /// CPU threads; all cores if not given.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Writes all figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Keeps checkpoints, the record of fitting, the explainer and a contact sheet in this folder.
    /// The same command goes on from the last checkpoint there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl FitArgs {
    /// Sets the number of threads and opens the device.
    pub fn open_device(&self) -> Result<Device, Failure> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        Ok(self.device.open())
    }

    /// The settings the flags ask for.
    pub fn fit_config(&self, default_epochs: usize) -> FitConfig {
        let config = match self.form {
            Form::Default => FitConfig::new(),
            Form::Published => FitConfig::published(),
            Form::MaskOnly => FitConfig::new().with_push(Vec::new()),
        };
        let batch_size = self.batch_size.unwrap_or(config.batch_size);
        config
            .with_epochs(self.epochs.unwrap_or(default_epochs))
            .with_batch_size(batch_size)
            .with_seed(self.seed)
            .with_checkpoints(self.out.as_ref().map(|folder| folder.join("checkpoints")))
    }
}
