mod generators;

use std::time::Duration;

use proptest::prelude::*;
use raftian_raft::{ClientId, Index, NodeId, Term};

use generators::script;

use super::script::{
    Answer, Beginning, Change, Cluster, Expect, KindName, Link, Numbered, OnDisk, Preset, RoleName,
    Script, Select, Setting, Step, Wanted,
};

fn parse(text: &str) -> Script {
    Script::parse("a.scenario", text).unwrap_or_else(|error| panic!("{error}"))
}

fn steps(text: &str) -> Vec<Step> {
    parse(&format!("cluster 5\n{text}"))
        .steps
        .into_iter()
        .map(|step| step.what)
        .collect()
}

fn wrong(text: &str) -> String {
    Script::parse("a.scenario", text)
        .expect_err(text)
        .to_string()
}

/// The documented grammar is itself a script.
#[test]
fn every_line_of_the_documented_grammar_parses() {
    let documentation = include_str!("../scenario.rs");
    let block = documentation
        .split("//! ```text\n")
        .nth(1)
        .unwrap()
        .split("//! ```")
        .next()
        .unwrap();
    let text: String = block
        .lines()
        .map(|line| line.trim_start_matches("//!").to_string() + "\n")
        .collect();
    let script = parse(&text);
    assert!(script.options.len() == 26 && script.presets.len() == 6 && script.steps.len() > 80);
    assert_eq!(
        script.joiners,
        [NodeId(8), NodeId(9), NodeId(10), NodeId(11)].into()
    );
}

#[test]
fn blanks_comments_and_line_ends_do_not_change_the_script() {
    let plain = parse("cluster 3\npropose n1 \"x # y\"\nheal\n");
    let odd =
        parse("\u{feff}cluster\t3#three\r\n  propose   n1 \"x # y\" # a command\r\nheal# again");
    assert_eq!(odd, plain);
    let Step::Propose { command, .. } = &plain.steps[0].what else {
        panic!("a proposal")
    };
    assert_eq!(command, "x # y");
    let lines: Vec<_> = parse("\n# nothing\ncluster 1\n\n\nheal\n\nheal")
        .steps
        .iter()
        .map(|step| step.line)
        .collect();
    assert_eq!(lines, [6, 8]);
}

#[test]
fn number_sign_begins_a_comment_except_in_a_command_name() {
    let named = |command: &str| Step::Propose {
        node: NodeId(1),
        name: Some((ClientId(7), 3)),
        command: command.into(),
    };
    assert_eq!(steps("propose n1 as c7#3 \"x\"#9"), [named("x")]);
    assert_eq!(steps("tick n1#3"), [Step::Tick(NodeId(1))]);
    assert!(
        wrong("cluster 1\npropose n1 as c7# 3 \"x\"")
            .contains("`c7` is not a client and its sequence")
    );
    assert!(wrong("cluster 1\npropose n1 as c7#0 \"x\"").contains("sequences from 1"));
}

#[test]
fn messages_are_selected_by_link_kind_and_count() {
    let link = |from: Option<u64>, to: Option<u64>| Link {
        from: from.map(NodeId),
        to: to.map(NodeId),
    };
    let all = Select::default();
    let choices = [
        (
            "n1->n2",
            Select {
                link: link(Some(1), Some(2)),
                ..all
            },
        ),
        (
            "*->n1 vote-reply",
            Select {
                link: link(None, Some(1)),
                kind: Some(KindName::VoteReply),
                most: None,
            },
        ),
        (
            "n1->* 2",
            Select {
                link: link(Some(1), None),
                kind: None,
                most: Some(2),
            },
        ),
        (
            "n1->n2 append 1",
            Select {
                link: link(Some(1), Some(2)),
                kind: Some(KindName::Append),
                most: Some(1),
            },
        ),
    ];
    for (text, select) in choices {
        let later = Some("old".to_string());
        let expected = [
            Step::Deliver(select),
            Step::Drop(select),
            Step::Dup {
                select,
                later: None,
            },
            Step::Dup { select, later },
        ];
        assert_eq!(
            steps(&format!(
                "deliver {text}\ndrop {text}\ndup {text}\ndup {text} later old"
            )),
            expected
        );
    }
    let bare = [
        Step::DeliverAll,
        Step::Drop(all),
        Step::Dup {
            select: all,
            later: None,
        },
    ];
    assert_eq!(steps("deliver\ndrop\ndup"), bare);
}

