//! The steps of the six lessons.

use std::time::Duration;

use raftian_realm::crowns::{Building, Place, Resource, UnitKind};

use super::Lesson;
use super::acts::Act;
use super::view::{LessonView, Machine};
use crate::settings::bindings::{Bindings, KeyAction};

/// A step of a lesson: one instruction, and the state that completes it.
pub(super) struct Step {
    pub(super) instruction: &'static str,
    /// The key or button.
    pub(super) hint: fn(&Bindings) -> String,
    /// Whether the instruction asks something, which the player answers by doing it.
    pub(super) is_question: bool,
    /// The button that it needs.
    pub(super) act: Option<Act>,
    /// The present state in one line.
    pub(super) fact: fn(&LessonView) -> String,
    pub(super) is_done: fn(&LessonView) -> bool,
}

/// Time for which something must stand still to be seen.
const SEEN: Duration = Duration::from_millis(1_500);

/// Time for which the small side of a split world must stand still.
const STANDS: Duration = Duration::from_secs(5);

/// Units of a kind that make an army.
const ARMY: u32 = 3;

/// Crowns with which the lesson of the Throne goes on.
const CROWNS: u64 = 10;

/// The steps of a lesson.
pub(super) fn steps(lesson: Lesson) -> &'static [Step] {
    match lesson {
        Lesson::Classic => &CLASSIC,
        Lesson::Grow => &GROW,
        Lesson::Fight => &FIGHT,
        Lesson::Throne => &THRONE,
        Lesson::Leader => &LEADER,
        Lesson::Split => &SPLIT,
    }
}

const CLASSIC: [Step; 5] = [
    Step {
        instruction: "Hit a city. Your click is a proposal: it counts once a majority of the five \
                      machines has stored it.",
        hint: |_| "Click a square, or press its number, 1 to 5.".to_owned(),
        is_question: false,
        act: None,
        fact: commit_fact,
        is_done: |view| view.has_ordered() && view.damage() > view.begin.damage,
    },
    Step {
        instruction: "That took milliseconds. Now in slow motion: pause three of the five.",
        hint: press_button,
        is_question: false,
        act: Some(Act::PauseThree),
        fact: awake_fact,
        is_done: |view| view.count(|machine| machine.is_paused) * 2 > view.machines.len(),
    },
    Step {
        instruction: "Hit a city again. Two machines are no majority: dashes run around the city, \
                      and nothing changes.",
        hint: |_| "Click a square, or press its number, and wait.".to_owned(),
        is_question: false,
        act: None,
        fact: awake_fact,
        is_done: |view| view.unchanged.waiting >= SEEN,
    },
    Step {
        instruction: "Wake one. Three of five are a majority: they elect a leader, and your command \
                      is committed.",
        hint: press_button,
        is_question: false,
        act: Some(Act::WakeOne),
        fact: awake_fact,
        is_done: |view| view.has_ordered() && view.damage() > view.begin.damage,
    },
    Step {
        instruction: "How many hits does a city stand? Find out: hit one until it falls.",
        hint: |_| "The same square, again and again.".to_owned(),
        is_question: true,
        act: Some(Act::WakeAll),
        fact: commit_fact,
        is_done: |view| view.has_fallen(),
    },
];

const GROW: [Step; 4] = [
    Step {
        instruction: "Build your lumber camp higher. Time runs four times as fast in this lesson.",
        hint: |keys| {
            let key = keys.label(KeyAction::BuildWood);
            format!("Press {key}, or the row of the lumber camp on the right.")
        },
        is_question: false,
        act: None,
        fact: rates_fact,
        is_done: |view| view.has_built(Building::Field(Resource::Wood)),
    },
    Step {
        instruction: "Wood comes faster now: see the number under the wood in the bar. Build mine \
                      and farm, too.",
        hint: |keys| {
            let [iron, grain] = keys.labels([KeyAction::BuildIron, KeyAction::BuildGrain]);
            format!("{iron} and {grain}. One is built, another one waits.")
        },
        is_question: false,
        act: None,
        fact: rates_fact,
        is_done: |view| {
            let [iron, grain] = [Resource::Iron, Resource::Grain].map(Building::Field);
            view.has_built(iron) && view.has_built(grain)
        },
    },
    Step {
        instruction: "Soldiers need barracks. Build them higher: riders come with level 2.",
        hint: |keys| format!("Press {}.", keys.label(KeyAction::BuildBarracks)),
        is_question: false,
        act: None,
        fact: rates_fact,
        is_done: |view| view.has_built(Building::Barracks),
    },
    Step {
        instruction: "Above 600 all is lost. Which building gives you more room? Build it.",
        hint: |keys| {
            let [wall, store] = keys.labels([KeyAction::BuildWall, KeyAction::BuildStore]);
            format!("{wall} or {store}?")
        },
        is_question: true,
        act: None,
        fact: rates_fact,
        is_done: |view| view.has_built(Building::Store),
    },
];

