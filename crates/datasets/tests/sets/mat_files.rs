//! Reading MAT files, sound and damaged.

use std::path::{Path, PathBuf};

use explainer_datasets::mat::{MatField, MatValue, read_mat, read_mat_within};
use explainer_datasets::{DatasetError, MatFile};

use crate::mat::{element, v5};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Writes bytes to a file of their own and reads that.
fn read_bytes(bytes: &[u8]) -> Result<MatFile, DatasetError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.mat");
    std::fs::write(&path, bytes).unwrap();
    read_mat(path)
}

/// The inside of a matrix named `x`.
fn matrix(class: u32, dims: &[i32], rest: &[Vec<u8>]) -> Vec<u8> {
    let flags = [class.to_le_bytes(), [0; 4]].concat();
    let dims: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
    let mut bytes = [element(6, &flags), element(5, &dims), element(1, b"x")].concat();
    bytes.extend(rest.concat());
    bytes
}

fn message(result: Result<MatFile, DatasetError>) -> String {
    match result {
        Ok(file) => panic!("read {:?}", file.variables().collect::<Vec<_>>()),
        Err(error) => error.to_string(),
    }
}

fn check_values(file: &MatFile) -> Result<(), DatasetError> {
    let truth = file.variable("truth")?;
    assert_eq!(truth.len(), 3);
    assert!(truth.element(0, "pHW_center")?.is_empty());
    assert_eq!(truth.element(0, "pHW_center")?.value(), &MatValue::Empty { dims: vec![0, 0] });
    assert_eq!(truth.element(1, "pHW_center")?.numbers()?, (&[2, 1][..], vec![59.5, 186.0]));
    let two = (&[2, 2][..], vec![60.0, 91.5, 201.0, -18.25]);
    assert_eq!(truth.element(2, "pHW_center")?.numbers()?, two);

    let obj = truth.element(0, "obj")?;
    assert_eq!(obj.field("filename")?.text()?, "a_1");
    assert_eq!(obj.field("bndbox")?.field("xmin")?.text()?, "0");
    assert_eq!(obj.field("bndbox")?.field("ymax")?.text()?, "40");
    let objs = truth.element(1, "obj")?;
    assert_eq!(objs.len(), 2);
    assert_eq!(objs.element(0, "filename")?.text()?, "b_12");
    assert_eq!(objs.element(1, "filename")?.text()?, "");
    assert_eq!(objs.element(1, "ID")?.scalar()?, 8.0);
    assert_eq!(truth.element(2, "obj")?.len(), 0);

    let mask = file.variable("mask")?;
    let data = vec![0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11];
    assert_eq!(mask.value(), &MatValue::Bytes { dims: vec![3, 4], data });
    let cells = file.variable("cells")?;
    assert_eq!(cells.cell(0)?.text()?, "two");
    assert_eq!(cells.cell(1)?.scalar()?, -3.5);
    let (dims, ramp) = file.variable("ramp")?.numbers()?;
    assert_eq!(dims, [1, 600]);
    assert!(ramp.iter().enumerate().all(|(i, &x)| x == i as f64 / 8.0));
    assert_eq!(file.variable("small")?.numbers()?.1, [-1.0, 7.0, 300.0, -32768.0]);
    assert_eq!(file.variable("rows")?.text()?, "abc\ndef");
    Ok(())
}

#[test]
fn all_forms_hold_the_same_values() {
    for name in ["values_v5.mat", "values_v5_plain.mat", "values_v73.mat"] {
        let file = read_mat(fixture(name)).unwrap();
        check_values(&file).unwrap();
        let mut names: Vec<_> = file.variables().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["cells", "mask", "ramp", "rows", "small", "truth"]);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let file = read_mat(fixture("values_v5.mat")).unwrap();
    let error = file.variable("truht").unwrap_err().to_string();
    assert!(error.contains("values_v5.mat: truht: expected a variable of this name"), "{error}");
    let truth = file.variable("truth").unwrap();
    let text = |result: Result<MatField<'_>, DatasetError>| result.unwrap_err().to_string();
    let error = text(truth.element(0, "obj").unwrap().field("name"));
    assert!(error.contains("truth(1).obj: expected a struct with an element 1 and a field name"), "{error}");
    let error = text(truth.element(3, "obj"));
    assert!(error.contains("truth: expected a struct with an element 4"), "{error}");
    let error = text(truth.field("obj"));
    assert!(error.contains("expected a single struct, found 1×3 struct"), "{error}");
    let error = file.variable("cells").unwrap().scalar().unwrap_err().to_string();
    assert!(error.contains("cells: expected numbers, found 1×2 cell"), "{error}");
}

