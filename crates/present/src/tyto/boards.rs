//! Boards as people watch them: the questions of their tiles, answered for one time. Whoever looks needs no query language.

mod ask;
mod sentence;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use catalog::{Board, BoardRange, Catalog, Good, Look, Shows, Tile};
use futures::StreamExt;
use http::StatusCode;
use model::{Code, Error, Result};
use serde_json::{Value, json};

use self::ask::{Asker, Window};
use crate::error::Failure;
use crate::params::{self, Params};
use crate::state::{Shared, now_ns, within};
use crate::{respond, times};

/// Questions of one board that are asked at the same time.
const ASKED_AT_ONCE: usize = 4;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Of a board: its oldest question begins no further back.
const RANGE_MAX_MS: i64 = 366 * DAY_MS;

/// Of every board what a gallery shows.
pub(super) async fn all(State(state): State<Shared>) -> Response {
    let catalog = state.catalog.get();
    let boards: Vec<_> = catalog.boards.iter().map(|board| summary(&catalog, board)).collect();
    respond::json(StatusCode::OK, json!({ "boards": boards }).to_string())
}

/// One board with the answers to its questions, for `start` to `end`: by themselves the board's own time until now. A tile whose
/// question fails says so; the others stand.
pub(super) async fn one(
    State(state): State<Shared>,
    name: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let name = params::path(name)?;
    let catalog = state.catalog.get();
    let board = catalog.boards.iter().find(|board| board.name == name);
    let board = board.ok_or_else(|| Error::new(Code::NotFound, format!("cannot find a board called {name:?}: GET boards lists them")))?;
    let window = window(&Params::read(request).await?, board.range)?;
    let answers = (0..board.tiles.len()).map(|number| show(&state, &board.tiles[number], window));
    let tiles: Vec<Value> =
        within(state.limits.timeout, async { Ok(futures::stream::iter(answers).buffered(ASKED_AT_ONCE).collect().await) }).await?;
    let mut body = summary(&catalog, board);
    body["start_unix_ms"] = window.start_ms.into();
    body["end_unix_ms"] = window.end_ms.into();
    body["tiles"] = tiles.into();
    Ok(respond::json(StatusCode::OK, body.to_string()))
}

fn summary(catalog: &Catalog, board: &Board) -> Value {
    let business = catalog.business_services.iter().find(|business| business.name == board.business_service);
    let owner = business.and_then(|business| business.profile.owners.first());
    json!({
        "name": board.name,
        "title": board.title,
        "about": board.about,
        "business_service": board.business_service,
        "team": owner.map(|owner| &owner.team),
        "range": match board.range {
            BoardRange::Today => "today".to_owned(),
            BoardRange::Last(range) => format!("{}s", range.as_secs()),
        },
        "refresh_seconds": board.refresh.as_secs(),
        "tile_count": board.tiles.len(),
    })
}

fn window(params: &Params, range: BoardRange) -> Result<Window> {
    let instant = |name: &str| params.parsed(name, "Unix time in seconds or RFC 3339", times::millis);
    let end_ms = instant("end")?.unwrap_or_else(|| now_ns() / 1_000_000);
    let begin = || match range {
        // Of days the reader's page knows where they begin; here they do at midnight UTC.
        BoardRange::Today => end_ms - end_ms.rem_euclid(DAY_MS),
        BoardRange::Last(range) => end_ms.saturating_sub(i64::try_from(range.as_millis()).unwrap_or(i64::MAX)),
    };
    let start_ms = instant("start")?.unwrap_or_else(begin);
    if start_ms >= end_ms || end_ms.saturating_sub(start_ms) > RANGE_MAX_MS {
        return Err(Error::invalid("invalid parameter \"start\": it is before end, and at most a year"));
    }
    // Since midnight is compared with since midnight yesterday, not with the hours before midnight.
    let back_ms = if range == BoardRange::Today { DAY_MS.max(end_ms - start_ms) } else { end_ms - start_ms };
    Ok(Window { start_ms, end_ms, back_ms })
}

async fn show(state: &Shared, tile: &Tile, window: Window) -> Value {
    let asker = Asker::new(state);
    let mut shown = match answer(&asker, tile, window).await {
        Ok(shown) => shown,
        Err(error) => json!({ "error": error.to_string() }),
    };
    let warnings = asker.into_warnings();
    if !warnings.is_empty() {
        shown["warnings"] = warnings.into_iter().collect();
    }
    shown["title"] = tile.title.clone().into();
    shown["about"] = tile.about.clone().into();
    shown["unit"] = tile.unit.clone().into();
    shown["kind"] = match &tile.shows {
        Shows::Number { .. } => "number",
        Shows::Flow { .. } => "flow",
        Shows::Feed { .. } => "feed",
        Shows::Chart { .. } => "chart",
    }
    .into();
    shown
}

async fn answer(asker: &Asker<'_>, tile: &Tile, window: Window) -> Result<Value> {
    Ok(match &tile.shows {
        Shows::Number { question, good, compares } => {
            let before = async {
                match compares {
                    true => ask::number(asker, question, window.before()).await,
                    false => Ok(None),
                }
            };
            let (value, before) = futures::try_join!(ask::number(asker, question, window), before)?;
            let good = good.map(|good| if good == Good::Up { "up" } else { "down" });
            json!({ "value": value.map(number), "before": before.map(number), "compares": compares, "good": good })
        }
        Shows::Flow { steps } => {
            let asked = steps.iter().map(|(_, question)| ask::number(asker, question, window));
            let values = futures::future::try_join_all(asked).await?;
            let steps: Vec<_> =
                steps.iter().zip(values).map(|((name, _), value)| json!({ "name": name, "value": value.map(number) })).collect();
            json!({ "steps": steps })
        }
        Shows::Feed { question, sentence, lines } => {
            let events = ask::events(asker, question, window, *lines).await?;
            let entry = |event: ask::Event| {
                let text = if sentence.is_empty() {
                    event.line
                } else {
                    sentence::filled(sentence, |name| event.fields.get(name).map(String::as_str))
                };
                json!({ "unix_nano": event.time_ns.to_string(), "text": text })
            };
            json!({ "entries": events.into_iter().map(entry).collect::<Vec<_>>() })
        }
        Shows::Chart { question, look, legend } => {
            let step_ms = window.step_ms();
            let curves = ask::curves(asker, question, window, step_ms).await?;
            let series = |curve: ask::Curve| {
                let name = match (legend.as_str(), &curve.fields) {
                    ("", fields) => fields.values().cloned().collect::<Vec<_>>().join(", "),
                    (legend, fields) => sentence::filled(legend, |name| fields.get(name).map(String::as_str)),
                };
                let points: Vec<_> = curve.points.into_iter().map(|(at_ms, value)| json!([at_ms, number(value)])).collect();
                json!({ "name": name, "points": points })
            };
            let look = match look {
                Look::Line => "line",
                Look::Bars => "bars",
                Look::Area => "area",
            };
            json!({ "look": look, "step_ms": step_ms, "series": curves.into_iter().map(series).collect::<Vec<_>>() })
        }
    })
}

/// JSON has no number for what is none.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}
