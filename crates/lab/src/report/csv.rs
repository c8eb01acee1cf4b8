//! Comma-separated values according to RFC 4180, except for line ends.

/// Writes a document with a header. Cells with a comma, quote or line break are quoted; lines end
/// in `\n`.
pub fn document<Row: AsRef<[String]>>(
    heads: &[&str],
    rows: impl IntoIterator<Item = Row>,
) -> String {
    let mut text = heads.join(",");
    text.push('\n');
    for row in rows {
        let cells: Vec<_> = row.as_ref().iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_quoted() {
        let rows = [["1".to_owned(), "a,\"b\"".to_owned()]];
        assert_eq!(
            document(&["n", "text"], rows),
            "n,text\n1,\"a,\"\"b\"\"\"\n"
        );
    }
}
