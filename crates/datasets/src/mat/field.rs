//! Looking into a value, with errors that say where in the file one is.

use std::path::Path;

use super::MatValue;
use crate::DatasetError;

/// A value together with its file and its name in it, as in `truth(3).obj.bndbox`.
#[derive(Clone, Debug)]
pub struct MatField<'a> {
    path: &'a Path,
    name: String,
    value: &'a MatValue,
}

impl<'a> MatField<'a> {
    pub(super) fn new(path: &'a Path, name: String, value: &'a MatValue) -> Self {
        Self { path, name, value }
    }

    /// The value itself.
    pub fn value(&self) -> &'a MatValue {
        self.value
    }

    /// The error that this value is not what it should be.
    pub fn unexpected(&self, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        DatasetError::Value {
            path: self.path.to_owned(),
            field: self.name.clone(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// Whether the value is an array without elements, or text without characters.
    pub fn is_empty(&self) -> bool {
        match self.value {
            MatValue::Empty { .. } => true,
            MatValue::Char(text) => text.is_empty(),
            _ => false,
        }
    }

    /// The number of elements of a struct or a cell array; 1 for all else but the empty.
    pub fn len(&self) -> usize {
        match self.value {
            MatValue::Struct(s) => s.len(),
            MatValue::Cell { values, .. } => values.len(),
            MatValue::Empty { .. } => 0,
            _ => 1,
        }
    }

    /// A field of the struct at `index`, counted from 0.
    ///
    /// # Errors
    ///
    /// If this is no struct, has no such element or no such field.
    pub fn element(&self, index: usize, field: &str) -> Result<MatField<'a>, DatasetError> {
        let missing = || {
            let what = format!("a struct with an element {} and a field {field}", index + 1);
            self.unexpected(what, self.value.describe())
        };
        let MatValue::Struct(s) = self.value else {
            return Err(missing());
        };
        let value = s.get(index, field).ok_or_else(missing)?;
        let name = if s.len() == 1 {
            format!("{}.{field}", self.name)
        } else {
            format!("{}({}).{field}", self.name, index + 1)
        };
        Ok(MatField { path: self.path, name, value })
    }

    /// A field of a single struct.
    ///
    /// # Errors
    ///
    /// If this is no struct, several of them, or has no such field.
    pub fn field(&self, field: &str) -> Result<MatField<'a>, DatasetError> {
        if self.len() != 1 {
            return Err(self.unexpected("a single struct", self.value.describe()));
        }
        self.element(0, field)
    }

    /// The cell at `index`, counted from 0.
    ///
    /// # Errors
    ///
    /// If this is no cell array, or has no such cell.
    pub fn cell(&self, index: usize) -> Result<MatField<'a>, DatasetError> {
        match self.value {
            MatValue::Cell { values, .. } if index < values.len() => Ok(MatField {
                path: self.path,
                name: format!("{}{{{}}}", self.name, index + 1),
                value: &values[index],
            }),
            _ => Err(self.unexpected(format!("a cell {}", index + 1), self.value.describe())),
        }
    }

    /// The dimensions and the numbers, column by column.
    ///
    /// # Errors
    ///
    /// If this holds no numbers, or one of them is infinite or not a number.
    pub fn numbers(&self) -> Result<(&'a [usize], Vec<f64>), DatasetError> {
        let (dims, data): (_, Vec<f64>) = match self.value {
            MatValue::Double { dims, data } => (dims, data.clone()),
            MatValue::Bytes { dims, data } => (dims, data.iter().map(|&b| b.into()).collect()),
            other => return Err(self.unexpected("numbers", other.describe())),
        };
        match data.iter().find(|x| !x.is_finite()) {
            Some(x) => Err(self.unexpected("finite numbers", x.to_string())),
            None => Ok((dims, data)),
        }
    }

    /// A single number.
    ///
    /// # Errors
    ///
    /// If this is not exactly one finite number.
    pub fn scalar(&self) -> Result<f64, DatasetError> {
        match self.numbers()?.1[..] {
            [x] => Ok(x),
            _ => Err(self.unexpected("one number", self.value.describe())),
        }
    }

    /// Text.
    ///
    /// # Errors
    ///
    /// If this is no text.
    pub fn text(&self) -> Result<&'a str, DatasetError> {
        match self.value {
            MatValue::Char(text) => Ok(text),
            other => Err(self.unexpected("text", other.describe())),
        }
    }
}
