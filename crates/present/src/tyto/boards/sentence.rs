//! `{name} joined from {country|somewhere}`: a sentence with the fields of an event.

/// Without the field, and without words for that, its place is an ellipsis. `{{` and `}}` are braces.
pub(super) fn filled<'a>(sentence: &str, field: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(sentence.len() + 32);
    let mut rest = sentence;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let sign = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(sign) {
            out.push_str(sign);
            rest = after;
            continue;
        }
        match rest.split_once('}').filter(|_| sign == "{") {
            Some((place, after)) => {
                let (name, otherwise) = place.split_once('|').unwrap_or((place, "…"));
                let name = name.trim();
                // LogQL's labels have no points.
                let found = field(name).or_else(|| field(&name.replace('.', "_"))).filter(|value| !value.is_empty());
                out.push_str(found.unwrap_or(otherwise));
                rest = after;
            }
            None => out.push_str(sign),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_their_places() {
        let field = |name: &str| match name {
            "plan" => Some("family"),
            "geo_country" => Some("France"),
            "empty" => Some(""),
            _ => None,
        };
        for (sentence, expect) in [
            ("joined with the {plan} plan", "joined with the family plan"),
            ("from { geo.country }", "from France"),
            ("{who|Somebody} and {empty}", "Somebody and …"),
            ("{{plan}} {plan", "{plan} {plan"),
            ("} plain", "} plain"),
            ("", ""),
        ] {
            assert_eq!(filled(sentence, field), expect);
        }
    }
}
