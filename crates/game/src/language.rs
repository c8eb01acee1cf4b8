//! The language of the window, and its texts.
//!
//! A text is written in English where it is shown, as the key of the macro `text!`; the table
//! `assets/texts.toml` has its translation. `wording!` makes a `Wording` instead: a text that is
//! spawned once and follows the language. Tests compare the table with the sources, and spawn the
//! screens in a language in which every translated text is in brackets.
//!
//! A key may begin with a context and a bar, as in `text!("noun|march")`: it is not shown, and
//! separates two translations of one English word.
//!
//! The debug overlay behind F3 is always in English, and so are the command line, which never sets
//! the language, and reasons that come as strings from `raftian-node` or the operating system.
//! Lines of the feed and notices stay in the language in which they were written.
//!
//! Decision: the present language is one value of the process. Why: texts are made far below the
//! systems that show them, such as a forecast or the words of a report, and each of these functions
//! would need one more argument. Would change if: two windows of one process had two languages.

#[cfg(feature = "client")]
mod table;
#[cfg(feature = "client")]
mod wording;

use std::fmt::{Display, Write as _};

#[cfg(feature = "client")]
pub(crate) use self::table::{Language, present, speak};
#[cfg(feature = "client")]
pub(crate) use self::wording::{ShownLanguage, Wording, plugin, spoken};

/// A text in the present language, as in `text!("{count} of {all}", count = 3, all)`. The key is a
/// literal that has the placeholders by name.
macro_rules! text {
    (@value $name:ident) => { $name };
    (@value $name:ident $value:expr) => { $value };
    ($key:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::language::in_present_language(
            $key,
            &[$((stringify!($name), &text!(@value $name $($value)?) as &dyn std::fmt::Display)),*],
        )
    };
}

/// A [`Wording`] with the arguments of `text!`, which are kept by value.
#[cfg(feature = "client")]
macro_rules! wording {
    ($($text:tt)*) => {
        $crate::language::Wording::new(move || text!($($text)*))
    };
}

/// The text of a key in the present language, with its placeholders replaced by `values`.
pub(crate) fn in_present_language(key: &str, values: &[(&str, &dyn Display)]) -> String {
    #[cfg(feature = "client")]
    return present().text(key, values);
    #[cfg(not(feature = "client"))]
    return fill(without_context(key), values);
}

/// The part of a key that is shown.
fn without_context(key: &str) -> &str {
    key.split_once('|').map_or(key, |(_, shown)| shown)
}

/// A text with its placeholders replaced by `values`, which are not searched for placeholders.
fn fill(text: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = values.iter().find(|(other, _)| *other == name);
        debug_assert!(value.is_some(), "{text:?} has no value for {name:?}");
        if let Some((_, value)) = value {
            // Writing to a string cannot fail.
            let _ = write!(filled, "{value}");
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(all(test, feature = "client"))]
pub(crate) mod tests;
