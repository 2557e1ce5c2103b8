//! Tensors as plain slices, where a backend allows it.

use burn::tensor::{DType, Device, Tensor, TensorData};
use pulp::{Arch, NullaryFnOnce};

/// Whether the numbers of a tensor lie in the CPU's memory and need no graph. There
/// [`into_data`](Tensor::into_data) copies nothing if nobody else holds the tensor, and neither does the
/// way back.
pub(crate) fn in_memory<const D: usize>(tensor: &Tensor<D>) -> bool {
    // A device tells its backend by its text only.
    tensor.dtype() == DType::F32 && !tensor.is_autodiff() && format!("{:?}", tensor.device()).contains("Flex")
}

/// The numbers of a tensor that is [`in_memory`].
pub(crate) fn values(data: &TensorData) -> &[f32] {
    data.as_slice().expect("tensors in memory are of f32")
}

/// [`values`], to be changed.
pub(crate) fn values_mut(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice().expect("tensors in memory are of f32")
}

/// A tensor of the numbers in row-major order.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Does `work` with the widest vectors of the processor, found at run time. What is called inside of it is to be
/// `#[inline(always)]`, so that it is compiled with it.
pub(crate) fn vectorized(work: impl FnOnce()) {
    struct Work<F>(F);

    impl<F: FnOnce()> NullaryFnOnce for Work<F> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            (self.0)();
        }
    }

    Arch::new().dispatch(Work(work));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_tensors_of_the_cpu_are_in_memory() {
        let ones = |device: &Device| Tensor::<2>::ones([2, 3], device);
        assert!(in_memory(&ones(&Device::flex())));
        assert!(!in_memory(&ones(&Device::flex().autodiff())));
        assert!(!in_memory(&ones(&Device::flex()).cast(burn::tensor::FloatDType::F16)));
    }
}
