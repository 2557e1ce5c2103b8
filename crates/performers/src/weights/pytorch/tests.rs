//! Checkpoints in many forms: `tests/fixtures/checkpoints`.

use std::path::{Path, PathBuf};

use burn::store::bridge;
use burn::tensor::DType;

use super::super::file::read;
use crate::PerformerError;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)
}

/// Names, types, shapes and values.
type Tensors = Vec<(String, DType, Vec<usize>, Vec<f64>)>;

fn tensors(path: &Path) -> Tensors {
    let state = read(path).unwrap_or_else(|error| panic!("{error}")).state;
    let tensor = |(name, packed): (String, burn::store::burn_pack::Tensor)| {
        let data = bridge::into_data(packed).unwrap();
        (name, data.dtype(), data.shape().to_vec(), data.iter::<f64>().collect())
    };
    state.into_iter().map(tensor).collect()
}

fn error(name: &str) -> PerformerError {
    match read(&fixture(name)) {
        Ok(_) => panic!("{name} was read"),
        Err(error) => error,
    }
}

fn the_state() -> Tensors {
    vec![
        ("a.bias".into(), DType::F32, vec![2], vec![0.5, -1.5]),
        ("a.weight".into(), DType::F32, vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
    ]
}

#[test]
fn the_length_of_an_archives_name_does_not_matter() {
    assert_eq!(tensors(&fixture("twenty-one-characters.pth")), the_state());
    assert_eq!(tensors(&fixture("deflated.pth")), the_state());
}

#[test]
fn what_stands_beside_the_weights_may_be_anything() {
    for name in ["beside_2.pth", "beside_3.pth", "beside_4.pth", "beside_5.pth", "beside_legacy.pth"] {
        assert_eq!(tensors(&fixture(name)), the_state(), "{name}");
    }
    assert_eq!(tensors(&fixture("subclass.pth")), the_state(), "a state dict of a class of its own");
}

#[test]
fn views_are_read_as_the_tensors_that_they_show() {
    for name in ["views.pth", "views_legacy.pth"] {
        let found = tensors(&fixture(name));
        let tensor = |name: &str| {
            let (_, dtype, shape, values) = found.iter().find(|(found, ..)| found == name).unwrap();
            (*dtype, shape.as_slice(), values.as_slice())
        };
        let counted = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        // Of 0..24 in 2 by 3 by 4, the last axis in front.
        let turned: Vec<f64> = (0..24).map(|i| f64::from(4 * (i % 6) + i / 6)).collect();
        assert_eq!(tensor("turned"), (DType::F32, &[4, 2, 3][..], &turned[..]));
        assert_eq!(tensor("part"), (DType::F32, &[3, 2][..], &[13.0, 14.0, 17.0, 18.0, 21.0, 22.0][..]));
        assert_eq!(tensor("repeated"), (DType::F32, &[2, 3][..], &[0.5, 0.5, 0.5, -1.5, -1.5, -1.5][..]));
        assert_eq!(tensor("scalar"), (DType::F32, &[][..], &[7.0][..]));
        assert_eq!(tensor("empty"), (DType::F32, &[0, 3][..], &[][..]));
        assert_eq!(tensor("half"), (DType::F16, &[2, 3][..], &counted[..]));
        assert_eq!(tensor("brain"), (DType::BF16, &[2, 3][..], &counted[..]));
        assert_eq!(tensor("double"), (DType::F64, &[2, 3][..], &counted[..]));
        assert_eq!(tensor("long"), (DType::I64, &[2][..], &[-1.0, 1_099_511_627_776.0][..]));
        assert_eq!(tensor("flags"), (DType::U8, &[2][..], &[1.0, 0.0][..]));
        assert_eq!(tensor("parameter"), (DType::F32, &[2, 3][..], &counted[..]));
        if name == "views.pth" {
            assert_eq!(tensor("short"), (DType::U16, &[2][..], &[1.0, 65535.0][..]));
        }
    }
}

#[test]
fn a_module_is_read_as_its_state_dict() {
    let found = tensors(&fixture("module.pth"));
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let expected = [
        "0.bias",
        "0.weight",
        "1.bias",
        "1.num_batches_tracked",
        "1.running_mean",
        "1.running_var",
        "1.weight",
    ];
    assert_eq!(names, expected);
    assert_eq!(found[0].3, [0.5, -1.5]);
    assert_eq!(found[1].3, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn two_things_of_one_name_are_refused_with_both() {
    for (file, expected_name, expected_keys) in [
        ("two_nests.pth", "the state dict", ["state_dict", "model_state_dict"]),
        ("parallel_twice.pth", "a", ["a", "module.a"]),
        ("dots_twice.pth", "a.b", [r#"["a", "b"]"#, r#"["a.b"]"#]),
    ] {
        let error = error(file);
        let PerformerError::Ambiguous { path, name, keys } = &error else { panic!("{error}") };
        assert_eq!((path, name.as_str()), (&fixture(file), expected_name));
        assert_eq!(keys, &expected_keys, "{file}");
    }
}

#[test]
fn tensors_that_are_not_their_bytes_are_refused_by_name() {
    for (file, expected) in [
        ("negated.pth", "a: a tensor negated lazily"),
        ("conjugated.pth", "a: a tensor"),
        ("quantised.pth", "a: an object of torch._utils._rebuild_qtensor"),
        ("sparse.pth", "a: an object of torch._utils._rebuild_sparse_tensor"),
        ("object.pth", "a: an object of training.tools.Tracker"),
        ("script.pth", "a TorchScript program"),
    ] {
        let error = error(file).to_string();
        assert!(error.contains(file) && error.contains(expected), "{file}: {error}");
    }
}

#[test]
fn what_is_no_checkpoint_is_told_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (start, expected) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:00"[..], "found a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "found an HTML page"),
        (b"\x80\0\0\0\0\0\0\0{\"a\": 1}", "found a safetensors file"),
        (b"", "found an empty file"),
    ] {
        let path = folder.path().join("weights.pth");
        std::fs::write(&path, start).unwrap();
        let Err(error) = read(&path) else { panic!("{expected}") };
        assert!(error.to_string().contains(expected), "{error}");
    }
    let path = folder.path().join("weights.safetensors");
    std::fs::copy(fixture("views.pth"), &path).unwrap();
    let Err(error) = read(&path) else { panic!("a ZIP archive") };
    assert!(error.to_string().contains("expected a safetensors file, found a ZIP archive"), "{error}");
}

/// Bytes that are missing or changed are an error, or read as they are; nothing else happens.
#[test]
fn damaged_checkpoints_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    for name in
        ["beside_2.pth", "beside_5.pth", "beside_legacy.pth", "views.pth", "module.pth", "deflated.pth"]
    {
        let sound = std::fs::read(fixture(name)).unwrap();
        let (mut read_anyway, mut tried) = (0, 0);
        for at in (0..sound.len()).step_by(7) {
            let mut changed = sound.clone();
            changed[at] = [0xff, sound[at] ^ 0x80, sound[at].wrapping_add(1), 0][at % 4];
            for bytes in [&changed, &sound[..at]] {
                std::fs::write(&path, bytes).unwrap();
                tried += 1;
                let Ok(contents) = read(&path) else { continue };
                read_anyway += 1;
                for tensor in contents.state.into_values() {
                    let _ = bridge::into_data(tensor);
                }
            }
        }
        println!("{name}: {read_anyway} of {tried} read");
        assert!(read_anyway < tried);
    }
}

/// A list that holds itself, and one that is spread a million times, end.
#[test]
fn pickles_that_go_round_in_circles_end() {
    use super::pickle;
    use super::value::Values;
    let read = |pickle: &[u8]| {
        let mut values = Values::default();
        pickle::read(&mut std::io::Cursor::new(pickle), &mut values)
            .and_then(|root| values.holds_tensors(&[root]))
    };
    assert_eq!(read(b"]q\0h\0a."), Ok(false), "a list in itself");
    // A list of a thousand, and 25 000 copies of it.
    let mut copies = [&b"](N"[..], &[b'N'; 999], b"eq\0"].concat();
    copies.extend(b"ccollections\ndeque\nh\0\x85R0".repeat(25_000));
    copies.extend(b"N.");
    assert_eq!(read(&copies), Err("values that refer to each other too often".to_string()));
    let call = b"ctorch._tensor\n_rebuild_from_type_v2\nq\0](h\0Nh\x01N";
    let _ = read(&[&call[..], b"eq\x01h\0h\x01R."].concat());
}
