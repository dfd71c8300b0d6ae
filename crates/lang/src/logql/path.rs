/// A step of the path in `| json label="request.headers[\"X-Id\"][0]"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    Key(String),
    Index(usize),
}

/// Reads a path; or says why it is none.
pub fn parse_path(text: &str) -> Result<Vec<PathStep>, String> {
    let fail = |why: &str| Err(format!("cannot parse expression [{text}]: {why}"));
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let after = match inside.strip_prefix('"') {
                Some(quoted) => {
                    let Some((key, after)) = quoted.split_once('"') else { return fail("a quoted key does not end") };
                    steps.push(PathStep::Key(key.to_owned()));
                    after
                }
                None => {
                    let end = inside.find(|c: char| !c.is_ascii_digit()).unwrap_or(inside.len());
                    let Ok(index) = inside[..end].parse() else { return fail("an index or a quoted key must follow [") };
                    steps.push(PathStep::Index(index));
                    &inside[end..]
                }
            };
            let Some(after) = after.strip_prefix(']') else { return fail("] is missing") };
            rest = after;
        } else {
            let field = match rest.strip_prefix('.') {
                Some(field) if !steps.is_empty() => field,
                Some(_) => return fail("it starts with a dot"),
                None if steps.is_empty() => rest,
                None => return fail("a dot is missing"),
            };
            let end = field.find(['.', '[', ']', '"']).unwrap_or(field.len());
            if end == 0 {
                return fail("a key is missing");
            }
            steps.push(PathStep::Key(field[..end].to_owned()));
            rest = &field[end..];
        }
    }
    if steps.is_empty() { fail("it is empty") } else { Ok(steps) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_keys_and_indexes() {
        let steps = parse_path(r#"request.headers["X-API-KEY"][2].id"#).expect("a path");
        let key = |key: &str| PathStep::Key(key.to_owned());
        assert_eq!(steps, [key("request"), key("headers"), key("X-API-KEY"), PathStep::Index(2), key("id")]);
    }

    #[test]
    fn broken_paths_are_refused() {
        for text in ["", "user[", "a..b", ".a", "a[x]", "a[\"b]", "a[0]b", "a]"] {
            assert!(parse_path(text).is_err(), "{text}");
        }
    }
}
