//! The companies of `examples/`, as `tyto check` sees them: whole, and repository by repository beside what is in force.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use catalog::{Catalog, Change, CheckOptions, Checked, Published, weaver};

const COMPANIES: [&str; 3] = ["streaming", "health", "photos"];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path)
}

fn texts(path: &str) -> Vec<(String, String)> {
    let root = folder("");
    let named = |(name, text): (String, String)| (Path::new(&name).strip_prefix(&root).unwrap().display().to_string(), text);
    catalog::texts(&[folder(path)]).unwrap().into_iter().map(named).collect()
}

fn check(texts: &[(String, String)], options: &CheckOptions) -> Checked {
    let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    catalog::check(&texts, options)
}

fn told(checked: &Checked) -> Vec<String> {
    checked.diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.check.name(), diagnostic.problem)).collect()
}

/// What a server with these files would answer.
fn published(texts: &[(String, String)]) -> Published {
    let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let catalog = Catalog::parse(&texts).unwrap();
    serde_json::from_value(serde_json::to_value(&catalog).unwrap()).unwrap()
}

#[test]
fn the_three_companies_have_nothing_to_fix() {
    for company in COMPANIES {
        let checked = check(&texts(company), &CheckOptions::default());
        assert_eq!(told(&checked), Vec::<String>::new(), "{company}");
        assert!(checked.components >= 5 && checked.contracts >= 1 && checked.changes.is_empty(), "{company}: {checked:?}");
        assert!(folder(company).join("README.md").is_file());
        assert!(!Catalog::load(&[folder(company)]).unwrap().boards.is_empty(), "{company}");
    }
}

#[test]
fn a_repository_alone_changes_nothing_beside_the_others() {
    let all = texts("streaming");
    let repositories = ["advertising", "markers", "payments", "platform", "playback"];
    for repository in repositories {
        let own = texts(&format!("streaming/{repository}"));
        let options = CheckOptions { against: Some(published(&all)), ..CheckOptions::default() };
        let checked = check(&own, &options);
        assert_eq!(told(&checked), Vec::<String>::new(), "{repository}");
        assert_eq!(checked.changes, [], "{repository}");
        let part = check(&own, &CheckOptions { part: true, ..CheckOptions::default() });
        assert_eq!(told(&part), Vec::<String>::new(), "{repository} without a server");
    }
    let alone = check(&texts("streaming/markers"), &CheckOptions::default());
    let expected =
        "dangling-reference: streaming/markers/omd.yaml:6:9: cannot add to service \"video-playback/markers\": nobody declares it";
    assert_eq!(told(&alone), [expected]);
}

#[test]
fn what_a_change_does_to_others_is_told_before_it_is_merged() {
    let all = texts("streaming");
    let against = |text: &str| {
        let own = [("omd.yaml".to_owned(), text.to_owned())];
        check(&own, &CheckOptions { against: Some(published(&all)), ..CheckOptions::default() })
    };
    // A repository of its own that takes what another one has.
    let claims = against("components: [{name: player, of: video-playback/player, match: [{service.name: player-api}]}]");
    let expected = "duplicate-claim: omd.yaml:1:64: cannot match the same attributes twice: video-playback/player/player-api at \
                    server:streaming/playback/omd.yaml:10:15 has this rule";
    assert_eq!(told(&claims), [expected]);
    assert_eq!(claims.changes, [Change::Added { kind: "component", path: "video-playback/player/player".to_owned() }]);
    // The component of the markers repository moves; players still depend on it by its own name, which is enough.
    let moved = against("components: [{name: marker-api, of: video-playback/player, match: [{service.name: marker-api}]}]");
    assert_eq!(
        told(&moved),
        ["dangling-reference: server:streaming/playback/omd.yaml:10:15: cannot depend on \"video-playback/markers/marker-api\": \
                               no component of that name is declared"]
    );
    let [Change::Moved { path, from, .. }] = &moved.changes[..] else { panic!("{:?}", moved.changes) };
    assert_eq!((path.as_str(), from.as_str()), ("video-playback/player/marker-api", "video-playback/markers/marker-api"));
    // Half of advertising goes, the other half says something else.
    let text = "business_services: [{name: advertising, owners: [{team: ads}], services: [{name: ad-delivery, components: [{name: ad-decision, tier: 4}]}]}]";
    let changed = against(text);
    let says = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let removed = Change::Removed { kind: "component", path: "advertising/ad-delivery/ad-events-worker".to_owned() };
    let decision = Change::Changed {
        kind: "component",
        path: "advertising/ad-delivery/ad-decision".to_owned(),
        keys: says(&["depends_on", "match", "tier"]),
    };
    let business =
        Change::Changed { kind: "business service", path: "advertising".to_owned(), keys: says(&["cost_centre", "description", "tier"]) };
    assert_eq!((told(&changed), changed.changes), (Vec::new(), vec![removed, business, decision]));
}

