use super::parse;

/// Parses, prints, and checks that the print is a fixed point.
fn check(text: &str, canonical: &str) {
    let printed = parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string();
    assert_eq!(printed, canonical, "print of {text}");
    assert_eq!(parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}")).to_string(), canonical, "second print");
}

fn check_error(text: &str, message: &str) {
    match parse(text) {
        Ok(expr) => panic!("{text} parses as {expr}"),
        Err(error) => assert_eq!(error.to_string(), message, "error of {text}"),
    }
}

#[test]
fn canonical_forms() {
    check("1 + 2*3 ^ 2", "1 + 2 * 3 ^ 2");
    check("-foo^2", "-foo ^ 2");
    check("0x1f", "31");
    check("SUM(rate(x[5m])) BY (a, b,)", "sum by (a, b) (rate(x[5m]))");
    check("topk without(x) (3, foo)", "topk without (x) (3, foo)");
    check("foo{b='1', a=~\"x|y\"} OFFSET 90s @ end()", "foo{b=\"1\",a=~\"x|y\"} @ end() offset 1m30s");
    check("{'some.metric', \"la bel\"!='x'}", "{\"some.metric\",\"la bel\"!=\"x\"}");
    check("a + on(x) group_left(y) fill_left(3) b", "a + on (x) group_left (y) fill_left (3) b");
    check("a > bool ignoring(x) fill(0) b", "a > bool ignoring (x) fill (0) b");
    check("foo[max_of(step(), 5s) * 2:] offset -min_of(1m, 2)", "foo[max_of(step(), 5s) * 2:] offset -min_of(1m, 2)");
    check("rate(foo[1d12h] smoothed)", "rate(foo[1d12h] smoothed)");
    check("label_replace(a, \"x\", '$1', `y`, \"(.*)\\n\")", "label_replace(a, \"x\", \"$1\", \"y\", \"(.*)\\n\")");
    check("h </ 2 > bool 1", "h </ 2 > bool 1");
    check("# comment\n foo # more", "foo");
}

#[test]
fn words_are_names_where_they_can_be() {
    check("sum(sum)", "sum(sum)");
    check("by{on=\"1\"}", "by{on=\"1\"}");
    check("sum without(and, by, avg)(offset)", "sum without (and, by, avg) (offset)");
    check("start + end", "start + end");
    check("start() + end()", "start() + end()");
}

#[test]
fn an_offset_takes_one_operand_and_a_range_takes_all() {
    check("foo offset 5s - 8", "foo offset 5s - 8");
    check("foo offset (5s - 8)", "foo offset (5s - 8)");
    check("foo[5s - 2 ^ 2]", "foo[5s - 2 ^ 2]");
}

#[test]
fn errors_have_their_place() {
    check_error("", "1:1: parse error: no expression found in input");
    check_error("1 + ", "1:5: parse error: unexpected end of input");
    check_error("foo\n + bar)", "2:7: parse error: unexpected right parenthesis ')'");
    check_error("sum(", "1:5: parse error: unclosed left parenthesis");
    check_error("foo and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression");
    check_error("rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector");
    check_error("foo[0m]", "1:7: parse error: duration must be greater than 0");
    check_error("foo{a=~\"(\"}", "1:1: parse error: error parsing regexp \"(\": error: unclosed group");
    check_error("nope()", "1:1: parse error: unknown function with name \"nope\"");
}

#[test]
fn hostile_depth_is_refused() {
    check_error(&"(".repeat(100_000), "1:100001: parse error: unclosed left parenthesis");
    assert!(parse(&format!("{}1{}", "(".repeat(5000), ")".repeat(5000))).is_err());
    assert!(parse(&"-".repeat(5000)).is_err());
    assert!(parse(&vec!["1"; 5000].join("^")).is_err());
    assert!(parse(&vec!["1"; 5000].join("+")).is_err());
    assert!(parse(&vec!["1"; 250].join("+")).is_ok());
    assert!(parse(&format!("foo{}", "[1m:]".repeat(5000))).is_err());
    assert!(parse(&format!("foo[{}]", vec!["1s"; 5000].join("+"))).is_err());
    // Chains inside chains: each of them alone is short.
    let chain = vec!["1"; 100].join("+");
    assert!(parse(&(0..20).fold(chain.clone(), |inner, _| format!("({inner})+{chain}"))).is_err());
    assert!(parse(&vec!["{a=~\"b\"}"; 200].join("+")).is_err());
    assert!(parse(&format!("{{a=\"{}\"}}", "b".repeat(200_000))).is_err());
}
