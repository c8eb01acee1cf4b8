//! Colours, type scale and spacing. Nothing else in the interface names a colour or a size of its
//! own.

/// Colours of the interface.
pub(crate) mod colour {
    use bevy::prelude::Color;

    /// Behind everything.
    pub(crate) const GROUND: Color = Color::srgb(0.055, 0.086, 0.118);
    /// Panels.
    pub(crate) const PANEL: Color = Color::srgb(0.086, 0.133, 0.176);
    /// Edges of panels and controls.
    pub(crate) const EDGE: Color = Color::srgb(0.18, 0.263, 0.329);
    /// Controls.
    pub(crate) const CONTROL: Color = Color::srgb(0.125, 0.192, 0.251);
    /// A control under the pointer.
    pub(crate) const CONTROL_HOVERED: Color = Color::srgb(0.173, 0.259, 0.333);
    /// A control that is pressed.
    pub(crate) const CONTROL_PRESSED: Color = Color::srgb(0.235, 0.345, 0.435);
    /// Text.
    pub(crate) const TEXT: Color = Color::srgb(0.925, 0.945, 0.957);
    /// Less important text; 7:1 on panels.
    pub(crate) const QUIET: Color = Color::srgb(0.635, 0.722, 0.784);
    /// Text of a control that cannot be used.
    pub(crate) const DISABLED: Color = Color::srgb(0.42, 0.506, 0.565);
    /// Crowns, the Throne, and what is most important.
    pub(crate) const GOLD: Color = Color::srgb(0.961, 0.776, 0.322);
    /// Gains.
    pub(crate) const GOOD: Color = Color::srgb(0.42, 0.816, 0.576);
    /// Losses and refusals.
    pub(crate) const BAD: Color = Color::srgb(1.0, 0.49, 0.42);
    /// The frame around the focused control.
    pub(crate) const FOCUS: Color = Color::srgb(1.0, 0.882, 0.518);

    /// Colours that high contrast has instead of those above: text 7:1 and edges 3:1 on every
    /// ground. Gold, gains and the focus have it anyway.
    pub(crate) mod high {
        use super::Color;

        pub(crate) const GROUND: Color = Color::srgb(0.0, 0.0, 0.0);
        pub(crate) const PANEL: Color = Color::srgb(0.02, 0.02, 0.02);
        pub(crate) const EDGE: Color = Color::srgb(0.75, 0.79, 0.82);
        pub(crate) const CONTROL: Color = Color::srgb(0.0, 0.05, 0.12);
        pub(crate) const CONTROL_HOVERED: Color = Color::srgb(0.0, 0.13, 0.28);
        pub(crate) const CONTROL_PRESSED: Color = Color::srgb(0.0, 0.15, 0.33);
        pub(crate) const TEXT: Color = Color::srgb(1.0, 1.0, 1.0);
        pub(crate) const QUIET: Color = Color::srgb(0.88, 0.92, 0.95);
        pub(crate) const DISABLED: Color = Color::srgb(0.64, 0.67, 0.7);
        pub(crate) const BAD: Color = Color::srgb(1.0, 0.62, 0.57);
    }

    /// Colours of the seats, which stay apart for all kinds of colour blindness (Okabe and Ito
    /// 2008). A shape always comes with them.
    pub(crate) const SEATS: [Color; 8] = [
        Color::srgb(0.835, 0.369, 0.0),
        Color::srgb(0.0, 0.62, 0.451),
        Color::srgb(0.0, 0.447, 0.698),
        Color::srgb(0.941, 0.894, 0.259),
        Color::srgb(0.8, 0.475, 0.655),
        Color::srgb(0.337, 0.706, 0.914),
        Color::srgb(0.902, 0.624, 0.0),
        Color::srgb(0.92, 0.92, 0.92),
    ];

    /// The colour of a seat.
    pub(crate) fn seat(seat: u8) -> Color {
        SEATS[usize::from(seat) % SEATS.len()]
    }
}

/// Font sizes in logical pixels.
pub(crate) mod size {
    /// Notes and labels.
    pub(crate) const SMALL: f32 = 15.0;
    /// Text.
    pub(crate) const BODY: f32 = 18.0;
    /// Headings of panels, and large numbers.
    pub(crate) const LARGE: f32 = 24.0;
    /// Headings of screens.
    pub(crate) const HUGE: f32 = 40.0;
    /// The name of the game.
    pub(crate) const TITLE: f32 = 84.0;
}

/// Distances in logical pixels.
pub(crate) mod space {
    use bevy::prelude::Val;

    /// Between parts of one thing.
    pub(crate) const TIGHT: Val = Val::Px(4.0);
    /// Between things.
    pub(crate) const NEAR: Val = Val::Px(8.0);
    /// Inside panels, and between groups.
    pub(crate) const WIDE: Val = Val::Px(16.0);
    /// Between blocks of a screen.
    pub(crate) const FAR: Val = Val::Px(32.0);
    /// Radius of round corners.
    pub(crate) const ROUND: Val = Val::Px(6.0);
}

#[cfg(test)]
mod tests {
    use bevy::prelude::*;

    use super::*;

    /// Contrast of two colours (WCAG 2.1, 1.4.3).
    fn contrast(one: Color, other: Color) -> f32 {
        let [one, other] = [one, other].map(|colour| colour.luminance_of_screen() + 0.05);
        one.max(other) / one.min(other)
    }

    trait OfScreen {
        fn luminance_of_screen(&self) -> f32;
    }

    impl OfScreen for Color {
        fn luminance_of_screen(&self) -> f32 {
            let linear = self.to_linear();
            0.2126 * linear.red + 0.7152 * linear.green + 0.0722 * linear.blue
        }
    }

    #[test]
    fn text_is_readable_on_every_ground() {
        for ground in [colour::GROUND, colour::PANEL, colour::CONTROL] {
            for text in [
                colour::TEXT,
                colour::QUIET,
                colour::GOLD,
                colour::GOOD,
                colour::BAD,
            ] {
                let contrast = contrast(ground, text);
                assert!(contrast >= 4.5, "{text:?} on {ground:?}: {contrast}");
            }
        }
        for ground in [colour::PANEL, colour::CONTROL] {
            assert!(contrast(ground, colour::FOCUS) >= 3.0);
            assert!(contrast(ground, colour::DISABLED) >= 2.5);
        }
    }

    #[test]
    fn high_contrast_has_the_enhanced_ratio() {
        use colour::high;

        let grounds = [
            high::GROUND,
            high::PANEL,
            high::CONTROL,
            high::CONTROL_HOVERED,
            high::CONTROL_PRESSED,
        ];
        let texts = [
            high::TEXT,
            high::QUIET,
            high::BAD,
            colour::GOLD,
            colour::GOOD,
        ];
        for ground in grounds {
            for text in texts {
                let contrast = contrast(ground, text);
                assert!(contrast >= 7.0, "{text:?} on {ground:?}: {contrast}");
            }
            for shape in [high::EDGE, high::DISABLED, colour::FOCUS] {
                let contrast = contrast(ground, shape);
                assert!(contrast >= 3.0, "{shape:?} on {ground:?}: {contrast}");
            }
        }
    }
}
