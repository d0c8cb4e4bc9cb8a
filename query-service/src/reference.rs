//! The reference page: the specification as plain HTML that needs nothing from elsewhere.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
h2{margin-top:3rem;border-bottom:1px solid #ccd}h3{margin-top:2rem}code,pre{font:14px/1.4 ui-monospace,monospace}\
pre{background:#f3f5f8;padding:.75rem;overflow-x:auto;border-radius:4px}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid #e3e6ea}\
.method{font-weight:bold}summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#14171b;color:#e4e7ea}\
pre{background:#20252b}td,th,h2{border-color:#39414a}a{color:#8ab8ff}}";

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Renders the whole specification, queries and commands alike.
pub fn reference_page(spec: &Value) -> String {
    let mut page = Page { html: String::new() };
    page.render(spec);
    page.html
}

struct Page {
    html: String,
}

/// Path, method and the operation.
type Described<'a> = (&'a str, &'a str, &'a Value);

impl Page {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.html.write_fmt(text);
    }

    fn render(&mut self, spec: &Value) {
        let title = escape(text(spec, "/info/title"));
        self.put(format_args!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{title}: reference</title><style>{STYLE}</style></head><body>\
             <h1>{title} {}</h1>{}",
            escape(text(spec, "/info/version")),
            prose(text(spec, "/info/description")),
        ));
        let server = text(spec, "/servers/0/url").trim_end_matches('/');
        let tags = by_tag(spec);
        self.put(format_args!("<p>Server: <code>{}</code></p><nav><ul>", escape(server)));
        for tag in tags.keys() {
            self.put(format_args!("<li><a href=\"#tag-{}\">{}</a></li>", anchor(tag), escape(tag)));
        }
        self.put(format_args!("<li><a href=\"#schemas\">Schemas</a></li></ul></nav>"));
        for (tag, operations) in &tags {
            self.put(format_args!("<section id=\"tag-{}\"><h2>{}</h2>", anchor(tag), escape(tag)));
            for operation in operations {
                self.operation(server, *operation);
            }
            self.put(format_args!("</section>"));
        }
        self.put(format_args!("<section id=\"schemas\"><h2>Schemas</h2>"));
        for (name, schema) in object(spec.pointer("/components/schemas")) {
            self.put(format_args!("<h3 id=\"schema-{}\">{}</h3>", anchor(name), escape(name)));
            self.schema(schema);
        }
        self.put(format_args!("</section></body></html>\n"));
    }

    fn operation(&mut self, server: &str, (path, method, operation): Described<'_>) {
        let name = format!("{} {path}", method.to_uppercase());
        self.put(format_args!(
            "<article id=\"{}\"><h3>{}</h3><p><code><span class=\"method\">{}</span> {}</code></p>{}",
            anchor(&name),
            escape(operation["summary"].as_str().unwrap_or(&name)),
            method.to_uppercase(),
            escape(path),
            prose(operation["description"].as_str().unwrap_or_default()),
        ));
        let roles: Vec<String> = array(&operation["x-roles"]).filter_map(Value::as_str).map(escape).collect();
        if !roles.is_empty() {
            self.put(format_args!("<p>Roles: {}</p>", roles.join(", ")));
        }
        self.parameters(operation);
        let request = media(&operation["requestBody"]);
        if let Some(body) = request {
            self.put(format_args!("<p>Body: {}</p>", kind(&body["schema"])));
        }
        let shown = request.and_then(sample);
        self.put(format_args!("<pre>{}</pre>", escape(&curl(server, path, method, operation, shown))));
        self.put(format_args!("<table><tr><th>Status</th><th>Meaning</th><th>Body</th></tr>"));
        for (status, answer) in object(operation.get("responses")) {
            let body = media(answer).map(|media| kind(&media["schema"])).unwrap_or_default();
            let meaning = escape(answer["description"].as_str().unwrap_or_default());
            self.put(format_args!("<tr><td>{}</td><td>{meaning}</td><td>{body}</td></tr>", escape(status)));
        }
        self.put(format_args!("</table>"));
        for (status, answer) in object(operation.get("responses")) {
            if let Some(found) = media(answer).and_then(sample) {
                self.example(&format!("Example of {status}"), found);
            }
        }
        self.put(format_args!("</article>"));
    }

    fn parameters(&mut self, operation: &Value) {
        let mut parameters = array(&operation["parameters"]).peekable();
        if parameters.peek().is_none() {
            return;
        }
        self.put(format_args!("<table><tr><th>Parameter</th><th>In</th><th>Type</th><th>Meaning</th></tr>"));
        for parameter in parameters {
            let required = if parameter["required"] == true { ", required" } else { "" };
            let example =
                parameter["example"].as_str().map(|example| format!(" Example: <code>{}</code>", escape(example)));
            self.put(format_args!(
                "<tr><td><code>{}</code></td><td>{}{required}</td><td>{}</td><td>{}{}</td></tr>",
                escape(parameter["name"].as_str().unwrap_or_default()),
                escape(parameter["in"].as_str().unwrap_or_default()),
                kind(&parameter["schema"]),
                escape(parameter["description"].as_str().unwrap_or_default()),
                example.unwrap_or_default(),
            ));
        }
        self.put(format_args!("</table>"));
    }

    fn schema(&mut self, schema: &Value) {
        self.put(format_args!("{}", prose(schema["description"].as_str().unwrap_or_default())));
        let properties = object(schema.get("properties"));
        if properties.is_empty() {
            self.put(format_args!("<p>{}</p>", kind(schema)));
            return;
        }
        let required: Vec<&str> = array(&schema["required"]).filter_map(Value::as_str).collect();
        self.put(format_args!("<table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>"));
        for (name, property) in properties {
            let optional = match (required.contains(&name.as_str()), property["nullable"] == true) {
                (true, _) => "",
                (false, true) => " (or null)",
                (false, false) => " (optional)",
            };
            self.put(format_args!(
                "<tr><td><code>{}</code>{optional}</td><td>{}</td><td>{}</td></tr>",
                escape(name),
                kind(property),
                escape(property["description"].as_str().unwrap_or_default()),
            ));
        }
        self.put(format_args!("</table>"));
    }

    fn example(&mut self, title: &str, sample: &Value) {
        let sample = serde_json::to_string_pretty(sample).unwrap_or_default();
        self.put(format_args!("<details><summary>{}</summary><pre>{}</pre></details>", escape(title), escape(&sample)));
    }
}