#[test]
fn presets_combine_and_term_is_at_least_that_of_the_log() {
    let script = parse(
        "cluster 2\nlog * 1 1\nlog n1 1 3\nterm * 2\nvote n1 n2\ncommit * 2\nmember n1 add n9",
    );
    let terms = |terms: &[u64]| terms.iter().copied().map(Term).collect();
    let n1 = script.beginning(NodeId(1));
    let n2 = script.beginning(NodeId(2));
    assert_eq!(
        n1,
        Beginning {
            log: terms(&[1, 3]),
            term: Term(3),
            vote: Some(NodeId(2)),
            commit: Index(2),
            ..Beginning::default()
        }
    );
    assert_eq!(
        n2,
        Beginning {
            log: terms(&[1, 1]),
            term: Term(2),
            vote: None,
            commit: Index(2),
            ..Beginning::default()
        }
    );
    assert_eq!(
        script.beginning(NodeId(9)),
        Beginning::default(),
        "a joining node has an empty disk"
    );
}

/// Each error names its line, the word at fault, and the expected words.
#[test]
fn error_names_file_line_fault_and_expectation() {
    let errors = [
        ("heal", "a.scenario:1: there is no cluster"),
        (
            "# one\ncluster 3\ncluster 3",
            "a.scenario:3: a second `cluster` line: expected only the one on line 2",
        ),
        (
            "cluster 3\nheal\noption prevote off",
            "3: the first step was on line 2: expected cluster, options and presets",
        ),
        (
            "cluster 3\nheal\nlog n1 1",
            "3: the first step was on line 2",
        ),
        (
            "cluster 0",
            "1: `0` is not the number of voters: expected a whole number of 1 to 64",
        ),
        ("cluster 65", "1 to 64"),
        (
            "cluster 3 learners n2",
            "`n2` is one of the 3 voters: expected learners from `n4` on",
        ),
        (
            "cluster 3 witness n4",
            "`n4` is not a voter: expected a witness to be one of `n1` to `n3`",
        ),
        (
            "cluster 3 leaners n4",
            "`leaners` is not a clause of `cluster`: expected one of: learners",
        ),
        (
            "cluster 3 learners",
            "expected a node like `n1`, found the end of the line",
        ),
        (
            "cluster 3\nmarch n1",
            "2: `march` is not a statement: expected one of: cluster option log term",
        ),
        (
            "cluster 3\ncampaign",
            "expected a node like `n1`, found the end of the line",
        ),
        (
            "cluster 3\ncampaign x1",
            "`x1` is not a node: expected `n` and a number",
        ),
        ("cluster 3\ncampaign n01", "`n01` is not a node"),
        ("cluster 3\ncampaign n0", "`n0` is not a node"),
        ("cluster 3\ncampaign *", "`*` is not a node"),
        (
            "cluster 3\ncampaign n4",
            "2: `n4` is not in the cluster: expected one of: n1 n2 n3",
        ),
        (
            "cluster 3\ncampaign n1 n2",
            "`n2` is one word too many: expected the end of the line",
        ),
        ("cluster 3\nheal \"x\"", "`\"x\"` is one word too many"),
        (
            "cluster 3\ndeliver n1->n1",
            "`n1->n1` connects a node to itself",
        ),
        ("cluster 3\ndeliver n1", "`n1` is not a link"),
        (
            "cluster 3\ndeliver n1->n2 apend",
            "`apend` is not a kind of message: expected one of: pre-vote pre-vote-reply",
        ),
        (
            "cluster 3\ndeliver n1->n2 append 0",
            "`0` is not a count of messages",
        ),
        (
            "cluster 3\ndrop n1->n2 append later x",
            "`later` is one word too many",
        ),
        (
            "cluster 3\ndup n1->n2 later a|b",
            "`|` is one word too many",
        ),
        (
            "cluster 3\nreplay old",
            "unknown name `old`: expected a name of an earlier `dup … later NAME`",
        ),
        (
            "cluster 3\nread n1 as a\nexpect read b 1",
            "3: unknown name `b`: expected a name of an earlier `read",
        ),
        (
            "cluster 3\nread n1 r1",
            "`r1` is not the word before the read's name: expected one of: as",
        ),
        ("cluster 3\npartition n1 | n1", "`n1` is in two groups"),
        (
            "cluster 3\npartition n1 |",
            "expected a node like `n1`, found the end of the line",
        ),
        ("cluster 3\npartition n1 x", "`x` is not a node"),
        ("cluster 3\npropose n1 x", "`x` is not in quotes"),
        ("cluster 3\npropose n1 \"x", "a quote is not closed"),
        (
            "cluster 3\nadvance 200",
            "`200` is not a duration: expected one like `150ms`, `2s` or `500us`",
        ),
        ("cluster 3\nadvance 2d", "`2d` is not a duration"),
        ("cluster 3\nadvance 86401s", "at most 86400s"),
        (
            "cluster 3\nadvance 99999999999999999999s",
            "is not a duration",
        ),
        (
            "cluster 3\nmember n1 adds n4",
            "`adds` is not a change of the membership: expected one of: add join learner",
        ),
        (
            "cluster 3\nmember n1 voters n1 learners n1",
            "`n1` cannot be voter and learner",
        ),
        ("cluster 3\nmember n1 add n129", "a number of 1 to 128"),
        (
            "cluster 3\nmember n9 add n4",
            "2: `n9` is not in the cluster: expected one of: n1 n2 n3 n4",
        ),
        (
            "cluster 3\nlog n1 2 1",
            "2: term 1 follows term 2: expected terms that never decrease",
        ),
        (
            "cluster 3\nlog n1 0",
            "`0` is not a term: expected a whole number of 1 to",
        ),
        ("cluster 3\nlog n1 -1", "`-1` is not a term"),
        ("cluster 3\nterm n1 18446744073709551615", "is not a term"),
        ("cluster 3\nterm n1 99999999999999999999", "is not a term"),
        (
            "cluster 3\nlog n1 1\ncommit * 1",
            "3: `n2` cannot have 1 committed entries: expected at most the 0",
        ),
        (
            "cluster 3\ncommit n4 0\nmember n1 add n4",
            "2: `n4` starts with an empty disk",
        ),
        (
            "cluster 3\noption prevote no",
            "`no` is not a switch: expected one of: on off",
        ),
        (
            "cluster 3\noption inflight 0",
            "`0` is not a value of this option: expected a whole number of 1 to",
        ),
        (
            "cluster 3\noption speed 1",
            "`speed` is not an option: expected one of: prevote checkquorum lease adaptive",
        ),
        (
            "cluster 3\noption election 300ms..150ms",
            "`300ms..150ms` is empty",
        ),
        ("cluster 3\noption election 150ms", "`150ms` is not a range"),
        (
            "cluster 3\noption heartbeat 150ms",
            "2: heartbeats every 150ms with election timeouts of 150ms to 300ms cannot work",
        ),
        (
            "cluster 3\nexpect",
            "expected an expectation, one of: leader no-leader leader-of",
        ),
        (
            "cluster 3\nexpect leaders",
            "`leaders` is not an expectation: expected one of: leader no-leader",
        ),
        (
            "cluster 3\nexpect role n1 king",
            "`king` is not a role: expected one of: follower pre-candidate",
        ),
        (
            "cluster 3\nexpect log-equal n1",
            "expected two nodes or more",
        ),
        ("cluster 3\nexpect log-equal n1 n1", "`n1` is named twice"),
        (
            "cluster 3\nexpect config n1 n1",
            "`n1` is not the word before the voters: expected one of: voters",
        ),
        ("cluster 3\nexpect commit n1 > 2", "`>` is not an index"),
        (
            "cluster 3\nexpect queued n1->n2 append",
            "expected a count of messages",
        ),
        (
            "cluster 3\nread n1 as r\nexpect read r maybe",
            "`maybe` is not an answer",
        ),
    ];
    for (text, expected) in errors {
        let error = wrong(text);
        assert!(
            error.starts_with("a.scenario:") && error.contains(expected),
            "{text:?} gives {error:?}"
        );
    }
}

