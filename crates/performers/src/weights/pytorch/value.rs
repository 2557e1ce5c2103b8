//! What a pickle builds, as far as weights need it. Nothing of it is executed.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use burn::tensor::DType;

/// A value by its place among all values of a pickle: values may hold each other, and themselves.
pub(super) type Id = u32;

/// Most values of a pickle.
const MAX_VALUES: usize = 8_000_000;
/// Most values that are copied or searched: a pickle of a few bytes can refer to large ones again and again.
const MAX_WORK: usize = 20_000_000;
/// Longest name of a class, a tensor or a storage.
pub(super) const MAX_NAME: usize = 4096;
/// The call that makes a tensor of a class of its own.
const OF_CLASS: &str = "torch._tensor._rebuild_from_type_v2";

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
    Tuple(Rc<[Id]>),
    /// A list, set or deque.
    List(Vec<Id>),
    /// A dictionary of any class, in the order in which it was filled.
    Dict(Vec<[Id; 2]>),
    Class(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<Tensor>),
    /// Anything else: the class that it is of, and what it was made of.
    Object(Rc<str>, Vec<Id>),
    /// A number, or bytes, that no tensor depends on.
    Other,
}

/// Where the numbers of tensors are.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub key: Rc<str>,
    /// `None` if it does not say.
    pub dtype: Option<DType>,
    /// Its class, such as `torch.FloatStorage`.
    pub class: Rc<str>,
    /// Its length, in elements, or in bytes where the type is not said.
    pub length: usize,
    /// Where, in a larger one, it starts.
    pub view: usize,
}

/// A tensor that is not yet read.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub storage: Rc<Storage>,
    pub dtype: Option<DType>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
    /// Why its values are not its bytes.
    pub meaning: Option<Rc<str>>,
}

/// All values of a pickle.
#[derive(Debug, Default)]
pub(super) struct Values {
    all: Vec<Value>,
    work: Cell<usize>,
}

impl Values {
    pub fn add(&mut self, value: Value) -> Result<Id, String> {
        if self.all.len() == MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        self.all.push(value);
        Ok(self.all.len() as Id - 1)
    }

