//! High contrast: the colours of the interface for players who need stronger differences.

use bevy::prelude::*;

use super::theme::colour::{self, high};

/// Whether the interface has high contrast.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct HighContrast(pub(crate) bool);

/// Usual colours, each with the one that high contrast has instead. No colour occurs twice, so that
/// both directions are possible while a screen is shown.
const PAIRS: [(Color, Color); 10] = [
    (colour::GROUND, high::GROUND),
    (colour::PANEL, high::PANEL),
    (colour::EDGE, high::EDGE),
    (colour::CONTROL, high::CONTROL),
    (colour::CONTROL_HOVERED, high::CONTROL_HOVERED),
    (colour::CONTROL_PRESSED, high::CONTROL_PRESSED),
    (colour::TEXT, high::TEXT),
    (colour::QUIET, high::QUIET),
    (colour::DISABLED, high::DISABLED),
    (colour::BAD, high::BAD),
];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<HighContrast>().add_systems(
        PostUpdate,
        replace_colours.run_if(|contrast: Res<HighContrast>| contrast.0 || contrast.is_changed()),
    );
}

/// Replaces the colours of the theme wherever the interface shows one. Other systems write the usual
/// ones, in every frame for buttons; this runs after all of them.
fn replace_colours(
    contrast: Res<HighContrast>,
    mut texts: Query<&mut TextColor>,
    mut grounds: Query<&mut BackgroundColor>,
    mut edges: Query<&mut BorderColor>,
    clear: Option<ResMut<ClearColor>>,
) {
    let is_high = contrast.0;
    for mut text in &mut texts {
        let shown = replaced(text.0, is_high);
        text.set_if_neq(TextColor(shown));
    }
    for mut ground in &mut grounds {
        let shown = replaced(ground.0, is_high);
        ground.set_if_neq(BackgroundColor(shown));
    }
    for mut edge in &mut edges {
        let shown = BorderColor {
            top: replaced(edge.top, is_high),
            right: replaced(edge.right, is_high),
            bottom: replaced(edge.bottom, is_high),
            left: replaced(edge.left, is_high),
        };
        edge.set_if_neq(shown);
    }
    if let Some(mut clear) = clear {
        let shown = replaced(clear.0, is_high);
        if clear.0 != shown {
            clear.0 = shown;
        }
    }
}

/// The colour to show for one of the theme, with the same opacity. Others stay as they are.
fn replaced(shown: Color, is_high: bool) -> Color {
    let opaque = shown.with_alpha(1.0);
    PAIRS
        .iter()
        .map(|&(usual, high)| {
            if is_high {
                (usual, high)
            } else {
                (high, usual)
            }
        })
        .find(|&(from, _)| from == opaque)
        .map_or(shown, |(_, to)| to.with_alpha(shown.alpha()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_with_the_setting_and_back() {
        let mut app = App::new();
        app.add_plugins(plugin)
            .insert_resource(ClearColor(colour::GROUND));
        let shown = (
            TextColor(colour::QUIET),
            BackgroundColor(colour::PANEL.with_alpha(0.5)),
            BorderColor::all(colour::EDGE),
        );
        let panel = app.world_mut().spawn(shown).id();
        let seat = app.world_mut().spawn(TextColor(colour::seat(0))).id();
        let colours = |app: &App| {
            let world = app.world();
            (
                world.get::<TextColor>(panel).map(|text| text.0),
                world.get::<BackgroundColor>(panel).map(|ground| ground.0),
                world.get::<BorderColor>(panel).copied(),
                world.resource::<ClearColor>().0,
            )
        };
        app.update();
        let usual = colours(&app);
        assert_eq!(usual.0, Some(colour::QUIET));

        app.insert_resource(HighContrast(true));
        app.update();
        let expected = (
            Some(high::QUIET),
            Some(high::PANEL.with_alpha(0.5)),
            Some(BorderColor::all(high::EDGE)),
            high::GROUND,
        );
        assert_eq!(colours(&app), expected);
        let text = app.world().get::<TextColor>(seat).map(|text| text.0);
        assert_eq!(text, Some(colour::seat(0)), "a seat keeps its colour");

        // Later texts are shown with high contrast too.
        let later = app.world_mut().spawn(TextColor(colour::DISABLED)).id();
        app.update();
        let text = app.world().get::<TextColor>(later).map(|text| text.0);
        assert_eq!(text, Some(high::DISABLED));

        app.insert_resource(HighContrast(false));
        app.update();
        assert_eq!(colours(&app), usual);
    }

    #[test]
    fn no_colour_occurs_twice() {
        let mut seen: Vec<Color> = Vec::new();
        for colour in PAIRS.into_iter().flat_map(|(usual, high)| [usual, high]) {
            assert!(!seen.contains(&colour), "{colour:?}");
            seen.push(colour);
        }
    }
}
