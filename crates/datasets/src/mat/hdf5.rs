//! What reading version 7.3 asks of HDF5: sizes checked before they are believed, attributes, errors.

use std::collections::HashMap;
use std::path::Path;

use hdf5_pure::{AttrValue, DType, Dataset, Error};

use super::value::MatValue;
use super::{Budget, element_count};
use crate::DatasetError;

type Attributes = HashMap<String, AttrValue>;

pub(super) fn hdf5_error(path: &Path, at: &str, error: &Error) -> DatasetError {
    DatasetError::format(path, at, "sound HDF5", error.to_string())
}

/// What all steps of reading share.
pub(super) struct Reader<'a, 'b> {
    pub path: &'a Path,
    pub budget: &'a mut Budget<'b>,
}

impl Reader<'_, '_> {
    /// The dimensions as MATLAB has them.
    pub fn dims(&self, dataset: &Dataset, at: &str) -> Result<Vec<usize>, DatasetError> {
        let shape = dataset.shape().map_err(|e| self.hdf5(at, e))?;
        let dims: Option<Vec<usize>> = shape.iter().rev().map(|&d| usize::try_from(d).ok()).collect();
        dims.ok_or_else(|| self.error(at, "dimensions that can be counted", format!("{shape:?}")))
    }

    /// The number of elements, after taking `size` bytes for each off the budget.
    pub fn checked_count(&mut self, dataset: &Dataset, at: &str, size: usize) -> Result<usize, DatasetError> {
        let dims = self.dims(dataset, at)?;
        let count = element_count(&dims)
            .ok_or_else(|| self.error(at, "dimensions that can be counted", format!("{dims:?}")))?;
        self.budget.charge(at, count, size)?;
        Ok(count)
    }

    /// Makes sure that there are as many numbers as the dimensions say.
    pub fn check_length(&self, value: MatValue, at: &str) -> Result<MatValue, DatasetError> {
        let (dims, len) = match &value {
            MatValue::Double { dims, data } => (dims, data.len()),
            MatValue::Bytes { dims, data } => (dims, data.len()),
            _ => return Ok(value),
        };
        match element_count(dims) {
            Some(count) if count == len => Ok(value),
            _ => Err(self.error(at, format!("numbers of dimensions {dims:?}"), format!("{len} numbers"))),
        }
    }

    pub fn hdf5(&self, at: &str, error: Error) -> DatasetError {
        hdf5_error(self.path, at, &error)
    }

    pub fn error(&self, at: &str, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        DatasetError::format(self.path, at, expected, found)
    }
}

pub(super) fn class(attributes: &Attributes) -> Option<&str> {
    match attributes.get("MATLAB_class")? {
        AttrValue::AsciiString(class) | AttrValue::String(class) => Some(class),
        _ => None,
    }
}

/// Whether an attribute is there and is not 0.
pub(super) fn is_set(attributes: &Attributes, name: &str) -> bool {
    match attributes.get(name) {
        None => false,
        Some(
            AttrValue::U8(0) | AttrValue::I32(0) | AttrValue::U32(0) | AttrValue::I64(0) | AttrValue::U64(0),
        ) => false,
        Some(_) => true,
    }
}

pub(super) fn is_number(stored: &DType) -> bool {
    use DType::{F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(stored, F32 | F64 | I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
}
