use std::sync::Arc;

use catalog::Catalog;
use model::{Broken, ByMode};

use super::*;

const SECOND: i64 = 1000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

const OMD: &str = r##"
business_services:
  - name: payments
    owners: [{team: till, email: till@example.com, slack: "#till", github: example/payments, webhook: "https://till.example.com/tyto"}]
    services: [{name: cards, components: [{name: card-api}, {name: refunds, owners: [{team: refunds, email: refunds@example.com}]}]}]
  - {name: login, owners: [{team: doors}]}
"##;

const NOTIFY: &str = "
public_url: https://tyto.example.com
digest_every: 1d
fixed_after: 1h
messages_per_hour_max: 3
email: {server: mail.example.com, from: tyto@example.com}
";

/// A desk under a simulated clock, whose messages arrive at once or fail as they are told to.
struct World {
    desk: Desk,
    catalog: Arc<Catalog>,
    version: u64,
    channels: Channels,
    now_ms: i64,
    /// Channels that are down.
    down: Vec<Channel>,
}

impl World {
    fn new(ways: &str) -> Self {
        let channels = Channels::parse("notify.yaml", &format!("{NOTIFY}{ways}")).unwrap();
        Self {
            desk: Desk::new(Ledger::default(), DAY),
            catalog: Arc::new(Catalog::parse(&[("omd.yaml", OMD)]).unwrap()),
            version: 1,
            channels,
            now_ms: DAY,
            down: Vec::new(),
        }
    }

    fn breaks(&mut self, component: &str, paths: &[&str]) {
        let mut counted = CountedBreaches::default();
        for path in paths {
            let breach = Breach {
                business_service: "payments".into(),
                service: "cards".into(),
                component: component.into(),
                contract: "payments".into(),
                rule: "enum".into(),
                path: (*path).into(),
            };
            counted.breaches.insert(breach, Broken { records: ByMode { quarantined: 1, ..ByMode::default() }, ..Broken::default() });
        }
        self.desk.book(counted, self.now_ms);
    }

    /// What is told while so much time goes by: `after so many seconds: channel kind paths`.
    fn told_within(&mut self, time_ms: i64) -> Vec<String> {
        let (since, mut lines) = (self.now_ms, Vec::new());
        while self.now_ms < since + time_ms {
            self.now_ms += SECOND;
            for message in self.desk.due((self.version, &self.catalog), &self.channels, self.now_ms) {
                let result = match self.down.contains(&message.channel) {
                    true => Err(Failure::passing("unreachable", "down")),
                    false => Ok(Sent { issue: (message.channel == Channel::Github).then_some(7), ..Sent::default() }),
                };
                self.desk.done(&message, &result, self.now_ms, 1.0);
                if result.is_ok() {
                    lines.push(line((self.now_ms - since) / SECOND, &message));
                }
            }
        }
        lines
    }

    fn restart(&mut self) {
        let ledger = self.desk.ledger.clone();
        self.desk = Desk::new(ledger, self.now_ms);
    }
}

fn line(seconds: i64, message: &Message) -> String {
    let paths: Vec<&str> = message.items.iter().map(|item| item.breach.path.as_str()).collect();
    let more = if message.more > 0 { format!(" +{}", message.more) } else { String::new() };
    let issue = message.issue.map(|number| format!(" #{number}{}", if message.closes { " closed" } else { "" })).unwrap_or_default();
    format!("{seconds}: {} {} {}{more}{issue}", message.channel.name(), message.kind.name(), paths.join(","))
}

#[test]
fn the_first_is_told_at_once_what_goes_on_in_digests_and_the_end_once() {
    let mut world = World::new("");
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(5 * SECOND), ["2: email first a"]);
    for _ in 0..20 {
        world.breaks("card-api", &["a"]);
        assert_eq!(world.told_within(HOUR / 2), [""; 0], "it was told");
    }
    // 10 h have gone by; it goes on until the day is nearly over.
    for _ in 0..27 {
        world.breaks("card-api", &["a"]);
        assert_eq!(world.told_within(HOUR / 2).len(), 0);
    }
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(HOUR / 2), ["1797: email digest a"], "a day after the first");
    assert_eq!(world.told_within(HOUR), ["1800: email fixed a"]);
    assert_eq!(world.told_within(3 * DAY), [""; 0]);
    assert!(world.desk.ledger.breaches.is_empty() && world.desk.lanes.is_empty() && world.desk.owners.1.is_empty(), "it is forgotten");
}

#[test]
fn what_comes_together_is_told_together_and_too_much_is_counted() {
    let mut world = World::new("");
    world.breaks("card-api", &["a"]);
    world.told_within(SECOND);
    world.breaks("card-api", &["b", "c"]);
    assert_eq!(world.told_within(10 * SECOND), ["1: email first a,b,c"]);
    let paths: Vec<String> = (0..30).map(|number| format!("p{number:02}")).collect();
    world.breaks("card-api", &paths.iter().map(String::as_str).collect::<Vec<_>>());
    let told = world.told_within(10 * SECOND);
    assert!(told.len() == 1 && told[0].ends_with(",p19 +10"), "{told:?}");
    assert_eq!(world.told_within(HOUR - 60 * SECOND), [""; 0], "those that were only counted are told, too");
}

