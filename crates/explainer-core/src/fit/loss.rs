//! Losses that make the interpretable track readable.

use std::path::Path;

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bool, Tensor};
use explainer_filter_loss::{FilterLoss, Memory};

use crate::CoreError;
use crate::file::bad;

/// A loss on the maps of the interpretable conv-layers, which bends their filters towards what can be
/// read: by default the [`FilterLoss`]; [`FitConfig::fit_with`](crate::FitConfig::fit_with) takes any.
///
/// How hard it pushes is not its business: its gradient is scaled by [`Push`](crate::Push).
pub trait InterpretabilityLoss {
    /// What it is and how it is set. A checkpoint is gone on with by a loss of the same description only.
    fn description(&self) -> String;

    /// The loss of each filter of interpretable conv-layer `layer` (from 0), and the gradient of their sum
    /// with respect to the maps.
    ///
    /// # Shapes
    /// - maps: `[batch, filters, n, n]`, after the ReLU, before the mask, without autodiff
    /// - members: `[batch, filters]`, whether the image is of the filter's category
    /// - output: `[filters]` and `[batch, filters, n, n]`, without autodiff
    fn value_and_gradient(
        &mut self,
        layer: usize,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<4>);

    /// Writes what it remembers from step to step into the folder of a checkpoint. Nothing, by default.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn save(&self, folder: &Path) -> Result<(), CoreError> {
        let _ = folder;
        Ok(())
    }

    /// Reads back what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// A file that cannot be read or does not fit.
    fn load(&mut self, folder: &Path) -> Result<(), CoreError> {
        let _ = folder;
        Ok(())
    }
}

/// The filter loss with a memory, if any, for each layer.
pub(crate) struct LayeredFilterLoss {
    loss: FilterLoss,
    memories: Option<Vec<Memory>>,
}

impl LayeredFilterLoss {
    /// `memory`: its momentum.
    pub(crate) fn new(loss: FilterLoss, layers: usize, filters: usize, memory: Option<f64>) -> Self {
        let memories = memory.map(|momentum| (0..layers).map(|_| loss.memory(filters, momentum)).collect());
        Self { loss, memories }
    }
}

impl InterpretabilityLoss for LayeredFilterLoss {
    fn description(&self) -> String {
        "filter loss".to_string()
    }

    fn value_and_gradient(
        &mut self,
        layer: usize,
        maps: Tensor<4>,
        members: Tensor<2, Bool>,
    ) -> (Tensor<1>, Tensor<4>) {
        match &mut self.memories {
            Some(memories) => self.loss.value_and_gradient_with(&mut memories[layer], maps, members),
            None => self.loss.value_and_gradient(maps, members),
        }
    }

    fn save(&self, folder: &Path) -> Result<(), CoreError> {
        self.memories.iter().flatten().enumerate().try_for_each(|(layer, memory)| {
            let path = folder.join(file_name(layer));
            memory.clone().into_record().save(&path).map_err(bad(&path))
        })
    }

    fn load(&mut self, folder: &Path) -> Result<(), CoreError> {
        self.memories.iter_mut().flatten().enumerate().try_for_each(|(layer, memory)| {
            let path = folder.join(file_name(layer));
            let record = ModuleRecord::load(&path).map_err(bad(&path))?;
            *memory = memory.clone().try_load_record(record).map_err(bad(&path))?;
            Ok(())
        })
    }
}

fn file_name(layer: usize) -> String {
    format!("memory-{}.bpk", layer + 1)
}
