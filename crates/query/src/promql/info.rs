use hashbrown::HashMap;
use lang::promql::ast::{Expr, Node, Shift};
use model::{Error, Labels, MatchOp, Matcher, Result};

use super::functions::Call;
use super::value::{Column, Series};
use crate::selector::Compiled;

/// The labels by which a series and its info series find each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The matchers of the info series: those of the second argument on `__name__`, else `target_info`; what they say of
/// other labels is checked on the joined labels.
pub(super) fn matchers(selector: Option<&Expr>) -> Vec<Matcher> {
    let mut named: Vec<Matcher> = asked(selector).iter().filter(|matcher| matcher.name == "__name__").cloned().collect();
    if named.is_empty() {
        return vec![Matcher::new("__name__", MatchOp::Equal, "target_info")];
    }
    if named.iter().all(|matcher| matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex)) {
        // Who only says which names are out means info metrics none the less.
        named.push(Matcher::new("__name__", MatchOp::Regex, ".+_info"));
    }
    named
}

fn asked(selector: Option<&Expr>) -> &[Matcher] {
    match selector.map(|expr| &expr.node) {
        Some(Node::Vector(selector)) => &selector.matchers,
        _ => &[],
    }
}

/// Adds the labels of info series such as `target_info` to every series with the same instance and job.
pub(super) fn eval(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let base = call.vector(0)?;
    let asked = asked(call.args.get(1));
    let names = matchers(call.args.get(1));
    let names = names.iter().map(Compiled::new).collect::<Result<Vec<_>>>()?;
    let wanted = asked.iter().filter(|matcher| matcher.name != "__name__").map(Compiled::new).collect::<Result<Vec<_>>>()?;
    let infos = info_series(call)?;
    let mut by_identity: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (place, info) in infos.iter().enumerate() {
        by_identity.entry(identity(&info.labels)).or_default().push(place);
    }
    let mut answer = Vec::new();
    for series in base {
        call.evaluator.guard.check()?;
        let name = series.labels.get("__name__").unwrap_or_default();
        if names.iter().all(|matcher| matcher.accepts(name)) {
            // An info series is not enriched by its like.
            answer.push(series);
            continue;
        }
        let candidates = by_identity.get(&identity(&series.labels)).map_or(&[][..], Vec::as_slice);
        enrich(call, &series, candidates, &infos, &wanted, &mut answer)?;
    }
    super::value::merge_same_labels(answer)
}

fn identity(labels: &Labels) -> Labels {
    labels.filtered(|name| IDENTIFYING.contains(&name))
}

/// The modifiers between the call and its first selector, outermost first: the info series is looked up where the
/// selector looks.
pub(super) fn shifts(expr: &Expr) -> Vec<&Shift> {
    match &expr.node {
        Node::Vector(selector) | Node::Matrix { selector, .. } => vec![&selector.shift],
        Node::Subquery(subquery) => std::iter::once(&subquery.shift).chain(shifts(&subquery.inner)).collect(),
        _ => expr.children().into_iter().map(shifts).find(|found| !found.is_empty()).unwrap_or_default(),
    }
}

/// The info series with, per step, when their sample was taken: of two with one identity the newest speaks.
fn info_series(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let moves = shifts(&call.args[0]).into_iter().map(|shift| call.evaluator.frame.resolve(shift)).collect::<Result<Vec<_>>>()?;
    let stored = call.evaluator.loaded.of(&matchers(call.args.get(1)));
    if let Some(points) = stored.iter().find(|points| !points.histograms.is_empty()) {
        return Err(Error::invalid(format!("this should be an info metric, with float samples: {}", points.labels)));
    }
    super::select::times_of(call.evaluator, &stored, call.grid, |time| moves.iter().fold(time, |time, moved| moved.of(time)))
}

fn enrich(
    call: &Call<'_, '_>,
    series: &Series,
    candidates: &[usize],
    infos: &[Series],
    wanted: &[Compiled],
    answer: &mut Vec<Series>,
) -> Result<()> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let (guard, steps) = (call.evaluator.guard, call.grid.len());
    for step in 0..steps {
        guard.work(1 + candidates.len())?;
        let Some(cell) = series.column.get(step) else { continue };
        // One info series per metric name, the newest.
        let mut by_name: HashMap<&str, (f64, usize)> = HashMap::new();
        for &place in candidates {
            let Some(at) = infos[place].column.float(step) else { continue };
            let name = infos[place].labels.get("__name__").unwrap_or_default();
            match by_name.get(name) {
                Some(&(newest, other)) if newest == at => {
                    let (one, two) = (&infos[other].labels, &infos[place].labels);
                    return Err(Error::invalid(format!("found duplicate series for info metric: existing {one}, new {two}")));
                }
                Some(&(newest, _)) if newest > at => {}
                _ => drop(by_name.insert(name, (at, place))),
            }
        }
        let mut labels = series.labels.to_builder();
        let mut added: HashMap<&str, &str> = HashMap::new();
        let mut found: Vec<usize> = by_name.values().map(|&(_, place)| place).collect();
        found.sort_unstable();
        found.retain(|&place| wanted.iter().all(|matcher| matcher.accepts(infos[place].labels.get(&matcher.name).unwrap_or(""))));
        for place in &found {
            for (name, value) in infos[*place].labels.iter() {
                let is_wanted = wanted.is_empty() || wanted.iter().any(|matcher| matcher.name == name);
                if name == "__name__" || !is_wanted || series.labels.get(name).is_some() {
                    continue;
                }
                if added.insert(name, value).is_some_and(|other| other != value) {
                    return Err(Error::invalid(format!("conflicting label: {name}")));
                }
                labels.set(name, value);
            }
        }
        // Without an info series the labels asked for are empty; a matcher that needs more drops the series.
        if found.is_empty() && wanted.iter().any(|matcher| !matcher.accepts("")) {
            continue;
        }
        let labels = labels.build();
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            let mut column = Column::absent(guard, steps);
            column.charge_labels(labels);
            answer.push(Series { labels: labels.clone(), drop_name: series.drop_name, column });
            answer.len() - 1
        });
        answer[place].column.set(step, cell);
    }
    Ok(())
}
