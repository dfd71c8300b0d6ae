use super::{Features, parse, parse_with};

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
    check("foo{b='1', a=~\"x|y\"} OFFSET 90s @ end()", "foo{a=~\"x|y\",b=\"1\"} @ end() offset 1m30s");
    check("{'some.metric', \"la bel\"!='x'}", "{\"la bel\"!=\"x\",__name__=\"some.metric\"}");
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
    check_error("", "unknown position: parse error: no expression found in input");
    check_error(" ", "1:1: parse error: no expression found in input");
    check_error("1 + ", "1:5: parse error: unexpected end of input");
    check_error("foo\n + bar)", "2:8: parse error: unexpected right parenthesis ')'");
    check_error("sum(", "1:5: parse error: unclosed left parenthesis");
    check_error("foo and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression");
    check_error("rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector");
    check_error("foo[0m]", "1:5: parse error: duration must be greater than 0");
    check_error("foo{a=~\"(\"}", "1:5: parse error: error parsing regexp: missing closing ): `(`");
    check_error("nope()", "1:1: parse error: unknown function with name \"nope\"");
}

/// What each place of Prometheus's printer does.
#[test]
fn printed_as_prometheus_prints() {
    check("foo > 5m", "foo > 5m");
    check("-90s", "-1m30s");
    check("foo[300] offset 60", "foo[5m] offset 1m");
    check("foo[5.5]", "foo[5s500ms]");
    check("foo[((5m))] offset +(5)", "foo[(5m)] offset (5)");
    check("foo smoothed offset 5m @ 1", "foo @ 1.000 smoothed offset 5m");
    check("a offset 0s", "a");
    check("a + fill(0.00001) b", "a + fill (1e-05) b");
    check("a - ignoring() c", "a - c");
    check("{__name__=\"a\"}", "{__name__=\"a\"}");
    check("a{b=\"x\\u00a0y\"}", "a{b=\"x\\u00a0y\"}");
}

#[test]
fn what_is_off_is_refused_in_prometheus_words() {
    let refused = |text: &str| parse_with(text, Features::NONE).unwrap_err().to_string();
    assert_eq!(refused("sum(info(a))"), "1:5: parse error: function \"info\" is not enabled");
    let limitk = "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions";
    assert_eq!(refused("limitk(1, a)"), limitk);
    assert_eq!(refused("a[step()]"), "1:3: parse error: experimental duration expression is not enabled");
    assert_eq!(refused("a[5m * 2]"), "1:3: parse error: experimental duration expression is not enabled");
    assert_eq!(refused("a offset (5m)"), "1:10: parse error: experimental duration expression is not enabled");
    assert_eq!(refused("rate(a[5m] smoothed)"), "1:6: parse error: smoothed modifier is experimental and not enabled");
    assert_eq!(refused("a + fill(0) b"), "1:1: parse error: binop fill modifiers are experimental and not enabled");
    for text in ["rate(a[5m] offset -1h)", "a[1h:5m] @ 5", "a * on(b) group_left c", "-1 ^ 2"] {
        parse_with(text, Features::NONE).unwrap();
    }
}

#[track_caller]
fn check_pretty(text: &str, expect: &str) {
    let pretty = parse(text).unwrap().pretty();
    assert_eq!(pretty, expect);
    assert_eq!(parse(&pretty).unwrap().pretty(), expect, "again");
}

#[test]
fn long_queries_are_broken_into_lines() {
    check_pretty("sum(rate(x[5m]))", "sum(rate(x[5m]))");
    let long = "job:with_a_long_name:rate5m{cluster=\"some-cluster\",namespace=\"some-namespace\"}";
    check_pretty(
        &format!("-sum by (a) (rate({long}[5m])) / on (a) (({long}))"),
        &format!("  -sum by (a) (\n    rate({long}[5m])\n  )\n/ on (a)\n  (({long}))"),
    );
    check_pretty(
        &format!("max_over_time(quantile(0.9, label_replace({long}, \"a\", \"$1\", \"b\", \"(.*)\"))[5m:1m] offset 2m)"),
        &format!(
            "max_over_time(\n  quantile(\n    0.9,\n    label_replace(\n      {long},\n      \"a\",\n      \"$1\",\n      \"b\",\n      \
             \"(.*)\"\n    )\n  )[5m:1m] offset 2m\n)"
        ),
    );
}

/// Places and words of Prometheus's own parser.
#[test]
fn errors_are_those_of_prometheus() {
    check_error("(1))", "1:5: parse error: unexpected right parenthesis ')'");
    check_error("up offset 5m offset 6m", "1:1: parse error: offset may not be set multiple times");
    check_error("foo @ NaN", "1:1: parse error: timestamp out of bounds for @ modifier: NaN");
    check_error("up[5m][5m]", "1:7: parse error: ranges only allowed for vector selectors");
    check_error("topk(a,)", "1:7: parse error: trailing commas not allowed in function call args");
    check_error("a - on(b) ignoring(c) d", "1:11: parse error: unexpected <ignoring>");
    check_error("1.2.3", "1:4: parse error: unexpected number \".3\"");
    check_error("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators");
    check_error("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    check_error("sum(up) by (job) extra", "1:18: parse error: unexpected identifier \"extra\"");
    check_error("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead");
    check_error("foo{a=~\"[\"}", "1:5: parse error: error parsing regexp: missing closing ]: `[`");
    check_error("foo{a=~\"*\"}", "1:5: parse error: error parsing regexp: missing argument to repetition operator: `*`");
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
