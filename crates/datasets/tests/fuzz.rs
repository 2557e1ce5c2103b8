//! The parsers on damaged input: so many runs of each, on mutations of sound files that depend on a seed
//! alone. `EXPLAINER_FUZZ_RUNS` asks for more than the few of an ordinary test.
#![allow(clippy::unwrap_used)]

mod mutations;

use explainer_datasets::fuzzing;
use mutations::fuzz;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn mat_files_of_version_5() {
    let names = ["values_v5.mat", "values_v5_plain.mat", "animal_legs.mat", "animal_data_reversed.mat"];
    fuzz("MAT 5", 4000, &names.map(fixture), fuzzing::mat);
}

#[test]
fn mat_files_of_version_73() {
    let names = ["values_v73.mat", "animal_head.mat", "animal_data.mat"];
    fuzz("MAT 7.3", 1500, &names.map(fixture), fuzzing::mat);
}

#[test]
fn the_tables_of_cub() {
    let seed = b"1 back\n7 left eye\n\0\
        1 001.Gull/a.jpg\n2 001.Gull/b.jpg\n9 002.Tern/c.jpg\n\0\
        1 60.0 27.0 325.0 304.0\n2 139.0 30.0 153.0 264.0\n9 14.0 112.0 388.0 186.0\n\0\
        1 1\n2 0\n9 1\n\0\
        1 1 0.0 0.0 0\n1 7 312.0 182.0 1\n2 1 9.5 3.0 1\n2 7 0.0 0.0 0\n9 1 1.0 2.0 1\n9 7 3.0 4.0 1\n";
    fuzz("CUB", 10_000, &[seed.to_vec()], |bytes| fuzzing::cub(bytes) > 0);
}

#[test]
fn annotations_in_csv() {
    let seeds: [&[u8]; 3] = [
        b"image,split,left,top,right,bottom,head.x,head.y\na/1.jpg,train,1,2,30,40,5,6\na/2.jpg,validation,,,,,,\n",
        b"image\na/1.jpg\n",
        b"head.y,image,head.x\n1,\"a/\"\"1\"\".jpg\",2\n,a/2.jpg,\n",
    ];
    fuzz("CSV", 10_000, &seeds.map(<[u8]>::to_vec), fuzzing::csv);
}

#[test]
fn annotations_in_json() {
    let seeds: [&[u8]; 2] = [
        br#"{"landmarks":["head"],"images":[{"image":"a/1.jpg","box":[1,2,30,40],"landmarks":{"head":[5,6]}}]}"#,
        br#"{"images":[{"image":"a/1.jpg","split":"train"},{"image":"a/2.jpg","split":"validation"}]}"#,
    ];
    fuzz("JSON", 10_000, &seeds.map(<[u8]>::to_vec), fuzzing::json);
}

#[test]
fn pictures() {
    let names = ["kind_palette_clear.png", "kind_cmyk.jpg", "kind_progressive.jpg", "resize_24x24.png"];
    fuzz("pictures", 3000, &names.map(fixture), fuzzing::picture);
}
