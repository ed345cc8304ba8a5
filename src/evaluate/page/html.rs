//! Text that is safe inside HTML, and numbers as people read them.

/// A cohort's paths and a header's words are strangers' text.
pub use crate::report::html::escape;

/// With this many decimals, and no minus before a zero.
#[must_use]
pub fn fixed(v: f64, decimals: usize) -> String {
    let text = format!("{v:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|b| b == b'0' || b == b'.') => zero.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_minus_zero() {
        assert_eq!(
            (fixed(-0.001, 2), fixed(-0.01, 2)),
            ("0.00".into(), "-0.01".into())
        );
    }
}
