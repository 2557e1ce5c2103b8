//! MAT files of version 7.3: HDF5 with MATLAB's conventions on top.
//!
//! | MATLAB | HDF5 |
//! |---|---|
//! | numbers | a dataset, its dimensions reversed, so that the bytes are in MATLAB's order |
//! | text | a dataset of 16-bit units |
//! | `[]` | a dataset that holds the *dimensions*, with the attribute `MATLAB_empty` = 1 |
//! | cell array | a dataset of references to objects, class `cell` |
//! | one struct | a group with an object per field |
//! | an array of structs | a group with a dataset of references per field, which has no class |
//!
//! What is referred to lies in the group `#refs#`, which is no variable. The fields of a struct come
//! in the order of their names.

use std::path::Path;

use hdf5_pure::{DType, Dataset, File, Group, Object};

use super::hdf5::{Reader, class, hdf5_error, is_number, is_set};
use super::value::{MatStruct, MatValue, TEXT_UNIT_BYTES, text};
use super::{Budget, MAX_DEPTH, MAX_DIMENSIONS, element_count};
use crate::DatasetError;

/// Reads all variables.
pub(super) fn read(
    path: &Path,
    bytes: Vec<u8>,
    budget: &mut Budget<'_>,
) -> Result<Vec<(String, MatValue)>, DatasetError> {
    let file = File::from_bytes(bytes).map_err(|e| hdf5_error(path, "byte 512", &e))?;
    let (fields, values) = Reader { path, budget }.children(&file.root(), "/", 0)?;
    Ok(fields.into_iter().zip(values).collect())
}

impl Reader<'_, '_> {
    /// The objects in a group, those that MATLAB keeps for itself left out.
    fn children(
        &mut self,
        group: &Group,
        at: &str,
        depth: usize,
    ) -> Result<(Vec<String>, Vec<MatValue>), DatasetError> {
        let mut members: Vec<(String, Object)> = Vec::new();
        for (name, dataset) in group.iter_datasets().map_err(|e| self.hdf5(at, e))? {
            members.push((name, Object::Dataset(Box::new(dataset))));
        }
        for (name, group) in group.iter_groups().map_err(|e| self.hdf5(at, e))? {
            members.push((name, Object::Group(group)));
        }
        members.retain(|(name, _)| !name.starts_with('#'));
        members.sort_by(|a, b| a.0.cmp(&b.0));
        self.budget.charge(at, members.len(), size_of::<(String, MatValue)>())?;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (name, object) in members {
            values.push(self.object(&object, &join(at, &name), depth)?);
            names.push(name);
        }
        Ok((names, values))
    }

    fn object(&mut self, object: &Object, at: &str, depth: usize) -> Result<MatValue, DatasetError> {
        if depth > MAX_DEPTH {
            return Err(self.error(at, format!("at most {MAX_DEPTH} levels"), "one more"));
        }
        match object {
            Object::Group(group) => self.group(group, at, depth),
            Object::Dataset(dataset) => self.dataset(dataset, at, depth),
            _ => Err(self.error(at, "a group or a dataset", "another object")),
        }
    }

    fn group(&mut self, group: &Group, at: &str, depth: usize) -> Result<MatValue, DatasetError> {
        let attributes = group.attrs().map_err(|e| self.hdf5(at, e))?;
        match class(&attributes) {
            Some("struct") => {}
            Some(class) => {
                return Ok(MatValue::Unsupported { class: format!("{class} (a group)") });
            }
            None => return Err(self.error(at, "the attribute MATLAB_class", "none")),
        }
        if let Some(columns) = self.reference_columns(group, at)? {
            return self.struct_array(columns, at, depth);
        }
        let (fields, values) = self.children(group, at, depth + 1)?;
        Ok(MatValue::Struct(MatStruct::new(vec![1, 1], fields, values)))
    }

    /// The datasets of a group that stands for an array of structs.
    fn reference_columns(
        &self,
        group: &Group,
        at: &str,
    ) -> Result<Option<Vec<(String, Dataset)>>, DatasetError> {
        if !group.groups().map_err(|e| self.hdf5(at, e))?.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::new();
        for (name, dataset) in group.iter_datasets().map_err(|e| self.hdf5(at, e))? {
            let references = dataset.dtype().map_err(|e| self.hdf5(at, e))? == DType::ObjectReference;
            let attributes = dataset.attrs().map_err(|e| self.hdf5(at, e))?;
            if !references || class(&attributes).is_some() {
                return Ok(None);
            }
            columns.push((name, dataset));
        }
        columns.sort_by(|a, b| a.0.cmp(&b.0));
        Ok((!columns.is_empty()).then_some(columns))
    }

