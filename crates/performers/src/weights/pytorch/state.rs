//! The state dict in a pickle's value: tensors by their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::store::burn_pack::{Bytes, Error, Tensor as Packed};

use super::super::file::{Fault, StateDict};
use super::source::{Source, View};
use super::value::{Id, MAX_NAME, Tensor, Value, Values};

/// Deepest nesting of a state dict's modules.
const MAX_DEPTH: usize = 100;
/// Most entries that are looked at: a value may stand in many places.
const MAX_ENTRIES: usize = 1_000_000;

/// Keys under which checkpoints keep the state dict, beside an optimiser's and other things.
const NESTS: [&str; 2] = ["state_dict", "model_state_dict"];

/// Tensors of a checkpoint by their names, those in one of the [nests](NESTS) if there is one.
pub(super) fn state(values: &Values, root: Id, source: &Arc<Source>) -> Result<StateDict, Fault> {
    let nests: Vec<(&str, Id)> =
        NESTS.iter().filter_map(|&nest| Some((nest, values.entry(root, nest)?))).collect();
    let root = match nests[..] {
        [] => root,
        [(_, nest)] => nest,
        _ => {
            let keys = NESTS.map(str::to_string);
            return Err(Fault::Ambiguous { name: "the state dict".to_string(), keys });
        }
    };
    if !matches!(values.get(root), Value::Dict(_)) {
        let found = match values.get(root) {
            Value::Object(class, _) => format!("an object of {class}"),
            Value::Tensor(_) => "a tensor".to_string(),
            _ => "another value".to_string(),
        };
        return Err(Fault::Reason(format!("expected a state dict (a dictionary of tensors), found {found}")));
    }
    let mut walk = Walk { values, source, path: Vec::new(), found: BTreeMap::new(), entries: 0 };
    walk.value(root)?;
    Ok(walk.found.into_values().map(|(_, tensor)| (tensor.name.clone(), tensor)).collect())
}

struct Walk<'a> {
    values: &'a Values,
    source: &'a Arc<Source>,
    /// Keys from the root on.
    path: Vec<String>,
    /// By name, with the keys, as a name with dots may come from several.
    found: BTreeMap<String, (Vec<String>, Packed)>,
    entries: usize,
}

impl Walk<'_> {
    fn value(&mut self, id: Id) -> Result<(), Fault> {
        self.entries += 1;
        let length: usize = self.path.iter().map(String::len).sum();
        if self.path.len() > MAX_DEPTH || self.entries > MAX_ENTRIES || length > MAX_NAME {
            let name: String = self.path.join(".").chars().take(200).collect();
            return Err(Fault::Reason(format!(
                "{name}: nested too deep, or more or longer names than any state dict has"
            )));
        }
        match self.values.get(id) {
            Value::Dict(pairs) => {
                for &[key, value] in pairs {
                    // Entries whose names are no text are no tensors of a network.
                    if let Some(key) = self.values.key(key) {
                        self.path.push(key.to_string());
                        self.value(value)?;
                        self.path.pop();
                    }
                }
            }
            Value::Tuple(_) | Value::List(_) => {
                for (i, &item) in self.values.sequence(id).unwrap_or_default().iter().enumerate() {
                    self.path.push(i.to_string());
                    self.value(item)?;
                    self.path.pop();
                }
            }
            Value::Tensor(tensor) => self.tensor(tensor)?,
            Value::Object(class, parts) if self.holds_tensors(class, parts)? => {
                let name = self.path.join(".");
                let reason =
                    format!("{name}: an object of {class}, whose tensors are not read (sparse, quantised?)");
                return Err(Fault::Reason(reason));
            }
            _ => {}
        }
        Ok(())
    }

    fn holds_tensors(&self, class: &str, parts: &[Id]) -> Result<bool, Fault> {
        let rebuilt =
            class.starts_with("torch._utils._rebuild") || class.starts_with("torch._tensor._rebuild");
        Ok(rebuilt || self.values.holds_tensors(parts).map_err(Fault::Reason)?)
    }

    fn tensor(&mut self, tensor: &Tensor) -> Result<(), Fault> {
        let name = self.path.join(".");
        let packed =
            packed(&name, tensor, self.source).map_err(|why| Fault::Reason(format!("{name}: {why}")))?;
        let told = |path: &[String]| format!("{path:?}");
        match self.found.insert(name.clone(), (self.path.clone(), packed)) {
            None => Ok(()),
            Some((other, _)) => Err(Fault::Ambiguous { name, keys: [told(&other), told(&self.path)] }),
        }
    }
}

/// A tensor that is read when it is used.
fn packed(name: &str, tensor: &Tensor, source: &Arc<Source>) -> Result<Packed, String> {
    let Tensor { storage, dtype, offset, shape, stride, meaning } = tensor;
    if let Some(meaning) = meaning {
        return Err(format!("a tensor {meaning}"));
    }
    let dtype = dtype.ok_or_else(|| format!("a tensor in a {}, which is not read", storage.class))?;
    if storage.dtype.is_some_and(|stored| stored != dtype) {
        return Err(format!("a tensor of {dtype:?} in a {}", storage.class));
    }
    let offset = offset.checked_add(storage.view).ok_or("an offset that is too large")?;
    let width = dtype.size();
    // An untyped storage states its length in bytes.
    let stated = storage.length / if storage.dtype.is_some() { 1 } else { width };
    let view = View::new(source, &storage.key, width, offset, [shape, stride])?;
    if view.end() > stated {
        return Err(format!(
            "needs {} elements of its storage {}, which has {stated}",
            view.end(),
            storage.key
        ));
    }
    let (source, bytes) = (source.clone(), view.bytes());
    Ok(Packed::deferred(name.to_string(), dtype, shape.clone(), None, bytes, move || {
        view.read(&source).map(Bytes::from_bytes_vec).map_err(Error::ValidationError)
    }))
}