fn by_tag(spec: &Value) -> BTreeMap<&str, Vec<Described<'_>>> {
    let mut tags: BTreeMap<&str, Vec<Described<'_>>> = BTreeMap::new();
    for (path, methods) in object(spec.get("paths")) {
        for method in METHODS {
            if let Some(operation) = methods.get(method) {
                let tag = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or("Other");
                tags.entry(tag).or_default().push((path, method, operation));
            }
        }
    }
    tags
}

/// A schema in a few words, with a link where it has a name. HTML.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#schema-{}\">{}</a>", anchor(name), escape(name));
    }
    for combination in ["allOf", "oneOf", "anyOf"] {
        let parts: Vec<String> = array(&schema[combination]).map(kind).collect();
        if !parts.is_empty() {
            return parts.join(" or ");
        }
    }
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|choice| escape(choice.as_str().unwrap_or_default())).collect();
        return choices.join(" | ");
    }
    if let Some(constant) = schema["const"].as_str() {
        return escape(constant);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => vec!["any"],
    };
    if types.contains(&"array") {
        return format!("list of {}", kind(&schema["items"]));
    }
    let format = schema["format"].as_str().map(|format| format!(" ({})", escape(format))).unwrap_or_default();
    format!("{}{format}", escape(&types.join(" or ")))
}

/// The JSON body of a request or an answer.
fn media(holder: &Value) -> Option<&Value> {
    let content = holder.get("content")?.as_object()?;
    content.iter().find(|(kind, _)| kind.contains("json")).or_else(|| content.iter().next()).map(|(_, media)| media)
}

fn sample(media: &Value) -> Option<&Value> {
    let named = || media.get("examples")?.as_object()?.values().next()?.get("value");
    media.get("example").or_else(named).or_else(|| media.pointer("/schema/example"))
}

fn curl(server: &str, path: &str, method: &str, operation: &Value, body: Option<&Value>) -> String {
    let mut path = path.to_owned();
    let mut headers = String::new();
    for parameter in array(&operation["parameters"]) {
        let (Some(name), Some(example)) = (parameter["name"].as_str(), parameter["example"].as_str()) else { continue };
        if parameter["in"] == "path" {
            path = path.replace(&format!("{{{name}}}"), example);
        } else if parameter["in"] == "header" && parameter["required"] == true {
            let _ = write!(headers, " \\\n  -H {}", quoted(&format!("{name}: {example}")));
        }
    }
    let mut line = format!("curl -H \"Authorization: Bearer $TOKEN\"{headers}");
    if method != "get" {
        let _ = write!(line, " \\\n  -X {}", method.to_uppercase());
    }
    if let Some(body) = body {
        let _ = write!(line, " \\\n  -H 'Content-Type: application/json' \\\n  -d {}", quoted(&body.to_string()));
    }
    let _ = write!(line, " \\\n  {}", quoted(&format!("{server}{path}")));
    line
}

/// For a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn object(value: Option<&Value>) -> Vec<(&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten().collect()
}

/// Paragraphs, with `code` marked as such. HTML.
fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    paragraphs.fold(String::new(), |mut html, paragraph| {
        html.push_str("<p>");
        for (index, part) in paragraph.split('`').enumerate() {
            let part = escape(part);
            let _ = if index % 2 == 1 { write!(html, "<code>{part}</code>") } else { html.write_str(&part) };
        }
        html + "</p>"
    })
}

pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            plain => html.push(plain),
        }
    }
    html
}

fn anchor(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_is_escaped() {
        let bad = "<script>alert('x')</script>";
        let page = reference_page(&json!({
            "info": { "title": bad, "description": bad }, "servers": [{ "url": bad }],
            "paths": { bad: { "post": {
                "tags": [bad], "summary": bad, "description": bad, "x-roles": [bad],
                "parameters": [{ "name": bad, "in": "query", "description": bad, "example": bad, "schema": { "type": bad } }],
                "requestBody": { "content": { "application/json": { "schema": { "enum": [bad] }, "example": { "a": bad } } } },
                "responses": { bad: { "description": bad } },
            } } },
            "components": { "schemas": { bad: { "properties": { bad: { "$ref": bad } } } } },
        }));
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_curl_line_survives_quotes_in_its_body() {
        let line = curl("http://localhost", "/v1/commands/X", "post", &json!({}), Some(&json!({ "note": "it's" })));
        assert!(line.contains(r#"-d '{"note":"it'\''s"}'"#), "{line}");
    }
}