const FIGHT: [Step; 4] = [
    Step {
        instruction: "Train axes: they attack. Three are enough to begin with.",
        hint: |keys| {
            let axe = keys.label(KeyAction::Axe);
            format!("Press {axe} three times, or once with Shift for five.")
        },
        is_question: false,
        act: None,
        fact: army_fact,
        is_done: |view| {
            let city = view.city();
            city.is_some_and(|city| city.home().count(UnitKind::Axe) >= ARMY)
        },
    },
    Step {
        instruction: "Plan a march to an oasis. The plan shows the result before anyone leaves. \
                      Then send it.",
        hint: |keys| {
            let next = keys.label(KeyAction::NextTarget);
            format!("{next} until an oasis is the target, or click one; Enter sends.")
        },
        is_question: false,
        act: None,
        fact: army_fact,
        is_done: |view| {
            let marches = view.game.into_iter().flat_map(|game| game.marches());
            let mut own = marches.filter(|(_, march)| march.seat == view.own && !march.returns);
            let is_under_way = own.any(|(_, march)| matches!(march.place, Place::Oasis(_)));
            is_under_way || view.oases().any(|oasis| view.holds(oasis))
        },
    },
    Step {
        instruction: "The army fights where it arrives, and stays. If it loses, train more and send \
                      them.",
        hint: |_| "Watch the march on the map, and the lines below it.".to_owned(),
        is_question: false,
        act: None,
        fact: army_fact,
        is_done: |view| view.oases().any(|oasis| view.holds(oasis)),
    },
    Step {
        instruction: "Suppose riders attack you. Which unit stops them? Train one.",
        hint: |keys| {
            let [spear, axe, _, ram] = keys.labels(KeyAction::UNITS);
            format!("{spear} spear, {axe} axe or {ram} ram?")
        },
        is_question: true,
        act: None,
        fact: army_fact,
        is_done: |view| view.army().count(UnitKind::Spear) > view.begin.army.count(UnitKind::Spear),
    },
];

const THRONE: [Step; 4] = [
    Step {
        instruction: "Train five axes. The guard of the Throne is stronger than that of an oasis. \
                      Time runs ten times as fast here.",
        hint: |keys| format!("Shift and {}.", keys.label(KeyAction::Axe)),
        is_question: false,
        act: None,
        fact: army_fact,
        is_done: |view| view.army().count(UnitKind::Axe) > ARMY,
    },
    Step {
        instruction: "Take the Throne in the middle. It opens at 4:00; an army that comes earlier \
                      is sent home.",
        hint: |keys| {
            let next = keys.label(KeyAction::NextTarget);
            format!("From 4:00 on {next} plans a march to the Throne, Enter sends it.")
        },
        is_question: false,
        act: None,
        fact: throne_fact,
        is_done: |view| view.holds(Place::Throne),
    },
    Step {
        instruction: "You hold it: each second gives a crown. See them in the bar, beside your \
                      name, with the goal.",
        hint: |_| "Wait for ten crowns.".to_owned(),
        is_question: false,
        act: None,
        fact: throne_fact,
        is_done: |view| {
            let crowns = view.game.map_or(0, |game| game.crowns(view.own));
            view.holds(Place::Throne) && crowns >= CROWNS
        },
    },
    Step {
        instruction: "Do crowns come without a garrison? Call yours home and see.",
        hint: |keys| {
            let [next, home] = keys.labels([KeyAction::NextTarget, KeyAction::CallHome]);
            format!("{next} for the Throne, then {home}.")
        },
        is_question: true,
        act: None,
        fact: throne_fact,
        is_done: |view| !view.holds(Place::Throne) && view.unchanged.crowns >= SEEN,
    },
];

const LEADER: [Step; 4] = [
    Step {
        instruction: "One of the five machines leads: all orders pass through it. Take the hammer, \
                      and kill it.",
        hint: press_button,
        is_question: false,
        act: Some(Act::KillLeader),
        fact: leader_fact,
        is_done: |view| view.deposed() >= 1,
    },
    Step {
        instruction: "The others have elected another one. Keep playing: give an order.",
        hint: any_order,
        is_question: false,
        act: None,
        fact: leader_fact,
        is_done: |view| view.deposed() >= 1 && view.has_ordered(),
    },
    Step {
        instruction: "The hammer again: kill this leader, too.",
        hint: press_button,
        is_question: false,
        act: Some(Act::KillLeader),
        fact: leader_fact,
        is_done: |view| view.deposed() >= 2,
    },
    Step {
        instruction: "Two of five are dead. Can the other three still decide? Give an order and see.",
        hint: any_order,
        is_question: true,
        act: None,
        fact: leader_fact,
        is_done: |view| {
            view.has_ordered() && view.deposed() >= 2 && view.count(Machine::takes_part) == 3
        },
    },
];

