use super::*;

/// The canonical print; printing what was printed changes nothing.
#[track_caller]
fn check(text: &str, expect: &str) {
    let printed = parse(text).expect(text).to_string();
    assert_eq!(printed, expect);
    assert_eq!(parse(&printed).expect(&printed).to_string(), printed);
    let pretty = parse(&printed).expect(&printed).pretty();
    assert_eq!(parse(&pretty).expect(&pretty).to_string(), printed);
}

#[test]
fn long_queries_get_lines() {
    let pretty = |text: &str| parse(text).expect(text).pretty();
    assert_eq!(pretty(r#"{app="tv"}|json"#), r#"{app="tv"} | json"#);
    let pipeline = r#"{app="tv", zone="eu-west-1"} |= "a quite long text that is looked for" | json | took > 1s | line_format "{{.took}}""#;
    check(pipeline, &pipeline.replace("took > 1s", "took>1s"));
    let of_pipeline = [
        r#"{app="tv", zone="eu-west-1"}"#,
        r#"  |= "a quite long text that is looked for""#,
        "  | json",
        "  | took>1s",
        r#"  | line_format "{{.took}}""#,
    ];
    assert_eq!(pretty(pipeline), of_pipeline.join("\n"));
    let metric =
        format!(r#"sum by (zone) (rate({pipeline}[5m] offset 1h)) / on (zone) group_left (a) topk(3, count_over_time({pipeline}[1m]))"#);
    let printed = parse(&metric).expect("a metric").to_string();
    check(&metric, &printed);
    let shown = pretty(&metric);
    assert!(
        shown.starts_with("(\n  sum by (zone) (\n    rate(\n      {app=") && shown.contains("\n/ on (zone) group_left (a)\n"),
        "{shown}"
    );
    assert!(shown.contains("\n        | line_format \"{{.took}}\" [5m] offset 1h\n    )\n  )\n"), "{shown}");
    assert!(shown.ends_with("\n)") && shown.contains("  topk(\n    3,\n    count_over_time(\n"), "{shown}");
}

#[track_caller]
fn refuse(text: &str, expect: &str) {
    let error = parse(text).expect_err(text).to_string();
    assert!(error.contains(expect), "{text}\n{error}");
}

#[test]
fn pipelines_print_as_they_are_read() {
    check(r#"{app="tv",zone!="eu"}|="a" or `b"`!~"c"|>"<_> x""#, r#"{app="tv", zone!="eu"} |= "a" or "b\"" !~ "c" |> "<_> x""#);
    check(r#"{app="tv"} | json a="b.c[0]", d | logfmt --strict e"#, r#"{app="tv"} | json a="b.c[0]", d | logfmt --strict e"#);
    check(
        r#"{app="tv"} | took > 1.5s or size<=2KiB, code==200 addr=ip("10.0.0.0/8")"#,
        r#"{app="tv"} | (took>1s500ms or ((size<=2048B and code==200) and addr=ip("10.0.0.0/8")))"#,
    );
    check(
        r#"{app="tv"} | label_format a=b,c="{{.d}}" | line_format "x" | drop a, b=~"c.*" | keep d | decolorize | unpack"#,
        r#"{app="tv"} | label_format a=b, c="{{.d}}" | line_format "x" | drop a, b=~"c.*" | keep d | decolorize | unpack"#,
    );
    check(
        r#"{app="tv"} # why
        | rate = "x" | json = "y""#,
        r#"{app="tv"} | rate="x" | json="y""#,
    );
}

#[test]
fn metrics_print_with_their_precedence() {
    check(r#"sum(rate({app="tv"}[5m])) by (zone)"#, r#"sum by (zone) (rate({app="tv"} [5m]))"#);
    check("1+2*3^2^2-4", "((1 + (2 * (3 ^ (2 ^ 2)))) - 4)");
    check(r#"rate({a="b"}[1m]) or rate({a="c"}[1m]) and vector(0)"#, r#"(rate({a="b"} [1m]) or (rate({a="c"} [1m]) and vector(0)))"#);
    check(
        r#"quantile_over_time(.99,({a="b"}[1h30m] offset -5m|unwrap duration(x)|__error__="")) without (c)"#,
        r#"quantile_over_time(0.99, {a="b"} | unwrap duration(x) | __error__="" [1h30m] offset -5m) without (c)"#,
    );
    check(
        r#"topk(3, count_over_time({a="b"}[1m])) > bool on (x) group_left (y) label_replace(vector(1), "a", "$1", "b", "(.*)")"#,
        r#"(topk(3, count_over_time({a="b"} [1m])) > bool on (x) group_left (y) label_replace(vector(1), "a", "$1", "b", "(.*)"))"#,
    );
    check(
        r#"variants(count_over_time({a="b"}[1m]), rate({a="b"}[1m])) of ({a="b"}[1m])"#,
        r#"variants(count_over_time({a="b"} [1m]), rate({a="b"} [1m])) of ({a="b"} [1m])"#,
    );
}

#[test]
fn errors_say_where_and_what() {
    refuse("{app=\"tv\"}\n  | foo", "parse error at line 2, col 5: syntax error: unexpected IDENTIFIER");
    refuse(r#"{app="tv"#, "parse error at line 1, col 6: literal not terminated");
    refuse(r#"{app="tv""#, "unexpected $end, expecting } or ,");
    refuse(r#"{app=~".*"}"#, "at least one matcher");
    refuse(r#"rate({app="tv"}[5])"#, "a duration with its unit");
    refuse(r#"count_over_time({app="tv"} | unwrap x [5m])"#, "invalid aggregation count_over_time with unwrap");
    refuse(r#"{app="tv"} | unwrap x"#, "put it inside a range aggregation");
    refuse(r#"{app="tv"} | a >= ip("1.2.3.4")"#, "unexpected ip");
    refuse(r#"{app="tv"} |= ip("x")"#, "ip: invalid pattern");
    refuse("1 > 0x10", "unable to parse literal as a float");
    refuse("vector(1) or 1", "unexpected literal for right leg of logical/set binary operation (or): 1");
    refuse("{app=\"t\u{fffd}\"}", "invalid UTF-8 encoding");
    refuse(&format!("{}1{}", "(".repeat(500), ")".repeat(500)), "nested deeper");
    refuse(&format!("1{}", "+1".repeat(2000)), "more than 250 operators");
    refuse(&format!("{{a=\"b\"}} | {}", vec!["a=1"; 5_000].join(" or ")), "more than 250 operators");
    refuse(&format!("{{a=\"b\"}} | {}", vec!["a=1"; 5_000].join(",")), "more than 250 operators");
    refuse(&format!("{{a=\"b\"}}{}", "|json".repeat(5_000)), "more than 250 operators");
    refuse(&format!("{{a=\"b\"}}{}", "|~\"x\"".repeat(200)), "more than 128 regular expressions");
    refuse(&format!("{{a=\"{}\"}}", "b".repeat(200_000)), "longer than");
    refuse(&"1.5d".repeat(30_000), "unexpected IDENTIFIER");
}

/// Queries cut, doubled and mixed at random: whatever comes out, the parser answers, and what it takes it prints so that it
/// takes it again.
#[test]
fn any_text_is_answered() {
    let seeds = [
        r#"{app="tv",zone!~"e.*"} |= "a" or ip("10.0.0.0/8") | json a="b[0].c" | logfmt --strict x | took > 1.5s or size<=2KiB, code==0x1p3"#,
        r#"sum by (a) (quantile_over_time(.9, {b="c"} |> "<_> x" | unwrap bytes(d) | __error__="" [1h30m] offset -5m) without (e)) ^ -2"#,
        r#"topk(3, rate({a="b"}[1m])) > bool on (x) group_left (y) label_replace(vector(1), "a", "$1", "b", "(.*)") # end"#,
        r#"{a=`b`} | label_format c=d, e="{{ .f }}" | line_format "\u00e9µ" | drop g, h=~"i" | pattern "<j> <_>" | regexp "(?P<k>.)""#,
        r#"variants(count_over_time({a="b"}[1m]), absent_over_time({a="b"}[1m])) of ({a="b"}[1m])"#,
    ];
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let mut taken = 0;
    for _ in 0..5_000 {
        let mut text: Vec<char> = seeds[random(seeds.len())].chars().collect();
        for _ in 0..=random(3) {
            let (from, to) = (random(text.len()), random(text.len()));
            let piece: Vec<char> = text[from.min(to)..(from.max(to)).min(from.min(to) + 12)].to_vec();
            match random(3) {
                0 => drop(text.drain(from.min(to)..(from.min(to) + piece.len()))),
                1 => drop(text.splice(to..to, piece)),
                _ => {
                    let other: Vec<char> = seeds[random(seeds.len())].chars().collect();
                    let at = random(other.len());
                    text.splice(to..to, other[at..(at + 8).min(other.len())].iter().copied());
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(expr) = parse(&text) {
            taken += 1;
            let printed = expr.to_string();
            let again = parse(&printed).unwrap_or_else(|error| panic!("{text}\n{printed}\n{error}"));
            assert_eq!(again.to_string(), printed, "{text}");
        }
    }
    assert!(taken > 50, "only {taken} mutants were queries: the test says little");
}
