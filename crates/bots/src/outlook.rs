//! The match as one seat sees it.

use raftian_realm::crowns::{
    Army, Attack, Battle, Crowns, March, Place, Resources, Seat, UnitKind,
};

/// A march that comes to attack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming {
    /// The attacking seat.
    pub(crate) seat: u8,
    /// Its army.
    pub(crate) army: Army,
    /// How it attacks.
    pub(crate) attack: Attack,
    /// Milliseconds until it arrives.
    pub(crate) left: u64,
}

/// The match from one seat.
pub(crate) struct Outlook<'a> {
    pub(crate) game: &'a Crowns,
    pub(crate) seat: u8,
    pub(crate) own: &'a Seat,
    /// Seconds of the match.
    pub(crate) elapsed: u64,
    pub(crate) stock: Resources,
    pub(crate) rates: [i64; 3],
    pub(crate) capacity: u64,
    /// Standing seats without a pact with this one.
    pub(crate) foes: Vec<u8>,
}

impl<'a> Outlook<'a> {
    /// Looks at a match; `None` if there is nothing to decide.
    pub(crate) fn new(game: &'a Crowns, seat: u8) -> Option<Self> {
        let own = game.seats().get(usize::from(seat))?;
        if game.end().is_some() || !own.stands() {
            return None;
        }
        let others = (0..).zip(game.seats());
        let foes = others
            .filter(|(other, foe)| *other != seat && foe.stands())
            .map(|(other, _)| other)
            .filter(|other| !game.are_at_peace(seat, *other));
        Some(Outlook {
            game,
            seat,
            own,
            elapsed: game.elapsed() / 1_000,
            stock: game.stock(seat)?.amounts(),
            rates: game.rates(seat),
            capacity: game.capacity(seat),
            foes: foes.collect(),
        })
    }

    /// Marches of foes that arrive at a place, the first one first.
    pub(crate) fn incoming(&self, place: Place) -> Vec<Incoming> {
        let marches = self.game.marches().map(|(_, march)| march);
        let hostile = marches
            .filter(|march| march.place == place && !march.returns && march.seat != self.seat)
            .filter(|march| self.foes.contains(&march.seat));
        let mut all: Vec<_> = hostile.map(|march| self.incoming_of(march)).collect();
        all.sort_by_key(|one| one.left);
        all
    }

    fn incoming_of(&self, march: &March) -> Incoming {
        Incoming {
            seat: march.seat,
            army: march.army,
            attack: march.attack,
            left: march.arrives.saturating_sub(self.game.now()),
        }
    }

    /// Whether an army of this seat is on its way to a place.
    pub(crate) fn goes_to(&self, place: Place) -> bool {
        self.own_marches()
            .any(|(_, march)| march.place == place && !march.returns)
    }

