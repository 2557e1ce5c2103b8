//! Tensors as plain slices, where a backend allows it.

use burn::tensor::{DType, Device, Tensor, TensorData};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

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

/// `count` chunks of `length` numbers one behind the other: what `work` makes of each chunk of zeros, its number and
/// what `init` makes for some of them.
///
/// A chunk is filled with zeros in the cache of the core that works on it. Zeros for all of them at once would be
/// written to memory first, by one thread.
pub(crate) fn chunks<S>(
    count: usize,
    length: usize,
    init: impl Fn() -> S + Sync + Send,
    work: impl Fn(&mut S, usize, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let mut values = Vec::new();
    append_chunks(&mut values, count, length, init, work);
    values
}

/// [`chunks`] behind what `values` holds already.
pub(crate) fn append_chunks<S>(
    values: &mut Vec<f32>,
    count: usize,
    length: usize,
    init: impl Fn() -> S + Sync + Send,
    work: impl Fn(&mut S, usize, &mut [f32]) + Sync + Send,
) {
    let before = values.len();
    values.reserve_exact(count * length);
    let unwritten = &mut values.spare_capacity_mut()[..count * length];
    unwritten.par_chunks_exact_mut(length.max(1)).enumerate().for_each_init(init, |state, (index, chunk)| {
        for value in &mut *chunk {
            value.write(0.0);
        }
        // SAFETY: every element has just been written to.
        #[expect(unsafe_code, reason = "filling a vector in chunks")]
        let chunk = unsafe { chunk.assume_init_mut() };
        work(state, index, chunk);
    });
    // SAFETY: the chunks make up all of this length, and each has been filled.
    #[expect(unsafe_code, reason = "filling a vector in chunks")]
    unsafe {
        values.set_len(before + count * length);
    }
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
    fn chunks_lie_one_behind_the_other_and_begin_as_zeros() {
        let work = |two: &mut f32, index: usize, chunk: &mut [f32]| chunk[1] = *two * index as f32;
        assert_eq!(chunks(3, 2, || 2.0, work), [0.0, 0.0, 0.0, 2.0, 0.0, 4.0]);
        let mut behind = vec![7.0];
        append_chunks(&mut behind, 2, 2, || 2.0, work);
        assert_eq!(behind, [7.0, 0.0, 0.0, 0.0, 2.0]);
        assert!(chunks(0, 2, || 2.0, work).is_empty() && chunks(3, 0, || (), |(), _, _| {}).is_empty());
    }

    #[test]
    fn only_plain_tensors_of_the_cpu_are_in_memory() {
        let ones = |device: &Device| Tensor::<2>::ones([2, 3], device);
        assert!(in_memory(&ones(&Device::flex())));
        assert!(!in_memory(&ones(&Device::flex().autodiff())));
        assert!(!in_memory(&ones(&Device::flex()).cast(burn::tensor::FloatDType::F16)));
    }
}