    pub fn get(&self, id: Id) -> &Value {
        &self.all[id as usize]
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Value {
        &mut self.all[id as usize]
    }

    /// Counts values that are copied or searched.
    fn charge(&self, count: usize) -> Result<(), String> {
        self.work.set(self.work.get().saturating_add(count));
        match self.work.get() <= MAX_WORK {
            true => Ok(()),
            false => Err("values that refer to each other too often".to_string()),
        }
    }

    /// All storages.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.all.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(&**storage),
            _ => None,
        })
    }

    /// A text, or a number as one.
    pub fn key(&self, id: Id) -> Option<Rc<str>> {
        match self.get(id) {
            Value::Text(text) => Some(text.clone()),
            Value::Int(number) => Some(number.to_string().into()),
            Value::Bool(value) => Some(if *value { "True" } else { "False" }.into()),
            _ => None,
        }
    }

    /// The elements of a sequence.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) => Some(items),
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value beside a key.
    pub fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let Value::Dict(pairs) = self.get(dict) else { return None };
        pairs.iter().rev().find(|&&[name, _]| self.key(name).as_deref() == Some(key)).map(|&[_, value]| value)
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        self.sequence(id)?.iter().map(|&item| self.size(item)).collect()
    }

    /// Calls a class or function on arguments.
    pub fn call(&mut self, callable: Id, arguments: Id) -> Result<Id, String> {
        let Value::Class(class) = self.get(callable).clone() else {
            return self.add(Value::Object("a call".into(), vec![callable, arguments]));
        };
        let given = self.sequence(arguments).unwrap_or_default();
        self.charge(given.len())?;
        let given: Rc<[Id]> = given.into();
        let value = match (&*class, &*given) {
            ("collections.OrderedDict" | "builtins.dict" | "__builtin__.dict", given) => {
                Value::Dict(self.pairs(given.first().copied())?)
            }
            // Of what it fills gaps with nothing is kept.
            ("collections.defaultdict", given) => Value::Dict(self.pairs(given.get(1).copied())?),
            ("collections.Counter", given) => Value::Dict(self.pairs(given.first().copied())?),
            (
                "collections.deque"
                | "builtins.set"
                | "builtins.frozenset"
                | "builtins.list"
                | "builtins.tuple"
                | "__builtin__.set"
                | "__builtin__.frozenset"
                | "__builtin__.list",
                given,
            ) => {
                let items = given.first().and_then(|&items| self.sequence(items)).unwrap_or_default();
                self.charge(items.len())?;
                Value::List(items.to_vec())
            }
            ("torch._utils._rebuild_tensor", given @ [_, _, _, _, ..]) => self.tensor(given, None, None)?,
            ("torch._utils._rebuild_tensor_v2", given @ [_, _, _, _, _, _, ..]) => {
                self.tensor(given, None, given.get(6).copied())?
            }
            ("torch._utils._rebuild_tensor_v3", given @ [_, _, _, _, _, _, dtype, ..]) => {
                self.tensor(given, Some(*dtype), given.get(7).copied())?
            }
            // The data come first; what else there is has no weights unless it has tensors.
            (
                "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
                &[data, ref rest @ ..],
            ) if !self.holds_tensors(rest)? => return Ok(data),
            (OF_CLASS, &[function, _, arguments, ref rest @ ..])
                if !matches!(self.get(function), Value::Class(class) if &**class == OF_CLASS)
                    && !self.holds_tensors(rest)? =>
            {
                return self.call(function, arguments);
            }
            _ => Value::Object(class, vec![arguments]),
        };
        self.add(value)
    }

    /// Pairs of a dictionary, or of a sequence of pairs.
    fn pairs(&self, from: Option<Id>) -> Result<Vec<[Id; 2]>, String> {
        let Some(from) = from else { return Ok(Vec::new()) };
        if let Value::Dict(pairs) = self.get(from) {
            self.charge(pairs.len())?;
            return Ok(pairs.clone());
        }
        let pairs = self.sequence(from).ok_or("a dictionary made of no pairs")?;
        self.charge(pairs.len())?;
        let pair = |&id: &Id| match self.sequence(id) {
            Some(&[key, value]) => Ok([key, value]),
            _ => Err("a dictionary made of no pairs".to_string()),
        };
        pairs.iter().map(pair).collect()
    }

    /// A tensor of a storage, an offset, a shape and strides.
    fn tensor(&self, given: &[Id], dtype: Option<Id>, metadata: Option<Id>) -> Result<Value, String> {
        let Value::Storage(storage) = self.get(given[0]) else {
            return Err("a tensor without a storage".to_string());
        };
        let parts = (self.size(given[1]), self.sizes(given[2]), self.sizes(given[3]));
        let (Some(offset), Some(shape), Some(stride)) = parts else {
            return Err("a tensor whose offset, shape or strides are no numbers".to_string());
        };
        let mut meaning = metadata.and_then(|metadata| self.meaning(metadata));
        let dtype = match dtype.map(|dtype| self.get(dtype)) {
            None => storage.dtype,
            Some(Value::Class(class)) => {
                let dtype = class.strip_prefix("torch.").and_then(dtype_of);
                if dtype.is_none() {
                    meaning = Some(format!("of {class}").into());
                }
                dtype
            }
            Some(_) => None,
        };
        let storage = storage.clone();
        Ok(Value::Tensor(Rc::new(Tensor { storage, dtype, offset, shape, stride, meaning })))
    }

    /// What of a tensor's metadata says that its values are not its bytes: PyTorch keeps a sign or a conjugation
    /// that has not been carried out yet as `neg` and `conj`.
    fn meaning(&self, metadata: Id) -> Option<Rc<str>> {
        let Value::Dict(pairs) = self.get(metadata) else {
            return (!matches!(self.get(metadata), Value::None))
                .then(|| "with metadata of an unknown kind".into());
        };
        let set = |&&[_, value]: &&[Id; 2]| !matches!(self.get(value), Value::Bool(false) | Value::None);
        let [key, _] = *pairs.iter().find(set)?;
        Some(match self.key(key).as_deref() {
            Some("neg") => "negated lazily: save it after resolve_neg()".into(),
            Some("conj") => "conjugated lazily: save it after resolve_conj()".into(),
            other => format!("with metadata {}", other.unwrap_or("of an unknown kind")).into(),
        })
    }

    /// Whether there are storages or tensors in these values.
    pub fn holds_tensors(&self, ids: &[Id]) -> Result<bool, String> {
        let (mut seen, mut open) = (HashSet::new(), ids.to_vec());
        while let Some(id) = open.pop() {
            self.charge(1)?;
            if !seen.insert(id) {
                continue;
            }
            match self.get(id) {
                Value::Storage(_) | Value::Tensor(_) => return Ok(true),
                Value::Tuple(items) => open.extend_from_slice(items),
                Value::List(items) | Value::Object(_, items) => open.extend_from_slice(items),
                Value::Dict(pairs) => open.extend(pairs.iter().map(|&[_, value]| value)),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Gives an object its state. A module becomes its state dict; of a dictionary the attributes are not its entries.
    pub fn build(&mut self, id: Id, state: Id) -> Result<(), String> {
        if let Value::Object(class, parts) = self.get(id) {
            let tables = TABLES
                .map(|table| self.entry(state, table).filter(|&t| matches!(self.get(t), Value::Dict(_))));
            let value = match tables {
                [Some(parameters), Some(buffers), Some(modules)] => {
                    self.module(state, [parameters, buffers, modules])?
                }
                _ => {
                    self.charge(parts.len())?;
                    Value::Object(class.clone(), parts.iter().copied().chain([state]).collect())
                }
            };
            *self.get_mut(id) = value;
        }
        Ok(())
    }

    /// The state dict of a module: parameters, buffers but those that are not kept, and the modules in it.
    fn module(&self, state: Id, tables: [Id; 3]) -> Result<Value, String> {
        let left_out = self.entry(state, "_non_persistent_buffers_set");
        let left_out: HashSet<Rc<str>> = left_out
            .and_then(|set| self.sequence(set))
            .map(|names| names.iter().filter_map(|&name| self.key(name)).collect())
            .unwrap_or_default();
        let mut all = Vec::new();
        for (i, table) in tables.into_iter().enumerate() {
            let Value::Dict(pairs) = self.get(table) else { continue };
            self.charge(pairs.len())?;
            all.extend(pairs.iter().copied().filter(|&[name, value]| {
                let dropped = i == 1 && self.key(name).is_some_and(|name| left_out.contains(&name));
                !dropped && !matches!(self.get(value), Value::None)
            }));
        }
        Ok(Value::Dict(all))
    }

    /// What a persistent identifier of `torch.save` stands for: `('storage', class, key, location, length[, view])`.
    pub fn storage(&mut self, id: Id) -> Result<Id, String> {
        let wrong = || "a reference to something else than a storage".to_string();
        let parts: Rc<[Id]> = self.sequence(id).ok_or_else(wrong)?.into();
        let [tag, class, key, _, length, ref view @ ..] = *parts else { return Err(wrong()) };
        if self.key(tag).as_deref() != Some("storage") {
            return Err(wrong());
        }
        let Value::Class(class) = self.get(class).clone() else { return Err(wrong()) };
        let key = self.key(key).filter(|key| key.len() <= MAX_NAME);
        let (Some(key), Some(length)) = (key, self.size(length)) else { return Err(wrong()) };
        let view = match view.first().map(|&view| (self.get(view), self.sequence(view))) {
            None | Some((Value::None, _)) => 0,
            Some((_, Some(&[_, offset, _]))) => self.size(offset).ok_or_else(wrong)?,
            Some(_) => return Err(wrong()),
        };
        let dtype = class.strip_prefix("torch.").and_then(|name| match name {
            "FloatStorage" => Some(DType::F32),
            "DoubleStorage" => Some(DType::F64),
            "HalfStorage" => Some(DType::F16),
            "BFloat16Storage" => Some(DType::BF16),
            "LongStorage" => Some(DType::I64),
            "IntStorage" => Some(DType::I32),
            "ShortStorage" => Some(DType::I16),
            "CharStorage" => Some(DType::I8),
            "ByteStorage" | "BoolStorage" => Some(DType::U8),
            _ => None,
        });
        self.add(Value::Storage(Rc::new(Storage { key, dtype, class, length, view })))
    }
}

/// The tables that every `torch.nn.Module` has.
const TABLES: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// A type of PyTorch by its name.
fn dtype_of(name: &str) -> Option<DType> {
    Some(match name {
        "float32" | "float" => DType::F32,
        "float64" | "double" => DType::F64,
        "float16" | "half" => DType::F16,
        "bfloat16" => DType::BF16,
        "int64" | "long" => DType::I64,
        "int32" | "int" => DType::I32,
        "int16" | "short" => DType::I16,
        "int8" => DType::I8,
        "uint8" | "bool" => DType::U8,
        "uint16" => DType::U16,
        "uint32" => DType::U32,
        "uint64" => DType::U64,
        _ => return None,
    })
}
