//! Shapes of partitions.

/// Shape of a partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Shape {
    /// The leader is isolated.
    LeaderAlone,
    /// The leader is in the largest minority.
    LeaderMinority,
    /// Half of the machines, rounded down, are without the leader; with an even number neither half
    /// is a majority.
    Halves,
    /// Messages from the leader are lost, but it receives from all machines.
    OneWayOut,
    /// Messages to the leader are lost, but all machines receive from it.
    OneWayIn,
    /// Two sides, one with the leader, reach each other only through one machine between them.
    Bridge,
}

/// Effect of a shape on machines, as bit sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sides {
    /// Pairs of senders and receivers between which nothing passes.
    pub(super) cuts: Vec<(u64, u64)>,
    /// Machines among which orders can be committed; none without a majority.
    pub(super) going_on: u64,
    /// Machines that are cut off from those.
    pub(super) cut_off: u64,
    /// Machines that cannot commit anything by themselves.
    pub(super) without_majority: u64,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Shape; 6] = [
        Shape::LeaderAlone,
        Shape::LeaderMinority,
        Shape::Halves,
        Shape::OneWayOut,
        Shape::OneWayIn,
        Shape::Bridge,
    ];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shape::LeaderAlone => "leader-alone",
            Shape::LeaderMinority => "leader-minority",
            Shape::Halves => "halves",
            Shape::OneWayOut => "one-way-out",
            Shape::OneWayIn => "one-way-in",
            Shape::Bridge => "bridge",
        }
    }

    /// Links to cut among `size` machines with this leader.
    pub(super) fn sides(self, size: usize, leader: usize) -> Sides {
        let all = u64::MAX >> (64 - size);
        // A set of `count` machines, the leader first and then those after it.
        let from_leader =
            |count: usize| (0..count).fold(0, |set, step| set | 1u64 << ((leader + step) % size));
        let alone = from_leader(1);
        let both_ways = |one: u64, other: u64| vec![(one, other), (other, one)];
        match self {
            Shape::LeaderAlone => Sides::of(both_ways(alone, all & !alone), all & !alone, alone),
            Shape::LeaderMinority => {
                let few = from_leader((size - 1) / 2);
                Sides::of(both_ways(few, all & !few), all & !few, few)
            }
            Shape::Halves => {
                let rest = from_leader(size - size / 2);
                let cuts = both_ways(rest, all & !rest);
                if size.is_multiple_of(2) {
                    Sides {
                        cuts,
                        going_on: 0,
                        cut_off: all,
                        without_majority: all,
                    }
                } else {
                    Sides::of(cuts, rest, all & !rest)
                }
            }
            Shape::OneWayOut => Sides::of(vec![(alone, all & !alone)], all & !alone, alone),
            Shape::OneWayIn => Sides::of(vec![(all & !alone, alone)], all & !alone, alone),
            Shape::Bridge => {
                let left = from_leader(size / 2);
                let bridge = from_leader(size / 2 + 1) & !left;
                let right = all & !left & !bridge;
                // With the bridge, the right side could be a majority too, so it may commit.
                let cuts = both_ways(left, right);
                Sides {
                    cuts,
                    going_on: left | bridge,
                    cut_off: right,
                    without_majority: 0,
                }
            }
        }
    }
}

impl Sides {
    fn of(cuts: Vec<(u64, u64)>, going_on: u64, cut_off: u64) -> Self {
        Sides {
            cuts,
            going_on,
            cut_off,
            without_majority: cut_off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn side_that_makes_progress_is_the_only_majority() {
        for (size, leader) in (3..=9).flat_map(|size| (0..size).map(move |leader| (size, leader))) {
            for shape in Shape::ALL {
                let sides = shape.sides(size, leader);
                let majority = |set: u64| set.count_ones() as usize * 2 > size;
                let halved = shape == Shape::Halves && size % 2 == 0;
                assert!(majority(sides.going_on) != halved, "{shape:?} of {size}");
                assert!(halved || !majority(sides.cut_off), "{shape:?} of {size}");
                assert_eq!(
                    sides.going_on | sides.cut_off,
                    u64::MAX >> (64 - size),
                    "{shape:?} of {size}"
                );
                assert!(
                    sides
                        .cuts
                        .iter()
                        .all(|(from, to)| from & to == 0 && *from != 0 && *to != 0),
                    "{shape:?} of {size}"
                );
            }
        }
    }
}