/// Numbers below the one asked for, the same in each run.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap()
    }
}

/// A text with some lines gone, moved, doubled, further in, or with a letter too much.
fn mangled(text: &str, random: &mut impl FnMut(usize) -> usize) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random(3) {
        let (at, other) = (random(lines.len()), random(lines.len()));
        match random(5) {
            0 => drop(lines.remove(at)),
            1 => lines.swap(at, other),
            2 => lines.insert(at, lines[other].clone()),
            3 => lines[at].insert_str(0, "  "),
            _ => {
                let mut letters: Vec<char> = lines[at].chars().collect();
                let place = random(letters.len() + 1);
                letters.insert(place, ['{', ':', '-', '"', 'é', '[', '#', ' '][random(8)]);
                lines[at] = letters.into_iter().collect();
            }
        }
        if lines.is_empty() {
            lines.push(String::new());
        }
    }
    lines.join("\n")
}

#[test]
fn no_mangled_example_makes_the_reader_fail_or_tell_nothing() {
    let originals: Vec<(String, String)> = COMPANIES.iter().flat_map(|company| texts(company)).collect();
    let (mut random, mut refused) = (random(), 0);
    for _ in 0..2000 {
        let (name, text) = &originals[random(originals.len())];
        let text = mangled(text, &mut random);
        let checked = catalog::check(&[(name, &text)], &CheckOptions::default());
        for diagnostic in &checked.diagnostics {
            let problem = &diagnostic.problem;
            let line = text.lines().nth(problem.line.saturating_sub(1)).unwrap_or_default();
            assert!(
                problem.line <= text.split('\n').count() + 1 && problem.column <= line.chars().count() + 2,
                "{problem} is no place in\n{text}"
            );
            assert!(problem.what.starts_with("cannot "), "{problem}");
        }
        let refuses = checked.count(catalog::Level::Error) > 0;
        assert_eq!(refuses, Catalog::parse(&[(name, &text)]).is_err(), "{text}");
        refused += usize::from(refuses);
        assert!(!catalog::report::text(&checked, &[(name, &text)]).is_empty());
    }
    assert!(refused > 500, "{refused} of 2000 were refused");
}

#[test]
fn whatever_is_made_of_a_mangled_registry_passes_the_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/catalog/weaver");
    let originals = weaver::texts(&[folder]).unwrap();
    let (mut random, mut refused) = (random(), 0);
    for _ in 0..2000 {
        let mut texts = originals.clone();
        let at = random(texts.len());
        texts[at].1 = mangled(&texts[at].1, &mut random);
        let registry: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        match weaver::import(&weaver::Wanted { registry: &registry, ..Default::default() }) {
            Ok(imported) => {
                let checked = catalog::check(&[("contracts/a.json", &imported.contract)], &CheckOptions::default());
                assert_eq!(checked.diagnostics, [], "{}\n{}", texts[at].1, imported.contract);
            }
            Err(diagnostics) => {
                assert!(diagnostics.iter().all(|diagnostic| diagnostic.problem.what.starts_with("cannot ")), "{diagnostics:?}");
                refused += 1;
            }
        }
    }
    assert!((500..1900).contains(&refused), "{refused} of 2000 were refused");
}
