//! The languages, and the table of translations.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

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
    /// Its own name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Italian => "Italiano",
            #[cfg(test)]
            Language::Bracketed => "⟦⟧",
        }
    }

    /// The other one of the two.
    pub(crate) fn other(self) -> Language {
        match self {
            Language::English => Language::Italian,
            _ => Language::English,
        }
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
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Language;

    static IS_ITALIAN: AtomicBool = AtomicBool::new(false);

    /// The language in which texts are made.
    pub(crate) fn present() -> Language {
        if IS_ITALIAN.load(Ordering::Relaxed) {
            Language::Italian
        } else {
            Language::English
        }
    }

    /// Sets the language in which texts are made.
    pub(crate) fn speak(language: Language) {
        IS_ITALIAN.store(language == Language::Italian, Ordering::Relaxed);
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

pub(crate) use self::of_process::{present, speak};
