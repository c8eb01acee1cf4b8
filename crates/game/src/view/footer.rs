//! The line below the map: this player, the classic footer text, and the leader.

use super::ViewSystems;
use super::canvas::{depth, rgb};
use super::fonts::Typeface;
use super::shapes::Shapes;
use super::text::{Align, CanvasText, shortened, write};
use crate::classic_layout::{BLACK, FOOTER, Rgb, bottom_text};
use crate::language::{ShownLanguage, Wording};
use crate::screens::Screen;
use bevy::prelude::*;

const SIZE: f32 = 24.0;
const MARGIN: f32 = 24.0;
const CROWN: Vec2 = Vec2::new(30.0, 23.0);
/// Quiet grey for unimportant text; 7:1 on white.
const QUIET: Rgb = [84, 88, 96];
const GOLD: Rgb = [214, 158, 16];
/// Dark amber for a notice; 5:1 on white.
const NOTICE: Rgb = [158, 86, 0];
/// Maximum length of this machine's name left of the classic footer text, in characters.
const ME_LIMIT: usize = 24;
/// Maximum length of the leader's name right of it, next to a term of five digits, in characters.
const LEADER_LIMIT: usize = 12;
/// Maximum length of a notice below the classic footer text, in characters.
const NOTICE_LIMIT: usize = 72;

/// Content of the footer and the banner. Filled by the code that knows the node; names may come
/// from other machines.
#[derive(Resource, Clone, Debug, PartialEq, Eq)]
pub struct FooterFacts {
    /// This machine's name, as in "You are raftian (n1)".
    pub me: String,
    /// Name of the current leader, if known to this machine.
    pub leader: Option<String>,
    /// Current term of this machine.
    pub term: u64,
    /// Whether this machine knows of a majority. If not, the view shows that orders wait.
    pub quorum: bool,
    /// One line of news from the node, such as a failed link. Shown until replaced.
    pub notice: Option<String>,
}

impl Default for FooterFacts {
    /// Neutral values for the time before the node reports: empty, and no banner.
    fn default() -> Self {
        Self {
            me: String::new(),
            leader: None,
            term: 0,
            quorum: true,
            notice: None,
        }
    }
}

/// Parts of the footer with variable text.
#[derive(Component, Clone, Copy, PartialEq, Eq)]
enum Part {
    Me,
    Leader,
    Notice,
}

#[derive(Component)]
struct Crown;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<FooterFacts>()
        .init_resource::<ShownLanguage>()
        .add_systems(Startup, spawn_footer)
        .add_systems(
            Update,
            write_footer
                .run_if(
                    resource_changed::<FooterFacts>
                        .or_else(resource_changed::<ShownLanguage>)
                        .or_else(state_changed::<Screen>),
                )
                .in_set(ViewSystems::Draw),
        );
}

fn spawn_footer(mut commands: Commands, typeface: Res<Typeface>, shapes: Res<Shapes>) {
    let [left, top, width, height] =
        [FOOTER.x, FOOTER.y, FOOTER.width, FOOTER.height].map(|units| units as f32);
    let middle = top + height / 2.0;
    let line = |x, y, align, size| CanvasText {
        at: Vec2::new(x, y),
        align,
        size,
        depth: depth::TEXT,
    };
    let crown_at = Vec2::new(left + width - MARGIN - CROWN.x / 2.0, middle - 2.0);
    commands.spawn((
        Part::Me,
        line(left + MARGIN, middle, Align::Left, SIZE).line(&typeface.0, BLACK, Wording::EMPTY),
    ));
    commands.spawn(line(left + width / 2.0, middle, Align::Middle, SIZE).line(
        &typeface.0,
        QUIET,
        Wording::new(bottom_text),
    ));
    commands.spawn((
        Part::Notice,
        line(left + width / 2.0, top + height - 18.0, Align::Middle, 20.0).line(
            &typeface.0,
            NOTICE,
            Wording::EMPTY,
        ),
    ));
    commands.spawn((
        Part::Leader,
        line(0.0, middle, Align::Right, SIZE).line(&typeface.0, BLACK, Wording::EMPTY),
    ));
    commands.spawn((
        Crown,
        Sprite {
            image: shapes.crown.clone(),
            color: rgb(GOLD),
            custom_size: Some(CROWN),
            ..default()
        },
        Transform::from_xyz(crown_at.x, -crown_at.y, depth::TEXT),
        Visibility::Hidden,
    ));
}

fn write_footer(
    facts: Res<FooterFacts>,
    mut parts: Query<(&Part, &mut CanvasText, &mut Text2d)>,
    mut crown: Single<&mut Visibility, With<Crown>>,
) {
    let crowned = facts.leader.is_some();
    crown.set_if_neq(if crowned {
        Visibility::Inherited
    } else {
        Visibility::Hidden
    });
    for (part, mut line, mut text) in &mut parts {
        match part {
            Part::Me => write(&mut text, &me(&facts)),
            Part::Notice => write(
                &mut text,
                &shortened(facts.notice.as_deref().unwrap_or_default(), NOTICE_LIMIT),
            ),
            Part::Leader => {
                write(&mut text, &leader(&facts));
                let room = MARGIN + if crowned { CROWN.x + 10.0 } else { 0.0 };
                line.at.x = (FOOTER.x + FOOTER.width) as f32 - room;
            }
        }
    }
}

fn me(facts: &FooterFacts) -> String {
    if facts.me.is_empty() {
        String::new()
    } else {
        text!("You are {name}", name = shortened(&facts.me, ME_LIMIT))
    }
}

fn leader(facts: &FooterFacts) -> String {
    match &facts.leader {
        Some(name) => text!(
            "leader {name} · term {term}",
            name = shortened(name, LEADER_LIMIT),
            term = facts.term
        ),
        None => text!("no leader — electing…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::language::tests::Spoken;

    #[test]
    fn footer_names_this_machine_and_the_leader() {
        let mut facts = FooterFacts {
            me: "raftian (n1)".into(),
            leader: Some("bob2".into()),
            term: 3,
            ..default()
        };
        assert_eq!(me(&facts), "You are raftian (n1)");
        assert_eq!(leader(&facts), "leader bob2 · term 3");
        {
            let _spoken = Spoken::new(Language::Italian);
            assert_eq!(me(&facts), "Sei raftian (n1)");
            assert_eq!(leader(&facts), "leader bob2 · mandato 3");
        }
        facts.leader = None;
        assert_eq!(leader(&facts), "no leader — electing…");
    }

    #[test]
    fn very_long_name_is_cut() {
        let facts = FooterFacts {
            me: "n".repeat(500),
            ..default()
        };
        assert_eq!(me(&facts).chars().count(), "You are ".len() + ME_LIMIT);
    }
}
