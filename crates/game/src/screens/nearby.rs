//! Matches on the local network, in the menu.
//!
//! Members announce their matches by mDNS, without the secret of their codes: the list shows that
//! there is a match, and joining it takes the code that its players see in their lobby.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bevy::prelude::*;
use raftian_node::lan::{LanMatch, browse};
use raftian_node::wire::WIRE_VERSION;

use super::Screen;
use super::menu::{Entry, Line};
use crate::language::Wording;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{Caption, column, control, panel, text, unbroken, write};
use crate::view::fonts::Typeface;

/// Most matches that are listed.
pub(super) const LISTED: usize = 4;

/// Time of one look at the network. Members repeat their announcements more often.
const LOOK: Duration = Duration::from_secs(3);

/// The announced matches, as far as they have arrived, while the menu is shown.
#[derive(Resource, Default)]
pub(super) struct Nearby(Arc<Search>);

#[derive(Default)]
struct Search {
    is_over: AtomicBool,
    found: Mutex<Vec<Announced>>,
}

/// An announced match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Announced {
    pub(super) name: String,
    players: usize,
    protocol: u8,
}

/// The list, which is hidden without matches.
#[derive(Component)]
struct List;

/// A row of the list.
#[derive(Component)]
struct ListRow(usize);

/// The caption of a row.
#[derive(Component)]
struct RowCaption(usize);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Nearby>()
        .add_systems(OnEnter(Screen::Menu), search)
        .add_systems(OnExit(Screen::Menu), end)
        .add_systems(Update, show.run_if(in_state(Screen::Menu)));
}

impl Nearby {
    fn found(&self) -> Vec<Announced> {
        let found = self.0.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The match in a row of the list.
    pub(super) fn row(&self, row: usize) -> Option<Announced> {
        self.found().into_iter().nth(row)
    }
}

/// Listens on a thread of its own until the menu is left.
fn search(mut nearby: ResMut<Nearby>) {
    nearby.0.is_over.store(true, Ordering::Release);
    let search = Arc::new(Search::default());
    nearby.0 = Arc::clone(&search);
    let listen = move || {
        while !search.is_over.load(Ordering::Acquire) {
            match browse(LOOK, |_| false) {
                Ok(found) => {
                    let mut shown = search.found.lock().unwrap_or_else(PoisonError::into_inner);
                    *shown = announced(found);
                }
                Err(error) => {
                    debug!(%error, "cannot listen to announcements of matches");
                    return;
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("nearby-matches".to_owned());
    if let Err(error) = thread.spawn(listen) {
        debug!(%error, "cannot listen to announcements of matches");
    }
}

fn end(nearby: Res<Nearby>) {
    nearby.0.is_over.store(true, Ordering::Release);
}

/// One entry for each match, which several members may announce; the largest first.
fn announced(found: Vec<LanMatch>) -> Vec<Announced> {
    let mut matches: BTreeMap<_, Announced> = BTreeMap::new();
    for one in found {
        let entry = Announced {
            name: one.name,
            players: one.players,
            protocol: one.protocol,
        };
        let known = matches.entry(one.match_id).or_insert_with(|| entry.clone());
        // A member that is behind announces fewer players.
        if known.players < entry.players {
            *known = entry;
        }
    }
    let mut all: Vec<_> = matches.into_values().collect();
    all.sort_by(|one, other| {
        other
            .players
            .cmp(&one.players)
            .then(one.name.cmp(&other.name))
    });
    all.truncate(LISTED);
    all
}

impl Announced {
    fn caption(&self) -> String {
        let players = match self.players {
            1 => text!("one player"),
            count => text!("{count} players", count),
        };
        if self.protocol == WIRE_VERSION {
            return format!("{}: {players}", self.name);
        }
        text!(
            "{name}: {players}, speaks protocol {theirs}, this build {own}",
            name = self.name,
            players,
            theirs = self.protocol,
            own = WIRE_VERSION
        )
    }

    /// The next step after the match was chosen.
    pub(super) fn advice(&self) -> String {
        text!(
            "Type the code of \"{name}\", which its players see in their lobby.",
            name = self.name
        )
    }
}

/// Adds the list.
pub(super) fn spawn(parent: &mut ChildSpawnerCommands, font: &Typeface) {
    parent
        .spawn((
            List,
            panel(Node {
                width: percent(100),
                display: Display::None,
                ..column(space::NEAR)
            }),
        ))
        .with_children(|list| {
            list.spawn(text(
                font,
                wording!("On this network"),
                size::LARGE,
                colour::TEXT,
            ));
            for row in 0..LISTED {
                list.spawn((
                    ListRow(row),
                    Entry::Nearby(row),
                    control(Node {
                        padding: UiRect::axes(space::WIDE, space::NEAR),
                        display: Display::None,
                        ..default()
                    }),
                    children![(
                        Caption,
                        RowCaption(row),
                        unbroken(font, Wording::EMPTY, size::BODY, colour::TEXT)
                    )],
                ));
            }
            list.spawn((
                Line::Nearby,
                text(font, Wording::EMPTY, size::BODY, colour::QUIET),
            ));
        });
}

fn show(
    nearby: Res<Nearby>,
    mut list: Query<&mut Node, (With<List>, Without<ListRow>)>,
    mut rows: Query<(&ListRow, &mut Node)>,
    mut captions: Query<(&RowCaption, &mut Text)>,
) {
    let found = nearby.found();
    let display = |is_shown| match is_shown {
        true => Display::Flex,
        false => Display::None,
    };
    for mut list in &mut list {
        let shown = display(!found.is_empty());
        if list.display != shown {
            list.display = shown;
        }
    }
    for (row, mut node) in &mut rows {
        let shown = display(row.0 < found.len());
        if node.display != shown {
            node.display = shown;
        }
    }
    for (row, mut text) in &mut captions {
        let caption = found.get(row.0).map(Announced::caption);
        write(&mut text, caption.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use raftian_node::ticket::MatchId;

    use super::*;
    use crate::language::Language;
    use crate::language::tests::{Spoken, bare_words};

    fn announcement(id: &str, name: &str, players: usize) -> LanMatch {
        LanMatch {
            match_id: MatchId::try_from(id.to_owned()).expect("an id"),
            name: name.to_owned(),
            players,
            protocol: WIRE_VERSION,
            code: None,
            fingerprint: raftian_node::cluster::Fingerprint::of(&[]),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn match_of_several_members_is_listed_once_with_the_newest_count() {
        let [one, other] = [
            "00000000000000000000000000000001",
            "00000000000000000000000000000002",
        ];
        let found = vec![
            announcement(one, "Ada's match", 1),
            announcement(other, "Bo's match", 1),
            announcement(one, "Ada's match", 2),
        ];
        let captions: Vec<_> = announced(found).iter().map(Announced::caption).collect();
        assert_eq!(
            captions,
            ["Ada's match: 2 players", "Bo's match: one player"]
        );
    }

    #[test]
    fn captions_and_advice_are_translated() {
        let _spoken = Spoken::new(Language::Bracketed);
        let mut other = announcement("00000000000000000000000000000002", "7", 1);
        other.protocol = WIRE_VERSION + 1;
        let own = announcement("00000000000000000000000000000001", "7", 2);
        for one in announced(vec![own, other]) {
            for words in [one.caption(), one.advice()] {
                assert_eq!(bare_words(&words), Vec::<String>::new(), "{words:?}");
            }
        }
    }
}