const SPLIT: [Step; 4] = [
    Step {
        instruction: "Split the world: yours and one more machine lose their links, the other three \
                      stay together.",
        hint: press_button,
        is_question: false,
        act: Some(Act::Split),
        fact: split_fact,
        is_done: |view| is_cut_off(view) && large_side_leads(view),
    },
    Step {
        instruction: "You are on the small side. The clock stands still, and an order waits. Try it.",
        hint: |keys| {
            let [wood, spear] = keys.labels([KeyAction::BuildWood, KeyAction::Spear]);
            format!("{wood} builds, {spear} trains: nothing happens.")
        },
        is_question: false,
        act: None,
        fact: split_fact,
        is_done: |view| {
            let own = view.own_machine().map(Machine::applied);
            let others = view.machines.iter().filter(|machine| machine.takes_part());
            let newest = others.map(Machine::applied).max();
            is_cut_off(view) && view.unchanged.applied >= STANDS && newest > own
        },
    },
    Step {
        instruction: "Which side can still decide? Go to the other side, and give an order there.",
        hint: any_order,
        is_question: true,
        act: Some(Act::ChangeSide),
        fact: split_fact,
        is_done: |view| {
            let is_there = view.own_machine().is_some_and(Machine::takes_part);
            let cut = view.count(|machine| machine.is_cut);
            is_there && view.has_ordered() && cut * 2 < view.machines.len() && cut > 0
        },
    },
    Step {
        instruction: "Do the two sides agree again when the links are back? Heal the world and see.",
        hint: press_button,
        is_question: true,
        act: Some(Act::Heal),
        fact: |view| {
            let equal = view.equal_states();
            format!(
                "The same state on {equal} of {} machines.",
                view.machines.len()
            )
        },
        is_done: |view| {
            let all = view.machines.len();
            view.count(Machine::takes_part) == all && view.equal_states() == all
        },
    },
];

/// Whether the machine behind the window is one of a minority that is cut off, and knows no leader.
fn is_cut_off(view: &LessonView) -> bool {
    let is_cut = view.own_machine().is_some_and(|own| own.is_cut);
    let cut = view.count(|machine| machine.is_cut);
    is_cut && view.leader.is_none() && cut * 2 < view.machines.len()
}

/// Whether a machine leads that is connected to a majority.
fn large_side_leads(view: &LessonView) -> bool {
    let is_majority = view.count(Machine::takes_part) * 2 > view.machines.len();
    let mut large = view.machines.iter().filter(|machine| machine.takes_part());
    is_majority && large.any(|machine| machine.leads)
}

fn press_button(_: &Bindings) -> String {
    "Enter, or a click on the button.".to_owned()
}

fn any_order(keys: &Bindings) -> String {
    let [wood, spear] = keys.labels([KeyAction::BuildWood, KeyAction::Spear]);
    format!("{wood} builds, {spear} trains a spear.")
}

/// Name of the leader that the player's machine knows.
fn leader_name<'a>(view: &'a LessonView) -> Option<&'a str> {
    let mut machines = view.machines.iter();
    let leader = machines.find(|machine| Some(machine.id) == view.leader)?;
    Some(&leader.name)
}

fn commit_fact(view: &LessonView) -> String {
    let own = view.own_machine().map_or(0, |own| own.applied().0);
    let equal = view.equal_states();
    let all = view.machines.len();
    format!("Entry {own}, the same on {equal} of {all} machines.")
}

fn awake_fact(view: &LessonView) -> String {
    let awake = view.count(Machine::takes_part);
    let leader = leader_name(view).unwrap_or("none");
    format!(
        "{awake} of {} awake. Leader: {leader}.",
        view.machines.len()
    )
}

fn leader_fact(view: &LessonView) -> String {
    let up = view.count(|machine| machine.is_up);
    let leader = leader_name(view).unwrap_or("none");
    let term = view.term.0;
    format!(
        "{up} of {} run. Leader: {leader}, term {term}.",
        view.machines.len()
    )
}

fn split_fact(view: &LessonView) -> String {
    let own = view.own_machine().map_or(0, |own| own.applied().0);
    let others = view.machines.iter().map(|machine| machine.applied().0);
    let newest = others.max().unwrap_or(0);
    let cut = view.count(|machine| machine.is_cut);
    match (cut, newest.saturating_sub(own)) {
        (0, _) => format!("All {} are connected.", view.machines.len()),
        (cut, 0) => format!("{cut} are cut off. You see the present."),
        (cut, behind) => format!("{cut} are cut off. You are {behind} entries behind."),
    }
}

fn rates_fact(view: &LessonView) -> String {
    let Some(game) = view.game else {
        return String::new();
    };
    let [wood, iron, grain] = game.rates(view.own);
    format!("A minute: {wood} wood, {iron} iron, {grain} grain.")
}

fn army_fact(view: &LessonView) -> String {
    format!("Your army: {}.", view.army())
}

fn throne_fact(view: &LessonView) -> String {
    let Some(game) = view.game else {
        return String::new();
    };
    let crowns = game.crowns(view.own);
    let opens = game.rules().throne.opens;
    let left = opens.saturating_sub(game.elapsed() / 1_000);
    match left {
        0 => format!("You have {crowns} crowns of {}.", game.goal()),
        left => format!("It opens in {}:{:02} on the clock.", left / 60, left % 60),
    }
}
