//! The values that a MAT file holds.

/// A MATLAB value. Arrays are in MATLAB's order: the first dimension (rows) runs fastest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MatValue {
    /// Numbers of any class but `uint8` and `logical`; 64-bit integers beyond 2⁵³ are rounded.
    Double {
        /// Rows, columns, ...
        dims: Vec<usize>,
        /// The numbers, column by column.
        data: Vec<f64>,
    },
    /// Numbers of class `uint8`, or `logical`: masks, which are large.
    Bytes {
        /// Rows, columns, ...
        dims: Vec<usize>,
        /// The numbers, column by column.
        data: Vec<u8>,
    },
    /// Text; the rows of a character matrix are set apart by newlines.
    Char(String),
    /// A struct, or an array of structs.
    Struct(MatStruct),
    /// A cell array.
    Cell {
        /// Rows, columns, ...
        dims: Vec<usize>,
        /// The cells, column by column.
        values: Vec<MatValue>,
    },
    /// An array of any class but `char` without elements, such as `[]`.
    Empty {
        /// Rows, columns, ...; at least one is 0.
        dims: Vec<usize>,
    },
    /// A value of a class that is not read (sparse, complex, objects, functions).
    Unsupported {
        /// The class.
        class: String,
    },
}

impl MatValue {
    /// The value in a few words, for messages.
    pub fn describe(&self) -> String {
        let size = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        match self {
            Self::Double { dims, .. } => format!("{} numbers", size(dims)),
            Self::Bytes { dims, .. } => format!("{} bytes", size(dims)),
            Self::Char(text) => format!("text of {} characters", text.chars().count()),
            Self::Struct(s) => format!("{} struct with fields {:?}", size(s.dims()), s.fields()),
            Self::Cell { dims, .. } => format!("{} cell", size(dims)),
            Self::Empty { dims } => format!("{} empty", size(dims)),
            Self::Unsupported { class } => format!("a value of class {class}, which is not read"),
        }
    }
}

/// An array of structs that share their fields; a single struct is an array of 1×1.
#[derive(Clone, Debug, PartialEq)]
pub struct MatStruct {
    dims: Vec<usize>,
    fields: Vec<String>,
    /// Element by element, each with its fields in order.
    values: Vec<MatValue>,
}

impl MatStruct {
    /// `values` holds one value per element and field, the fields of one element side by side.
    pub(super) fn new(dims: Vec<usize>, fields: Vec<String>, values: Vec<MatValue>) -> Self {
        debug_assert_eq!(Some(values.len()), super::element_count(&dims).map(|n| n * fields.len()));
        Self { dims, fields, values }
    }

    /// Rows, columns, ...
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The names of the fields.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A field of the element at `index`, counted from 0, column by column.
    pub fn get(&self, index: usize, field: &str) -> Option<&MatValue> {
        let column = self.fields.iter().position(|f| f == field)?;
        if index >= self.len() {
            return None;
        }
        self.values.get(index * self.fields.len() + column)
    }
}

/// The most UTF-8 that becomes of a UTF-16 unit, or of a byte that is no UTF-8 itself.
pub(super) const UTF8_BYTES: usize = 3;

/// What a UTF-16 unit takes up while it becomes text, at most: itself, its UTF-8 and a newline.
pub(super) const TEXT_UNIT_BYTES: usize = size_of::<u16>() + UTF8_BYTES + 1;

/// Makes text of UTF-16 units that stand column by column, in so many rows.
pub(super) fn text(units: &[u16], rows: usize) -> String {
    let rows = rows.max(1);
    let mut text = String::with_capacity(units.len());
    for row in 0..rows.min(units.len()) {
        if row > 0 {
            text.push('\n');
        }
        let units = units.iter().skip(row).step_by(rows).copied();
        text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_across_the_columns() {
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        assert_eq!(text(&units("plain"), 1), "plain");
        assert_eq!(text(&units("adbecf"), 2), "abc\ndef");
        assert_eq!(text(&units("abc"), 3), "a\nb\nc");
        assert_eq!(text(&units("ab"), 5), "a\nb");
        assert_eq!((text(&[], 0), text(&[], 4)), (String::new(), String::new()));
        // A pair of surrogates in one row; in two rows each half is alone.
        assert_eq!(text(&units("🐦"), 1), "🐦");
        assert_eq!(text(&units("🐦"), 2), "\u{fffd}\n\u{fffd}");
    }

    #[test]
    fn text_takes_up_what_is_charged_for_it_at_most() {
        for (unit, rows) in [(0xffff, 1), (0xffff, 1000), (0xd800, 7)] {
            let units = [unit; 1000];
            let bytes = size_of_val(&units) + text(&units, rows).len();
            assert!(bytes <= TEXT_UNIT_BYTES * units.len(), "{bytes}");
        }
    }
}
