//! Lists as CSV (RFC 4180), harmless to spreadsheets.

use serde_json::Value;

/// The header row.
pub fn header(columns: &[&str]) -> String {
    row(columns.iter().map(|column| (*column).to_owned()))
}

/// One row: each column is a path such as `total.amount` into the item's JSON.
pub fn line(columns: &[&str], item: &Value) -> String {
    row(columns.iter().map(|column| cell(column.split('.').try_fold(item, |value, name| value.get(name)))))
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => neutral(text),
        Some(Value::Array(values)) => neutral(&values.iter().map(|one| cell(Some(one))).collect::<Vec<_>>().join("; ")),
        // Numbers keep their sign: they cannot be a formula.
        Some(other) => other.to_string(),
    }
}

/// A spreadsheet would run a text that begins so as a formula.
fn neutral(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    let cells: Vec<String> = cells.collect();
    // Writing to memory does not fail.
    let written = writer.write_record(cells).ok().and_then(|()| writer.into_inner().ok());
    written.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_quoted_and_formulas_neutralised() {
        let item = json!({
            "a": "=1+1", "b": "say \"hi\", twice\nor thrice", "c": -5, "d": null, "e": { "amount": 7 }, "f": ["x", "@y"],
        });
        assert_eq!(
            line(&["a", "b", "c", "d", "e.amount", "f", "gone"], &item),
            "'=1+1,\"say \"\"hi\"\", twice\nor thrice\",-5,,7,x; '@y,\r\n"
        );
    }

    #[test]
    fn the_header_names_the_columns() {
        assert_eq!(header(&["a", "e.amount"]), "a,e.amount\r\n");
    }
}