#[test]
fn every_team_is_told_of_its_own_and_no_more_often_than_is_bearable() {
    let mut world = World::new("");
    world.breaks("card-api", &["a"]);
    world.breaks("refunds", &["r"]);
    assert_eq!(world.told_within(5 * SECOND), ["2: email first r", "2: email first a"]);
    for path in ["b", "c", "d", "e"] {
        world.breaks("card-api", &[path]);
        world.told_within(60 * SECOND);
    }
    // Three went out in this hour. The others wait, and go together.
    assert_eq!(world.told_within(HOUR - 245 * SECOND), ["3355: email fixed r"]);
    assert_eq!(world.told_within(60 * SECOND), ["2: email first d,e", "7: email fixed a,b"]);
}

#[test]
fn a_channel_that_is_down_is_tried_again_and_holds_up_no_other() {
    let mut world = World::new("webhook: {}\n");
    world.down = vec![Channel::Webhook];
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(60 * SECOND), ["2: email first a"]);
    world.down.clear();
    assert_eq!(world.told_within(60 * SECOND), ["17: webhook first a"]);
    assert_eq!(world.told_within(600 * SECOND), [""; 0], "each once");
}

#[test]
fn what_is_given_up_comes_with_the_next_digest() {
    let mut world = World::new("");
    world.down = vec![Channel::Email];
    world.breaks("card-api", &["a"]);
    for _ in 0..16 {
        world.breaks("card-api", &["a"]);
        assert_eq!(world.told_within(HOUR / 4), [""; 0]);
    }
    world.down.clear();
    for _ in 0..40 {
        world.breaks("card-api", &["a"]);
        assert_eq!(world.told_within(HOUR / 2).len(), 0, "it was given up");
    }
    let mut told = Vec::new();
    for _ in 0..8 {
        world.breaks("card-api", &["a"]);
        told.extend(world.told_within(HOUR / 2));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].ends_with("email digest a"));
}

#[test]
fn a_restart_repeats_nothing_and_time_without_tyto_fixes_nothing() {
    let mut world = World::new("");
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(5 * SECOND).len(), 1);
    world.now_ms += 5 * HOUR;
    world.restart();
    assert_eq!(world.told_within(HOUR / 2), [""; 0]);
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(HOUR - SECOND), [""; 0], "it was told before");
    assert_eq!(world.told_within(2 * SECOND), ["1: email fixed a"]);
    world.restart();
    assert_eq!(world.told_within(DAY), [""; 0]);
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(5 * SECOND), ["2: email first a"], "it is broken anew");
}

#[test]
fn what_breaks_again_after_it_was_fixed_for_some_is_told_to_these_anew() {
    let mut world = World::new("webhook: {}\n");
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(5 * SECOND).len(), 2);
    world.down = vec![Channel::Webhook];
    assert_eq!(world.told_within(HOUR), ["3595: email fixed a"]);
    world.breaks("card-api", &["a"]);
    world.down.clear();
    assert_eq!(world.told_within(60 * SECOND), ["1: email first a"], "by the webhook nothing was said to be over");
}

#[test]
fn an_issue_is_filed_commented_and_closed() {
    let mut world = World::new("github: {token: {env: T}}\n");
    world.channels.email = None;
    world.breaks("card-api", &["a", "b"]);
    assert_eq!(world.told_within(5 * SECOND), ["2: github first a,b"]);
    for _ in 0..24 {
        world.breaks("card-api", &["a"]);
        assert!(world.told_within(HOUR - SECOND).iter().all(|line| line.ends_with("github fixed b #7")));
    }
    world.breaks("card-api", &["a"]);
    assert_eq!(world.told_within(HOUR / 2), ["21: github digest a #7"]);
    assert_eq!(world.told_within(HOUR), ["1800: github fixed a #7 closed"]);
}

#[test]
fn another_owner_is_told_from_the_beginning_and_an_unheard_breach_is_said_once() {
    let mut world = World::new("");
    world.breaks("card-api", &["a"]);
    world.told_within(5 * SECOND);
    world.catalog =
        Arc::new(Catalog::parse(&[("omd.yaml", &OMD.replace("team: till, email: till@", "team: cards, email: cards@"))]).unwrap());
    world.version = 2;
    assert_eq!(world.told_within(5 * SECOND), ["1: email first a"]);
    world.catalog = Arc::new(Catalog::parse(&[("omd.yaml", "business_services: [{name: payments, owners: [{team: nobody}]}]")]).unwrap());
    world.version = 3;
    assert_eq!(world.told_within(5 * SECOND), [""; 0]);
    assert!(world.desk.ledger.breaches.values().all(|known| known.unheard));
    assert_eq!(world.told_within(2 * HOUR), [""; 0]);
    assert!(world.desk.ledger.breaches.is_empty(), "it ended, and nobody can be told that either");
}
