//! Report as one self-contained HTML page.

use std::fmt::Write as _;

use super::chart::on_any_ground;
use super::table::Table;

/// Style sheet, for light and dark.
const STYLE: &str = "
:root { color-scheme: light dark; --ground: #fdfdfc; --ink: #222; --line: #8886; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181b; --ink: #e4e4e0; } }
body { background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th small { display: block; font-weight: normal; opacity: .75; }
table.facts th, table.facts td { text-align: left; }
code, pre { font-family: ui-monospace, monospace; }
pre { border: 1px solid var(--line); padding: .6rem; overflow-x: auto; }
figure { margin: 1.5rem 0; } figure svg { width: 100%; height: auto; }
";

/// Content of a page, from the top.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// A few sentences on the measurement.
    pub about: Vec<String>,
    /// Command that reproduces the numbers.
    pub command: String,
    /// Results of thresholds, one line each.
    pub verdicts: Vec<String>,
    /// Charts as SVG, each with its name.
    pub charts: Vec<(String, String)>,
    /// Tables, each with its name.
    pub tables: Vec<(String, Table)>,
    /// Names and values: parameters, seeds, the machine.
    pub facts: Vec<(String, String)>,
}

impl Page {
    /// Renders the page. It loads no external resource.
    pub fn html(&self) -> String {
        let title = escaped(&self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        for sentence in &self.about {
            let _ = writeln!(html, "<p>{}</p>", escaped(sentence));
        }
        let _ = writeln!(
            html,
            "<p>To repeat it:</p>\n<pre>{}</pre>",
            escaped(&self.command)
        );
        if !self.verdicts.is_empty() {
            html.push_str("<h2>Thresholds</h2>\n<ul>\n");
            for verdict in &self.verdicts {
                let _ = writeln!(html, "<li>{}</li>", escaped(verdict));
            }
            html.push_str("</ul>\n");
        }
        for (name, svg) in &self.charts {
            let name = escaped(name);
            let _ = writeln!(
                html,
                "<figure role=\"img\" aria-label=\"{name}\">\n{}</figure>",
                inlined(svg)
            );
        }
        for (name, table) in &self.tables {
            let _ = writeln!(html, "<h2>{}</h2>\n{}", escaped(name), rows(table));
        }
        html.push_str("<h2>How it was measured</h2>\n<table class=\"facts\">\n");
        for (name, value) in &self.facts {
            let _ = writeln!(
                html,
                "<tr><th>{}</th><td>{}</td></tr>",
                escaped(name),
                escaped(value)
            );
        }
        html.push_str("</table>\n</body>\n</html>\n");
        html
    }
}

/// Prepares a chart for embedding: no namespace declaration, scaled to the page's width, in the
/// page's colours.
fn inlined(svg: &str) -> String {
    let svg = svg.replace(" xmlns=\"http://www.w3.org/2000/svg\"", "");
    let begin = svg.find("<svg").unwrap_or_default();
    on_any_ground(&svg[begin..])
}

fn rows(table: &Table) -> String {
    let mut html = String::from("<table>\n<tr>");
    for (name, unit) in &table.heads {
        let _ = write!(
            html,
            "<th>{}<small>{}</small></th>",
            escaped(name),
            escaped(unit)
        );
    }
    html.push_str("</tr>\n");
    for row in &table.rows {
        let cells: String = row
            .iter()
            .map(|cell| format!("<td>{}</td>", escaped(cell)))
            .collect();
        let _ = writeln!(html, "<tr>{cells}</tr>");
    }
    html.push_str("</table>");
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_self_contained_and_escapes_text() {
        let svg =
            "<svg width=\"9\" height=\"9\" xmlns=\"http://www.w3.org/2000/svg\"></svg>".to_owned();
        let mut table = Table::new(&[("nodes", "")]);
        table.row(vec!["3".into()]);
        let page = Page {
            title: "a < b".into(),
            charts: vec![("chart".into(), svg)],
            tables: vec![("table".into(), table)],
            facts: vec![("seed".into(), "\"7\" & more".into())],
            ..Page::default()
        };
        let html = page.html();
        assert!(
            html.contains("<title>a &lt; b</title>") && html.contains("&quot;7&quot; &amp; more")
        );
        assert!(
            ["http:", "https:", "src=", "href=", "url(", "@import"]
                .iter()
                .all(|ask| !html.contains(ask)),
            "{html}"
        );
    }
}
