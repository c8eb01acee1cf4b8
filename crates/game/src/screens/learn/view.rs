//! State that completes the steps of lessons: that of the match, and that of consensus.

use std::collections::BTreeMap;
use std::time::Duration;

use raftian_raft::{Index, NodeId, RoleKind, Term};
use raftian_realm::crowns::{Army, Building, Crowns, Place, Seat};

use crate::cluster_view::{AppliedState, ClusterView, MemberView};
use crate::realm::{FULL_HEALTH, Realm};

/// One of the five machines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Machine {
    pub(super) id: NodeId,
    pub(super) name: String,
    pub(super) is_up: bool,
    pub(super) is_cut: bool,
    pub(super) is_paused: bool,
    /// It considers itself the leader of its term.
    pub(super) leads: bool,
    pub(super) term: Term,
    pub(super) commit: Index,
    pub(super) state: Option<AppliedState>,
}

impl Machine {
    fn of(member: &MemberView) -> Machine {
        let node = member.node.as_ref();
        let status = node.map(|node| &node.status);
        Machine {
            id: member.id,
            name: member.name.clone(),
            is_up: member.up,
            is_cut: node.is_some_and(|node| node.cut),
            is_paused: node.is_some_and(|node| node.paused),
            leads: member.up && status.is_some_and(|status| status.role == RoleKind::Leader),
            term: status.map_or(Term(0), |status| status.term),
            commit: status.map_or(Index(0), |status| status.commit),
            state: member.state,
        }
    }

    pub(super) fn all(cluster: &ClusterView) -> Vec<Machine> {
        cluster.members.iter().map(Machine::of).collect()
    }

    /// Whether it takes part in elections and commits.
    pub(super) fn takes_part(&self) -> bool {
        self.is_up && !self.is_cut && !self.is_paused
    }

    /// Last index that it has applied.
    pub(super) fn applied(&self) -> Index {
        self.state.map_or(Index(0), |state| state.index)
    }
}

/// State at the begin of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Begin {
    /// Number of the match at its table.
    pub(super) round: u32,
    /// Highest commit index of any machine.
    pub(super) commit: Index,
    /// Hit points that the cities of classic mode have lost.
    pub(super) damage: i32,
    pub(super) army: Army,
}

impl Begin {
    /// Before the match.
    pub(super) const NONE: Begin = Begin {
        round: 0,
        commit: Index(0),
        damage: 0,
        army: Army::NONE,
    };
}

/// A value, and the time since which it is the same.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Steady<T>(Option<(T, Duration)>);

impl<T: PartialEq + Copy> Steady<T> {
    /// Notes the present value, and returns for how long it has been the same.
    pub(super) fn note(&mut self, value: T, now: Duration) -> Duration {
        match self.0 {
            Some((before, since)) if before == value => now.saturating_sub(since),
            _ => {
                self.0 = Some((value, now));
                Duration::ZERO
            }
        }
    }
}

/// Times for which something has not changed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Unchanged {
    /// Orders of this window have been waiting, and no city of classic mode was hit.
    pub(super) waiting: Duration,
    /// The machine behind the window has applied nothing.
    pub(super) applied: Duration,
    /// The Throne and the player's crowns are the same.
    pub(super) crowns: Duration,
}

/// State that decides whether a step is done.
pub(super) struct LessonView<'a> {
    pub(super) realm: &'a Realm,
    /// The committed match of Crowns.
    pub(super) game: Option<&'a Crowns>,
    /// Number of the match at its table.
    pub(super) round: u32,
    /// The player's seat in it.
    pub(super) own: u8,
    pub(super) machines: &'a [Machine],
    /// The machine behind the window.
    pub(super) seat: Option<NodeId>,
    /// The leader that it knows.
    pub(super) leader: Option<NodeId>,
    /// Its term.
    pub(super) term: Term,
    /// Machines that have led since the lesson began, with their last terms.
    pub(super) led: &'a BTreeMap<NodeId, Term>,
    /// The last order of the player that was committed and accepted.
    pub(super) order: Option<Index>,
    pub(super) unchanged: Unchanged,
    /// State at the begin of the step.
    pub(super) begin: &'a Begin,
}

