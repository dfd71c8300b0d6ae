//! What teams declare, as everybody else sees it. It is written as JSON by one Tyto and read by another: `tyto check --against`.

use std::collections::BTreeMap;

use model::Table;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::problem::Origin;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BusinessService {
    pub name: String,
    #[serde(flatten)]
    pub profile: Profile,
    #[serde(default)]
    pub services: Vec<Service>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Service {
    pub name: String,
    #[serde(flatten)]
    pub profile: Profile,
    #[serde(default)]
    pub components: Vec<Component>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Component {
    pub name: String,
    #[serde(flatten)]
    pub profile: Profile,
    #[serde(rename = "match", default)]
    pub matches: Vec<Match>,
    /// What it calls; none when it does not say, which is not the same as nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<Dependency>>,
}

/// What each of the three levels may say of itself. What it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Profile {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Their contacts are here even if another file says them.
    pub owners: Vec<Owner>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tier: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub environment: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cost_centre: String,
    /// The name of a contract.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contract: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runbooks: Vec<Link>,
    #[serde(skip_serializing_if = "Keep::is_empty")]
    pub retention: Keep,
    pub declared_at: Origin,
}

impl Profile {
    /// What holds for this level: where it says nothing, what the level above says. Links, runbooks and times to keep rows stay its own.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Self {
        let mut inner = self.clone();
        if inner.owners.is_empty() {
            inner.owners.clone_from(&outer.owners);
        }
        let texts = [
            (&mut inner.tier, &outer.tier),
            (&mut inner.environment, &outer.environment),
            (&mut inner.cost_centre, &outer.cost_centre),
            (&mut inner.contract, &outer.contract),
        ];
        for (own, other) in texts {
            if own.is_empty() {
                own.clone_from(other);
            }
        }
        inner
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Owner {
    pub team: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub slack: String,
    /// Where issues are filed: `owner/name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub github: String,
    /// Where what breaks a contract is told to as JSON.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook: String,
    /// The address of whoever is on duty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on_call: String,
}

impl Owner {
    /// Contacts with the names of their keys.
    pub(crate) fn contacts(&mut self) -> [(&'static str, &mut String); 5] {
        let Self { team: _, email, slack, github, webhook, on_call } = self;
        [("email", email), ("slack", slack), ("github", github), ("webhook", webhook), ("on_call", on_call)]
    }
}

/// One of the teams that a file lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Team {
    #[serde(flatten)]
    pub owner: Owner,
    pub declared_at: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    pub title: String,
    pub url: String,
}

/// What a component calls. Serialises as its kind and its name: `{"database": "orders"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependency {
    /// `business service/service/component`.
    Component(String),
    Database(String),
    Queue(String),
    /// What is no part of the company.
    External(String),
}

/// How long rows are kept, as it is written in the file; a table that is not named is left to the level above.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Keep {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

impl Keep {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn of(&self, table: Table) -> Option<&str> {
        match table {
            Table::Logs => self.logs.as_deref(),
            Table::Spans => self.spans.as_deref(),
            Table::Samples => self.samples.as_deref(),
            Table::Quarantine => self.quarantine.as_deref(),
        }
    }
}

/// All of these must hold, sorted by attribute. Serialises as it is written in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Match(pub Vec<(String, Pattern)>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    Exact(String),
    /// With `*` and `?`.
    Glob(String),
    /// Anchored at both ends.
    Regex(String),
}

impl Pattern {
    /// What a text in a file means.
    pub(crate) fn of_text(text: String) -> Self {
        if text.contains(['*', '?']) { Self::Glob(text) } else { Self::Exact(text) }
    }
}

impl Serialize for Match {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, pattern)| (key, pattern)))
    }
}

impl<'de> Deserialize<'de> for Match {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(BTreeMap::deserialize(deserializer)?.into_iter().collect()))
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(text) | Self::Glob(text) => serializer.serialize_str(text),
            Self::Regex(regex) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("regex", regex)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Regex { regex: String },
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => Self::of_text(text),
            Written::Regex { regex } => Self::Regex(regex),
        })
    }
}
