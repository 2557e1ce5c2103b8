//! MAT files of version 5, as small as they can be.

/// A file of one variable.
pub fn file(name: &str, value: Value) -> Vec<u8> {
    v5(&value.matrix(name))
}

/// A file with these elements.
pub fn v5(elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b' '; 124];
    bytes.extend([0x00, 0x01, b'I', b'M']);
    bytes.extend(elements);
    bytes
}

/// A value that is written.
#[derive(Clone)]
pub enum Value {
    Text(String),
    Number(f64),
    /// Rows, columns, and the bytes column by column.
    Bytes([usize; 2], Vec<u8>),
    /// Elements side by side; each has the same fields.
    Structs(Vec<Vec<(&'static str, Value)>>),
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A matrix of this width and height that is 1 where `covers` says so.
    pub fn mask([width, height]: [usize; 2], covers: impl Fn(usize, usize) -> bool) -> Self {
        let pixels = (0..width * height).map(|i| u8::from(covers(i / height, i % height)));
        Self::Bytes([height, width], pixels.collect())
    }

    fn matrix(&self, name: &str) -> Vec<u8> {
        let (class, dims, contents) = match self {
            Self::Text(text) => (4, [1, text.len()], element(16, text.as_bytes())),
            Self::Number(number) => (6, [1, 1], element(9, &number.to_le_bytes())),
            Self::Bytes(dims, bytes) => (9, *dims, element(2, bytes)),
            Self::Structs(elements) => (2, [1, elements.len()], structs(elements)),
        };
        let flags = [u32::to_le_bytes(class), [0; 4]].concat();
        let dims: Vec<u8> = dims.iter().flat_map(|&d| (d as i32).to_le_bytes()).collect();
        element(14, &[element(6, &flags), element(5, &dims), element(1, name.as_bytes()), contents].concat())
    }
}

fn structs(elements: &[Vec<(&'static str, Value)>]) -> Vec<u8> {
    let names = elements.first().map_or(&[][..], |fields| fields);
    let padded = |name: &str| {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(32, 0);
        bytes
    };
    let fields: Vec<u8> = names.iter().flat_map(|(name, _)| padded(name)).collect();
    let values = elements.iter().flatten().flat_map(|(_, value)| value.matrix(""));
    let mut bytes = [element(5, &32i32.to_le_bytes()), element(1, &fields)].concat();
    bytes.extend(values);
    bytes
}

/// An element, padded to eight bytes.
pub fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}