impl LessonView<'_> {
    /// The player's city.
    pub(super) fn city(&self) -> Option<&Seat> {
        self.game?.seats().get(usize::from(self.own))
    }

    /// All units of the player.
    pub(super) fn army(&self) -> Army {
        self.game.map_or(Army::NONE, |game| game.army_of(self.own))
    }

    /// Whether a building of the player is higher than at the start of the match.
    pub(super) fn has_built(&self, building: Building) -> bool {
        let Some((game, city)) = self.game.zip(self.city()) else {
            return false;
        };
        let start = &game.rules().start;
        let before = match building {
            Building::Field(_) => start.fields,
            Building::Barracks => start.barracks,
            Building::Wall => start.wall,
            Building::Store => start.store,
        };
        city.levels().of(building) > before
    }

    /// Whether the player has a garrison at a place.
    pub(super) fn holds(&self, place: Place) -> bool {
        let holding = self.game.and_then(|game| game.holding(place));
        holding.is_some_and(|holding| holding.holder == Some(self.own))
    }

    /// Places of the map that can be held, without the Throne.
    pub(super) fn oases(&self) -> impl Iterator<Item = Place> + '_ {
        let oases = self.game.map_or(0, |game| game.map().oases.len());
        (0..).take(oases).map(Place::Oasis)
    }

    /// Hit points that the cities of classic mode have lost.
    pub(super) fn damage(&self) -> i32 {
        damage(self.realm)
    }

    /// Whether a city of classic mode has fallen.
    pub(super) fn has_fallen(&self) -> bool {
        self.realm.cities().any(|(_, health)| health.is_dead())
    }

    /// Whether the player gave an order after the step began, and a majority has committed it. Its
    /// index is beyond every commit index of that time.
    pub(super) fn has_ordered(&self) -> bool {
        self.order.is_some_and(|index| index > self.begin.commit)
    }

    /// The machine behind the window.
    pub(super) fn own_machine(&self) -> Option<&Machine> {
        let seat = self.seat?;
        self.machines.iter().find(|machine| machine.id == seat)
    }

    /// Number of machines for which `is` holds.
    pub(super) fn count(&self, is: fn(&Machine) -> bool) -> usize {
        self.machines.iter().filter(|machine| is(machine)).count()
    }

    /// Number of machines that once led and are down, if the others have since elected another
    /// leader, in a later term than each of theirs.
    pub(super) fn deposed(&self) -> usize {
        let leader = self.leader.filter(|leader| {
            let mut others = self.machines.iter();
            others.any(|machine| machine.id == *leader && machine.takes_part())
        });
        if leader.is_none() {
            return 0;
        }
        let dead = self.led.iter().filter(|(id, term)| {
            let machine = self.machines.iter().find(|machine| machine.id == **id);
            machine.is_some_and(|machine| !machine.is_up) && **term < self.term
        });
        dead.count()
    }

    /// Number of machines with the same state as the machine behind the window, at the same index.
    pub(super) fn equal_states(&self) -> usize {
        let own = self.own_machine().and_then(|own| own.state);
        let states = self.machines.iter().filter_map(|machine| machine.state);
        states.filter(|state| Some(*state) == own).count()
    }

    /// The state at present, for the step that begins now.
    pub(super) fn begin(&self) -> Begin {
        let commits = self.machines.iter().map(|machine| machine.commit);
        Begin {
            round: self.round,
            commit: commits.max().unwrap_or(Index(0)),
            damage: self.damage(),
            army: self.army(),
        }
    }
}

/// Hit points that the cities of classic mode have lost.
pub(super) fn damage(realm: &Realm) -> i32 {
    let lost = realm.cities().map(|(_, health)| FULL_HEALTH.0 - health.0);
    lost.sum()
}