#[test]
fn memory_that_a_script_can_claim_is_bounded() {
    let log = |entries: usize| format!("cluster 1\nlog n1{}", " 1".repeat(entries));
    assert_eq!(parse(&log(100_000)).beginning(NodeId(1)).log.len(), 100_000);
    assert!(wrong(&log(100_001)).contains("expected at most 100000 entries"));
    let word = "z".repeat(1_000_000);
    assert!(
        wrong(&format!("cluster 1\n{word}")).len() < 1_000,
        "an error quotes only the start of a long word"
    );
}

proptest! {
    #[test]
    fn parser_does_not_panic_on_any_text(text in any::<String>()) {
        let _ = Script::parse("a", &text);
        let _ = Script::parse("a", &format!("cluster 3\n{text}"));
    }

    /// Words of the language in any order reach further than arbitrary text.
    #[test]
    fn parser_does_not_panic_on_words_of_the_language(
        words in prop::collection::vec(language(), 0..60),
    ) {
        let _ = Script::parse("a", &words.join(" "));
        let _ = Script::parse("a", &format!("cluster 3\n{}", words.join(" ")));
    }

    /// Arbitrary text after the first words of a statement.
    #[test]
    fn parser_does_not_panic_on_any_end_of_a_statement(
        first in language(),
        second in language(),
        rest in "\\PC{0,20}",
    ) {
        let _ = Script::parse("a", &format!("cluster 3\n{first} {second} {rest}"));
        let _ = Script::parse("a", &format!("cluster 3\nexpect {first} {second}{rest}"));
    }

    #[test]
    fn printed_script_parses_to_the_same_script(script in script()) {
        let text = script.to_string();
        let again = Script::parse("a", &text)
            .map_err(|error| TestCaseError::fail(format!("{error} in\n{text}")))?;
        prop_assert_eq!(unnumbered(again), script);
    }
}

