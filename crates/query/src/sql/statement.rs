//! What may be asked in SQL: one statement that only reads, of a size that planning it can bear.

use std::collections::VecDeque;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as Ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use model::{Code, Error, Result};

use super::errors::parsing;

/// Of the statement's text.
const SQL_BYTES_MAX: usize = 256 << 10;
/// Operators that nest: a chain of so many is a tree so deep, and planning walks it by recursion on a thread's stack.
const SQL_OPERATORS_MAX: usize = 500;
const SQL_NESTING_MAX: usize = 50;

pub(super) fn read(sql: &str) -> Result<Statement> {
    check_size(sql)?;
    let mut statements: VecDeque<Statement> = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(SQL_NESTING_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(parsing)?;
    let statement = statements.pop_front().ok_or_else(|| Error::invalid("cannot run SQL: the query is empty"))?;
    if !statements.is_empty() {
        return Err(Error::invalid("cannot run several SQL statements at once: send them one by one"));
    }
    match reads(&statement) {
        true => Ok(statement),
        false => {
            let prefixes = ["EXPLAIN", "ANALYZE", "VERBOSE"];
            let mut words = sql.split_whitespace().map(str::to_ascii_uppercase);
            let word = words.find(|word| !prefixes.contains(&word.as_str())).unwrap_or_default();
            Err(Error::invalid(format!("cannot run {word}: SQL here only reads, with SELECT, EXPLAIN, SHOW and DESCRIBE")))
        }
    }
}

fn reads(statement: &Statement) -> bool {
    match statement {
        Statement::Explain(explain) => reads(&explain.statement),
        Statement::Statement(ast) => matches!(
            **ast,
            Ast::Query(_)
                | Ast::ExplainTable { .. }
                | Ast::ShowTables { .. }
                | Ast::ShowColumns { .. }
                | Ast::ShowFunctions { .. }
                | Ast::ShowVariable { .. }
        ),
        _ => false,
    }
}

fn check_size(sql: &str) -> Result<()> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(Error::new(Code::TooLarge, format!("cannot run an SQL query of more than {SQL_BYTES_MAX} bytes")));
    }
    // A text that is no sequence of tokens is left to the parser, which says where.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let operators = tokens.iter().filter(|token| nests(token)).count();
    match operators > SQL_OPERATORS_MAX {
        true => Err(Error::new(
            Code::TooLarge,
            format!(
                "cannot run an SQL query with more than {SQL_OPERATORS_MAX} operators: use IN (...) or a regular expression for long lists"
            ),
        )),
        false => Ok(()),
    }
}

fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::CASE
        ),
        Token::Comma
        | Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon
        | Token::EOF => false,
        token => is_operator(token),
    }
}

fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Pipe
            | Token::Ampersand
            | Token::Caret
            | Token::LBracket
            | Token::DoubleColon
            | Token::Tilde
            | Token::ShiftLeft
            | Token::ShiftRight
    )
}
