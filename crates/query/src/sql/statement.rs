//! What may be asked in SQL: one statement that only reads, of a size that planning it can bear.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Statement as Ast, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use model::{Code, Error, Result};

use super::errors::parsing;

/// Of the statement's text.
const SQL_BYTES_MAX: usize = 256 << 10;
/// Operators that nest: a chain of so many is a tree so deep, and planning walks it by recursion on the stack of
/// [`crate::guard::deep`], some ten KiB a level.
const SQL_OPERATORS_MAX: usize = 500;
const SQL_NESTING_MAX: usize = 50;
/// Tables that a statement names: `FROM a, b, c` nests without an operator.
const SQL_TABLES_MAX: usize = 100;

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
        true => check_tables(&statement).map(|()| statement),
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

fn check_tables(statement: &Statement) -> Result<()> {
    let ast = match statement {
        Statement::Explain(explain) => return check_tables(&explain.statement),
        Statement::Statement(ast) => ast,
        _ => return Ok(()),
    };
    let mut tables = 0;
    let over = visit_relations(&**ast, |_| {
        tables += 1;
        if tables > SQL_TABLES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match over {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            Err(Error::new(Code::TooLarge, format!("cannot run an SQL query that names more than {SQL_TABLES_MAX} tables")))
        }
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

/// Whether the token may put one node around another. What cannot is listed, so that an operator nobody thought of counts.
fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::XOR
                | Keyword::DIV
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::CASE
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        // The bracket that opens has counted.
        | Token::RBracket
        | Token::SemiColon
        | Token::Whitespace(_)
        | Token::EOF => false,
        _ => true,
    }
}
