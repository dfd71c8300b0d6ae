//! A contract to a [`Plan`]: what it takes over from others is put together once.

use catalog::{CORE_FIELDS, Catalog, Contract, Document, Mode, Schemas, escaped};
use hashbrown::HashMap;
use regex::Regex;
use serde_json::{Map, Value as Json};

use super::plan::{Enforced, Fields, Plan, Rule, RuleId};
use super::test::{Test, says_nothing, shown};
use super::tree::{NodeId, Part};

/// Columns whose values are maps: rules of their properties are rules of attributes.
const RESOURCE: &str = "resource_attributes";
const SCOPE: &str = "scope_attributes";
/// Columns that each record has its own of; the other ones are shared by the records of an origin.
pub(crate) const OWN_COLUMNS: [&str; 9] =
    ["time_unix_nano", "observed_time_unix_nano", "severity_number", "severity_text", "body", "trace_id", "span_id", "event_name", "flags"];

/// How deep contracts may take over each other.
const DEPTH_MAX: usize = 64;

/// The contract of that name; none when there is none.
pub(crate) fn compile(catalog: &Catalog, name: &str) -> Option<Plan> {
    let contract = catalog.contracts.iter().find(|contract| contract.name == name)?;
    let document = catalog.schemas.get(name)?;
    let mut compiler = Compiler { catalog, schemas: &catalog.schemas, plan: Plan::default(), known: HashMap::new(), depth: 0 };
    compiler.plan.contract = name.to_owned();
    compiler.plan.version.clone_from(&contract.version);
    let at = Place { document, pointer: String::new(), enforced: enforced(contract, Mode::Observe, 100) };
    compiler.record(&at);
    Some(compiler.plan)
}

/// What a contract says happens, else what holds without it.
fn enforced(contract: &Contract, mode: Mode, percent: u8) -> Enforced {
    match contract.mode {
        Some(mode) => Enforced { mode, percent: contract.percent },
        None => Enforced { mode, percent },
    }
}

/// A schema within a file, and what happens to a record that breaks it.
#[derive(Clone)]
struct Place<'c> {
    document: &'c Document,
    pointer: String,
    enforced: Enforced,
}

impl<'c> Place<'c> {
    fn json(&self) -> &'c Json {
        self.document.json.pointer(&self.pointer).unwrap_or(&Json::Null)
    }

    fn below(&self, end: &str) -> Self {
        Self { pointer: format!("{}/{end}", self.pointer), ..self.clone() }
    }

    fn origin(&self) -> String {
        let origin = self.document.origin(&self.pointer);
        format!("{}:{}", origin.file, origin.line)
    }
}

struct Compiler<'c> {
    catalog: &'c Catalog,
    schemas: &'c Schemas,
    plan: Plan,
    /// Schemas that are in the tree already.
    known: HashMap<(String, String, Enforced), NodeId>,
    depth: usize,
}

