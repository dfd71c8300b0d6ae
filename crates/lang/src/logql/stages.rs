//! The grammar of selectors and pipelines.

use super::ast::*;
use super::check;
use super::ip::IpPattern;
use super::lex::Token;
use super::parse::Parser;
use crate::error::ParseError;
use crate::parser::Parsed;

/// A selector with what follows it inside a range aggregation, as far as it is read.
struct Ranged {
    log: LogExpr,
    range_ns: Option<i64>,
    offset_ns: Option<i64>,
}

impl Parser<'_> {
    pub(super) fn log(&mut self) -> Parsed<LogExpr> {
        let mut log = self.selector()?;
        self.stages(&mut log.stages)?;
        Ok(log)
    }

    /// A selector, stages, one range and perhaps an offset; the range may stand before or after the stages, and
    /// parentheses around any leading part.
    pub(super) fn log_range(&mut self) -> Parsed<(LogExpr, i64, i64)> {
        let ranged = self.ranged()?;
        match ranged.range_ns {
            Some(range_ns) => Ok((ranged.log, range_ns, ranged.offset_ns.unwrap_or(0))),
            None => Err(self.unexpected("")),
        }
    }

    fn ranged(&mut self) -> Parsed<Ranged> {
        let mut ranged = if self.accept("(") {
            let inner = self.nested(Self::ranged)?;
            self.expect(")")?;
            inner
        } else {
            Ranged { log: self.selector()?, range_ns: None, offset_ns: None }
        };
        loop {
            let stages = ranged.log.stages.len();
            self.stages(&mut ranged.log.stages)?;
            if self.is("[") && ranged.range_ns.is_none() {
                ranged.range_ns = Some(self.bracketed_range()?);
            } else if self.is_word("offset") && ranged.range_ns.is_some() && ranged.offset_ns.is_none() {
                self.next();
                let negative = self.accept("-");
                let offset = self.duration()?;
                ranged.offset_ns = Some(if negative { -offset } else { offset });
            } else if ranged.log.stages.len() == stages {
                return Ok(ranged);
            }
        }
    }

    fn bracketed_range(&mut self) -> Parsed<i64> {
        self.next();
        let pos = self.pos();
        let Token::DurationNs(range_ns) = *self.peek() else {
            return self.error(pos, "a duration with its unit must stand between [ and ], as in [5m]");
        };
        self.next();
        self.expect("]")?;
        if range_ns <= 0 {
            return self.error(pos, "the range must be longer than nothing");
        }
        Ok(range_ns)
    }

    fn duration(&mut self) -> Parsed<i64> {
        match *self.peek() {
            Token::DurationNs(value) => {
                self.next();
                Ok(value)
            }
            _ => Err(self.unexpected("DURATION")),
        }
    }

    fn selector(&mut self) -> Parsed<LogExpr> {
        let pos = self.pos();
        self.expect("{")?;
        let mut selector = Vec::new();
        if !self.accept("}") {
            loop {
                selector.push(self.matcher()?);
                if self.accept("}") {
                    break;
                }
                if !self.accept(",") {
                    return Err(self.unexpected("} or ,"));
                }
            }
        }
        check::selector(self.text, pos, &selector)?;
        Ok(LogExpr { pos, selector, stages: Vec::new() })
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let pos = self.pos();
        let name = self.name()?;
        let Some(op) = self.match_op() else { return Err(self.unexpected("= or != or =~ or !~")) };
        self.next();
        let value_pos = self.pos();
        let value = self.string()?;
        self.match_value(value_pos, op, &value)?;
        Ok(Matcher { pos, name, op, value })
    }

    fn match_op(&self) -> Option<MatchOp> {
        let Token::Symbol(symbol) = self.peek() else { return None };
        Some(match *symbol {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            _ => return None,
        })
    }

    fn stages(&mut self, stages: &mut Vec<Stage>) -> Parsed<()> {
        loop {
            let pos = self.pos();
            let Token::Symbol(symbol) = *self.peek() else { return Ok(()) };
            let line_op = match symbol {
                "|=" => LineOp::Contains,
                "!=" => LineOp::NotContains,
                "|~" => LineOp::Regex,
                "!~" => LineOp::NotRegex,
                "|>" => LineOp::Pattern,
                "!>" => LineOp::NotPattern,
                "|" => {
                    self.operator()?;
                    self.next();
                    let kind = self.stage()?;
                    check::stage_order(self.text, pos, stages, &kind)?;
                    stages.push(Stage { pos, kind });
                    continue;
                }
                _ => return Ok(()),
            };
            // `!=` may also be the comparison of a metric, as in `{...}[5m]) != 3`: a filter has a text behind it.
            if !matches!(self.peek_second(), Token::Text(_) | Token::Word(_)) && line_op == LineOp::NotContains {
                return Ok(());
            }
            self.operator()?;
            self.next();
            let kind = StageKind::Line(self.line_filter(line_op)?);
            check::stage_order(self.text, pos, stages, &kind)?;
            stages.push(Stage { pos, kind });
        }
    }

    fn line_filter(&mut self, op: LineOp) -> Parsed<LineFilter> {
        let mut terms = vec![self.line_term(op)?];
        while self.is_word("or")
            && (matches!(self.peek_second(), Token::Text(_)) || matches!(self.peek_second(), Token::Word(word) if word == "ip"))
        {
            self.next();
            terms.push(self.line_term(op)?);
        }
        Ok(LineFilter { op, terms })
    }

    fn line_term(&mut self, op: LineOp) -> Parsed<LineTerm> {
        let pos = self.pos();
        match self.peek() {
            Token::Text(_) => {
                let text = self.string()?;
                if matches!(op, LineOp::Regex | LineOp::NotRegex) {
                    self.regex(pos)?;
                }
                check::line_text(self.text, pos, op, &text)?;
                Ok(LineTerm::Text(text))
            }
            Token::Word(word) if word == "ip" => {
                let pattern = self.ip()?;
                match op {
                    LineOp::Contains | LineOp::NotContains => Ok(LineTerm::Ip(pattern)),
                    _ => self.error(pos, "ip: invalid operation: only |= and != take ip()"),
                }
            }
            _ => Err(self.unexpected("STRING or ip")),
        }
    }

    /// `ip("...")`
    fn ip(&mut self) -> Parsed<String> {
        self.next();
        self.expect("(")?;
        let pos = self.pos();
        let pattern = self.string()?;
        self.expect(")")?;
        match IpPattern::parse(&pattern) {
            Some(_) => Ok(pattern),
            None => self.error(pos, format!("ip: invalid pattern: {pattern:?} is no address, range or CIDR block")),
        }
    }

    fn stage(&mut self) -> Parsed<StageKind> {
        let pos = self.pos();
        let second_is_operator = matches!(self.peek_second(), Token::Symbol("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<="));
        let word = match self.peek() {
            // `| json = "x"` filters by a label of that name.
            Token::Word(word) if !second_is_operator => word.clone(),
            _ => return Ok(StageKind::Label(self.label_filter()?)),
        };
        Ok(match word.as_str() {
            "json" => {
                self.next();
                StageKind::Json(self.extractions(true)?)
            }
            "logfmt" => self.logfmt()?,
            "pattern" => {
                self.next();
                let pos = self.pos();
                let text = self.string()?;
                if let Err(why) = super::Pattern::parse_extracting(&text) {
                    return self.error(pos, why);
                }
                StageKind::Pattern(text)
            }
            "regexp" => {
                self.next();
                let pos = self.pos();
                let text = self.string()?;
                self.regex(pos)?;
                check::regexp_parser(self.text, pos, &text)?;
                StageKind::Regexp(text)
            }
            "unpack" => {
                self.next();
                StageKind::Unpack
            }
            "decolorize" => {
                self.next();
                StageKind::Decolorize
            }
            "line_format" => {
                self.next();
                StageKind::LineFormat(self.string()?)
            }
            "label_format" => {
                self.next();
                StageKind::LabelFormat(self.list(Self::label_format)?)
            }
            "keep" => {
                self.next();
                StageKind::Keep(self.list(Self::name_filter)?)
            }
            "drop" => {
                self.next();
                StageKind::Drop(self.list(Self::name_filter)?)
            }
            "unwrap" => self.unwrap_stage()?,
            _ if matches!(self.peek_second(), Token::Symbol("(")) => return Err(self.unexpected("")),
            _ => {
                self.next();
                return self.error(pos, format!("syntax error: unexpected IDENTIFIER: {word:?} is no stage, and no comparison follows"));
            }
        })
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn logfmt(&mut self) -> Parsed<StageKind> {
        self.next();
        let (mut strict, mut keep_empty) = (false, false);
        while let Token::Flag(flag) = self.peek() {
            match flag.as_str() {
                "strict" => strict = true,
                "keep-empty" => keep_empty = true,
                _ => return Err(self.unexpected("--strict or --keep-empty")),
            }
            self.next();
        }
        Ok(StageKind::Logfmt { strict, keep_empty, extractions: self.extractions(false)? })
    }

    fn extractions(&mut self, json: bool) -> Parsed<Vec<Extraction>> {
        if !matches!(self.peek(), Token::Word(_)) || self.is_word("offset") {
            return Ok(Vec::new());
        }
        self.list(|parser| {
            let pos = parser.pos();
            let label = parser.name()?;
            let path_pos = parser.pos();
            let path = if parser.accept("=") { parser.string()? } else { label.clone() };
            let why = match json {
                true => super::parse_path(&path).err(),
                false => {
                    (path.is_empty() || path.contains([' ', '=', '"'])).then(|| format!("cannot parse expression [{path}]: no logfmt key"))
                }
            };
            match why {
                Some(why) => parser.error(path_pos, why),
                None => Ok(Extraction { pos, label, path }),
            }
        })
    }

    fn label_format(&mut self) -> Parsed<LabelFormat> {
        let pos = self.pos();
        let label = self.name()?;
        self.expect("=")?;
        let source = match self.peek() {
            Token::Text(_) => LabelSource::Template(self.string()?),
            Token::Word(_) => LabelSource::Label(self.name()?),
            _ => return Err(self.unexpected("STRING or IDENTIFIER")),
        };
        Ok(LabelFormat { pos, label, source })
    }

    fn name_filter(&mut self) -> Parsed<NameFilter> {
        let pos = self.pos();
        let name = self.name()?;
        let Some(op) = self.match_op() else { return Ok(NameFilter { pos, name, matcher: None }) };
        self.next();
        let value_pos = self.pos();
        let value = self.string()?;
        self.match_value(value_pos, op, &value)?;
        Ok(NameFilter { pos, name, matcher: Some((op, value)) })
    }

    fn unwrap_stage(&mut self) -> Parsed<StageKind> {
        self.next();
        let conversion = match (self.peek(), self.peek_second()) {
            (Token::Word(word), Token::Symbol("(")) => Some(match word.as_str() {
                "bytes" => Conversion::Bytes,
                "duration" => Conversion::Duration,
                "duration_seconds" => Conversion::DurationSeconds,
                _ => return Err(self.unexpected("bytes or duration or duration_seconds")),
            }),
            _ => None,
        };
        if conversion.is_none() {
            return Ok(StageKind::Unwrap { label: self.name()?, conversion });
        }
        self.next();
        self.expect("(")?;
        let label = self.name()?;
        self.expect(")")?;
        Ok(StageKind::Unwrap { label, conversion })
    }

    /// `or` binds looser than `and`, which may also be a comma or nothing at all.
    fn label_filter(&mut self) -> Parsed<LabelFilter> {
        let pos = self.pos();
        let mut left = self.label_filter_and()?;
        while self.accept_word("or") {
            self.operator()?;
            let right = self.label_filter_and()?;
            left = LabelFilter { pos, kind: LabelFilterKind::Or(Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn label_filter_and(&mut self) -> Parsed<LabelFilter> {
        let pos = self.pos();
        let mut left = self.label_filter_term()?;
        loop {
            let joined = self.accept_word("and") || self.accept(",");
            let follows = self.is("(") || matches!(self.peek(), Token::Word(word) if !matches!(word.as_str(), "or" | "offset"));
            if !joined && !follows {
                return Ok(left);
            }
            self.operator()?;
            let right = self.label_filter_term()?;
            left = LabelFilter { pos, kind: LabelFilterKind::And(Box::new(left), Box::new(right)) };
        }
    }

    fn label_filter_term(&mut self) -> Parsed<LabelFilter> {
        let pos = self.pos();
        if self.accept("(") {
            let inner = self.nested(Self::label_filter)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        let Token::Symbol(symbol) = *self.peek() else { return Err(self.unexpected("a comparison")) };
        self.next();
        let value_pos = self.pos();
        let kind = match (self.peek().clone(), symbol) {
            (Token::Text(value), "=" | "!=" | "=~" | "!~") => {
                self.next();
                let op = match symbol {
                    "=" => MatchOp::Equal,
                    "!=" => MatchOp::NotEqual,
                    "=~" => MatchOp::Regex,
                    _ => MatchOp::NotRegex,
                };
                self.match_value(value_pos, op, &value)?;
                LabelFilterKind::Text { name, op, value }
            }
            (Token::Word(word), "=" | "!=") if word == "ip" => LabelFilterKind::Ip { name, equal: symbol == "=", pattern: self.ip()? },
            (value, _) => {
                let op = compare_op(symbol).ok_or_else(|| self.unexpected(""))?;
                self.compared(name, op, &value)?
            }
        };
        Ok(LabelFilter { pos, kind })
    }

    fn compared(&mut self, name: String, op: CompareOp, value: &Token) -> Result<LabelFilterKind, ParseError> {
        let negative = self.accept("-");
        if !negative {
            self.accept("+");
        }
        let value = if negative || matches!(value, Token::Symbol("+")) { self.peek().clone() } else { value.clone() };
        let kind = match value {
            Token::Number(value) => LabelFilterKind::Number { name, op, value: if negative { -value } else { value } },
            Token::DurationNs(value) => LabelFilterKind::Duration { name, op, value_ns: if negative { -value } else { value } },
            Token::Bytes(value) if !negative => LabelFilterKind::Bytes { name, op, value },
            _ => return Err(self.unexpected("")),
        };
        self.next();
        Ok(kind)
    }
}

fn compare_op(symbol: &str) -> Option<CompareOp> {
    Some(match symbol {
        "=" | "==" => CompareOp::Equal,
        "!=" => CompareOp::NotEqual,
        ">" => CompareOp::Greater,
        ">=" => CompareOp::GreaterEqual,
        "<" => CompareOp::Less,
        "<=" => CompareOp::LessEqual,
        _ => return None,
    })
}
