//! Result as one JSON document.

use serde_json::{Map, Value, json};

use super::assertion::Verdict;
use super::environment::Environment;

/// Result of an experiment in machine-readable form.
#[derive(Clone, Debug)]
pub struct Document {
    /// Name and version of its schema, such as `raftian.lab.elections/1`.
    pub schema: &'static str,
    /// Whether every leader was elected, and every threshold held.
    pub ok: bool,
    /// Parameters that determine the rows, including the seed.
    pub params: Value,
    /// One object for each row of the table.
    pub rows: Vec<Value>,
    /// Members about all rows together, by name.
    pub more: Map<String, Value>,
    /// Thresholds and their measured values.
    pub verdicts: Vec<Verdict>,
    /// The machine and the program.
    pub environment: Environment,
    /// Command that reproduces the rows.
    pub command: String,
}

impl Document {
    /// Builds the document, with `schema`, `ok`, `params`, `rows` and `environment` in common with
    /// every experiment.
    pub fn json(&self) -> Value {
        let mut document = json!({
            "schema": self.schema,
            "ok": self.ok,
            "params": self.params,
            "rows": self.rows,
            "assertions": self.verdicts.iter().map(Verdict::json).collect::<Vec<_>>(),
            "environment": self.environment.json(),
            "command": self.command,
        });
        if let Some(object) = document.as_object_mut() {
            object.extend(self.more.clone());
        }
        document
    }

    /// The document as text, with a final line end.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.json())
    }
}

/// Number rounded to a thousandth, finer than any measurement here; `null` for NaN.
pub fn number(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
