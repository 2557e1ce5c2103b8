//! Checks of what callers hand over.

/// Panics unless maps of shape `dims` are `length × length`.
pub(crate) fn check_square(who: &str, dims: [usize; 4], length: usize) {
    let [_, _, height, width] = dims;
    assert!(
        height == length && width == length,
        "{who} was made for maps of {length} × {length} units, but got {dims:?}"
    );
}