    pub(crate) fn own_marches(&self) -> impl Iterator<Item = (u64, &March)> + '_ {
        self.game
            .marches()
            .filter(|(_, march)| march.seat == self.seat)
    }

    /// Oases that this seat holds.
    pub(crate) fn own_oases(&self) -> impl Iterator<Item = Place> + '_ {
        self.oases().filter(|place| self.holds(*place))
    }

    pub(crate) fn oases(&self) -> impl Iterator<Item = Place> + use<> {
        let count = u8::try_from(self.game.map().oases.len()).unwrap_or(u8::MAX);
        (0..count).map(Place::Oasis)
    }

    pub(crate) fn holder(&self, place: Place) -> Option<u8> {
        self.game.holding(place).and_then(|holding| holding.holder)
    }

    pub(crate) fn holds(&self, place: Place) -> bool {
        self.holder(place) == Some(self.seat)
    }

    pub(crate) fn garrison(&self, place: Place) -> Army {
        self.game
            .holding(place)
            .map_or(Army::NONE, |holding| holding.garrison)
    }

    /// Seconds of a march of this army.
    pub(crate) fn seconds_to(&self, place: Place, army: &Army) -> u64 {
        let time = self.game.march_time(self.seat, place, army);
        time.map_or(u64::MAX, |time| time / 1_000)
    }

    /// Strength of the strongest army that a foe could send: what is at home or under way.
    /// Garrisons would have to come home first.
    pub(crate) fn threat(&self) -> u64 {
        let strength = |foe: &u8| self.attack_of(&self.mobile_army(*foe));
        self.foes.iter().map(strength).max().unwrap_or(0)
    }

    /// The units of a seat that are at home or under way.
    fn mobile_army(&self, seat: u8) -> Army {
        let home = self.game.seats().get(usize::from(seat));
        let home = home.map_or(Army::NONE, |own| *own.home());
        let marches = self.game.marches().filter(|(_, march)| march.seat == seat);
        marches.fold(home, |all, (_, march)| all.plus(&march.army))
    }

    /// Whether a foe on the Throne will win soon.
    pub(crate) fn is_urgent(&self) -> bool {
        let holder = self.holder(Place::Throne);
        let throne = &self.game.rules().throne;
        let is_late = self.elapsed >= throne.late_from;
        let crowns = if is_late {
            throne.late_crowns
        } else {
            throne.crowns
        };
        holder.is_some_and(|seat| {
            let missing = self.game.goal().saturating_sub(self.game.crowns(seat));
            self.foes.contains(&seat) && missing <= 90 * crowns
        })
    }

    /// The garrison of a place when a march arrives that takes `time` milliseconds, with those of
    /// its holder that join it until then.
    pub(crate) fn expected_at(&self, place: Place, time: u64) -> Army {
        let Some(holder) = self.holder(place) else {
            return self.garrison(place);
        };
        let until = self.game.now().saturating_add(time);
        let marches = self.game.marches().map(|(_, march)| march);
        let joining = marches
            .filter(|march| march.seat == holder && march.place == place)
            .filter(|march| !march.returns && march.arrives <= until);
        joining.fold(self.garrison(place), |all, march| all.plus(&march.army))
    }

    pub(crate) fn attack_of(&self, army: &Army) -> u64 {
        army.sum(self.game.rules(), |unit| unit.attack)
    }

    pub(crate) fn value_of(&self, army: &Army) -> u64 {
        army.value(self.game.rules())
    }

    /// Defence of the own city with these units, against a mixed army.
    pub(crate) fn defence_of(&self, army: &Army) -> u64 {
        let rules = self.game.rules();
        let units = army.sum(rules, |unit| (unit.defence_foot + unit.defence_horse) / 2);
        let wall = 100 + u64::from(self.own.levels().wall) * rules.wall.defence_percent;
        (units + rules.battle.militia) * wall / 100
    }

    /// Defenders of a city when a march arrives that takes `time` milliseconds: those at home now,
    /// those that come home until then, and those that are trained now.
    pub(crate) fn expected(&self, city: u8, time: u64) -> Army {
        let Some(own) = self.game.seats().get(usize::from(city)) else {
            return Army::NONE;
        };
        let until = self.game.now() + time;
        let returning = self.game.marches().map(|(_, march)| march);
        let returning = returning
            .filter(|march| march.seat == city && march.returns && march.arrives <= until)
            .fold(*own.home(), |all, march| all.plus(&march.army));
        let rules = self.game.rules();
        let mut left = time / 1_000;
        own.batches().fold(returning, |all, (kind, count)| {
            let most = left / rules.unit(kind).train.max(1);
            let trained = u64::from(count).min(most);
            left -= (trained * rules.unit(kind).train).min(left);
            all.plus(&units(kind, u32::try_from(trained).unwrap_or(u32::MAX)))
        })
    }

    /// The battle of an incoming march at the own city, with `home` in it.
    pub(crate) fn defence_battle(&self, incoming: &Incoming, home: Army) -> Battle {
        Battle {
            attack: incoming.attack,
            attacker: incoming.army,
            defender: home,
            base: self.game.rules().battle.militia,
            wall: self.own.levels().wall,
            morale: self.game.morale(incoming.seat, self.seat),
        }
    }
}

/// An army of one kind.
pub(crate) fn units(kind: UnitKind, count: u32) -> Army {
    let mut counts = [0; 4];
    counts[kind as usize] = count;
    Army::new(counts)
}

/// The part of an army of these kinds.
pub(crate) fn only(army: &Army, kinds: &[UnitKind]) -> Army {
    kinds.iter().fold(Army::NONE, |all, kind| {
        all.plus(&units(*kind, army.count(*kind)))
    })
}
