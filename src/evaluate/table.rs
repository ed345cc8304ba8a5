//! Comma-separated rows with quotes where needed (RFC 4180), as spreadsheets write and read them.

/// One row, with the line on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub line: usize,
    pub cells: Vec<String>,
}

/// Cuts a text into rows. Blank lines and lines that begin with `#` are passed over.
#[must_use]
pub fn read(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut line = 1;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let first = line;
        let (cells, after) = row(rest);
        line += rest[..rest.len() - after.len()].matches('\n').count();
        let is_note = rest.starts_with('#');
        rest = after;
        if !is_note && cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { line: first, cells });
        }
    }
    rows
}

/// The cells of the first row, and what comes after it.
fn row(text: &str) -> (Vec<String>, &str) {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' if quoted => {
                if letters.next_if(|(_, next)| *next == '"').is_some() {
                    cell.push('"');
                } else {
                    quoted = false;
                }
            }
            letter if quoted => cell.push(letter),
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            ',' => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            '\n' => {
                cells.push(cell.trim().to_owned());
                return (cells, &text[at + 1..]);
            }
            letter => cell.push(letter),
        }
    }
    cells.push(cell.trim().to_owned());
    (cells, "")
}

/// One row with its line feed. Line breaks within a cell become spaces, so that a row is a line.
#[must_use]
pub fn write<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for (k, cell) in cells.into_iter().enumerate() {
        if k > 0 {
            out.push(',');
        }
        let cell = cell.replace(['\n', '\r'], " ");
        if cell.contains([',', '"']) || cell.starts_with('#') {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_notes_and_other_peoples_line_ends() {
        let rows = read("\u{feff}a, b\r\n# a note\n\n\"x, \"\"y\"\"\",\"two\nlines\"\nlast");
        let cells: Vec<&[String]> = rows.iter().map(|row| row.cells.as_slice()).collect();
        assert_eq!(cells[0], ["a", "b"]);
        assert_eq!(cells[1], ["x, \"y\"", "two\nlines"]);
        assert_eq!(cells[2], ["last"]);
        let lines: Vec<usize> = rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [1, 4, 6]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            cells in prop::collection::vec("[a-zA-Z0-9,\"#' .;äß/]{0,12}", 1..6)
        ) {
            let cells: Vec<String> = cells.iter().map(|c| c.trim().to_owned()).collect();
            prop_assume!(cells.iter().any(|c| !c.is_empty()));
            let text = write(cells.iter().map(String::as_str));
            let rows = read(&text);
            prop_assert_eq!(rows.len(), 1);
            prop_assert_eq!(&rows[0].cells, &cells);
        }

        #[test]
        fn any_text_is_cut_without_a_panic(text in "[a,\"\n#\u{e4}]{0,40}") {
            let _ = read(&text);
        }
    }
}
