//! Who comes, from where, and what they want: the facts that every span and line of one journey shares.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::chance::Chance;
use crate::company::{Country, DEVICES, PAYMENT_METHODS, PLANS, Plan, Site, TITLES_ON_AIR};
use crate::operations::Event;
use crate::wire::attribute;

#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) member: u64,
    pub(crate) country: &'static Country,
    pub(crate) device: &'static str,
    pub(crate) title: &'static str,
    pub(crate) title_id: u64,
    pub(crate) plan: &'static Plan,
    pub(crate) payment_method: &'static str,
    pub(crate) net: f64,
    pub(crate) tax: f64,
}

impl Visit {
    /// During a finale (`surge` above one) most people want the same thing.
    pub(crate) fn new(site: &Site, surge: f64, chance: &mut Chance) -> Self {
        let country = chance.weighted(site.countries, |country| country.share);
        // The square makes the first titles the popular ones.
        let popular = (chance.uniform().powi(2) * TITLES_ON_AIR.len() as f64) as usize;
        let title_index = if chance.happens(1.0 - 1.0 / surge) { 0 } else { popular };
        let plan = chance.weighted(&PLANS, |plan| plan.share);
        let net = rounded(plan.price * country.price_factor, country);
        Self {
            member: 10_000_000 + chance.below(90_000_000),
            country,
            device: *chance.pick(&DEVICES),
            title: TITLES_ON_AIR[title_index],
            title_id: 7_001 + 13 * title_index as u64,
            plan,
            payment_method: *chance.pick(&PAYMENT_METHODS),
            net,
            tax: rounded(net * country.tax_rate, country),
        }
    }

    pub(crate) fn gross(&self) -> f64 {
        rounded(self.net + self.tax, self.country)
    }

    /// What a tax service with `factor` times the right rate does to the bill.
    pub(crate) fn misprice(&mut self, factor: f64) {
        self.tax = rounded(self.net * self.country.tax_rate * factor, self.country);
    }

    /// The account's or title's own address for a route.
    pub(crate) fn path(&self, route: &str) -> String {
        if !route.contains('{') {
            return route.to_owned();
        }
        let member = self.member.to_string();
        route
            .replace("{title_id}", &self.title_id.to_string())
            .replace("{account_id}", &member)
            .replace("{member_id}", &member)
            .replace("{ip}", &format!("198.51.100.{}", self.member % 254 + 1))
    }

    pub(crate) fn fill(&self, template: &str, number: u64) -> String {
        template
            .replace("{member}", &self.member.to_string())
            .replace("{title}", self.title)
            .replace("{device}", self.device)
            .replace("{country}", self.country.code)
            .replace("{n}", &number.to_string())
    }

    /// A sentence for people, and its facts: event name, sentence, attributes.
    pub(crate) fn tell(&self, event: Event, chance: &mut Chance) -> (&'static str, String, Vec<KeyValue>) {
        let (country, device, title, plan) = (self.country, self.device, self.title, self.plan.name);
        let mut facts = vec![attribute("geo.country.iso_code", country.code), attribute("member.id", self.member.cast_signed())];
        let (name, sentence) = match event {
            Event::PlayStarted => {
                facts.extend([
                    attribute("title.name", title),
                    attribute("title.id", self.title_id.cast_signed()),
                    attribute("device.type", device),
                ]);
                ("playback.started", format!("A member in {} started to watch \"{title}\" on {}", country.name, article(device)))
            }
            Event::MemberLoggedIn => {
                facts.push(attribute("device.type", device));
                ("member.logged_in", format!("A member in {} logged in on {}", country.name, article(device)))
            }
            Event::MemberRegistered => {
                facts.push(attribute("plan", plan));
                ("member.registered", format!("A new member from {} joined with the {plan} plan", country.name))
            }
            Event::PaymentTaken => {
                facts.extend([
                    attribute("payment.amount", self.gross()),
                    attribute("payment.net", self.net),
                    attribute("payment.tax", self.tax),
                    attribute("payment.currency", country.currency),
                    attribute("payment.method", self.payment_method),
                    attribute("plan", plan),
                ]);
                let amount = money(self.gross(), country);
                (
                    "payment.taken",
                    format!("Payment of {amount} received from {} for the {plan} plan, by {}", country.name, self.payment_method),
                )
            }
            Event::SearchMade => {
                let word = title.split(' ').next_back().unwrap_or(title).to_lowercase();
                let hits = 1 + chance.below(14).cast_signed();
                facts.extend([attribute("search.text", word.as_str()), attribute("search.hits", hits)]);
                ("catalogue.searched", format!("A member in {} searched for \"{word}\" and found {hits} titles", country.name))
            }
            Event::AdShown => {
                let campaign = 400 + chance.below(60).cast_signed();
                facts.extend([attribute("ad.campaign", campaign), attribute("device.type", device)]);
                ("ad.shown", format!("An advertisement of campaign {campaign} was shown in {} before \"{title}\"", country.name))
            }
        };
        (name, sentence, facts)
    }
}

/// Currencies whose unit is small have no cents.
fn rounded(amount: f64, country: &Country) -> f64 {
    if country.price_factor >= 40.0 { amount.round() } else { (amount * 100.0).round() / 100.0 }
}

fn money(amount: f64, country: &Country) -> String {
    if country.price_factor >= 40.0 { format!("{amount:.0} {}", country.currency) } else { format!("{amount:.2} {}", country.currency) }
}

fn article(device: &str) -> String {
    match device {
        "web" => "the web".to_owned(),
        "ios" | "android" => format!("an {device} phone"),
        other => format!("a {}", other.replace('-', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::company::SITES;

    #[test]
    fn wrong_tax_changes_the_tax_and_nothing_else() {
        for seed in 0..50 {
            let mut visit = Visit::new(&SITES[(seed % 3) as usize], 1.0, &mut Chance::of(seed, &[]));
            let (net, tax) = (visit.net, visit.tax);
            visit.misprice(1.0);
            assert_eq!((visit.net, visit.tax), (net, tax));
            visit.misprice(2.0);
            assert!((visit.tax / tax - 2.0).abs() < 0.06 && visit.net == net, "{visit:?}");
        }
    }

    #[test]
    fn templates_leave_no_braces() {
        let visit = Visit::new(&SITES[0], 1.0, &mut Chance::of(1, &[]));
        for text in
            [visit.path("/v1/titles/{title_id}/x/{account_id}/{member_id}/{ip}"), visit.fill("{member} {title} {device} {country} {n}", 4)]
        {
            assert!(!text.contains('{') && !text.contains('}'), "{text}");
        }
    }
}
