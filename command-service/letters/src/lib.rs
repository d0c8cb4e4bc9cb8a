//! The e-mails and texts that residents receive, in three languages. No I/O.

mod format;
mod kind;
mod layout;
mod letter;
mod means;
mod notice;
mod page;
mod staff;
mod texts;
mod wording;

#[cfg(test)]
mod tests;

pub use format::{date, money};
pub use kind::{choose, languages, template_version};
pub use letter::{About, Charge, Letter, Letterhead, Method, Pause, RenderError, Rendered, render};
pub use texts::{Text, TextHead, choose_text, text_version, write_text};
