use super::{CheckError, parse, read, read_attribute};

fn prints(text: &str, expect: &str) {
    let printed = parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string();
    assert_eq!(printed, expect, "{text}");
    let again = parse(&printed).unwrap_or_else(|error| panic!("{text} prints as {printed}: {error}"));
    assert_eq!(again.to_string(), printed, "{text}");
}

#[test]
fn queries_print_in_one_form() {
    for (text, expect) in [
        ("{}", "{ true }"),
        ("{ .a = 1 + 2 * 3 }", "{ .a = 7 }"),
        ("{ .a + .b ^ .c ^ .d * 2 }", "{ .a + ((.b ^ (.c ^ .d)) * 2) }"),
        ("{ -.a * .b = -1s }", "{ (-(.a * .b)) = -1s }"),
        ("{ (-1) ^ .a + -1 * .b }", "{ ((-1) ^ .a) + (-(1 * .b)) }"),
        ("{ !.a && .b || .c }", "{ ((!.a) && .b) || .c }"),
        ("{ nil != span.\"a b\" }", "{ span.\"a b\" != nil }"),
        ("{ .\"1a\" = .x.\"y z\".w }", "{ .\"1a\" = .\"x.y z.w\" }"),
        ("{ span:duration > 1h1ms && trace:rootService = \"a`b\" }", "{ (duration > 1h0m0.001s) && (rootServiceName = \"a`b\") }"),
        ("{ .a=`x` || .a=`y` || .a=`z` }", "{ .a IN [`x`, `y`, `z`] }"),
        ("{ .a!~`x` && .a!~`y` }", "{ .a MATCH NONE [`x`, `y`] }"),
        ("{ .a=`x` || .a=1 }", "{ (.a = `x`) || (.a = 1) }"),
        ("{ .a NOT IN [-1, 2] && .b }", "{ (.a NOT IN [-1, 2]) && .b }"),
        ("{.a} &>> {.b} !~ {.c} && {.d}", "((({ .a }) &>> ({ .b })) !~ ({ .c })) && ({ .d })"),
        ("({.a} | count() > 1) && {.b}", "({ .a }|(count()) > 1) && ({ .b })"),
        ("{} | by(.a) | avg(duration) > 1s | select(.b, name)", "{ true }|by(.a)|(avg(duration)) > 1s|select(.b, name)"),
        ("{} | rate() by (span:name) > 1e3 | topk(2)", "{ true } | rate()by(name) > 1000 | topk(2)"),
        ("{} | quantile_over_time(duration, .5, 0.123456)", "{ true } | quantile_over_time(duration,0.50000,0.123456)"),
        ("{} | compare({status=error}, 5, 1, 2) with (a=1, b=\"x\")", "{ true } | compare({ status = error },5,1,2) with(a=1,b=`x`)"),
        ("({} | rate()) * 1 / 2 - -3 > 10s", "((({ true } | rate()) * 1) / 2) - -3 > 10"),
        ("({} | rate()) = -.0", "{ true } | rate() = -0.0"),
        ("{ .a // a comment\n = minInt /* another */ }", "{ .a = -9223372036854775808 }"),
    ] {
        prints(text, expect);
    }
}

#[test]
fn errors_name_place_and_way_out() {
    for (text, expect) in [
        (
            "{ foo = 1 }",
            "parse error at line 1, col 3: syntax error: unexpected foo, expecting a value or an attribute: .foo is one of that name",
        ),
        ("{\n .a < }", "parse error at line 2, col 7: syntax error: unexpected }, expecting a value or an attribute"),
        ("{} | count()", "parse error at line 1, col 1: syntax error: a number alone is no query: compare it, as in { } | count() > 2"),
        ("rate()", "parse error at line 1, col 7: syntax error: rate() counts spans: write { } | rate()"),
        (
            "{ trace:status = ok }",
            "parse error at line 1, col 3: syntax error: unknown intrinsic trace:status: there are trace:id, trace:duration, trace:rootName, trace:rootService",
        ),
        ("{ \"a\" = 1 }", "cannot join values of two types with =: `a` = 1"),
        ("{ .a =~ \"(\" }", "cannot read the regular expression of .a =~ `(`: unclosed group"),
        ("{} | by(1)", "cannot group by what no span has: by(1)"),
        ("{ parent.a = 1 }", "a span's parent as a value (parent.a) is not supported"),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), expect, "{text}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = format!("{{ {}.a{} }}", "(".repeat(200), ")".repeat(200));
    assert!(parse(&deep).unwrap_err().what.contains("nested deeper"));
    let long = format!("{{ .a{} }}", " + .a".repeat(300));
    assert!(parse(&long).unwrap_err().what.contains("operators"));
    let many = |values: usize| format!("(.a IN [{}])", vec!["1"; values].join(", "));
    prints(&format!("{{ {} || {} }}", many(500), many(500)), &format!("{{ {} }}", &many(1000)[1..many(1000).len() - 1]));
    prints(&format!("{{ {} || {} }}", many(501), many(500)), &format!("{{ {} || {} }}", many(501), many(500)));
    parse(&"1.".repeat(60_000)).expect_err("no query, and told so at once");
    let regexes = format!("{{ {} }}", vec![".a =~ .b || .c =~ `x`"; 60].join(" || "));
    assert!(read(&regexes).is_ok());
    let regexes = format!("{{ .a MATCH ANY [{}] }}", vec!["`x`"; 200].join(","));
    assert!(matches!(read(&regexes), Err(CheckError::Invalid(what)) if what.contains("regular expressions")));
}

#[test]
fn attributes_are_read_alone() {
    for (text, expect) in [("span.a", "span.a"), (".a", ".a"), ("name", "name"), ("trace:duration", "traceDuration")] {
        assert_eq!(read_attribute(text).unwrap().to_string(), expect);
    }
    for bad in ["a", "span.", "span.a b", ""] {
        read_attribute(bad).unwrap_err();
    }
}
