use catalog::Catalog;
use model::{Code, DriftEdge, EdgeKind, Scorecard};

use super::*;

const FILE: &str = "
teams: [{team: till, email: till@example.com}]
business_services:
  - name: pay
    description: Members pay
    owners: [{team: till}]
    cost_centre: '4711'
    runbooks: [{title: Nothing is paid, url: 'https://wiki.example.com/pay'}]
    services:
      - name: cards
        components:
          - {name: best, description: Takes cards, tier: 1, contract: core, match: [{service.name: best}], depends_on: []}
          - {name: late, match: [{service.name: late}]}
          - {name: silent}
";
const CONTRACT: &str = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "x-tyto": {"mode": "quarantine"}}"#;

fn came(logs: u64, spans: u64, points: u64) -> Figures {
    Figures { logs, spans, points, ..Figures::default() }
}

fn place(parts: [&str; 3]) -> Place {
    parts.map(str::to_owned)
}

fn scored(came: &[([&str; 3], Figures)], drift: &DriftReport, request: &ScorecardRequest) -> Result<Scorecard> {
    let catalog = Catalog::parse(&[("omd.yaml", FILE), ("contracts/core.json", CONTRACT)]).unwrap();
    let seen = Seen { came: came.iter().map(|(parts, figures)| (place(*parts), figures.clone())).collect(), ..Seen::default() };
    score(request, seen, drift, &catalog)
}

fn of_pay(came: &[([&str; 3], Figures)], drift: &DriftReport) -> Scorecard {
    let request = ScorecardRequest { business_service: "pay".to_owned(), ..ScorecardRequest::default() };
    scored(came, drift, &request).unwrap()
}

/// The level, and what of the next is not so.
fn told(card: &Scorecard, path: &str) -> (Option<u8>, Vec<String>) {
    let score = card.components.iter().find(|score| score.path == path).unwrap();
    let next = score.level.map_or(0, |level| level + 1);
    let lacks = score.verdicts.iter().filter(|verdict| verdict.level == next && verdict.met == Some(false));
    (score.level, lacks.map(|verdict| verdict.says.clone()).collect())
}

#[test]
fn each_level_says_what_lifts_to_the_next() {
    let best = ["pay", "cards", "best"];
    let card = of_pay(&[(best, came(2_000, 500, 9)), (["pay", "cards", "late"], came(80, 40, 0))], &DriftReport::default());
    assert_eq!(told(&card, "pay/cards/best"), (Some(4), Vec::new()));
    let (level, lacks) = told(&card, "pay/cards/late");
    assert_eq!(
        (level, lacks.join("\n")),
        (
            Some(2),
            "No metrics arrive: 80 log records, 40 spans and 0 points\n\
             It does not say what it depends on: add depends_on, or [] for nothing\n\
             No contract says what its log records look like: name one, here or at its business service"
                .to_owned()
        )
    );
    assert_eq!(told(&card, "pay/cards/silent"), (None, Vec::new()), "nothing came of it");
    assert_eq!((card.all.level, card.all.at_level, card.all.without_data), (Some(2), [0, 1, 0, 1], 1));
    assert_eq!(card.all.lifts[0].says, "1 of 2 components do not send all of logs, traces and metrics: late");
    assert_eq!(card.teams[0].name, "till");
    let kept: Vec<_> = card.components.iter().map(|score| score.kept_ratio).collect();
    assert_eq!((kept, card.all.kept_ratio), (vec![Some(1.0), None, None], Some(1.0)), "who has no contract keeps none");
}

#[test]
fn what_falls_short_is_said_with_its_figures() {
    let best = ["pay", "cards", "best"];
    let nowhere = Figures { without_environment: 2_000, ..came(1_000, 2_000, 5) };
    assert_eq!(
        told(&of_pay(&[(best, nowhere)], &DriftReport::default()), "pay/cards/best"),
        (
            Some(1),
            vec![
                "Only 33.3 % of 3,000 records say where they run, 95 % are asked: set deployment.environment.name, or environment in omd.yaml"
                    .to_owned()
            ]
        )
    );
    let broken = Figures { quarantined: 15, ..came(985, 100, 5) };
    assert_eq!(
        told(&of_pay(&[(best, broken)], &DriftReport::default()), "pay/cards/best"),
        (
            Some(2),
            vec![
                "Only 98.5 % of 1,000 log records keep the contract core, 99 % are asked: 15 set aside, 0 refused, 0 only observed"
                    .to_owned()
            ]
        )
    );
    let edge = DriftEdge {
        from: "component:pay/cards/best".to_owned(),
        to: "database:orders".to_owned(),
        kind: EdgeKind::Database,
        requests_per_second: 1.0,
        first_seen: None,
        last_seen: None,
    };
    let drift = DriftReport { called_not_declared: vec![edge], ..DriftReport::default() };
    assert_eq!(
        told(&of_pay(&[(best, came(2_000, 100, 5))], &drift), "pay/cards/best"),
        (
            Some(3),
            vec![
                "1 difference from what is declared: it calls orders, which it does not declare".to_owned(),
                "20.0 log records for each span, at most 10 are asked: count what repeats as a metric, or put it into the span".to_owned()
            ]
        )
    );
}

#[test]
fn what_a_contract_only_observes_is_not_taken_for_kept() {
    let catalog = Catalog::parse(&[("omd.yaml", FILE), ("contracts/core.json", &CONTRACT.replace("quarantine", "observe"))]).unwrap();
    let request = ScorecardRequest { team: "till".to_owned(), ..ScorecardRequest::default() };
    let level = |counters_are_stored| {
        let seen = Seen { came: [(place(["pay", "cards", "best"]), came(2_000, 500, 9))].into(), counters_are_stored, ..Seen::default() };
        score(&request, seen, &DriftReport::default(), &catalog).unwrap().all.level
    };
    assert_eq!((level(true), level(false)), (Some(4), Some(2)));
}

#[test]
fn records_of_nobody_and_of_no_component_are_told_apart() {
    let card = of_pay(
        &[(["unassigned", "", ""], came(7, 8, 9)), (["pay", "", ""], came(500, 0, 0)), (["pay", "cards", "new"], came(0, 0, 200))],
        &DriftReport::default(),
    );
    assert_eq!(card.unassigned, came(7, 8, 9));
    assert_eq!(told(&card, "pay/-/-").1[0], "500 records say no component: add a match rule, or set omd.component where they are sent");
    assert_eq!(told(&card, "pay/cards/new").1[0], "It sent 200 records and stands in no omd.yaml: declare it");
    let all = scored(&[], &DriftReport::default(), &ScorecardRequest::default()).unwrap();
    assert_eq!((all.components.len(), all.all.components, all.all.level), (0, 3, None), "one by one only where somebody is asked about");
    let nobody = ScorecardRequest { team: "gone".to_owned(), ..ScorecardRequest::default() };
    assert_eq!(scored(&[], &DriftReport::default(), &nobody).unwrap_err().code, Code::NotFound);
}
