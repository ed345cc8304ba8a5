//! Text that is safe inside HTML, and numbers as people read them.

/// A cohort's paths and a header's words are strangers' text.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

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
    fn strangers_text_stays_text() {
        assert_eq!(
            escape("<script>\"x\" & 'y'\n"),
            "&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39; "
        );
    }

    #[test]
    fn there_is_no_minus_zero() {
        assert_eq!(
            (fixed(-0.001, 2), fixed(-0.01, 2)),
            ("0.00".into(), "-0.01".into())
        );
    }
}
