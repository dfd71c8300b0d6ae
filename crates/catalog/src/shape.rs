//! Which keys each map of a file has. The readers refuse what does not stand here, and the JSON Schema for editors is written from it:
//! the two cannot drift apart.

/// A map of a file.
pub(crate) struct Shape {
    /// As it is called in messages, with its article.
    pub(crate) what: &'static str,
    pub(crate) fields: &'static [Field],
    /// Of these keys there is exactly one.
    pub(crate) one_of: &'static [&'static str],
    /// Of these keys there is at least one.
    pub(crate) any_of: &'static [&'static str],
}

pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// What an editor shows.
    pub(crate) about: &'static str,
}

/// What the value of a key is.
pub(crate) enum Kind {
    /// Numbers and booleans too, as they are written.
    Text,
    /// That says something.
    Said,
    /// Of a business service, a service, a component, a team.
    Name,
    /// Names with `/` between them.
    Path,
    Email,
    Url,
    /// `owner/name` on GitHub.
    Repository,
    Tier,
    /// How long rows are kept: `30d`.
    Keep,
    /// `30s`, `5m`, and as [`Kind::Keep`].
    Duration,
    /// A whole number in a range.
    Count(u64, u64),
    Words(&'static [&'static str]),
    /// With the least and the most number of items.
    List(&'static Kind, Option<(u64, u64)>),
    Map(&'static Shape),
    /// One of these maps.
    OneOf(&'static [Shape]),
    /// A text instead of the map where one is enough.
    TextOr(&'static Shape),
    /// Attributes and what each must be.
    Rule,
    /// Names and a text for each.
    Texts,
}

impl Shape {
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.key)
    }

    const fn of(what: &'static str, fields: &'static [Field]) -> Self {
        Self { what, fields, one_of: &[], any_of: &[] }
    }
}

const fn may(key: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { key, kind, required: false, about }
}

const fn must(key: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { key, kind, required: true, about }
}

// Items of lists in constants cannot be written where they stand: they refer to statics.
static AN_OWNER: Kind = Kind::Map(&OWNER);
static A_LINK: Kind = Kind::Map(&LINK);
static A_SERVICE: Kind = Kind::Map(&SERVICE);
static A_COMPONENT: Kind = Kind::Map(&COMPONENT);
static A_DEPENDENCY: Kind = Kind::TextOr(&DEPENDENCY);

const NAME: Field = must("name", Kind::Name, "What it is called everywhere: in queries, on pages, on bills.");
const DESCRIPTION: Field = may("description", Kind::Text, "What it is for, in a sentence that a layman reads.");
const OWNERS: Field =
    may("owners", Kind::List(&AN_OWNER, None), "The teams that answer for it, the first one first; else those of the level above.");
const TIER: Field = may("tier", Kind::Tier, "How much hangs on it, from 0 (everything) to 4 (nothing); else that of the level above.");
const ENVIRONMENT: Field =
    may("environment", Kind::Name, "The environment of its records that do not say theirs; else that of the level above.");
const COST_CENTRE: Field = may("cost_centre", Kind::Name, "Whose budget pays for it; else that of the level above.");
const CONTRACT: Field = may(
    "contract",
    Kind::Name,
    "What its log records must look like: `payments` is contracts/payments.json; else that of the level above.",
);
const LINKS: Field = may("links", Kind::List(&A_LINK, None), "Where to read on: dashboards, documents, code.");
const RUNBOOKS: Field = may("runbooks", Kind::List(&A_LINK, None), "What to do when it fails.");
const RETENTION: Field =
    may("retention", Kind::Map(&RETENTION_TIMES), "How long its rows are kept; else as long as those of the level above.");
const SERVICES: Field = may("services", Kind::List(&A_SERVICE, None), "What it consists of.");
const COMPONENTS: Field = may("components", Kind::List(&A_COMPONENT, None), "What it consists of: one deployable each.");
const MATCH: Field =
    may("match", Kind::List(&Kind::Rule, Some((1, 10_000))), "Rules that recognise its telemetry: any of them, and all attributes of one.");
const DEPENDS_ON: Field =
    may("depends_on", Kind::List(&A_DEPENDENCY, None), "What it calls; an empty list says that it calls nobody. A text is a component.");

/// `omd.yaml`.
pub(crate) static OMD: Shape = Shape {
    any_of: &["business_services", "services", "components", "retention", "teams"],
    ..Shape::of(
        "the file",
        &[
            may("business_services", Kind::List(&Kind::Map(&BUSINESS_SERVICE), None), "What the company does, and what it consists of."),
            may(
                "services",
                Kind::List(&Kind::Map(&ADDED_SERVICE), None),
                "Services of business services that are declared in other files.",
            ),
            may("components", Kind::List(&Kind::Map(&ADDED_COMPONENT), None), "Components of services that are declared in other files."),
            may("retention", Kind::Map(&RETENTION_TIMES), "How long everybody's rows are kept who says nothing else."),
            may(
                "teams",
                Kind::List(&Kind::Map(&OWNER), None),
                "All teams with their contacts. Where any file has this, an owner is one of them.",
            ),
        ],
    )
};

pub(crate) static BUSINESS_SERVICE: Shape = Shape::of(
    "a business service",
    &[NAME, DESCRIPTION, OWNERS, TIER, ENVIRONMENT, COST_CENTRE, CONTRACT, LINKS, RUNBOOKS, RETENTION, SERVICES],
);

pub(crate) static SERVICE: Shape =
    Shape::of("a service", &[NAME, DESCRIPTION, OWNERS, TIER, ENVIRONMENT, COST_CENTRE, CONTRACT, LINKS, RUNBOOKS, RETENTION, COMPONENTS]);

pub(crate) static ADDED_SERVICE: Shape = Shape::of(
    "a service",
    &[
        NAME,
        must("of", Kind::Name, "The business service that it is a part of."),
        DESCRIPTION,
        OWNERS,
        TIER,
        ENVIRONMENT,
        COST_CENTRE,
        CONTRACT,
        LINKS,
        RUNBOOKS,
        RETENTION,
        COMPONENTS,
    ],
);

pub(crate) static COMPONENT: Shape = Shape::of(
    "a component",
    &[NAME, DESCRIPTION, OWNERS, TIER, ENVIRONMENT, COST_CENTRE, CONTRACT, LINKS, RUNBOOKS, RETENTION, MATCH, DEPENDS_ON],
);

pub(crate) static ADDED_COMPONENT: Shape = Shape::of(
    "a component",
    &[
        NAME,
        must("of", Kind::Path, "The service that it is a part of: business service/service."),
        DESCRIPTION,
        OWNERS,
        TIER,
        ENVIRONMENT,
        COST_CENTRE,
        CONTRACT,
        LINKS,
        RUNBOOKS,
        RETENTION,
        MATCH,
        DEPENDS_ON,
    ],
);

pub(crate) static OWNER: Shape = Shape::of(
    "an owner",
    &[
        must("team", Kind::Name, "What the team is called."),
        may("email", Kind::Email, "An address that the team reads."),
        may("slack", Kind::Said, "A channel, in quotes: \"#payments\"."),
        may("github", Kind::Repository, "The repository that issues are filed in: owner/name."),
        may("webhook", Kind::Url, "Where what breaks a contract is told to as JSON."),
        may("on_call", Kind::Url, "Where whoever is on duty is reached."),
    ],
);

pub(crate) static LINK: Shape =
    Shape::of("a link", &[must("title", Kind::Said, "What one finds there."), must("url", Kind::Url, "Begins with https:// or http://.")]);

pub(crate) static RETENTION_TIMES: Shape = Shape {
    any_of: &["logs", "spans", "samples", "quarantine"],
    ..Shape::of(
        "retention",
        &[
            may("logs", Kind::Keep, "36h, 30d, 2w, 10y"),
            may("spans", Kind::Keep, "36h, 30d, 2w, 10y"),
            may("samples", Kind::Keep, "36h, 30d, 2w, 10y"),
            may("quarantine", Kind::Keep, "36h, 30d, 2w, 10y, since they were set aside"),
        ],
    )
};

const MODES: Kind = Kind::Words(&["observe", "quarantine", "reject"]);

/// `x-tyto` of a contract.
pub(crate) static CONTRACT_HINTS: Shape = Shape::of(
    "x-tyto of a contract",
    &[
        may("mode", MODES, "What happens to a record that breaks it: observe (the default), quarantine, reject."),
        may("percent", Kind::Count(0, 100), "Of a hundred records, for how many the mode holds; the others are observed."),
        may("version", Kind::Said, "As you number it: 1.2.0."),
    ],
);

/// `x-tyto` of a property.
pub(crate) static PROPERTY_HINTS: Shape = Shape::of(
    "x-tyto of a property",
    &[may("mode", MODES, "What happens to a record that breaks this property's rules; else what the contract says.")],
);

pub(crate) static DEPENDENCY: Shape = Shape {
    one_of: &["component", "database", "queue", "external"],
    ..Shape::of(
        "a dependency",
        &[
            may("component", Kind::Said, "A component; longer where that is not clear: service/component."),
            may("database", Kind::Said, "A database, by the name that the map has for it."),
            may("queue", Kind::Said, "A queue, whether it sends or takes."),
            may("external", Kind::Said, "What is no part of the company."),
        ],
    )
};

pub(crate) static PATTERN: Shape = Shape::of("a pattern", &[must("regex", Kind::Said, "A regular expression, anchored at both ends.")]);

/// Most that `messages_per_hour_max` may say.
pub(crate) const MESSAGES_PER_HOUR: u64 = 60;

/// `notify.yaml`.
pub(crate) static NOTIFY: Shape = Shape {
    any_of: &["email", "slack", "github", "webhook"],
    ..Shape::of(
        "the file",
        &[
            may("public_url", Kind::Url, "Where people open Tyto's page, for links."),
            may("digest_every", Kind::Duration, "What breaks a contract still is told again after this long: 1d."),
            may("fixed_after", Kind::Duration, "What has broken nothing for this long is fixed: 1h."),
            may("messages_per_hour_max", Kind::Count(1, MESSAGES_PER_HOUR), "Of one channel to one team: 6."),
            may("email", Kind::Map(&NOTIFY_EMAIL), "The mail server."),
            may("slack", Kind::List(&A_SLACK_HOOK, None), "Incoming webhooks of Slack, or of what takes the same."),
            may("github", Kind::Map(&NOTIFY_GITHUB), "Issues are filed in the teams' repositories."),
            may("webhook", Kind::Map(&NOTIFY_WEBHOOK), "JSON is posted to the teams' addresses."),
        ],
    )
};

static A_SLACK_HOOK: Kind = Kind::Map(&NOTIFY_SLACK);

pub(crate) static NOTIFY_EMAIL: Shape = Shape::of(
    "email",
    &[
        must("server", Kind::Said, "host or host:port; the port is else 587, or 465 with tls."),
        must("from", Kind::Email, "The sender's address."),
        may("tls", Kind::Words(&["starttls", "tls", "none"]), "How the connection is encrypted: starttls unless said."),
        may("user", Kind::Said, "The name that the server wants."),
        may("password", Kind::Map(&SECRET), "And the password."),
    ],
);

pub(crate) static NOTIFY_SLACK: Shape = Shape::of(
    "a hook of Slack",
    &[
        may("channels", Kind::List(&Kind::Said, None), "Channels as teams write them; else all that no other hook names."),
        must("url", Kind::Map(&SECRET), "The hook's address, which is a secret."),
    ],
);

pub(crate) static NOTIFY_GITHUB: Shape = Shape::of(
    "github",
    &[
        may("api", Kind::Url, "Of an own GitHub: https://github.example.com/api/v3."),
        must("token", Kind::Map(&SECRET), "It may write issues in the teams' repositories."),
    ],
);

pub(crate) static NOTIFY_WEBHOOK: Shape = Shape::of(
    "webhook",
    &[
        may("hosts", Kind::List(&Kind::Said, None), "Where teams may have messages posted to: hosts, or *.example.com; else anywhere."),
        may("secret", Kind::Map(&SECRET), "By which requests are signed: X-Tyto-Signature."),
    ],
);

pub(crate) static SECRET: Shape = Shape {
    one_of: &["env", "file"],
    ..Shape::of(
        "a secret",
        &[may("env", Kind::Said, "The environment variable that has it."), may("file", Kind::Said, "The file that has it.")],
    )
};

/// `boards/*.yaml`.
pub(crate) static BOARD: Shape = Shape::of(
    "a board",
    &[
        must("title", Kind::Said, "What the board is called."),
        may("about", Kind::Text, "A sentence below the title."),
        may("business_service", Kind::Name, "Whose it is."),
        may("range", Kind::Duration, "The time that it shows: today, 1h, 7d."),
        may("refresh", Kind::Duration, "How often it asks again, 5s at least."),
        must("tiles", Kind::List(&Kind::OneOf(&TILES), Some((1, crate::boards::TILES_MAX as u64))), "What it shows."),
    ],
);

const ABOUT: Field = may("about", Kind::Text, "A few small words below it.");
const UNIT: Field = may("unit", Kind::Text, "For one and for the others, member|members, or one word.");
const PROMQL: Field = may("promql", Kind::Said, "A question in PromQL; $range and $step stand for durations.");
const LOGQL: Field = may("logql", Kind::Said, "A question in LogQL; $range and $step stand for durations.");
const SQL: Field = may("sql", Kind::Said, "A question in SQL; $start, $end and $step are nanoseconds.");
const QUESTION: &[&str] = &["promql", "logql", "sql"];

pub(crate) static TILES: [Shape; 4] = [
    Shape {
        one_of: QUESTION,
        ..Shape::of(
            "a tile",
            &[
                must("number", Kind::Said, "The title of one number."),
                ABOUT,
                UNIT,
                may("good", Kind::Words(&["up", "down"]), "Which way is good news."),
                may("compare", Kind::Words(&["before", "none"]), "With the time before, or not at all."),
                PROMQL,
                LOGQL,
                SQL,
            ],
        )
    },
    Shape::of(
        "a tile",
        &[
            must("flow", Kind::Said, "The title of a way through steps."),
            ABOUT,
            UNIT,
            must("steps", Kind::List(&Kind::Map(&STEP), Some((2, crate::boards::STEPS_MAX as u64))), "How many come how far."),
        ],
    ),
    Shape {
        one_of: &["logql", "sql"],
        ..Shape::of(
            "a tile",
            &[
                must("feed", Kind::Said, "The title of the newest events."),
                ABOUT,
                may("sentence", Kind::Text, "How an event is told, with {field}; else its line."),
                may("lines", Kind::Count(1, crate::boards::LINES_MAX as u64), "So many events."),
                LOGQL,
                SQL,
            ],
        )
    },
    Shape {
        one_of: QUESTION,
        ..Shape::of(
            "a tile",
            &[
                must("chart", Kind::Said, "The title of curves over time."),
                ABOUT,
                UNIT,
                may("look", Kind::Words(&["line", "bars", "area"]), "How they are drawn."),
                may("legend", Kind::Text, "What a series is called, with {label}."),
                PROMQL,
                LOGQL,
                SQL,
            ],
        )
    },
];

pub(crate) static STEP: Shape =
    Shape { one_of: QUESTION, ..Shape::of("a step", &[must("name", Kind::Said, "What happened."), PROMQL, LOGQL, SQL]) };

/// `pipelines/*.yaml`.
pub(crate) static PIPELINE: Shape = Shape::of(
    "a pipeline",
    &[
        must("name", Kind::Said, "What counters and pages call it."),
        may("about", Kind::Text, "What it is for."),
        must("match", Kind::Map(&PIPELINE_MATCH), "Whose records go through it."),
        must(
            "stages",
            Kind::List(&Kind::Map(&STAGE), Some((1, crate::pipelines::STAGES_MAX as u64))),
            "What is done to them, in this order.",
        ),
    ],
);

pub(crate) static PIPELINE_MATCH: Shape = Shape {
    any_of: &["business_service", "service", "component", "when"],
    ..Shape::of(
        "match",
        &[
            may("business_service", Kind::Name, "Records of this business service."),
            may("service", Kind::Name, "Records of services called so."),
            may("component", Kind::Name, "Records of components called so."),
            may("when", Kind::Said, "And a condition in VRL that they fulfil."),
        ],
    )
};

/// Of each stage, what it does, and its parts.
pub(crate) static STAGE: Shape = Shape {
    one_of: &["parse", "vrl", "mask", "drop", "sample", "dedupe", "metric", "event", "enrich", "route"],
    ..Shape::of(
        "a stage",
        &[
            may("parse", Kind::TextOr(&PARSE), "Attributes, time and level of what a text says."),
            may("vrl", Kind::TextOr(&VRL), "A program in VRL that changes the record."),
            may("mask", Kind::TextOr(&MASK), "Hides what nobody is to read."),
            may("drop", Kind::TextOr(&DROP), "Records that are not stored; as a text, the condition."),
            may("sample", Kind::TextOr(&SAMPLE), "A share of the records is stored."),
            may("dedupe", Kind::TextOr(&DEDUPE), "Of the same record again and again the first is stored."),
            may("metric", Kind::TextOr(&METRIC), "A metric is counted from the records."),
            may("event", Kind::TextOr(&EVENT), "The record is an event of this name."),
            may("enrich", Kind::Map(&ENRICH), "Attributes from a look-up table."),
            may("route", Kind::TextOr(&ROUTE), "A hint where the record is to go."),
        ],
    )
};

const WHEN: Field = may("when", Kind::Said, "A condition in VRL: of other records nothing is done.");

// The first field of each is what a text in place of the map says.
pub(crate) static PARSE: Shape = Shape::of(
    "parse",
    &[
        must("format", Kind::Words(&["json", "logfmt", "regexp", "timestamp", "severity"]), "What the text is."),
        may("from", Kind::Said, "The attribute that has the text; else the body."),
        may("pattern", Kind::Said, "Of regexp: its named groups become attributes."),
        may("prefix", Kind::Text, "Before the names of the attributes."),
        may("time", Kind::Said, "The key that says the record's time."),
        may("severity", Kind::Said, "The key that says its level."),
        may("message", Kind::Said, "The key that becomes the body."),
        may("trace_id", Kind::Said, "The key that says its trace."),
        WHEN,
    ],
);

pub(crate) static VRL: Shape = Shape::of("vrl", &[must("program", Kind::Said, "The program."), WHEN]);

static A_MASK_PATTERN: Kind = Kind::Map(&MASK_PATTERN);

pub(crate) static MASK: Shape = Shape {
    any_of: &["kinds", "fields", "patterns"],
    ..Shape::of(
        "mask",
        &[
            may("kinds", Kind::List(&Kind::Words(&["secrets", "card", "email", "phone", "iban"]), None), "What is found by how it looks."),
            may("fields", Kind::List(&Kind::Said, None), "Names of fields whose whole value is hidden."),
            may("patterns", Kind::List(&A_MASK_PATTERN, None), "What only you know how to recognise."),
            may("with", Kind::Words(&["redact", "partial", "pseudonym"]), "What stands in its place."),
            may("in", Kind::List(&Kind::Said, None), "body, attributes, or names of attributes; else everywhere."),
            WHEN,
        ],
    )
};

pub(crate) static MASK_PATTERN: Shape = Shape::of(
    "a pattern to mask",
    &[
        must("name", Kind::Said, "What stands in its place is called so."),
        must("regex", Kind::Said, "A regular expression; of one with a group `value` only that is hidden."),
    ],
);

pub(crate) static DROP: Shape =
    Shape::of("drop", &[must("when", Kind::Said, "The condition in VRL."), may("reason", Kind::Said, "What the counter says.")]);

pub(crate) static SAMPLE: Shape = Shape::of(
    "sample",
    &[
        must("keep", Kind::Said, "The share that is stored, from 0 to 1."),
        may("by", Kind::Words(&["record", "trace"]), "Whether records of a trace stay together."),
        WHEN,
    ],
);

pub(crate) static DEDUPE: Shape =
    Shape::of("dedupe", &[must("window", Kind::Said, "For how long a record counts as repeated: 10s, 5m."), WHEN]);

pub(crate) static METRIC: Shape = Shape::of(
    "metric",
    &[
        must("name", Kind::Said, "What the metric is called; a counter's ends in _total."),
        may("kind", Kind::Words(&["counter", "histogram"]), "What is made of the values."),
        may("value", Kind::Said, "The attribute that is added up or observed; without it, each record counts one."),
        may("labels", Kind::Texts, "Labels, and the attribute of each."),
        may("buckets", Kind::List(&Kind::Said, None), "Upper bounds of a histogram."),
        may("help", Kind::Text, "What it means."),
        WHEN,
    ],
);

pub(crate) static EVENT: Shape = Shape::of("event", &[must("name", Kind::Said, "The event's name."), WHEN]);

pub(crate) static ENRICH: Shape = Shape::of(
    "enrich",
    &[
        must("table", Kind::Said, "A file in the folder tables beside the pipeline: .csv or .json."),
        must("key", Kind::Said, "The column that is looked up."),
        must("from", Kind::Said, "The attribute that has what is looked up."),
        may("prefix", Kind::Text, "Before the names of the attributes."),
        WHEN,
    ],
);

pub(crate) static ROUTE: Shape = Shape::of("route", &[must("hint", Kind::Said, "The place's name."), WHEN]);
