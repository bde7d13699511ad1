//! Functions' schemas as TypeScript types: how OpenAI's models are told of them.

use serde_json::Value;

use super::Function;

/// How deep a schema is followed; what is deeper is `any`.
const MAX_DEPTH: usize = 16;

/// The namespace that holds these functions.
pub(super) fn namespace(functions: impl Iterator<Item = Function>) -> String {
    let mut text = String::from("namespace functions {\n\n");
    for function in functions {
        for line in function.description.iter().flat_map(|text| text.lines()) {
            text += "// ";
            text += line;
            text.push('\n');
        }
        text += "type ";
        text += &function.name;
        text += " = ";
        match function
            .parameters
            .as_ref()
            .and_then(|schema| schema.get("properties"))
        {
            Some(Value::Object(_)) => {
                text += "(_: {\n";
                let schema = function.parameters.as_ref().unwrap_or(&Value::Null);
                fields(&mut text, schema, 0);
                text += "}) => any;\n\n";
            }
            _ => text += "() => any;\n\n",
        }
    }
    text += "} // namespace functions";
    text
}

fn fields(text: &mut String, schema: &Value, depth: usize) {
    let required = schema.get("required").and_then(Value::as_array);
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, field) in properties.into_iter().flatten() {
        if let Some(description) = field.get("description").and_then(Value::as_str) {
            text.push_str("// ");
            text.push_str(description);
            text.push('\n');
        }
        text.push_str(name);
        let is_required = required.is_some_and(|names| names.iter().any(|n| n == name.as_str()));
        text.push_str(if is_required { ": " } else { "?: " });
        kind(text, field, depth);
        text.push(',');
        match field.get("default") {
            Some(Value::String(default)) => {
                text.push_str(" // default: ");
                text.push_str(default);
            }
            Some(default) => {
                text.push_str(" // default: ");
                text.push_str(&default.to_string());
            }
            None => {}
        }
        text.push('\n');
    }
}

fn kind(text: &mut String, schema: &Value, depth: usize) {
    if depth >= MAX_DEPTH {
        text.push_str("any");
        return;
    }
    let options = schema
        .get("enum")
        .or_else(|| schema.get("oneOf"))
        .or_else(|| schema.get("anyOf"));
    if let Some(Value::Array(options)) = options {
        for (n, option) in options.iter().enumerate() {
            text.push_str(if n == 0 { "" } else { " | " });
            if option.is_object() {
                kind(text, option, depth + 1);
            } else {
                text.push_str(&option.to_string());
            }
        }
        return;
    }
    match schema.get("type") {
        Some(Value::String(name)) => match name.as_str() {
            "object" => {
                text.push_str("{\n");
                fields(text, schema, depth + 1);
                text.push('}');
            }
            "array" => {
                kind(text, schema.get("items").unwrap_or(&Value::Null), depth + 1);
                text.push_str("[]");
            }
            "integer" => text.push_str("number"),
            name => text.push_str(name),
        },
        Some(Value::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            text.push_str(&names.join(" | "));
        }
        _ => text.push_str("any"),
    }
}
