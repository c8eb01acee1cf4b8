//! Keys of the actions of Crowns, which the player may choose.

use bevy::prelude::*;

use crate::language::{ShownLanguage, Wording};

/// An action with a key of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyAction {
    BuildWood,
    BuildIron,
    BuildGrain,
    BuildWall,
    BuildBarracks,
    BuildStore,
    CancelBuild,
    Spear,
    Axe,
    Rider,
    Ram,
    Repair,
    NextTarget,
    PreviousTarget,
    SwitchAttack,
    CallHome,
    Others,
    Point,
}

/// An action with its name in the file, its name on the page, and its usual key.
type Definition = (KeyAction, &'static str, fn() -> String, KeyCode);

/// Every action, in the order of the enum.
const ACTIONS: [Definition; 18] = [
    (
        KeyAction::BuildWood,
        "build_wood",
        || text!("Build: wood field"),
        KeyCode::KeyQ,
    ),
    (
        KeyAction::BuildIron,
        "build_iron",
        || text!("Build: iron field"),
        KeyCode::KeyW,
    ),
    (
        KeyAction::BuildGrain,
        "build_grain",
        || text!("Build: grain field"),
        KeyCode::KeyE,
    ),
    (
        KeyAction::BuildWall,
        "build_wall",
        || text!("Build: wall"),
        KeyCode::KeyR,
    ),
    (
        KeyAction::BuildBarracks,
        "build_barracks",
        || text!("Build: barracks"),
        KeyCode::KeyT,
    ),
    (
        KeyAction::BuildStore,
        "build_store",
        || text!("Build: store"),
        KeyCode::KeyY,
    ),
    (
        KeyAction::CancelBuild,
        "cancel_build",
        || text!("Cancel a building"),
        KeyCode::KeyX,
    ),
    (
        KeyAction::Spear,
        "spear",
        || text!("Spear: train, or send"),
        KeyCode::Digit1,
    ),
    (
        KeyAction::Axe,
        "axe",
        || text!("Axe: train, or send"),
        KeyCode::Digit2,
    ),
    (
        KeyAction::Rider,
        "rider",
        || text!("Rider: train, or send"),
        KeyCode::Digit3,
    ),
    (
        KeyAction::Ram,
        "ram",
        || text!("Ram: train, or send"),
        KeyCode::Digit4,
    ),
    (
        KeyAction::Repair,
        "repair",
        || text!("Repair the keep"),
        KeyCode::KeyF,
    ),
    (
        KeyAction::NextTarget,
        "next_target",
        || text!("Plan a march, next target"),
        KeyCode::KeyA,
    ),
    (
        KeyAction::PreviousTarget,
        "previous_target",
        || text!("Previous target"),
        KeyCode::KeyS,
    ),
    (
        KeyAction::SwitchAttack,
        "switch_attack",
        || text!("Raid or assault"),
        KeyCode::KeyZ,
    ),
    (
        KeyAction::CallHome,
        "call_home",
        || text!("Call a garrison home"),
        KeyCode::KeyC,
    ),
    (
        KeyAction::Others,
        "others",
        || text!("The others: pacts and gifts"),
        KeyCode::KeyD,
    ),
    (
        KeyAction::Point,
        "point",
        || text!("Point at a tile"),
        KeyCode::KeyV,
    ),
];

/// Keys that actions may have. All others have a fixed meaning, or differ between keyboards.
const KEYS: [KeyCode; 65] = [
    KeyCode::KeyA,
    KeyCode::KeyB,
    KeyCode::KeyC,
    KeyCode::KeyD,
    KeyCode::KeyE,
    KeyCode::KeyF,
    KeyCode::KeyG,
    KeyCode::KeyH,
    KeyCode::KeyI,
    KeyCode::KeyJ,
    KeyCode::KeyK,
    KeyCode::KeyL,
    KeyCode::KeyM,
    KeyCode::KeyN,
    KeyCode::KeyO,
    KeyCode::KeyP,
    KeyCode::KeyQ,
    KeyCode::KeyR,
    KeyCode::KeyS,
    KeyCode::KeyT,
    KeyCode::KeyU,
    KeyCode::KeyV,
    KeyCode::KeyW,
    KeyCode::KeyX,
    KeyCode::KeyY,
    KeyCode::KeyZ,
    KeyCode::Digit0,
    KeyCode::Digit1,
    KeyCode::Digit2,
    KeyCode::Digit3,
    KeyCode::Digit4,
    KeyCode::Digit5,
    KeyCode::Digit6,
    KeyCode::Digit7,
    KeyCode::Digit8,
    KeyCode::Digit9,
    KeyCode::Numpad0,
    KeyCode::Numpad1,
    KeyCode::Numpad2,
    KeyCode::Numpad3,
    KeyCode::Numpad4,
    KeyCode::Numpad5,
    KeyCode::Numpad6,
    KeyCode::Numpad7,
    KeyCode::Numpad8,
    KeyCode::Numpad9,
    KeyCode::Minus,
    KeyCode::Equal,
    KeyCode::BracketLeft,
    KeyCode::BracketRight,
    KeyCode::Backslash,
    KeyCode::IntlBackslash,
    KeyCode::Semicolon,
    KeyCode::Quote,
    KeyCode::Backquote,
    KeyCode::Comma,
    KeyCode::Period,
    KeyCode::Slash,
    KeyCode::Backspace,
    KeyCode::Insert,
    KeyCode::Delete,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::PageUp,
    KeyCode::PageDown,
];

impl KeyAction {
    /// The actions with units, in the order of the kinds of units.
    pub(crate) const UNITS: [KeyAction; 4] = [
        KeyAction::Spear,
        KeyAction::Axe,
        KeyAction::Rider,
        KeyAction::Ram,
    ];

    /// All actions.
    pub(crate) fn all() -> impl Iterator<Item = KeyAction> {
        ACTIONS.iter().map(|(action, ..)| *action)
    }

    /// Name on the page of settings.
    pub(crate) fn title(self) -> String {
        (ACTIONS[self as usize].2)()
    }
}

/// The keys of all actions, each for one action only.
#[derive(Resource, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bindings([KeyCode; ACTIONS.len()]);

impl Default for Bindings {
    fn default() -> Self {
        Bindings(ACTIONS.map(|(.., key)| key))
    }
}

/// A key that no action may have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", fixed_key_text(.0))]
pub(crate) struct FixedKey(String);

fn fixed_key_text(key: &str) -> String {
    text!(
        "{key} has a fixed meaning, or is not on every keyboard: choose another key.",
        key
    )
}

impl Bindings {
    /// The key of an action.
    pub(crate) fn key(&self, action: KeyAction) -> KeyCode {
        self.0[action as usize]
    }

    /// The key of an action, as on buttons.
    pub(crate) fn label(&self, action: KeyAction) -> String {
        label(self.key(action))
    }

    /// The keys of several actions, as on buttons.
    pub(crate) fn labels<const N: usize>(&self, actions: [KeyAction; N]) -> [String; N] {
        actions.map(|action| self.label(action))
    }

    /// Gives an action a key. The action that had it gets the key that this one had, and is
    /// returned.
    ///
    /// # Errors
    /// [`FixedKey`].
    pub(crate) fn bind(
        &mut self,
        action: KeyAction,
        key: KeyCode,
    ) -> Result<Option<KeyAction>, FixedKey> {
        if !KEYS.contains(&key) {
            return Err(FixedKey(label(key)));
        }
        let before = self.key(action);
        let other = KeyAction::all().find(|other| *other != action && self.key(*other) == key);
        if let Some(other) = other {
            self.0[other as usize] = before;
        }
        self.0[action as usize] = key;
        Ok(other)
    }

    /// Reads the keys of a file, with a sentence for each that cannot be used. Names that are
    /// unknown are left in `table`.
    pub(super) fn take_from(table: &mut toml::Table, notes: &mut Vec<Wording>) -> Bindings {
        let mut bindings = Bindings::default();
        for (action, name, _, usual) in ACTIONS {
            let Some(value) = table.remove(name) else {
                continue;
            };
            match value.as_str().and_then(key_of) {
                Some(key) => bindings.0[action as usize] = key,
                None => notes.push(wording!(
                    "`controls.{name}` is {value}, which is no key for an action; it is {usual} \
                     again.",
                    name,
                    value,
                    usual = format!("{usual:?}")
                )),
            }
        }
        let mut keys = bindings.0.to_vec();
        keys.sort_unstable();
        if let Some([key, _]) = keys.array_windows().find(|[key, next]| key == next) {
            let key = format!("{key:?}");
            notes.push(wording!(
                "`controls` has {key} twice; all keys are the usual ones again.",
                key
            ));
            return Bindings::default();
        }
        bindings
    }

    /// The keys as a file has them.
    pub(super) fn to_table(&self) -> toml::Table {
        let names = ACTIONS.iter().map(|(action, name, ..)| {
            let key = format!("{:?}", self.key(*action));
            ((*name).to_owned(), toml::Value::String(key))
        });
        names.collect()
    }
}

/// The key with the name that a file has for it, which is the one of the engine.
fn key_of(name: &str) -> Option<KeyCode> {
    KEYS.into_iter().find(|key| format!("{key:?}") == name)
}

/// A key, as on a keyboard.
fn label(key: KeyCode) -> String {
    let sign = match key {
        KeyCode::Minus => "-",
        KeyCode::Equal => "=",
        KeyCode::BracketLeft => "[",
        KeyCode::BracketRight => "]",
        KeyCode::Backslash => "\\",
        KeyCode::IntlBackslash => "<",
        KeyCode::Semicolon => ";",
        KeyCode::Quote => "'",
        KeyCode::Backquote => "`",
        KeyCode::Comma => ",",
        KeyCode::Period => ".",
        KeyCode::Slash => "/",
        _ => "",
    };
    if !sign.is_empty() {
        return sign.to_owned();
    }
    let name = format!("{key:?}");
    if let Some(digit) = name.strip_prefix("Numpad") {
        return format!("Num {digit}");
    }
    let letter = name
        .strip_prefix("Key")
        .or_else(|| name.strip_prefix("Digit"));
    letter.unwrap_or(&name).to_owned()
}

/// Words of a text that name keys. They are written anew whenever keys or the language change.
#[derive(Component)]
pub(crate) struct KeyWords(Box<dyn Fn(&Bindings) -> String + Send + Sync>);

impl KeyWords {
    /// Words that follow from the keys.
    pub(crate) fn new(words: impl Fn(&Bindings) -> String + Send + Sync + 'static) -> Self {
        KeyWords(Box::new(words))
    }

    /// The key of an action.
    pub(crate) fn of(action: KeyAction) -> Self {
        KeyWords::new(move |keys| keys.label(action))
    }

    /// The key of an action, after `words`.
    pub(crate) fn after(words: Wording, action: KeyAction) -> Self {
        KeyWords::new(move |keys| format!("{} {}", words.text(), keys.label(action)))
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Bindings>()
        .init_resource::<ShownLanguage>()
        .add_systems(Update, write_words);
}

fn write_words(
    bindings: Res<Bindings>,
    language: Res<ShownLanguage>,
    mut texts: Query<(Ref<KeyWords>, &mut Text)>,
) {
    let is_new = bindings.is_changed() || language.is_changed();
    for (words, mut text) in &mut texts {
        if is_new || words.is_added() {
            text.0 = (words.0)(&bindings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::language::tests::{Spoken, run_on_this_thread};

    #[test]
    fn actions_are_listed_in_the_order_of_the_enum() {
        for (number, (action, ..)) in ACTIONS.iter().enumerate() {
            assert_eq!(*action as usize, number);
        }
    }

    #[test]
    fn usual_keys_are_distinct_and_may_be_bound() {
        let mut keys = Bindings::default().0.to_vec();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), ACTIONS.len());
        assert!(keys.iter().all(|key| KEYS.contains(key)));
    }

    #[test]
    fn every_key_has_a_name_and_a_label_of_its_own() {
        for key in KEYS {
            assert_eq!(key_of(&format!("{key:?}")), Some(key));
            let labels = KEYS.iter().filter(|other| label(**other) == label(key));
            assert_eq!(labels.count(), 1, "{key:?}");
        }
        assert_eq!(label(KeyCode::KeyQ), "Q");
        assert_eq!(label(KeyCode::Digit1), "1");
        assert_eq!(label(KeyCode::Numpad1), "Num 1");
        assert_eq!(label(KeyCode::PageUp), "PageUp");
    }

    #[test]
    fn key_in_use_is_swapped() {
        let mut bindings = Bindings::default();
        let free = bindings.bind(KeyAction::BuildWood, KeyCode::KeyP);
        assert_eq!(free, Ok(None));
        let swapped = bindings.bind(KeyAction::BuildWood, KeyCode::KeyA);
        assert_eq!(swapped, Ok(Some(KeyAction::NextTarget)));
        assert_eq!(bindings.label(KeyAction::BuildWood), "A");
        assert_eq!(bindings.label(KeyAction::NextTarget), "P");
        let same = bindings.bind(KeyAction::BuildWood, KeyCode::KeyA);
        assert_eq!(same, Ok(None), "its own key changes nothing");
    }

    #[test]
    fn fixed_keys_are_refused() {
        for key in [
            KeyCode::Escape,
            KeyCode::Enter,
            KeyCode::Tab,
            KeyCode::Space,
            KeyCode::F1,
            KeyCode::F3,
            KeyCode::F11,
            KeyCode::ArrowUp,
            KeyCode::ShiftLeft,
        ] {
            let mut bindings = Bindings::default();
            assert!(bindings.bind(KeyAction::Ram, key).is_err(), "{key:?}");
            assert_eq!(bindings, Bindings::default());
        }
    }

    fn read(text: &str) -> (Bindings, Vec<String>, toml::Table) {
        let mut table = toml::from_str(text).unwrap();
        let mut notes = Vec::new();
        let bindings = Bindings::take_from(&mut table, &mut notes);
        let notes = notes.iter().map(Wording::text).collect();
        (bindings, notes, table)
    }

    #[test]
    fn bad_key_is_reported_and_the_usual_one_is_used() {
        for value in ["\"KeyÄ\"", "\"Escape\"", "3", "[]"] {
            let (bindings, notes, _) = read(&format!("ram = {value}\naxe = \"KeyL\""));
            assert_eq!(bindings.key(KeyAction::Ram), KeyCode::Digit4);
            assert_eq!(bindings.key(KeyAction::Axe), KeyCode::KeyL);
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(notes[0].starts_with("`controls.ram` is "), "{notes:?}");
        }
    }

    #[test]
    fn key_of_two_actions_restores_the_usual_keys() {
        let (bindings, notes, _) = read("ram = \"KeyQ\"");
        assert_eq!(bindings, Bindings::default());
        let note = "`controls` has KeyQ twice; all keys are the usual ones again.";
        assert_eq!(notes, [note]);
    }

    #[test]
    fn unknown_actions_stay_in_the_table() {
        let (bindings, notes, left) = read("chat = \"KeyM\"");
        assert_eq!(bindings, Bindings::default());
        assert_eq!((notes.len(), left.len()), (0, 1));
    }

    #[test]
    fn texts_follow_the_keys_and_the_language() {
        let mut app = App::new();
        app.add_plugins(plugin);
        run_on_this_thread(&mut app);
        let words = KeyWords::after(wording!("Repair"), KeyAction::Repair);
        let text = app.world_mut().spawn((words, Text::default())).id();
        app.update();
        let shown = app.world().get::<Text>(text).map(|text| text.0.clone());
        assert_eq!(shown.as_deref(), Some("Repair F"));
        let mut bindings = app.world_mut().resource_mut::<Bindings>();
        bindings.bind(KeyAction::Repair, KeyCode::KeyG).unwrap();
        app.update();
        let shown = app.world().get::<Text>(text).map(|text| text.0.clone());
        assert_eq!(shown.as_deref(), Some("Repair G"));
        let _spoken = Spoken::new(Language::Italian);
        app.insert_resource(ShownLanguage(Language::Italian));
        app.update();
        let shown = app.world().get::<Text>(text).map(|text| text.0.clone());
        assert_eq!(shown.as_deref(), Some("Ripara G"));
    }
}