fn language() -> impl Strategy<Value = String> {
    const WORDS: &str = "cluster option log term vote commit campaign tick advance deliver drop \
        dup replay partition cut isolate heal propose read lease-read transfer member compact \
        crash restart wipe astray hold-disk release-disk stabilize run settle until within not \
        only delay clock pause resume tear fail-disk fill-disk free-disk copy-disk put-back \
        entry 110% <= expect leader no-leader leader-of role last first log-equal state-equal \
        applied config next match refused accepted queued alive n1 n2 n3 n4 n999 \
        n18446744073709551616 * n1->n2 *->* n1->* -> n->n | >= > # \" \"x\" \"\" as c7#3 c#1 \
        c99999999999999999999#1 0 1 18446744073709551615 99999999999999999999 150ms 2s 5us 1..2 \
        150ms..300ms .. on off none pending voters learners outgoing witness add join learner \
        remove contact later append heartbeat é \u{0} \n \n \n";
    let words: Vec<_> = WORDS
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_string)
        .collect();
    prop::sample::select(words)
}

/// Clears line numbers, which a generated script does not have.
fn unnumbered(mut script: Script) -> Script {
    script.cluster.line = 0;
    script.options.iter_mut().for_each(|option| option.line = 0);
    script.presets.iter_mut().for_each(|preset| preset.line = 0);
    script.steps.iter_mut().for_each(|step| step.line = 0);
    script
}
