//! A result as one JSON document.

use serde_json::{Map, Value, json};

use super::assertion::Verdict;
use super::environment::Environment;

/// What an experiment found out, for programs.
#[derive(Clone, Debug)]
pub struct Document {
    /// Name and version of its shape, such as `raftian.lab.elections/1`.
    pub schema: &'static str,
    /// Every leader was elected, and every threshold held.
    pub ok: bool,
    /// Everything that decides the rows, the seed included.
    pub params: Value,
    /// One object for each row of the table.
    pub rows: Vec<Value>,
    /// What is said about all rows together, by name.
    pub more: Map<String, Value>,
    /// What was asked of the quantities, and what came out.
    pub verdicts: Vec<Verdict>,
    /// The machine and the program.
    pub environment: Environment,
    /// The command that gives the same rows again.
    pub command: String,
}

impl Document {
    /// The document, with `schema`, `ok`, `params`, `rows` and `environment` as every experiment
    /// has them.
    #[must_use]
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

    /// The document as text, with a line end.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.json())
    }
}

/// A measured number as it is written: to a thousandth, which is more than any measurement here
/// means; `null` if it is no number.
#[must_use]
pub fn number(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
