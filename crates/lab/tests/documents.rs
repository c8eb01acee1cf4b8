//! Commands and charts that the documents show.

use std::fs;
use std::path::Path;

use clap::{Parser, Subcommand};
use raftian_lab::cli::Command;

#[derive(Parser)]
struct Lab {
    #[command(subcommand)]
    _command: Experiment,
}

#[derive(Subcommand)]
enum Experiment {
    #[command(flatten)]
    Of(Box<Command>),
}

/// Every `cargo lab` line of a document, without its trailing comment.
fn commands(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    let lines = whole.lines().filter(|line| line.starts_with("cargo lab "));
    lines
        .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
        .collect()
}

#[test]
fn documented_commands_parse() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = fs::read_dir(root.join("docs"))
        .expect("there are pages")
        .map(|file| file.expect("a file").path());
    let pages: Vec<_> = pages
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    assert!(pages.len() >= 4, "{pages:?}");
    for page in pages.iter().chain([&root.join("README.md")]) {
        let text = fs::read_to_string(page).expect("a page is text");
        let commands = commands(&text);
        // The commands of these pages are parsed by the tests of `cargo frames` and of the game.
        let others = [
            "responsiveness.md",
            "matches.md",
            "operators.md",
            "crowns.md",
            "bots.md",
            "settings.md",
        ];
        let has_others = others.iter().any(|other| page.ends_with(other));
        assert!(
            !commands.is_empty() || has_others,
            "{}: no `cargo lab` command",
            page.display()
        );
        for command in commands {
            let words = command.split_whitespace().skip(1);
            if let Err(error) = Lab::try_parse_from(words) {
                panic!("{}: `{command}`: {error}", page.display());
            }
        }
    }
}

#[test]
fn documented_charts_exist() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut shown = 0;
    for page in fs::read_dir(&docs).expect("there are pages") {
        let page = page.expect("a file").path();
        let Ok(text) = fs::read_to_string(&page) else {
            continue;
        };
        for chart in text
            .split("](charts/")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            assert!(
                docs.join("charts").join(chart).is_file(),
                "{}: {chart}",
                page.display()
            );
            shown += 1;
        }
    }
    let kept = fs::read_dir(docs.join("charts"))
        .expect("there are charts")
        .count();
    assert!(shown >= kept, "{kept} charts exist and {shown} are shown");
}
