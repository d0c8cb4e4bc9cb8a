//! Form bodies with bracketed keys, as Stripe reads them, turned into a tree of strings.

use serde_json::{Map, Value};

/// Deeper nesting than any Stripe parameter; a bound keeps hostile input from recursing far.
const MAX_DEPTH: usize = 8;

pub(crate) fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// `a[b][]=1&a[b][]=2&c=3` becomes `{"a": {"b": ["1", "2"]}, "c": "3"}`.
pub(crate) fn tree(bytes: &[u8]) -> Value {
    let mut root = Value::Object(Map::new());
    for (name, value) in pairs(bytes) {
        insert(&mut root, &segments(&name), value);
    }
    lists(&mut root);
    root
}

fn segments(name: &str) -> Vec<&str> {
    let Some((head, rest)) = name.split_once('[') else {
        return vec![name];
    };
    let mut out = vec![head];
    out.extend(rest.split('[').map(|part| part.strip_suffix(']').unwrap_or(part)));
    out.truncate(MAX_DEPTH);
    out
}

fn insert(node: &mut Value, path: &[&str], value: String) {
    let Some((first, rest)) = path.split_first() else {
        *node = Value::String(value);
        return;
    };
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    let Value::Object(map) = node else { return };
    // An empty bracket appends; numbering it keeps one representation for both ways of writing a list.
    let key = if first.is_empty() { map.len().to_string() } else { (*first).to_owned() };
    insert(map.entry(key).or_insert(Value::Null), rest, value);
}

fn lists(node: &mut Value) {
    let Value::Object(map) = node else { return };
    for child in map.values_mut() {
        lists(child);
        let Value::Object(inner) = child else {
            continue;
        };
        let numbered = !inner.is_empty() && (0..inner.len()).all(|index| inner.contains_key(&index.to_string()));
        if numbered {
            let items = (0..inner.len()).filter_map(|index| inner.remove(&index.to_string())).collect();
            *child = Value::Array(items);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::tree;

    #[test]
    fn brackets_become_objects_and_lists() {
        assert_eq!(
            tree(b"a[b]=1&c[]=x&c[]=y&d[0]=z&e=%C3%A9+f"),
            json!({"a": {"b": "1"}, "c": ["x", "y"], "d": ["z"], "e": "é f"})
        );
    }

    #[test]
    fn odd_keys_do_not_break_the_parser() {
        tree(b"[=1&]=2&a[[b]=3&a=4&a[b][c][d][e][f][g][h][i][j]=5&=6&%ff=%fe");
    }
}
