//! The languages, and the table of translations.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub(crate) use self::of_process::{present, speak};
use super::{fill, without_context};

/// English text = Italian text.
pub(super) const TEXTS: &str = include_str!("../../../../assets/texts.toml");

/// Variables of the environment that name the locale of messages, in the order in which POSIX
/// consults them (Base Definitions, 8.2).
const LOCALES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// A language of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "it")]
    Italian,
    /// English with brackets around every text that goes through the table.
    #[cfg(test)]
    #[serde(skip)]
    Bracketed,
}

static ITALIAN: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| toml::from_str(TEXTS).expect("the table is valid, as a test shows"));

impl Language {
    /// All languages, in the order of the enum.
    const ALL: [Language; 2] = [Language::English, Language::Italian];

    /// Its own name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Italian => "Italiano",
            #[cfg(test)]
            Language::Bracketed => "⟦⟧",
        }
    }

    /// The next one, and the first one after the last.
    pub(crate) fn next(self) -> Language {
        Language::ALL[(self as usize + 1) % Language::ALL.len()]
    }

    /// The language of the system's user.
    pub(crate) fn of_user() -> Language {
        Language::of_locales(LOCALES.map(|name| std::env::var(name).unwrap_or_default()))
    }

    /// The language of the first locale that is set.
    pub(super) fn of_locales(locales: [String; 3]) -> Language {
        let locale = locales.into_iter().find(|locale| !locale.is_empty());
        let locale = locale.unwrap_or_default();
        let code = locale.split(|letter: char| !letter.is_ascii_alphabetic());
        match code.into_iter().next() {
            Some("it") => Language::Italian,
            _ => Language::English,
        }
    }

    /// The text of a key; in English if the table lacks it.
    pub(super) fn text(self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        let english = without_context(key);
        match self {
            Language::English => fill(english, values),
            Language::Italian => fill(ITALIAN.get(key).map_or(english, String::as_str), values),
            #[cfg(test)]
            Language::Bracketed => format!("⟦{}⟧", fill(english, values)),
        }
    }
}

#[cfg(not(test))]
mod of_process {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Language;

    /// Place in [`Language::ALL`].
    static PRESENT: AtomicUsize = AtomicUsize::new(0);

    /// The language in which texts are made.
    pub(crate) fn present() -> Language {
        Language::ALL[PRESENT.load(Ordering::Relaxed)]
    }

    /// Sets the language in which texts are made.
    pub(crate) fn speak(language: Language) {
        PRESENT.store(language as usize, Ordering::Relaxed);
    }
}

/// Tests run at the same time in one process, each on a thread of its own.
#[cfg(test)]
mod of_process {
    use std::cell::Cell;

    use super::Language;

    thread_local! {
        static PRESENT: Cell<Language> = const { Cell::new(Language::English) };
    }

    pub(crate) fn present() -> Language {
        PRESENT.get()
    }

    pub(crate) fn speak(language: Language) {
        PRESENT.set(language);
    }
}
