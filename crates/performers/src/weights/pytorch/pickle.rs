//! Pickles of protocols 0 to 5, read as the data that they describe: classes are names, calls are looked at and not
//! made.
//!
//! Source: CPython's `Lib/pickletools.py`.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::rc::Rc;

use super::value::{Id, MAX_NAME, Value, Values};

/// Most values on the stack.
const MAX_STACK: usize = 1 << 20;
/// Longest line of the protocols that are text.
const MAX_LINE: u64 = 1 << 16;

/// Reads one pickle, up to its end, into `values`; returns its value.
pub(super) fn read(source: &mut impl BufRead, values: &mut Values) -> Result<Id, String> {
    let mut machine = Machine { source, values, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while machine.step()? {}
    machine.pop()
}

struct Machine<'a, R> {
    source: &'a mut R,
    values: &'a mut Values,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<R: BufRead> Machine<'_, R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|error| format!("the pickle ends early: {error}"))?;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        Ok(self.bytes::<N>()?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// So many bytes; memory grows with what there is.
    fn run(&mut self, length: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = self.source.by_ref().take(length).read_to_end(&mut bytes);
        match read.map_err(|error| error.to_string())? as u64 == length {
            true => Ok(bytes),
            false => Err("the pickle ends early".to_string()),
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut bytes = Vec::new();
        let read = self.source.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes);
        read.map_err(|error| error.to_string())?;
        match bytes.pop() {
            Some(b'\n') => Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_string()),
            _ => Err("the pickle ends within a line".to_string()),
        }
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err("a mark in the place of a value".to_string());
        }
        self.stack.pop().ok_or_else(|| "a value is missing".to_string())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "a value is missing".to_string())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or("a mark is missing")?))
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        let id = self.values.add(value)?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), String> {
        if self.stack.len() == MAX_STACK {
            return Err(format!("more than {MAX_STACK} values on the stack"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn text(&mut self, length: u64) -> Result<(), String> {
        let text = String::from_utf8_lossy(&self.run(length)?).into();
        self.push(Value::Text(text))
    }

    fn memoize(&mut self, place: u64) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u64) -> Result<(), String> {
        let id = self.memo.get(&place).copied().ok_or("a value that was not kept")?;
        self.push_id(id)
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Tuple(items.into()))
    }

    /// Puts items behind those of a list. Of an object of another class they are parts.
    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let id = self.top()?;
        match self.values.get_mut(id) {
            Value::List(list) | Value::Object(_, list) => list.extend(items),
            _ => return Err("items for what is no list".to_string()),
        }
        Ok(())
    }

    /// Puts pairs into a dictionary. An object of another class that takes them is a dictionary of that class.
    fn set_items(&mut self, items: Vec<Id>) -> Result<(), String> {
        let id = self.top()?;
        let added = items.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        if !items.len().is_multiple_of(2) {
            return Err("a key without a value".to_string());
        }
        match self.values.get_mut(id) {
            Value::Dict(pairs) => pairs.extend(added),
            object @ Value::Object(..) => *object = Value::Dict(added.collect()),
            _ => return Err("pairs for what is no dictionary".to_string()),
        }
        Ok(())
    }

    /// Signed, of any length; one that does not fit is no number that a tensor depends on.
    fn long(&mut self, length: u64) -> Result<(), String> {
        let bytes = self.run(length)?;
        let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut number = [fill; 8];
        let kept = bytes.len().min(8);
        number[..kept].copy_from_slice(&bytes[..kept]);
        let number = i64::from_le_bytes(number);
        let fits = bytes[kept..].iter().all(|&byte| byte == fill) && (number < 0) == (fill == 0xff);
        self.push(if fits { Value::Int(number) } else { Value::Other })
    }

    fn class(&mut self, module: &str, name: &str) -> Result<(), String> {
        if module.len() + name.len() > MAX_NAME {
            return Err("a class of a name that is too long".to_string());
        }
        self.push(Value::Class(format!("{module}.{name}").into()))
    }

    /// Goes on by one instruction; `false` behind the last.
    fn step(&mut self) -> Result<bool, String> {
        let [code] = self.bytes()?;
        match code {
            b'.' => return Ok(false),
            0x80 => match self.number::<1>()? {
                0..=5 => {}
                version => return Err(format!("a pickle of protocol {version}")),
            },
            0x95 => drop(self.bytes::<8>()?),
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Bool(code == 0x88))?,
            b'I' => match self.line()?.as_str() {
                "00" => self.push(Value::Bool(false))?,
                "01" => self.push(Value::Bool(true))?,
                number => self.push(number.parse().map_or(Value::Other, Value::Int))?,
            },
            b'L' => {
                let line = self.line()?;
                self.push(line.trim_end_matches('L').parse().map_or(Value::Other, Value::Int))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.bytes()?);
                self.push(Value::Int(number.into()))?;
            }
            b'K' => {
                let number = self.number::<1>()?;
                self.push(Value::Int(number as i64))?;
            }
            b'M' => {
                let number = self.number::<2>()?;
                self.push(Value::Int(number as i64))?;
            }
            0x8a => {
                let length = self.number::<1>()?;
                self.long(length)?;
            }
            0x8b => {
                let length = self.number::<4>()?;
                self.long(length)?;
            }
            b'F' => {
                self.line()?;
                self.push(Value::Other)?;
            }
            b'G' => {
                self.bytes::<8>()?;
                self.push(Value::Other)?;
            }
            b'V' | b'S' => {
                let line = self.line()?;
                let text = if code == b'S' { line.trim_matches(['\'', '"']) } else { &line };
                self.push(Value::Text(text.into()))?;
            }
            b'X' | b'T' => {
                let length = self.number::<4>()?;
                self.text(length)?;
            }
            b'U' | 0x8c => {
                let length = self.number::<1>()?;
                self.text(length)?;
            }
            0x8d => {
                let length = self.number::<8>()?;
                self.text(length)?;
            }
            b'C' | b'B' | 0x8e | 0x96 => {
                let length = match code {
                    b'C' => self.number::<1>()?,
                    b'B' => self.number::<4>()?,
                    _ => self.number::<8>()?,
                };
                self.run(length)?;
                self.push(Value::Other)?;
            }
            _ => self.compound(code)?,
        }
        Ok(true)
    }

    /// Instructions on containers, classes and what was kept.
    fn compound(&mut self, code: u8) -> Result<(), String> {
        match code {
            b'(' if self.marks.len() == MAX_STACK => Err("too many marks".to_string()),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b')' => self.push(Value::Tuple(Rc::new([]))),
            b']' | 0x8f => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items.into()))
            }
            0x85..=0x87 => self.tuple(usize::from(code - 0x84)),
            b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items))
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(Vec::new()))?;
                self.set_items(items)
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)
            }
            _ => self.object(code),
        }
    }

    fn object(&mut self, code: u8) -> Result<(), String> {
        match code {
            b'p' | b'g' => {
                let place = self.line()?.parse().map_err(|_| "a place that is no number".to_string())?;
                if code == b'p' { self.memoize(place) } else { self.recall(place) }
            }
            b'q' | b'h' => {
                let place = self.number::<1>()?;
                if code == b'q' { self.memoize(place) } else { self.recall(place) }
            }
            b'r' | b'j' => {
                let place = self.number::<4>()?;
                if code == b'r' { self.memoize(place) } else { self.recall(place) }
            }
            0x94 => self.memoize(self.memo.len() as u64),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.class(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.values.key(module), self.values.key(name)) {
                    (Some(module), Some(name)) => self.class(&module, &name),
                    _ => Err("a class without a name".to_string()),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.values.storage(id)?;
                self.push_id(storage)
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let value = self.values.call(callable, arguments)?;
                self.push_id(value)
            }
            0x92 => {
                let (named, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                let value = self.values.call(callable, arguments)?;
                if let Value::Object(_, parts) = self.values.get_mut(value) {
                    parts.push(named);
                }
                self.push_id(value)
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                self.values.build(object, state)
            }
            other => Err(format!("an instruction of pickles that is not read, 0x{other:02x}")),
        }
    }
}