/// What a rule speaks of.
#[derive(Clone, Copy)]
enum Target<'n> {
    Attribute(&'n str),
    Column(&'n str),
    Origin(&'n str),
    Resource(&'n str),
    Scope(&'n str),
}

/// Whose properties are named.
#[derive(Clone, Copy)]
enum Of {
    Record,
    Resource,
    Scope,
}

impl Of {
    fn target(self, name: &str) -> Target<'_> {
        match self {
            Self::Resource => Target::Resource(name),
            Self::Scope => Target::Scope(name),
            Self::Record if OWN_COLUMNS.contains(&name) => Target::Column(name),
            Self::Record if CORE_FIELDS.contains(&name) => Target::Origin(name),
            Self::Record => Target::Attribute(name),
        }
    }
}

impl<'n> Target<'n> {
    fn path(self) -> String {
        match self {
            Self::Attribute(name) | Self::Column(name) | Self::Origin(name) => name.to_owned(),
            Self::Resource(name) => format!("{RESOURCE}/{name}"),
            Self::Scope(name) => format!("{SCOPE}/{name}"),
        }
    }

    fn name(self) -> &'n str {
        match self {
            Self::Attribute(name) | Self::Column(name) | Self::Origin(name) | Self::Resource(name) | Self::Scope(name) => name,
        }
    }
}

impl<'c> Compiler<'c> {
    /// A schema of the whole record.
    fn record(&mut self, at: &Place<'c>) {
        let json = at.json();
        let Json::Object(schema) = json else {
            if *json == Json::Bool(false) {
                let node = self.node(at, "false");
                self.plan.whole.push(node);
            }
            return;
        };
        // What is unevaluated is known only to whoever looks at all of it.
        if schema.contains_key("unevaluatedProperties") {
            let node = self.node(at, "allOf");
            self.plan.whole.push(node);
            return;
        }
        for (keyword, value) in schema {
            match keyword.as_str() {
                "$ref" | "$dynamicRef" => self.deeper(|compiler| {
                    if let Some(to) = compiler.follow(at, value) {
                        compiler.record(&to);
                    }
                }),
                "allOf" => (0..value.as_array().map_or(0, Vec::len)).for_each(|number| self.record(&at.below(&format!("allOf/{number}")))),
                "properties" => {
                    for name in value.as_object().into_iter().flat_map(Map::keys) {
                        self.property(Of::Record.target(name), &at.below(&format!("properties/{}", escaped(name))));
                    }
                }
                "required" => self.required(at, value, Of::Record),
                "type" => {}
                keyword if says_nothing(keyword, schema) => {}
                keyword => {
                    if let Some(part) = self.part(at, schema, keyword) {
                        self.plan.tree.nodes.push(vec![part]);
                        self.plan.whole.push(self.plan.tree.nodes.len() - 1);
                    }
                }
            }
        }
    }

    /// A schema of an attribute or a column.
    fn property(&mut self, target: Target<'_>, at: &Place<'c>) {
        let json = at.json();
        let Json::Object(schema) = json else {
            if *json == Json::Bool(false) {
                let rule = self.rule(at, "false", target.path(), "nothing of that name".to_owned(), Test::Never);
                self.fields(target).slot(target.name()).tests.push(rule);
            }
            return;
        };
        let at = &self.own_mode(at, schema);
        if schema.contains_key("unevaluatedProperties") || schema.contains_key("unevaluatedItems") {
            let node = self.node(at, "allOf");
            self.fields(target).slot(target.name()).nodes.push(node);
            return;
        }
        for (keyword, value) in schema {
            let below = at.below(keyword);
            if let Some((test, expected)) = Test::of(keyword, value) {
                let rule = self.rule(&below, known(keyword), target.path(), expected, test);
                self.fields(target).slot(target.name()).tests.push(rule);
                continue;
            }
            let within = match target {
                Target::Origin(RESOURCE) => Some(Of::Resource),
                Target::Origin(SCOPE) => Some(Of::Scope),
                _ => None,
            };
            match (keyword.as_str(), within) {
                ("$ref" | "$dynamicRef", _) => self.deeper(|compiler| {
                    if let Some(to) = compiler.follow(at, value) {
                        compiler.property(target, &Place { enforced: at.enforced, ..to });
                    }
                }),
                ("allOf", _) => {
                    (0..value.as_array().map_or(0, Vec::len)).for_each(|number| self.property(target, &below.below(&number.to_string())));
                }
                ("properties", Some(within)) => {
                    for name in value.as_object().into_iter().flat_map(Map::keys) {
                        self.property(within.target(name), &below.below(&escaped(name)));
                    }
                }
                ("required", Some(within)) => self.required(at, value, within),
                (keyword, _) if says_nothing(keyword, schema) => {}
                (keyword, _) => {
                    if let Some(part) = self.part(at, schema, keyword) {
                        self.plan.tree.nodes.push(vec![part]);
                        let node = self.plan.tree.nodes.len() - 1;
                        self.fields(target).slot(target.name()).nodes.push(node);
                    }
                }
            }
        }
    }

    fn required(&mut self, at: &Place<'c>, names: &Json, of: Of) {
        for (number, name) in names.as_array().into_iter().flatten().enumerate() {
            let Some(name) = name.as_str() else { continue };
            let target = of.target(name);
            // A property's own mode is also that of its being there.
            let property = at.below(&format!("properties/{}", escaped(name)));
            let enforced = property.json().as_object().map_or(at.enforced, |schema| self.own_mode(&property, schema).enforced);
            let at = Place { enforced, ..at.below(&format!("required/{number}")) };
            let rule = self.rule(&at, "required", target.path(), "that it is there".to_owned(), Test::Never);
            self.fields(target).require(name, rule);
        }
    }

    /// The place with the mode that its own `x-tyto` says, if it has one.
    fn own_mode(&self, at: &Place<'c>, schema: &Map<String, Json>) -> Place<'c> {
        let own = schema.get("x-tyto").and_then(|hints| Mode::of_name(hints.get("mode")?.as_str()?));
        match own.filter(|_| !at.pointer.is_empty()) {
            Some(mode) => Place { enforced: Enforced { mode, ..at.enforced }, ..at.clone() },
            None => at.clone(),
        }
    }

    fn fields(&mut self, target: Target<'_>) -> &mut Fields {
        match target {
            Target::Attribute(_) => &mut self.plan.attributes,
            Target::Column(_) => &mut self.plan.columns,
            Target::Origin(_) => &mut self.plan.origin,
            Target::Resource(_) => &mut self.plan.resource,
            Target::Scope(_) => &mut self.plan.scope,
        }
    }

    fn rule(&mut self, at: &Place<'c>, keyword: &'static str, path: String, expected: String, test: Test) -> RuleId {
        self.plan.rules.push(Rule { keyword, path, expected, at: at.origin(), enforced: at.enforced, test });
        RuleId::try_from(self.plan.rules.len()).expect("a file has under 2^32 rules") - 1
    }

    /// Where a reference leads. What another contract says of itself holds for its rules, wherever they are taken over.
    fn follow(&self, at: &Place<'c>, reference: &Json) -> Option<Place<'c>> {
        let (document, pointer) = self.schemas.follow(at.document, reference.as_str()?)?;
        let whole = self.catalog.contracts.iter().find(|contract| contract.name == document.name).filter(|_| pointer.is_empty());
        let enforced = whole.map_or(at.enforced, |contract| enforced(contract, at.enforced.mode, at.enforced.percent));
        Some(Place { document, pointer, enforced })
    }

    fn deeper(&mut self, work: impl FnOnce(&mut Self)) {
        if self.depth < DEPTH_MAX {
            self.depth += 1;
            work(self);
            self.depth -= 1;
        }
    }

    /// A schema in the tree; `holder` is the keyword that it stands under.
    fn node(&mut self, at: &Place<'c>, holder: &'static str) -> NodeId {
        let key = (at.document.name.clone(), at.pointer.clone(), at.enforced);
        if let Some(node) = self.known.get(&key) {
            return *node;
        }
        let node = self.plan.tree.nodes.len();
        self.plan.tree.nodes.push(Vec::new());
        self.known.insert(key, node);
        let parts = match at.json() {
            Json::Bool(false) => {
                let rule = self.rule(at, holder, String::new(), "nothing there".to_owned(), Test::Never);
                vec![Part::Test(rule)]
            }
            Json::Object(schema) => {
                let at = self.own_mode(at, schema);
                schema.keys().filter_map(|keyword| self.part(&at, schema, keyword)).collect()
            }
            _ => Vec::new(),
        };
        self.plan.tree.nodes[node] = parts;
        node
    }

    fn nodes(&mut self, at: &Place<'c>, holder: &'static str) -> Vec<NodeId> {
        (0..at.json().as_array().map_or(0, Vec::len)).map(|number| self.node(&at.below(&number.to_string()), holder)).collect()
    }

    /// One keyword of a schema, with those that belong to it.
    fn part(&mut self, at: &Place<'c>, schema: &'c Map<String, Json>, keyword: &str) -> Option<Part> {
        let (value, below, name) = (&schema[keyword], at.below(keyword), known(keyword));
        if let Some((test, expected)) = Test::of(keyword, value) {
            return Some(Part::Test(self.rule(&below, name, String::new(), expected, test)));
        }
        if says_nothing(keyword, schema) {
            return None;
        }
        let mut rule = |expected: &str| self.rule(&below, name, String::new(), expected.to_owned(), Test::Never);
        let number = |keyword: &str, otherwise: u64| schema.get(keyword).and_then(Json::as_u64).unwrap_or(otherwise);
        let least = |count: u64| format!("at least {count}");
        let most = |count: u64| format!("at most {count}");
        Some(match keyword {
            "$ref" | "$dynamicRef" => {
                let to = self.follow(at, value)?;
                Part::All(vec![self.node(&Place { enforced: at.enforced, ..to }, name)])
            }
            "enum" => Part::Values(rule(&format!("one of {}", shown(value))), value.as_array()?.clone()),
            "const" => Part::Values(rule(&shown(value)), vec![value.clone()]),
            "allOf" => Part::All(self.nodes(&below, name)),
            "anyOf" => Part::Any(rule("one of the alternatives"), self.nodes(&below, name)),
            "oneOf" => Part::One(rule("exactly one of the alternatives"), self.nodes(&below, name)),
            "not" => Part::Not(rule("what the schema under \"not\" does not say"), self.node(&below, name)),
            "if" => {
                let mut branch = |keyword: &'static str| schema.contains_key(keyword).then(|| self.node(&at.below(keyword), keyword));
                let (then, otherwise) = (branch("then"), branch("else"));
                Part::If { condition: self.node(&below, name), then, otherwise }
            }
            "properties" => Part::Properties(self.map(&below, name)),
            "patternProperties" => {
                let nodes = self.map(&below, name);
                Part::Patterns(nodes.into_iter().filter_map(|(pattern, node)| Some((Regex::new(&pattern).ok()?, node))).collect())
            }
            "additionalProperties" => {
                let keys = |keyword: &str| schema.get(keyword).and_then(Json::as_object).into_iter().flat_map(Map::keys);
                let names = keys("properties").cloned().collect();
                let patterns = keys("patternProperties").filter_map(|pattern| Regex::new(pattern).ok()).collect();
                Part::Additional { names, patterns, schema: self.node(&below, name) }
            }
            "propertyNames" => Part::Names(rule("a name as the schema has it"), self.node(&below, name)),
            "required" => {
                let names: Vec<&str> = value.as_array()?.iter().filter_map(Json::as_str).collect();
                let mut parts = Vec::new();
                for (number, name) in names.into_iter().enumerate() {
                    self.note_column(name);
                    let at = below.below(&number.to_string());
                    let rule = self.rule(&at, "required", String::new(), "that it is there".to_owned(), Test::Never);
                    parts.push(Part::Required(rule, name.to_owned()));
                }
                self.together(parts)
            }
            "dependentRequired" => {
                let mut parts = Vec::new();
                for (name, needed) in value.as_object()? {
                    self.note_column(name);
                    let needed: Vec<String> = needed.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect();
                    let expected = format!("that it is there beside {name}");
                    let rule = self.rule(&below.below(&escaped(name)), "dependentRequired", String::new(), expected, Test::Never);
                    parts.push(Part::DependentRequired(rule, name.clone(), needed));
                }
                self.together(parts)
            }
            "dependentSchemas" => {
                let parts = self.map(&below, name).into_iter().map(|(name, node)| Part::DependentSchema(name, node)).collect();
                self.together(parts)
            }
            "minProperties" => Part::PropertyCount(rule(&least(value.as_u64()?)), value.as_u64()?, u64::MAX),
            "maxProperties" => Part::PropertyCount(rule(&most(value.as_u64()?)), 0, value.as_u64()?),
            "prefixItems" => Part::Prefix(self.nodes(&below, name)),
            "items" => {
                let after = schema.get("prefixItems").and_then(Json::as_array).map_or(0, Vec::len);
                Part::Items { after, schema: self.node(&below, name) }
            }
            "contains" => {
                let (least, most) = (number("minContains", 1), number("maxContains", u64::MAX));
                Part::Contains { rule: rule("items as the schema has them"), schema: self.node(&below, name), least, most }
            }
            "minItems" => Part::ItemCount(rule(&least(value.as_u64()?)), value.as_u64()?, u64::MAX),
            "maxItems" => Part::ItemCount(rule(&most(value.as_u64()?)), 0, value.as_u64()?),
            "uniqueItems" if *value == Json::Bool(true) => Part::Unique(rule("each item once")),
            "unevaluatedProperties" => Part::UnevaluatedProperties(self.node(&below, name)),
            "unevaluatedItems" => Part::UnevaluatedItems(self.node(&below, name)),
            _ => return None,
        })
    }

    /// Schemas by name.
    fn map(&mut self, at: &Place<'c>, holder: &'static str) -> HashMap<String, NodeId> {
        let names = at.json().as_object().into_iter().flat_map(Map::keys);
        let mut nodes = HashMap::new();
        for name in names {
            self.note_column(name);
            nodes.insert(name.clone(), self.node(&at.below(&escaped(name)), holder));
        }
        nodes
    }

    /// Several parts as one.
    fn together(&mut self, parts: Vec<Part>) -> Part {
        self.plan.tree.nodes.push(parts);
        Part::All(vec![self.plan.tree.nodes.len() - 1])
    }

    /// A column that the record must be put together with.
    fn note_column(&mut self, name: &str) {
        if let Some(column) = CORE_FIELDS.into_iter().find(|column| *column == name)
            && !self.plan.whole_columns.contains(&column)
        {
            self.plan.whole_columns.push(column);
        }
    }
}

/// The keyword as a label of counters, of which there are few. One that begins with `x-` asks for nothing and makes no rule.
fn known(keyword: &str) -> &'static str {
    catalog::keyword(keyword).unwrap_or_default()
}
