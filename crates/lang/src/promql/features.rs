use std::fmt;

/// Which parts of PromQL are on, of those that Prometheus calls experimental and switches with `--enable-feature`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    pub experimental_functions: bool,
    pub duration_expressions: bool,
    pub extended_range_selectors: bool,
    pub fill_modifiers: bool,
    /// A metric's name goes when the query is answered, not in each function.
    pub delayed_name_removal: bool,
    /// Rates go by the times since when counters say they count.
    pub use_start_timestamps: bool,
}

impl Features {
    pub const ALL: Self = Self {
        experimental_functions: true,
        duration_expressions: true,
        extended_range_selectors: true,
        fill_modifiers: true,
        delayed_name_removal: true,
        use_start_timestamps: true,
    };

    pub const NONE: Self = Self {
        experimental_functions: false,
        duration_expressions: false,
        extended_range_selectors: false,
        fill_modifiers: false,
        delayed_name_removal: false,
        use_start_timestamps: false,
    };

    /// `all`, `none`, or Prometheus's names with commas between; the name that is none of them otherwise.
    pub fn named(list: &str) -> Result<Self, String> {
        match list.trim() {
            "all" => return Ok(Self::ALL),
            "none" | "" => return Ok(Self::NONE),
            _ => {}
        }
        let mut features = Self::NONE;
        for name in list.split(',').map(str::trim) {
            match features.switches().into_iter().find(|(known, _)| *known == name) {
                Some((_, switch)) => *switch = true,
                None => return Err(name.to_owned()),
            }
        }
        Ok(features)
    }

    /// Prometheus's names.
    fn switches(&mut self) -> [(&'static str, &mut bool); 6] {
        [
            ("promql-experimental-functions", &mut self.experimental_functions),
            ("promql-duration-expr", &mut self.duration_expressions),
            ("promql-extended-range-selectors", &mut self.extended_range_selectors),
            ("promql-binop-fill-modifiers", &mut self.fill_modifiers),
            ("promql-delayed-name-removal", &mut self.delayed_name_removal),
            ("use-start-timestamps", &mut self.use_start_timestamps),
        ]
    }
}

/// Everything that adds to the language; what rates answer is as in Prometheus when it is told nothing.
impl Default for Features {
    fn default() -> Self {
        Self { use_start_timestamps: false, ..Self::ALL }
    }
}

/// The names of what is on, as Prometheus's flag has them.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut features = *self;
        let on = features.switches().into_iter().filter(|(_, on)| **on).map(|(name, _)| name);
        f.write_str(&on.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prometheus() {
        assert_eq!(Features::named("all"), Ok(Features::ALL));
        assert_eq!(Features::named(&Features::default().to_string()), Ok(Features::default()));
        assert_eq!(Features::named("none"), Ok(Features::NONE));
        let some = Features::named("promql-duration-expr, promql-delayed-name-removal").unwrap();
        assert!(some.duration_expressions && some.delayed_name_removal && !some.experimental_functions);
        assert_eq!(some.to_string(), "promql-duration-expr,promql-delayed-name-removal");
        assert_eq!(Features::named(&Features::ALL.to_string()), Ok(Features::ALL));
        assert_eq!(Features::named("promql-nope"), Err("promql-nope".to_owned()));
    }
}
