//! The steps of the six lessons.

use std::time::Duration;

use raftian_realm::crowns::{Building, Place, Resource, UnitKind};

use super::Lesson;
use super::acts::Act;
use super::view::{LessonView, Machine};
use crate::report_words::{army_words, clock};
use crate::settings::bindings::{Bindings, KeyAction};

/// A step of a lesson: one instruction, and the state that completes it.
pub(super) struct Step {
    pub(super) instruction: fn() -> String,
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
        instruction: || {
            text!(
                "Hit a city. Your click is a proposal: it counts once a majority of the five \
             machines has stored it."
            )
        },
        hint: |_| text!("Click a square, or press its number, 1 to 5."),
        is_question: false,
        act: None,
        fact: commit_fact,
        is_done: |view| view.has_ordered() && view.damage() > view.begin.damage,
    },
    Step {
        instruction: || {
            text!("That took milliseconds. Now in slow motion: pause three of the five.")
        },
        hint: press_button,
        is_question: false,
        act: Some(Act::PauseThree),
        fact: awake_fact,
        is_done: |view| view.count(|machine| machine.is_paused) * 2 > view.machines.len(),
    },
    Step {
        instruction: || {
            text!(
                "Hit a city again. Two machines are no majority: dashes run around the city, and \
             nothing changes."
            )
        },
        hint: |_| text!("Click a square, or press its number, and wait."),
        is_question: false,
        act: None,
        fact: awake_fact,
        is_done: |view| view.unchanged.waiting >= SEEN,
    },
    Step {
        instruction: || {
            text!(
                "Wake one. Three of five are a majority: they elect a leader, and your command is \
             committed."
            )
        },
        hint: press_button,
        is_question: false,
        act: Some(Act::WakeOne),
        fact: awake_fact,
        is_done: |view| view.has_ordered() && view.damage() > view.begin.damage,
    },
    Step {
        instruction: || text!("How many hits does a city stand? Find out: hit one until it falls."),
        hint: |_| text!("The same square, again and again."),
        is_question: true,
        act: Some(Act::WakeAll),
        fact: commit_fact,
        is_done: |view| view.has_fallen(),
    },
];

