//! Texts that are spawned once and follow the language.

use std::sync::Arc;

use bevy::prelude::*;

use super::Language;

/// The language in which everything is shown.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ShownLanguage(pub(crate) Language);

/// The words of a text, which are written anew whenever the language changes.
#[derive(Component, Clone)]
pub(crate) enum Wording {
    /// The same in every language: a sign or a name. Empty if a system writes the text.
    Same(&'static str),
    /// Made in the present language.
    Made(Arc<dyn Fn() -> String + Send + Sync>),
}

/// The name of a control for screen readers.
#[derive(Component, Clone)]
pub(crate) struct SpokenWording(Wording);

impl Wording {
    /// The words of a text that a system writes.
    pub(crate) const EMPTY: Wording = Wording::Same("");

    /// Words that `make` returns in the present language.
    pub(crate) fn new(make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Wording::Made(Arc::new(make))
    }

    /// The words in the present language.
    pub(crate) fn text(&self) -> String {
        match self {
            Wording::Same(words) => (*words).to_owned(),
            Wording::Made(make) => make(),
        }
    }
}

/// The name of a control for screen readers.
pub(crate) fn spoken(words: Wording) -> impl Bundle {
    (AccessibleLabel::new(words.text()), SpokenWording(words))
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ShownLanguage>().add_systems(
        PreUpdate,
        write_again.run_if(resource_changed::<ShownLanguage>),
    );
}

fn write_again(
    mut texts: Query<(&Wording, Option<&mut Text>, Option<&mut Text2d>)>,
    labels: Query<(Entity, &SpokenWording)>,
    mut commands: Commands,
) {
    for (words, text, canvas_text) in &mut texts {
        let Wording::Made(make) = words else { continue };
        if let Some(mut text) = text {
            text.0 = make();
        }
        if let Some(mut text) = canvas_text {
            text.0 = make();
        }
    }
    for (control, words) in &labels {
        // The component is immutable.
        let label = AccessibleLabel::new(words.0.text());
        commands.entity(control).insert(label);
    }
}
