//! The icons: what they are made of. Points go from (-1, -1) at the top left to (1, 1).

use bevy::math::Vec2;
use raftian_realm::crowns::{Resource, UnitKind};

/// A part of an icon.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Middle and radius.
    Disc(Vec2, f32),
    /// A disc that is cut out of the parts before it.
    Hole(Vec2, f32),
    /// Ends and width.
    Line(Vec2, Vec2, f32),
    /// Corners.
    Polygon(&'static [Vec2]),
}

/// A generated picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Icon {
    Triangle,
    Square,
    Circle,
    Diamond,
    Star,
    Pentagon,
    Plus,
    Cross,
    Spear,
    Axe,
    Rider,
    Ram,
    Wood,
    Iron,
    Grain,
    Crown,
    Keep,
    Ruin,
    Ring,
    ThinRing,
    Disc,
}

impl Icon {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Icon; 21] = [
        Icon::Triangle,
        Icon::Square,
        Icon::Circle,
        Icon::Diamond,
        Icon::Star,
        Icon::Pentagon,
        Icon::Plus,
        Icon::Cross,
        Icon::Spear,
        Icon::Axe,
        Icon::Rider,
        Icon::Ram,
        Icon::Wood,
        Icon::Iron,
        Icon::Grain,
        Icon::Crown,
        Icon::Keep,
        Icon::Ruin,
        Icon::Ring,
        Icon::ThinRing,
        Icon::Disc,
    ];

    /// The shape of a seat.
    pub(super) fn of_seat(seat: u8) -> Icon {
        Self::ALL[usize::from(seat % 8)]
    }

    /// The icon of a unit.
    pub(super) fn of_unit(kind: UnitKind) -> Icon {
        match kind {
            UnitKind::Spear => Icon::Spear,
            UnitKind::Axe => Icon::Axe,
            UnitKind::Rider => Icon::Rider,
            UnitKind::Ram => Icon::Ram,
        }
    }

    /// The icon of a resource.
    pub(super) fn of_resource(resource: Resource) -> Icon {
        match resource {
            Resource::Wood => Icon::Wood,
            Resource::Iron => Icon::Iron,
            Resource::Grain => Icon::Grain,
        }
    }

    /// Its parts.
    pub(super) fn parts(self) -> &'static [Part] {
        match self {
            Icon::Triangle => TRIANGLE,
            Icon::Square => SQUARE,
            Icon::Circle => CIRCLE,
            Icon::Diamond => DIAMOND,
            Icon::Star => STAR,
            Icon::Pentagon => PENTAGON,
            Icon::Plus => PLUS,
            Icon::Cross => CROSS,
            Icon::Spear => SPEAR,
            Icon::Axe => AXE,
            Icon::Rider => RIDER,
            Icon::Ram => RAM,
            Icon::Wood => WOOD,
            Icon::Iron => IRON,
            Icon::Grain => GRAIN,
            Icon::Crown => CROWN,
            Icon::Keep => KEEP,
            Icon::Ruin => RUIN,
            Icon::Ring => RING,
            Icon::ThinRing => THIN_RING,
            Icon::Disc => DISC,
        }
    }
}

const fn at(x: f32, y: f32) -> Vec2 {
    Vec2::new(x, y)
}

const TRIANGLE: &[Part] = &[Part::Polygon(&[
    at(0.0, -0.85),
    at(0.9, 0.75),
    at(-0.9, 0.75),
])];

const SQUARE: &[Part] = &[Part::Polygon(&[
    at(-0.75, -0.75),
    at(0.75, -0.75),
    at(0.75, 0.75),
    at(-0.75, 0.75),
])];

const CIRCLE: &[Part] = &[Part::Disc(Vec2::ZERO, 0.85)];

const DIAMOND: &[Part] = &[Part::Polygon(&[
    at(0.0, -0.95),
    at(0.8, 0.0),
    at(0.0, 0.95),
    at(-0.8, 0.0),
])];

const PENTAGON: &[Part] = &[Part::Polygon(&[
    at(0.0, -0.9),
    at(0.86, -0.28),
    at(0.53, 0.73),
    at(-0.53, 0.73),
    at(-0.86, -0.28),
])];

const PLUS: &[Part] = &[
    Part::Line(at(-0.6, 0.0), at(0.6, 0.0), 0.55),
    Part::Line(at(0.0, -0.6), at(0.0, 0.6), 0.55),
];

const CROSS: &[Part] = &[
    Part::Line(at(-0.55, -0.55), at(0.55, 0.55), 0.5),
    Part::Line(at(-0.55, 0.55), at(0.55, -0.55), 0.5),
];

const RING: &[Part] = &[Part::Disc(Vec2::ZERO, 0.97), Part::Hole(Vec2::ZERO, 0.8)];

const THIN_RING: &[Part] = &[Part::Disc(Vec2::ZERO, 0.97), Part::Hole(Vec2::ZERO, 0.9)];

const DISC: &[Part] = &[Part::Disc(Vec2::ZERO, 0.97)];

const STAR: &[Part] = &[Part::Polygon(&[
    at(0.0, -0.95),
    at(0.24, -0.32),
    at(0.9, -0.29),
    at(0.38, 0.13),
    at(0.56, 0.77),
    at(0.0, 0.4),
    at(-0.56, 0.77),
    at(-0.38, 0.13),
    at(-0.9, -0.29),
    at(-0.24, -0.32),
])];