    fn struct_array(
        &mut self,
        columns: Vec<(String, Dataset)>,
        at: &str,
        depth: usize,
    ) -> Result<MatValue, DatasetError> {
        let dims = self.dims(&columns[0].1, at)?;
        let mut fields = Vec::new();
        let mut by_field = Vec::new();
        for (name, dataset) in columns {
            let at = join(at, &name);
            let found = self.dims(&dataset, &at)?;
            if found != dims {
                return Err(self.error(&at, format!("dimensions {dims:?}"), format!("{found:?}")));
            }
            by_field.push(self.referenced(&dataset, &at, depth)?.into_iter());
            fields.push(name);
        }
        let count = element_count(&dims).unwrap_or(0);
        let values =
            (0..count).flat_map(|_| by_field.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>());
        Ok(MatValue::Struct(MatStruct::new(dims, fields, values.collect())))
    }

    /// The values that a dataset of references refers to.
    fn referenced(
        &mut self,
        dataset: &Dataset,
        at: &str,
        depth: usize,
    ) -> Result<Vec<MatValue>, DatasetError> {
        let count = self.checked_count(dataset, at, size_of::<MatValue>() + size_of::<Object>())?;
        let objects = dataset.dereference().map_err(|e| self.hdf5(at, e))?;
        if objects.len() != count {
            return Err(self.error(at, format!("{count} references"), objects.len().to_string()));
        }
        let each = |(i, object)| self.object(object, &format!("{at}({})", i + 1), depth + 1);
        objects.iter().enumerate().map(each).collect()
    }

    fn dataset(&mut self, dataset: &Dataset, at: &str, depth: usize) -> Result<MatValue, DatasetError> {
        let attributes = dataset.attrs().map_err(|e| self.hdf5(at, e))?;
        let Some(class) = class(&attributes) else {
            return Err(self.error(at, "the attribute MATLAB_class", "none"));
        };
        if is_set(&attributes, "MATLAB_empty") {
            return self.empty(dataset, class, at);
        }
        let stored = dataset.dtype().map_err(|e| self.hdf5(at, e))?;
        let dims = self.dims(dataset, at)?;
        let value = match (class, stored) {
            ("cell", DType::ObjectReference) => {
                MatValue::Cell { dims, values: self.referenced(dataset, at, depth)? }
            }
            ("char", DType::U16) => {
                self.checked_count(dataset, at, TEXT_UNIT_BYTES)?;
                let units = dataset.read_u16().map_err(|e| self.hdf5(at, e))?;
                MatValue::Char(text(&units, dims.first().copied().unwrap_or(1)))
            }
            ("logical" | "uint8", DType::U8) => {
                self.checked_count(dataset, at, 1)?;
                MatValue::Bytes { dims, data: dataset.read_u8().map_err(|e| self.hdf5(at, e))? }
            }
            (
                "double" | "single" | "int8" | "int16" | "uint16" | "int32" | "uint32" | "int64" | "uint64",
                stored,
            ) if is_number(&stored) => {
                self.checked_count(dataset, at, size_of::<f64>())?;
                MatValue::Double { dims, data: dataset.read_f64().map_err(|e| self.hdf5(at, e))? }
            }
            (class, stored) => MatValue::Unsupported { class: format!("{class} stored as {stored}") },
        };
        self.check_length(value, at)
    }

    /// An array without elements: the dataset holds its dimensions.
    fn empty(&mut self, dataset: &Dataset, class: &str, at: &str) -> Result<MatValue, DatasetError> {
        let count = self.checked_count(dataset, at, size_of::<u64>())?;
        if count > MAX_DIMENSIONS {
            return Err(self.error(at, format!("at most {MAX_DIMENSIONS} dimensions"), count.to_string()));
        }
        let dims = dataset.read_u64().map_err(|e| self.hdf5(at, e))?;
        if !dims.contains(&0) {
            return Err(self.error(at, "dimensions with a 0", format!("{dims:?}")));
        }
        Ok(match class {
            "char" => MatValue::Char(String::new()),
            _ => MatValue::Empty {
                dims: dims.iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect(),
            },
        })
    }
}

fn join(at: &str, name: &str) -> String {
    if at == "/" { name.to_owned() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests {
    use hdf5_pure::{AttrValue, FileBuilder};

    use super::*;

    /// Reads an array without elements of which the file states these dimensions.
    fn read_empty(dims: &[u64]) -> Result<MatValue, String> {
        let mut builder = FileBuilder::new();
        let dataset = builder.create_dataset("x").with_u64_data(dims);
        dataset.set_attr("MATLAB_class", AttrValue::AsciiString("double".into()));
        dataset.set_attr("MATLAB_empty", AttrValue::U32(1));
        let path = Path::new("a.mat");
        match read(path, builder.finish().unwrap(), &mut Budget::new(path, 1 << 20)) {
            Ok(variables) => Ok(variables[0].1.clone()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn dimensions_are_few_and_the_message_short() {
        assert_eq!(read_empty(&[0, 3]), Ok(MatValue::Empty { dims: vec![0, 3] }));
        let error = read_empty(&[1; 20_000]).unwrap_err();
        assert_eq!(error, "a.mat: at x: expected at most 32 dimensions, found 20000");
        let error = read_empty(&[1, 2]).unwrap_err();
        assert!(error.contains("expected dimensions with a 0, found [1, 2]"), "{error}");
    }
}
