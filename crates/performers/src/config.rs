//! A network of any sizes with random weights.

use std::marker::PhantomData;

use burn::tensor::Device;

use crate::ConvNet;
use crate::architecture::{Architecture, Sizes};

/// Configuration of a [`ConvNet`]; unless told otherwise its sizes are those of the published network.
#[derive(Clone, Debug)]
pub struct ConvNetConfig<A> {
    sizes: Sizes,
    seed: u64,
    architecture: PhantomData<A>,
}

impl<A: Architecture> ConvNetConfig<A> {
    /// The published network: fc6 and fc7 of 4096, 1000 classes.
    pub fn new() -> Self {
        let sizes = Sizes { widths: A::WIDTHS, hidden: [4096, 4096], classes: 1000, input: A::INPUT };
        Self { sizes, seed: 0, architecture: PhantomData }
    }

    /// Output channels of conv1 to conv5, or of the five stages.
    pub fn with_widths(mut self, widths: [usize; 5]) -> Self {
        self.sizes.widths = widths;
        self
    }

    /// Outputs of fc6 and fc7.
    pub fn with_hidden(mut self, hidden: [usize; 2]) -> Self {
        self.sizes.hidden = hidden;
        self
    }

    /// Outputs of the head.
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.sizes.classes = classes;
        self
    }

    /// Height and width of the images.
    pub fn with_input(mut self, input: usize) -> Self {
        self.sizes.input = input;
        self
    }

    /// Seed of the random weights.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A network with random weights (see [`ConvNet::init`]) and the published network's preprocessing.
    ///
    /// # Panics
    /// If the images are too small for the pools, or their side is not a multiple of
    /// [`Architecture::MULTIPLE`].
    pub fn init(&self, device: &Device) -> ConvNet<A> {
        let (input, multiple, name) = (self.sizes.input, A::MULTIPLE, A::NAME);
        assert!(
            input > 0 && input.is_multiple_of(multiple),
            "{name}: the side of the images must be a multiple of {multiple}, not {input}"
        );
        ConvNet::init(self.sizes, A::preprocessing(input), self.seed, device)
    }
}

impl<A: Architecture> Default for ConvNetConfig<A> {
    fn default() -> Self {
        Self::new()
    }
}
