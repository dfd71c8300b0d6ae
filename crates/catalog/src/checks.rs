//! What is checked, by name: `tyto check` shows the name beside each problem, and `docs/check.md` explains it.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The catalogue is refused.
    Error,
    /// The catalogue is taken; something will be missed later.
    Warning,
    /// Nothing is wrong; something could be better.
    Note,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    UnreadableFile,
    Syntax,
    WrongType,
    UnknownKey,
    RepeatedKey,
    MissingKey,
    BadName,
    BadValue,
    BadMatch,
    BadProgram,
    DuplicateName,
    DuplicateClaim,
    OverlappingClaims,
    DanglingReference,
    AmbiguousReference,
    Circle,
    OwnershipConflict,
    FieldConflict,
    NoOwner,
    NoContact,
    OtherName,
}

/// What a reader of a report is told of a check.
pub(crate) struct Explained {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) about: &'static str,
    pub(crate) fix: &'static str,
}

const fn error(name: &'static str, about: &'static str, fix: &'static str) -> Explained {
    Explained { name, level: Level::Error, about, fix }
}

const fn warning(name: &'static str, about: &'static str, fix: &'static str) -> Explained {
    Explained { name, level: Level::Warning, about, fix }
}

const fn note(name: &'static str, about: &'static str, fix: &'static str) -> Explained {
    Explained { name, level: Level::Note, about, fix }
}

impl Check {
    pub const ALL: [Self; 21] = [
        Self::UnreadableFile,
        Self::Syntax,
        Self::WrongType,
        Self::UnknownKey,
        Self::RepeatedKey,
        Self::MissingKey,
        Self::BadName,
        Self::BadValue,
        Self::BadMatch,
        Self::BadProgram,
        Self::DuplicateName,
        Self::DuplicateClaim,
        Self::OverlappingClaims,
        Self::DanglingReference,
        Self::AmbiguousReference,
        Self::Circle,
        Self::OwnershipConflict,
        Self::FieldConflict,
        Self::NoOwner,
        Self::NoContact,
        Self::OtherName,
    ];

    pub fn name(self) -> &'static str {
        self.explained().name
    }

    pub fn level(self) -> Level {
        self.explained().level
    }

    /// The finger that points at what to do about it.
    pub fn fix(self) -> &'static str {
        self.explained().fix
    }

    pub(crate) fn explained(self) -> &'static Explained {
        match self {
            Self::UnreadableFile => {
                const { &error("unreadable-file", "A file or folder cannot be read.", "Check the path, its permissions and its size.") }
            }
            Self::Syntax => const { &error("syntax", "A file is no YAML or no JSON.", "Correct the text at the place named.") },
            Self::WrongType => {
                const { &error("wrong-type", "A value is of another type than its key has.", "Write the type that the message names.") }
            }
            Self::UnknownKey => const { &error("unknown-key", "A key that its map does not have.", "Correct its spelling, or remove it.") },
            Self::RepeatedKey => const { &error("repeated-key", "A key that stands twice in one map.", "Remove one of the two.") },
            Self::MissingKey => const { &error("missing-key", "A key that its map must have.", "Add it.") },
            Self::BadName => {
                const {
                    &error(
                        "bad-name",
                        "A name that nothing can be called.",
                        "Choose a name without outer spaces, slashes or two leading _.",
                    )
                }
            }
            Self::BadValue => const { &error("bad-value", "A value that its key cannot have.", "Write what the message says.") },
            Self::BadMatch => {
                const { &error("bad-match", "A rule that recognises nothing, or everything.", "Name an attribute and what it must be.") }
            }
            Self::BadProgram => {
                const {
                    &error(
                        "bad-program",
                        "A program that does not compile.",
                        "Correct it where it says; docs/pipelines.md has what programs may call.",
                    )
                }
            }
            Self::DuplicateName => {
                const {
                    &error(
                        "duplicate-name",
                        "The same thing is declared in two places.",
                        "Keep the declaration of its owner, and remove the other.",
                    )
                }
            }
            Self::DuplicateClaim => {
                const {
                    &error(
                        "duplicate-claim",
                        "Two rules claim the same senders.",
                        "Remove one of the two, or tell them apart by a further attribute.",
                    )
                }
            }
            Self::OverlappingClaims => {
                const {
                    &error(
                        "overlapping-claims",
                        "Two components claim some of the same senders, and neither rule is the more specific one.",
                        "Make one rule more specific: an exact value, a longer glob, a further attribute.",
                    )
                }
            }
            Self::DanglingReference => {
                const {
                    &error(
                        "dangling-reference",
                        "A reference to what nobody declares.",
                        "Correct the name; or check together with the files that declare it, or with --against a server that knows them.",
                    )
                }
            }
            Self::AmbiguousReference => {
                const {
                    &error(
                        "ambiguous-reference",
                        "A reference that more than one thing answers to.",
                        "Write more of the path: service/component.",
                    )
                }
            }
            Self::Circle => {
                const { &error("circle", "Something refers to itself where that has no meaning.", "Remove one of the references of the circle.") }
            }
            Self::OwnershipConflict => {
                const { &error("ownership-conflict", "Two places say different things of one team.", "Say a team's contacts in one place.") }
            }
            Self::FieldConflict => {
                const {
                    &error(
                        "field-conflict",
                        "A field of a contract cannot have a column beside the others.",
                        "Give it the type that it has elsewhere, or another name.",
                    )
                }
            }
            Self::NoOwner => {
                const {
                    &warning(
                        "no-owner",
                        "A component that nobody owns: nobody can be told about it.",
                        "Add owners to it, to its service or to its business service.",
                    )
                }
            }
            Self::NoContact => {
                const {
                    &warning(
                        "no-contact",
                        "A team that cannot be reached.",
                        "Add an email, a slack channel, a github repository, a webhook or on_call.",
                    )
                }
            }
            Self::OtherName => {
                const {
                    &note(
                        "other-name",
                        "An attribute that OpenTelemetry calls otherwise.",
                        "Send and declare it by that name; or say \"deprecated\": true where the old one still comes.",
                    )
                }
            }
        }
    }
}

impl serde::Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