const SPEAR: &[Part] = &[
    Part::Line(at(-0.75, 0.75), at(0.4, -0.4), 0.17),
    Part::Polygon(&[at(0.92, -0.92), at(0.62, -0.08), at(0.08, -0.62)]),
];

const AXE: &[Part] = &[
    Part::Line(at(-0.55, 0.85), at(0.25, -0.8), 0.18),
    Part::Polygon(&[
        at(0.05, -0.75),
        at(0.62, -0.85),
        at(0.92, -0.35),
        at(0.75, 0.2),
        at(0.42, -0.05),
        at(-0.12, -0.12),
    ]),
];

const RIDER: &[Part] = &[Part::Polygon(&[
    at(-0.5, 0.92),
    at(-0.42, 0.42),
    at(-0.12, 0.1),
    at(-0.42, 0.12),
    at(-0.72, 0.3),
    at(-0.9, 0.05),
    at(-0.5, -0.5),
    at(-0.2, -0.68),
    at(-0.12, -0.95),
    at(0.12, -0.7),
    at(0.5, -0.48),
    at(0.72, 0.05),
    at(0.76, 0.92),
])];

const RAM: &[Part] = &[
    Part::Polygon(&[at(-0.85, -0.2), at(-0.2, -0.85), at(0.45, -0.2)]),
    Part::Line(at(-0.8, 0.08), at(0.62, 0.08), 0.26),
    Part::Disc(at(0.7, 0.08), 0.24),
    Part::Disc(at(-0.5, 0.58), 0.3),
    Part::Disc(at(0.25, 0.58), 0.3),
];

const WOOD: &[Part] = &[
    Part::Line(at(-0.6, 0.52), at(0.6, 0.52), 0.52),
    Part::Line(at(-0.6, -0.06), at(0.6, -0.06), 0.46),
    Part::Line(at(-0.25, -0.58), at(0.4, -0.58), 0.42),
    Part::Hole(at(0.6, 0.52), 0.12),
    Part::Hole(at(0.6, -0.06), 0.11),
];

const IRON: &[Part] = &[
    Part::Polygon(&[
        at(-0.5, -0.05),
        at(-0.28, -0.7),
        at(0.28, -0.7),
        at(0.5, -0.05),
    ]),
    Part::Polygon(&[
        at(-0.95, 0.75),
        at(-0.75, 0.1),
        at(-0.2, 0.1),
        at(-0.05, 0.75),
    ]),
    Part::Polygon(&[at(0.05, 0.75), at(0.2, 0.1), at(0.75, 0.1), at(0.95, 0.75)]),
];

const GRAIN: &[Part] = &[
    Part::Line(at(0.0, 0.9), at(0.0, -0.5), 0.14),
    Part::Disc(at(0.0, -0.7), 0.22),
    Part::Line(at(0.12, -0.2), at(0.42, -0.5), 0.3),
    Part::Line(at(-0.12, -0.2), at(-0.42, -0.5), 0.3),
    Part::Line(at(0.12, 0.25), at(0.46, -0.05), 0.3),
    Part::Line(at(-0.12, 0.25), at(-0.46, -0.05), 0.3),
    Part::Line(at(0.12, 0.7), at(0.46, 0.4), 0.3),
    Part::Line(at(-0.12, 0.7), at(-0.46, 0.4), 0.3),
];

const CROWN: &[Part] = &[
    Part::Polygon(&[
        at(-0.85, -0.42),
        at(-0.42, 0.08),
        at(0.0, -0.65),
        at(0.42, 0.08),
        at(0.85, -0.42),
        at(0.68, 0.45),
        at(-0.68, 0.45),
    ]),
    Part::Disc(at(-0.85, -0.5), 0.13),
    Part::Disc(at(0.0, -0.74), 0.14),
    Part::Disc(at(0.85, -0.5), 0.13),
    Part::Line(at(-0.58, 0.7), at(0.58, 0.7), 0.2),
];

const KEEP: &[Part] = &[
    Part::Polygon(&[
        at(-0.85, 0.85),
        at(-0.85, -0.35),
        at(-0.62, -0.35),
        at(-0.62, -0.15),
        at(-0.4, -0.15),
        at(-0.4, -0.9),
        at(-0.2, -0.9),
        at(-0.2, -0.7),
        at(-0.1, -0.7),
        at(-0.1, -0.9),
        at(0.1, -0.9),
        at(0.1, -0.7),
        at(0.2, -0.7),
        at(0.2, -0.9),
        at(0.4, -0.9),
        at(0.4, -0.15),
        at(0.62, -0.15),
        at(0.62, -0.35),
        at(0.85, -0.35),
        at(0.85, 0.85),
    ]),
    Part::Hole(at(0.0, 0.62), 0.24),
    Part::Hole(at(0.0, -0.35), 0.12),
];

const RUIN: &[Part] = &[
    Part::Polygon(&[
        at(-0.85, 0.85),
        at(-0.85, 0.05),
        at(-0.65, 0.25),
        at(-0.45, -0.15),
        at(-0.3, 0.3),
        at(-0.05, -0.4),
        at(0.15, 0.2),
        at(0.4, -0.05),
        at(0.6, 0.4),
        at(0.85, 0.1),
        at(0.85, 0.85),
    ]),
    Part::Hole(at(0.0, 0.7), 0.22),
];