const GROW: [Step; 4] = [
    Step {
        instruction: || {
            text!("Build your lumber camp higher. Time runs four times as fast in this lesson.")
        },
        hint: |keys| {
            let key = keys.label(KeyAction::BuildWood);
            text!(
                "Press {key}, or the row of the lumber camp on the right.",
                key
            )
        },
        is_question: false,
        act: None,
        fact: rates_fact,
        is_done: |view| view.has_built(Building::Field(Resource::Wood)),
    },
    Step {
        instruction: || {
            text!(
                "Wood comes faster now: see the number under the wood in the bar. Build mine and \
             farm, too."
            )
        },
        hint: |keys| {
            let [iron, grain] = keys.labels([KeyAction::BuildIron, KeyAction::BuildGrain]);
            text!(
                "{iron} and {grain}. One is built, another one waits.",
                iron,
                grain
            )
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
        instruction: || {
            text!("Soldiers need barracks. Build them higher: riders come with level 2.")
        },
        hint: |keys| text!("Press {key}.", key = keys.label(KeyAction::BuildBarracks)),
        is_question: false,
        act: None,
        fact: rates_fact,
        is_done: |view| view.has_built(Building::Barracks),
    },
    Step {
        instruction: || {
            text!("Above 600 all is lost. Which building gives you more room? Build it.")
        },
        hint: |keys| {
            let [wall, store] = keys.labels([KeyAction::BuildWall, KeyAction::BuildStore]);
            text!("{wall} or {store}?", wall, store)
        },
        is_question: true,
        act: None,
        fact: rates_fact,
        is_done: |view| view.has_built(Building::Store),
    },
];

const FIGHT: [Step; 4] = [
    Step {
        instruction: || text!("Train axes: they attack. Three are enough to begin with."),
        hint: |keys| {
            let axe = keys.label(KeyAction::Axe);
            text!("Press {axe} three times, or once with Shift for five.", axe)
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
        instruction: || {
            text!(
                "Plan a march to an oasis. The plan shows the result before anyone leaves. Then \
                 send it."
            )
        },
        hint: |keys| {
            let next = keys.label(KeyAction::NextTarget);
            text!(
                "{next} until an oasis is the target, or click one; Enter sends.",
                next
            )
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
        instruction: || {
            text!(
                "The army fights where it arrives, and stays. If it loses, train more and send \
                 them."
            )
        },
        hint: |_| text!("Watch the march on the map, and the lines below it."),
        is_question: false,
        act: None,
        fact: army_fact,
        is_done: |view| view.oases().any(|oasis| view.holds(oasis)),
    },
    Step {
        instruction: || text!("Suppose riders attack you. Which unit stops them? Train one."),
        hint: |keys| {
            let [spear, axe, _, ram] = keys.labels(KeyAction::UNITS);
            text!("{spear} spear, {axe} axe or {ram} ram?", spear, axe, ram)
        },
        is_question: true,
        act: None,
        fact: army_fact,
        is_done: |view| view.army().count(UnitKind::Spear) > view.begin.army.count(UnitKind::Spear),
    },
];

const THRONE: [Step; 4] = [
    Step {
        instruction: || {
            text!(
                "Train five axes. The guard of the Throne is stronger than that of an oasis. Time \
             runs ten times as fast here."
            )
        },
        hint: |keys| text!("Shift and {key}.", key = keys.label(KeyAction::Axe)),
        is_question: false,
        act: None,
        fact: army_fact,
        is_done: |view| view.army().count(UnitKind::Axe) > ARMY,
    },
    Step {
        instruction: || {
            text!(
                "Take the Throne in the middle. It opens at 4:00; an army that comes earlier is \
                 sent home."
            )
        },
        hint: |keys| {
            let next = keys.label(KeyAction::NextTarget);
            text!(
                "From 4:00 on {next} plans a march to the Throne, Enter sends it.",
                next
            )
        },
        is_question: false,
        act: None,
        fact: throne_fact,
        is_done: |view| view.holds(Place::Throne),
    },
    Step {
        instruction: || {
            text!(
                "You hold it: each second gives a crown. See them in the bar, beside your name, \
                 with the goal."
            )
        },
        hint: |_| text!("Wait for ten crowns."),
        is_question: false,
        act: None,
        fact: throne_fact,
        is_done: |view| {
            let crowns = view.game.map_or(0, |game| game.crowns(view.own));
            view.holds(Place::Throne) && crowns >= CROWNS
        },
    },
    Step {
        instruction: || text!("Do crowns come without a garrison? Call yours home and see."),
        hint: |keys| {
            let [next, home] = keys.labels([KeyAction::NextTarget, KeyAction::CallHome]);
            text!("{next} for the Throne, then {home}.", next, home)
        },
        is_question: true,
        act: None,
        fact: throne_fact,
        is_done: |view| !view.holds(Place::Throne) && view.unchanged.crowns >= SEEN,
    },
];

const LEADER: [Step; 4] = [
    Step {
        instruction: || {
            text!(
                "One of the five machines leads: all orders pass through it. Take the hammer, and \
             kill it."
            )
        },
        hint: press_button,
        is_question: false,
        act: Some(Act::KillLeader),
        fact: leader_fact,
        is_done: |view| view.deposed() >= 1,
    },
    Step {
        instruction: || text!("The others have elected another one. Keep playing: give an order."),
        hint: any_order,
        is_question: false,
        act: None,
        fact: leader_fact,
        is_done: |view| view.deposed() >= 1 && view.has_ordered(),
    },
    Step {
        instruction: || text!("The hammer again: kill this leader, too."),
        hint: press_button,
        is_question: false,
        act: Some(Act::KillLeader),
        fact: leader_fact,
        is_done: |view| view.deposed() >= 2,
    },
    Step {
        instruction: || {
            text!("Two of five are dead. Can the other three still decide? Give an order and see.")
        },
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
        instruction: || {
            text!(
                "Split the world: yours and one more machine lose their links, the other three \
                 stay together."
            )
        },
        hint: press_button,
        is_question: false,
        act: Some(Act::Split),
        fact: split_fact,
        is_done: |view| is_cut_off(view) && large_side_leads(view),
    },
    Step {
        instruction: || {
            text!("You are on the small side. The clock stands still, and an order waits. Try it.")
        },
        hint: |keys| {
            let [wood, spear] = keys.labels([KeyAction::BuildWood, KeyAction::Spear]);
            text!(
                "{wood} builds, {spear} trains: nothing happens.",
                wood,
                spear
            )
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
        instruction: || {
            text!("Which side can still decide? Go to the other side, and give an order there.")
        },
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
        instruction: || {
            text!("Do the two sides agree again when the links are back? Heal the world and see.")
        },
        hint: press_button,
        is_question: true,
        act: Some(Act::Heal),
        fact: |view| {
            let equal = view.equal_states();
            let all = view.machines.len();
            text!("The same state on {equal} of {all} machines.", equal, all)
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
    text!("Enter, or a click on the button.")
}

fn any_order(keys: &Bindings) -> String {
    let [wood, spear] = keys.labels([KeyAction::BuildWood, KeyAction::Spear]);
    text!("{wood} builds, {spear} trains a spear.", wood, spear)
}

/// Name of the leader that the player's machine knows, or a word for none.
fn leader_name(view: &LessonView) -> String {
    let mut machines = view.machines.iter();
    let leader = machines.find(|machine| Some(machine.id) == view.leader);
    leader.map_or_else(|| text!("leader|none"), |leader| leader.name.clone())
}

fn commit_fact(view: &LessonView) -> String {
    let own = view.own_machine().map_or(0, |own| own.applied().0);
    let equal = view.equal_states();
    let all = view.machines.len();
    text!(
        "Entry {own}, the same on {equal} of {all} machines.",
        own,
        equal,
        all
    )
}

fn awake_fact(view: &LessonView) -> String {
    let awake = view.count(Machine::takes_part);
    let all = view.machines.len();
    let leader = leader_name(view);
    text!(
        "{awake} of {all} awake. Leader: {leader}.",
        awake,
        all,
        leader
    )
}

fn leader_fact(view: &LessonView) -> String {
    let up = view.count(|machine| machine.is_up);
    let all = view.machines.len();
    let leader = leader_name(view);
    let term = view.term.0;
    text!(
        "{up} of {all} run. Leader: {leader}, term {term}.",
        up,
        all,
        leader,
        term
    )
}

fn split_fact(view: &LessonView) -> String {
    let own = view.own_machine().map_or(0, |own| own.applied().0);
    let others = view.machines.iter().map(|machine| machine.applied().0);
    let newest = others.max().unwrap_or(0);
    let cut = view.count(|machine| machine.is_cut);
    match (cut, newest.saturating_sub(own)) {
        (0, _) => text!("All {all} are connected.", all = view.machines.len()),
        (cut, 0) => text!("{cut} are cut off. You see the present.", cut),
        (cut, behind) => text!(
            "{cut} are cut off. You are {behind} entries behind.",
            cut,
            behind
        ),
    }
}

fn rates_fact(view: &LessonView) -> String {
    let Some(game) = view.game else {
        return String::new();
    };
    let [wood, iron, grain] = game.rates(view.own);
    text!(
        "A minute: {wood} wood, {iron} iron, {grain} grain.",
        wood,
        iron,
        grain
    )
}

fn army_fact(view: &LessonView) -> String {
    let army = army_words(&view.army());
    text!("Your army: {army}.", army)
}

fn throne_fact(view: &LessonView) -> String {
    let Some(game) = view.game else {
        return String::new();
    };
    let crowns = game.crowns(view.own);
    let opens = game.rules().throne.opens;
    let left = opens.saturating_sub(game.elapsed() / 1_000);
    match left {
        0 => text!(
            "You have {crowns} crowns of {goal}.",
            crowns,
            goal = game.goal()
        ),
        left => text!(
            "It opens in {time} on the clock.",
            time = clock(left * 1_000)
        ),
    }
}