#[test]
fn other_formats_are_refused() {
    assert!(matches!(read_mat(fixture("none.mat")), Err(DatasetError::Io { .. })));
    assert!(message(read_bytes(b"")).contains("found 0 bytes"));
    assert!(
        message(read_bytes(&[b'x'; 400])).contains("of version 5 in little-endian order, found \"xxxx\"")
    );
    let mut big_endian = v5(&[]);
    big_endian[124..].copy_from_slice(&[1, 0, b'M', b'I']);
    assert!(message(read_bytes(&big_endian)).contains("little-endian"));
    assert_eq!(read_bytes(&v5(&[])).unwrap().variables().count(), 0);
}

#[test]
fn a_lying_size_is_an_error_before_anything_is_allocated() {
    // 2^60 numbers in 8 bytes.
    let huge = [1 << 20, 1 << 20, 1 << 20];
    let numbers = element(9, &1f64.to_le_bytes());
    let inside = matrix(6, &huge, std::slice::from_ref(&numbers));
    let error = message(read_bytes(&v5(&element(14, &inside))));
    assert!(error.contains(&format!("expected {} numbers of 8 bytes, found 8 bytes", 1u64 << 60)), "{error}");

    // As many cells, and as many structs with one field.
    let error = message(read_bytes(&v5(&element(14, &matrix(1, &huge, &[])))));
    assert!(error.contains("expected at most 0 values"), "{error}");
    let fields = [element(5, &32i32.to_le_bytes()), element(1, &[b'f'; 32])];
    let error = message(read_bytes(&v5(&element(14, &matrix(2, &huge, &fields)))));
    assert!(error.contains("expected at most 0 values"), "{error}");

    // More than can be counted, and fewer than none.
    let inside = matrix(6, &[i32::MAX; 4], std::slice::from_ref(&numbers));
    assert!(message(read_bytes(&v5(&element(14, &inside)))).contains("a number of elements"));
    let inside = matrix(6, &[1, -1], std::slice::from_ref(&numbers));
    assert!(message(read_bytes(&v5(&element(14, &inside)))).contains("none negative"));

    // An element of 4 GB.
    let tag = [14u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
    assert!(message(read_bytes(&v5(&tag))).contains("expected 4294967295 bytes, found 0 bytes"));
}

/// The same in version 7.3: `ramp`, in chunks, and the references of `truth` state their numbers.
#[test]
fn a_file_within_its_limit_is_read_and_one_beyond_it_is_not() {
    for name in ["values_v5.mat", "values_v73.mat"] {
        let path = fixture(name);
        check_values(&read_mat_within(&path, 1 << 20).unwrap()).unwrap();
        let error = message(read_mat_within(&path, 64));
        assert!(error.contains(name) && error.contains("bytes more of values"), "{error}");
    }
}

#[test]
fn a_lying_size_in_hdf5_is_an_error_too() {
    let sound = std::fs::read(fixture("values_v73.mat")).unwrap();
    for count in [600u64, 3] {
        let dims = [count.to_le_bytes(), 1u64.to_le_bytes()].concat();
        let places: Vec<_> = (0..sound.len() - 16).filter(|&at| sound[at..at + 16] == dims).collect();
        assert!(!places.is_empty());
        for claimed in [1u64 << 60, 1 << 33, u64::MAX] {
            for &at in &places {
                let mut lying = sound.clone();
                lying[at..at + 8].copy_from_slice(&claimed.to_le_bytes());
                if let Ok(file) = read_bytes(&lying) {
                    // A maximum, which nothing depends on.
                    check_values(&file).unwrap();
                }
            }
            let mut lying = sound.clone();
            lying[places[0]..places[0] + 8].copy_from_slice(&claimed.to_le_bytes());
            message(read_bytes(&lying));
        }
    }
}

#[test]
fn a_value_within_itself_is_an_error() {
    let error = message(read_mat(fixture("loop_v73.mat")));
    assert!(error.contains("loop(1)(1)") && error.contains("expected at most 32 levels"), "{error}");
}

#[test]
fn nesting_ends() {
    let mut inside = matrix(6, &[1, 1], &[element(9, &1f64.to_le_bytes())]);
    for _ in 0..40 {
        inside = matrix(1, &[1, 1], &[element(14, &inside)]);
    }
    let error = message(read_bytes(&v5(&element(14, &inside))));
    assert!(error.contains("expected at most 32 levels"), "{error}");
}

#[test]
fn what_is_not_read_is_said_and_leaves_the_rest_readable() {
    let sparse = element(14, &matrix(5, &[2, 2], &[]));
    let text = element(14, &matrix(4, &[1, 2], &[element(16, b"ok")]));
    let file = read_bytes(&v5(&[sparse, text].concat())).unwrap();
    let values: Vec<_> = file.variables().map(|(_, value)| value.clone()).collect();
    assert_eq!(values, [MatValue::Unsupported { class: "sparse".into() }, MatValue::Char("ok".into())]);
}
