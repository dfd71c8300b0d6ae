//! `x-tyto` in a contract: what happens to a record that breaks it.

use crate::checks::Check;
use crate::fields::{Fields, Reader};
use crate::shape;
use crate::yaml::Node;

pub(crate) const KEYWORD: &str = "x-tyto";

/// What happens to a record that breaks a rule, the mildest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is counted, and stored as any other.
    #[default]
    Observe,
    /// It is set aside, to be let in later or thrown away.
    Quarantine,
    /// It is not taken, and its sender is told.
    Reject,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Observe, Self::Quarantine, Self::Reject];

    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// What a contract says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(crate) mode: Option<Mode>,
    /// Of a hundred records, for how many the mode holds; the others are observed.
    pub(crate) percent: u8,
    pub(crate) version: String,
}

impl Default for Hints {
    fn default() -> Self {
        Self { mode: None, percent: 100, version: String::new() }
    }
}

/// Those of a whole contract.
pub(crate) fn of_contract(reader: &mut Reader, node: &Node) -> Hints {
    let mut hints = Hints::default();
    let Some(fields) = reader.fields(node, &shape::CONTRACT_HINTS) else { return hints };
    hints.mode = mode(reader, &fields);
    hints.version = reader.optional_text(&fields, "version");
    if let Some(text) = fields.get("percent").and_then(|node| reader.text(node, "percent")) {
        match text.parse() {
            Ok(percent @ 0..=100) => hints.percent = percent,
            _ => {
                let what = format!("cannot use {text:?} as \"percent\": it is a whole number from 0 to 100");
                reader.problem(fields["percent"].place, Check::BadValue, what);
            }
        }
    }
    if hints.percent < 100 && hints.mode.is_none() {
        let what = "cannot use \"percent\" without \"mode\": it says for how many of a hundred records the mode holds";
        reader.problem(fields["percent"].place, Check::MissingKey, what);
    }
    hints
}

/// Those of one property.
pub(crate) fn of_property(reader: &mut Reader, node: &Node) -> Option<Mode> {
    let fields = reader.fields(node, &shape::PROPERTY_HINTS)?;
    mode(reader, &fields)
}

fn mode(reader: &mut Reader, fields: &Fields<'_>) -> Option<Mode> {
    let node = fields.get("mode")?;
    let text = reader.text(node, "mode")?;
    let mode = Mode::of_name(&text);
    if mode.is_none() {
        let known = Mode::ALL.map(Mode::name);
        let otherwise = format!("modes are {}", known.join(", "));
        reader.unknown((node.place, Check::BadValue), &text, &format!("cannot use mode {text:?}"), &known, &otherwise);
    }
    mode
}
