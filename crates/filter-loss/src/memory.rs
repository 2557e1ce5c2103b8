//! What the filter loss remembers of earlier batches.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Running Z_T and divergences of every filter and template, for a population larger than one batch.
///
/// ```text
/// Z_T ← (1 − m) Z_T + m Z_T(batch)        KL_T ← (1 − m) KL_T + m KL_T(batch)
/// ```
///
/// with Z_T as a mean over maps, in logarithms, and KL_T = KL(p(·|T) ‖ p). In the first 1/m batches m is
/// 1/t for the t-th of them, so that the memory is their plain mean. A batch in which a filter has no
/// image of its population leaves that filter's memory alone.
///
/// A batch of 32 maps tells little of Z_T: one strong map has much of it. Against a running Z_T a map is
/// compared with those of many batches.
///
/// It is a module without parameters to optimise: save and load it like any other.
#[derive(Module, Debug)]
pub struct Memory {
    /// log of the mean over maps of exp(s_T): `[filters, templates]`.
    log_partition: Param<Tensor<2>>,
    /// KL(p(·|T) ‖ p): `[filters, templates]`.
    divergence: Param<Tensor<2>>,
    /// Batches taken in: `[filters, 1]`.
    batches: Param<Tensor<2>>,
    #[module(skip)]
    momentum: f64,
}

impl Memory {
    /// # Panics
    /// If the momentum is not within 0..1.
    pub(crate) fn new(filters: usize, templates: usize, momentum: f64, device: &Device) -> Self {
        assert!(
            momentum > 0.0 && momentum < 1.0,
            "the momentum of a memory is {momentum}, but must lie between 0 and 1"
        );
        let zeros = |columns| {
            Param::from_tensor(Tensor::zeros([filters, columns], device).inner()).set_require_grad(false)
        };
        Self { log_partition: zeros(templates), divergence: zeros(templates), batches: zeros(1), momentum }
    }

    /// m, the weight of a batch once there were 1/m of them.
    pub fn momentum(&self) -> f64 {
        self.momentum
    }

    /// # Panics
    /// If it is of other filters.
    pub(crate) fn check(&self, filters: usize) {
        let own = self.batches.dims()[0];
        assert_eq!(own, filters, "FilterLoss: a memory of {own} filters does not serve maps of {filters}");
    }

    /// Weight of the present batch, `[filters, 1]`; 0 where `any` says that it has no image.
    fn weight(&self, any: Tensor<2>) -> Tensor<2> {
        self.batches.val().add_scalar(1.0).recip().clamp_min(self.momentum) * any
    }

    /// Takes in log Z_T of a batch `[1, filters, templates]`, and gives that of the population.
    pub(crate) fn take_in_partition(&mut self, batch: Tensor<3>, any: Tensor<3>) -> Tensor<3> {
        let [_, filters, templates] = batch.dims();
        let batch = batch.reshape([filters, templates]);
        let any = any.expand([1, filters, 1]).reshape([filters, 1]);
        let weight = self.weight(any);
        let first = weight.clone().equal_scalar(1.0).expand([filters, templates]);
        let known = self.log_partition.val().mask_where(first, batch.clone());
        let largest = known.clone().max_pair(batch.clone());
        let sum = (known - largest.clone()).exp() * weight.clone().neg().add_scalar(1.0)
            + (batch - largest.clone()).exp() * weight;
        let partition = sum.log() + largest;
        self.log_partition = with(&self.log_partition, partition.clone());
        partition.reshape([1, filters, templates])
    }

    /// Takes in the divergences of a batch `[1, filters, templates]`, after its Z_T, and gives those of the
    /// population.
    pub(crate) fn take_in_divergence(&mut self, batch: Tensor<3>, any: Tensor<3>) -> Tensor<3> {
        let [_, filters, templates] = batch.dims();
        let any = any.expand([1, filters, 1]).reshape([filters, 1]);
        let weight = self.weight(any.clone());
        let known = self.divergence.val();
        let divergence = known.clone() + (batch.reshape([filters, templates]) - known) * weight;
        self.divergence = with(&self.divergence, divergence.clone());
        self.batches = with(&self.batches, self.batches.val() + any);
        divergence.reshape([1, filters, templates])
    }
}

/// The same parameter with other values, not to be optimised.
fn with(parameter: &Param<Tensor<2>>, values: Tensor<2>) -> Param<Tensor<2>> {
    Param::initialized(parameter.id, values).set_require_grad(false)
}
