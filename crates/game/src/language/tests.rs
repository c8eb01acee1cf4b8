//! The table against the sources, and what the tests of other modules need to find texts that are
//! not translated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bevy::ecs::schedule::SingleThreadedExecutor;
use bevy::prelude::*;

use super::table::TEXTS;
use super::*;

/// Texts that are the same in Italian.
const SAME: [&str; 6] = [
    "{rate} / min",
    "leader {name}",
    "No",
    "Menu",
    "Video",
    "Audio",
];

/// Speaks a language until it is dropped.
pub(crate) struct Spoken;

impl Spoken {
    pub(crate) fn new(language: Language) -> Spoken {
        speak(language);
        Spoken
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        speak(Language::English);
    }
}

/// Lets all systems run on the thread of the test, which has the language.
pub(crate) fn run_on_this_thread(app: &mut App) {
    let mut schedules = app.world_mut().resource_mut::<Schedules>();
    for (_, schedule) in schedules.iter_mut() {
        schedule.set_executor(SingleThreadedExecutor::new());
    }
}

/// The words of a text that are not inside of brackets.
pub(crate) fn bare_words(text: &str) -> Vec<String> {
    let mut depth = 0;
    let outside = text.chars().map(|letter| {
        match letter {
            '⟦' => depth += 1,
            '⟧' => depth -= 1,
            _ => {}
        }
        if depth == 0 { letter } else { ' ' }
    });
    let outside: String = outside.collect();
    let words = outside.split(|letter: char| !letter.is_alphanumeric());
    let words = words.filter(|word| word.chars().any(char::is_alphabetic));
    words.map(str::to_owned).collect()
}

/// Asserts that every text of an app that was made in [`Language::Bracketed`] went through the
/// table, apart from the `names`. Returns the texts.
pub(crate) fn assert_translated(app: &mut App, names: &[&str]) -> BTreeSet<String> {
    let world = app.world_mut();
    let mut texts = BTreeSet::new();
    let mut shown = world.query::<&Text>();
    texts.extend(shown.iter(world).map(|text| text.0.clone()));
    let mut drawn = world.query::<&Text2d>();
    texts.extend(drawn.iter(world).map(|text| text.0.clone()));
    let mut spoken = world.query::<&AccessibleLabel>();
    texts.extend(spoken.iter(world).map(|label| label.0.clone()));
    for text in &texts {
        let bare = bare_words(text);
        let bare: Vec<_> = bare
            .iter()
            .filter(|word| !names.contains(&word.as_str()))
            .collect();
        assert!(bare.is_empty(), "{text:?} has {bare:?} without `text!`");
    }
    texts
}

fn table() -> BTreeMap<String, String> {
    toml::from_str(TEXTS).expect("the table is valid")
}

/// Every source file of this crate, without this module.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let is_own = path.starts_with(root.join("language")) || path.ends_with("language.rs");
            if path.is_dir() && !is_own {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !is_own {
                let text = fs::read_to_string(&path).expect("source is text");
                found.push((path, text));
            }
        }
    }
    found
}

/// The key and the names of the values of a call, from after its opening parenthesis.
fn call(source: &str) -> Option<(String, BTreeSet<String>)> {
    let source = source.trim_start().strip_prefix('"')?;
    let (key, rest) = literal(source)?;
    let mut values = BTreeSet::new();
    let mut depth = 0;
    let mut value = String::new();
    let mut rest = rest.chars();
    loop {
        match rest.next()? {
            ')' if depth == 0 => break,
            ',' if depth == 0 => {
                values.extend(name(&value));
                value.clear();
            }
            '"' => rest = literal(rest.as_str())?.1.chars(),
            letter => {
                match letter {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth -= 1,
                    _ => {}
                }
                value.push(letter);
            }
        }
    }
    values.extend(name(&value));
    Some((key, values))
}

