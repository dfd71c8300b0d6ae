//! What a journey adds to the instruments of the pods it passes.

use crate::company::Component;
use crate::meter::{self, Instrument, Tag, Tags, Witness};
use crate::operations::{Access, Event, Operation, System};
use crate::visit::Visit;
use crate::walk::{Reply, SpanId, Walk};

impl Walk<'_> {
    pub(crate) fn measure_service(&mut self, operation: &'static Operation, reply: &Reply, span_id: SpanId, start: u64) {
        let seconds = (reply.end - start) as f64 / 1e9;
        let witness = Witness { time_unix_nano: reply.end, trace_id: self.trace_id, span_id };
        let meter = &mut self.pods[operation.component as usize].meter;
        if operation.is_consumer() {
            let tags = vec![("messaging.destination.name", Tag::Text(operation.route)), ("messaging.operation.name", Tag::Text("process"))];
            meter.add(&meter::MESSAGES_CONSUMED, tags.clone(), 1.0);
            meter.record(&meter::PROCESS_DURATION, tags, seconds, witness);
        } else {
            let tags = vec![
                ("http.request.method", Tag::Text(operation.method)),
                ("http.route", Tag::Text(operation.route)),
                ("http.response.status_code", Tag::Int(i64::from(reply.status))),
            ];
            meter.record(&meter::SERVER_DURATION, tags, seconds, witness);
        }
        if let Some(event) = operation.event {
            self.measure_business(operation.component, event, reply, (seconds, witness));
        }
    }

    fn measure_business(&mut self, component: Component, event: Event, reply: &Reply, (seconds, witness): (f64, Witness)) {
        let Visit { country, device, plan, payment_method, .. } = self.visit;
        let gross = self.visit.gross();
        let done = reply.status < 400;
        let outcome = ("outcome", Tag::Text(if done { "success" } else { "failure" }));
        let country = ("geo.country.iso_code", Tag::Text(country.code));
        let currency = ("payment.currency", Tag::Text(self.visit.country.currency));
        let meter = &mut self.pods[component as usize].meter;
        let mut count = |instrument: &'static Instrument, tags: Tags, amount: f64| meter.add(instrument, tags, amount);
        match event {
            Event::PlayStarted if done => {
                count(&meter::PLAYBACK_STARTS, vec![country, ("device.type", Tag::Text(device))], 1.0);
                // The first frame comes after the answer: the player still fills its buffer.
                let startup = seconds * 2.0 + 0.25;
                meter.record(&meter::PLAYBACK_STARTUP, vec![], startup, witness);
            }
            Event::MemberLoggedIn => count(&meter::LOGINS, vec![outcome], 1.0),
            Event::MemberRegistered if done => count(&meter::REGISTRATIONS, vec![country, ("plan", Tag::Text(plan.name))], 1.0),
            Event::PaymentTaken => {
                count(&meter::PAYMENTS, vec![("payment.method", Tag::Text(payment_method)), outcome], 1.0);
                if done {
                    count(&meter::REVENUE, vec![currency], gross);
                }
            }
            Event::SearchMade if done => count(&meter::SEARCHES, vec![country], 1.0),
            Event::AdShown if done => count(&meter::ADS_SHOWN, vec![country], 1.0),
            _ => {}
        }
    }

    pub(crate) fn measure_store(&mut self, caller: Component, access: &'static Access, reply: &Reply, (span_id, seconds): (SpanId, f64)) {
        let witness = Witness { time_unix_nano: reply.end, trace_id: self.trace_id, span_id };
        let hit = self.chance.happens(0.93);
        let mut tags = vec![
            ("db.system.name", Tag::Text(access.system.name())),
            ("db.operation.name", Tag::Text(access.operation)),
            ("db.collection.name", Tag::Text(access.collection)),
        ];
        if reply.status >= 400 {
            tags.push(("error.type", Tag::Text(reply.reason)));
        }
        let meter = &mut self.pod(caller).meter;
        meter.record(&meter::DATABASE_DURATION, tags, seconds, witness);
        if access.system == System::Redis && access.operation.ends_with("GET") {
            let result = Tag::Text(if hit { "hit" } else { "miss" });
            meter.add(&meter::CACHE_LOOKUPS, vec![("cache.name", Tag::Text(access.collection)), ("cache.result", result)], 1.0);
        }
    }
}
