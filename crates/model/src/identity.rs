/// The business service of a record that nobody has claimed.
pub const UNASSIGNED: &str = "unassigned";

/// The part of the business a record belongs to (operational metadata, OMD). Empty means not known;
/// an empty business service is written as [`UNASSIGNED`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Identity {
    pub business_service: String,
    pub service: String,
    pub component: String,
    pub region: String,
    pub environment: String,
    pub team: String,
}

impl Identity {
    /// The columns, and the labels on samples; on logs and spans the attributes are `omd.<field>`.
    pub const FIELDS: [&'static str; 6] = ["business_service", "service", "component", "region", "environment", "team"];

    pub fn is_assigned(&self) -> bool {
        !self.business_service.is_empty() && self.business_service != UNASSIGNED
    }

    /// The values in the order of [`Self::FIELDS`].
    pub fn values(&self) -> [&str; 6] {
        [&self.business_service, &self.service, &self.component, &self.region, &self.environment, &self.team]
    }

    pub fn value_mut(&mut self, field: &str) -> Option<&mut String> {
        Some(match field {
            "business_service" => &mut self.business_service,
            "service" => &mut self.service,
            "component" => &mut self.component,
            "region" => &mut self.region,
            "environment" => &mut self.environment,
            "team" => &mut self.team,
            _ => return None,
        })
    }
}