/// The name of a value, `name` or `name = ...`.
fn name(value: &str) -> Option<String> {
    let name = value.split('=').next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// A string literal after its opening quote, as the compiler reads it, and the source after it.
fn literal(source: &str) -> Option<(String, &str)> {
    let mut letters = source.chars();
    let mut text = String::new();
    loop {
        match letters.next()? {
            '"' => return Some((text, letters.as_str())),
            '\\' => match letters.next()? {
                '\n' => letters = letters.as_str().trim_start().chars(),
                'n' => text.push('\n'),
                escaped => text.push(escaped),
            },
            letter => text.push(letter),
        }
    }
}

/// The keys in the sources, with the file of each.
fn keys() -> BTreeMap<String, PathBuf> {
    let mut keys = BTreeMap::new();
    for (path, source) in sources() {
        for opening in ["text!(", "wording!("] {
            for (begin, _) in source.match_indices(opening) {
                let (key, values) = call(&source[begin + opening.len()..])
                    .unwrap_or_else(|| panic!("{}: {opening} without a key", path.display()));
                let values: BTreeSet<_> = values.iter().map(String::as_str).collect();
                assert_eq!(values, placeholders(&key), "{}: {key:?}", path.display());
                keys.insert(key, path.clone());
            }
        }
    }
    keys
}

/// The placeholders of a text.
fn placeholders(text: &str) -> BTreeSet<&str> {
    let parts = text.split('{').skip(1);
    parts.filter_map(|part| part.split('}').next()).collect()
}

#[test]
fn every_text_of_the_sources_is_in_the_table() {
    let table = table();
    let keys = keys();
    assert!(keys.len() > 500, "{} keys", keys.len());
    for (key, path) in &keys {
        assert!(table.contains_key(key), "{}: {key:?}", path.display());
    }
}

#[test]
fn every_text_of_the_table_is_used() {
    let keys = keys();
    for key in table().keys() {
        assert!(keys.contains_key(key), "{key:?} is in no source");
    }
}

#[test]
fn translations_have_the_placeholders_of_their_keys() {
    for (key, italian) in table() {
        assert_eq!(placeholders(&key), placeholders(&italian), "{key:?}");
        let english = without_context(&key);
        assert!(!italian.trim().is_empty(), "{key:?}");
        assert_eq!(italian == english, SAME.contains(&english), "{key:?}");
        // Parts of sentences are joined with the spaces at their ends.
        for is_space in [str::starts_with::<char>, str::ends_with::<char>] {
            assert_eq!(is_space(&italian, ' '), is_space(english, ' '), "{key:?}");
        }
    }
}

#[test]
fn placeholders_are_replaced_once() {
    let name = "{count}";
    assert_eq!(text!("{count} of {name}", name, count = 3), "3 of {count}");
    assert_eq!(text!("context|{name}", name), "{count}");
    let italian = Language::Italian.text("{count} of {all}", &[("all", &7), ("count", &name)]);
    assert_eq!(italian, "{count} di 7");
    assert_eq!(Language::Italian.text("x|no such key", &[]), "no such key");
}

#[test]
fn language_is_that_of_the_first_locale_that_is_set() {
    for (locales, expected) in [
        (["", "", ""], Language::English),
        (["", "", "it_IT.UTF-8"], Language::Italian),
        (["", "it", "en_US.UTF-8"], Language::Italian),
        (["C", "it_IT", "it_IT"], Language::English),
        (["it@euro", "C", "C"], Language::Italian),
        (["", "", "italic"], Language::English),
    ] {
        let found = Language::of_locales(locales.map(str::to_owned));
        assert_eq!(found, expected, "{locales:?}");
    }
}

#[test]
fn languages_have_the_names_that_the_settings_document() {
    for (language, name) in [(Language::English, "en"), (Language::Italian, "it")] {
        let written = toml::Value::try_from(language).expect("a value");
        assert_eq!(written.as_str(), Some(name));
        assert_eq!(written.try_into::<Language>().ok(), Some(language));
    }
}

#[test]
fn texts_on_the_screen_follow_the_language() {
    let mut app = App::new();
    app.add_plugins(plugin);
    run_on_this_thread(&mut app);
    let settings = wording!("Settings");
    let world = app.world_mut();
    let text = world.spawn((Text::new(settings.text()), settings.clone()));
    let text = text.id();
    let drawn = world.spawn((Text2d::new(settings.text()), settings.clone()));
    let drawn = drawn.id();
    let control = world.spawn(spoken(wording!("Train: {unit}", unit = text!("axe"))));
    let control = control.id();
    let sign = world.spawn((Text::new("0:07"), Wording::EMPTY)).id();
    for (language, words, label) in [
        (Language::English, "Settings", "Train: axe"),
        (Language::Italian, "Impostazioni", "Addestra: ascia"),
        (Language::English, "Settings", "Train: axe"),
    ] {
        let _spoken = Spoken::new(language);
        app.insert_resource(ShownLanguage(language));
        app.update();
        let world = app.world();
        assert_eq!(world.get::<Text>(text).expect("a text").0, words);
        assert_eq!(world.get::<Text2d>(drawn).expect("a text").0, words);
        let spoken = world.get::<AccessibleLabel>(control).expect("a label");
        assert_eq!(spoken.0, label);
        let sign = world.get::<Text>(sign).expect("a text");
        assert_eq!(sign.0, "0:07", "its system writes it");
    }
}

#[test]
fn words_outside_of_brackets_are_found() {
    assert_eq!(bare_words("⟦Level: ⟦Captains⟧⟧, 7"), Vec::<String>::new());
    assert_eq!(bare_words("1  Ada: ⟦ready⟧ now"), ["Ada", "now"]);
}

/// Big-endian number of two bytes.
fn short(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// Big-endian number of four bytes.
fn long(bytes: &[u8], at: usize) -> usize {
    short(bytes, at) << 16 | short(bytes, at + 2)
}

/// Whether a font has a glyph of its own for a letter of the Basic Multilingual Plane, by its first
/// character map of format 4 (OpenType 1.9, `cmap`).
fn has_glyph(font: &[u8], letter: char) -> bool {
    let code = letter as usize;
    let tables = (0..short(font, 4)).map(|number| 12 + 16 * number);
    let cmap = tables
        .into_iter()
        .find(|at| &font[*at..at + 4] == b"cmap")
        .map(|at| &font[long(font, at + 8)..])
        .expect("a font has a map of characters");
    let maps = (0..short(cmap, 2)).map(|number| &cmap[long(cmap, 8 + 8 * number)..]);
    let map = maps
        .into_iter()
        .find(|map| short(map, 0) == 4)
        .expect("it has a map of format 4");
    let twice = short(map, 6);
    for segment in (0..twice).step_by(2) {
        let end = short(map, 14 + segment);
        let start = short(map, 16 + twice + segment);
        if code > end {
            continue;
        }
        if code < start {
            return false;
        }
        let delta = short(map, 16 + 2 * twice + segment);
        let at = 16 + 3 * twice + segment;
        let glyph = match short(map, at) {
            0 => code,
            offset => short(map, at + offset + 2 * (code - start)),
        };
        return glyph != 0 && !(glyph + delta).is_multiple_of(65_536);
    }
    false
}

#[test]
fn font_has_every_letter_of_the_table() {
    let font = crate::view::fonts::RAJDHANI_BOLD;
    assert!(!has_glyph(font, '⟦') && !has_glyph(font, 'Ж'));
    let letters: BTreeSet<char> = table()
        .into_iter()
        .flat_map(|(key, italian)| (key + &italian).chars().collect::<Vec<_>>())
        .chain("àèéìòùÀÈÉÌÒÙ".chars())
        .collect();
    for letter in letters {
        assert!(has_glyph(font, letter), "{letter:?}");
    }
}
