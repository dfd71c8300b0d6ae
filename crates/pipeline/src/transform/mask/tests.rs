use arrow::array::{Array, RecordBatch};
use catalog::Places;

use super::*;
use crate::owners::Owners;
use crate::transform::record::Columns;

fn masker(kinds: &[MaskKind], fields: &[&str], hidden: Hidden) -> Masker {
    let fields = fields.iter().map(|name| (*name).to_owned()).collect();
    Masker::new(&Mask { kinds: kinds.to_vec(), fields, patterns: Vec::new(), hidden, places: Places::default() })
}

fn all() -> Masker {
    masker(&MaskKind::ALL.map(|(_, kind)| kind), &["patient.name", "diagnosis", "diagnosis.code"], Hidden::Redact)
}

#[track_caller]
fn check(masker: &Masker, text: &str, expected: &str) {
    let hidden = masker.hide(text, None).map_or_else(|| text.to_owned(), |(text, _)| text);
    assert_eq!(hidden, expected, "{text}");
    assert_eq!(masker.hide(&hidden, None), None, "what is hidden stays as it is");
}

#[test]
fn what_is_hidden_and_what_takes_its_place() {
    let all = all();
    for (text, expected) in [
        ("card 4111111111111111 taken", "card [masked:card] taken"),
        ("card 4111-1111-1111-1111, 4111 1111 1111 1111", "card [masked:card], [masked:card]"),
        ("amex 3782 822463 10005.", "amex [masked:card]."),
        (r#"{"card":4111111111111111,"n":1}"#, r#"{"card":"[masked:card]","n":1}"#),
        (r#"{"cards":["4111111111111111"]}"#, r#"{"cards":["[masked:card]"]}"#),
        ("to ann.lee+x@example.co.uk, from <bo@example.org>", "to [masked:email], from <[masked:email]>"),
        ("user=ann@example.com ok", "user=[masked:email] ok"),
        (
            "bo@example.org+49301234567+49301234568 of bo@example.org(555) 123-4567",
            "[masked:email][masked:phone][masked:phone] of [masked:email][masked:phone]",
        ),
        ("call +49 30 901820 or (555) 123-4567", "call [masked:phone] or [masked:phone]"),
        ("to DE89 3704 0044 0532 0130 00 NOW", "to [masked:iban] NOW"),
        ("GB82WEST12345698765432", "[masked:iban]"),
        ("login password=hunter2 ok", "login password=[masked:secret] ok"),
        (r#"{"password": "a \" b", "x": 1}"#, r#"{"password": "[masked:secret]", "x": 1}"#),
        ("DB_PASSWORD='x y' api-key: abc123", "DB_PASSWORD='[masked:secret]' api-key: [masked:secret]"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer [masked:secret]"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic [masked:secret]"),
        ("key AKIAIOSFODNN7EXAMPLE", "key [masked:secret]"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_123 end", "jwt [masked:secret] end"),
        ("postgres://app:s3cret@db:5432/x", "postgres://app:[masked:secret]@db:5432/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- ok", "[masked:secret] ok"),
        (r#"{"patient.name":"Ann Lee","age":7}"#, r#"{"patient.name":"[masked:field]","age":7}"#),
        ("diagnosis=flu ward=3", "diagnosis=[masked:field] ward=3"),
        (r#"{"diagnosis":{"code":"J11","of":["flu]","x"]},"n":1}"#, r#"{"diagnosis":"[masked:field]","n":1}"#),
        (r#"{"said":"{\"password\":\"x y\",\"a\":1}"}"#, r#"{"said":"{\"password\":\"[masked:secret]\",\"a\":1}"}"#),
        (r"password=a\b\c end", "password=[masked:secret] end"),
        ("accessKey: abc, PRIVATE-KEY=def", "accessKey: [masked:secret], PRIVATE-KEY=[masked:secret]"),
        (r#"{"diagnosis":17}"#, r#"{"diagnosis":"[masked:field]"}"#),
        ("a line that says [masked: and goes on 4111111111111111", "a line that says [masked: and goes on [masked:card]"),
    ] {
        check(&all, text, expected);
    }
}

#[test]
fn what_only_looks_like_it_stays() {
    let all = all();
    for text in [
        "",
        "GET /orders/12345 200 in 13ms",
        "4111111111111112 fails Luhn's check",
        "order 1700000000000000000 at 1700000000000",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
        "x4111111111111111 is a word",
        "0.4111111111111111 is a fraction, and so is 4111111111111111.5",
        r#"{"balance":-4111111111111111}"#,
        "4444444444444444 is one digit",
        "npm install react@18.2.0 @types/node user@host",
        "2024-01-31 12:00:00 192.168.100.200:8080 10-20-2024",
        "max_tokens=512 token_count: 17 password_reset=true tokens used: 3",
        "secret: null, password=\"\"",
        "basic authentication failed, bearer of news",
        "prediagnosis=3 of the misdiagnosis",
        "é@ü äöü",
    ] {
        check(&all, text, text);
    }
}

#[test]
fn partial_and_pseudonyms() {
    let kinds = MaskKind::ALL.map(|(_, kind)| kind);
    let part = masker(&kinds, &[], Hidden::Partial);
    check(
        &part,
        "4111 1111 1111 1111 ann@x.org password=hunter2",
        "[masked:card:****1111] [masked:email:a*** at x.org] password=[masked:secret]",
    );
    let pseudonym = masker(&kinds, &[], Hidden::Pseudonym);
    check(&pseudonym, "4111111111111111", "[masked:card]");
    let key = PseudonymKey::new(b"0123456789abcdef\n").unwrap();
    let of = |text: &str| pseudonym.hide(text, Some(&key)).unwrap().0;
    assert_eq!(of("4111 1111 1111 1111"), of("4111111111111111"), "one card, however it is written");
    assert_ne!(of("4111111111111111"), of("5555555555554444"));
    assert_ne!(
        of("4111111111111111"),
        pseudonym.hide("4111111111111111", Some(&PseudonymKey::new(b"another key of 16").unwrap())).unwrap().0
    );
    assert_eq!(of("4111111111111111").len(), "[masked:card:0123456789abcdef]".len());
    assert!(PseudonymKey::new(b"short \n\n\n\n\n\n\n\n\n\n\n\n\n").unwrap_err().what.contains("5 bytes"));
}

/// Rows that no look through whole columns marks are rows in which nothing is hidden, and hardly any other row is marked.
#[test]
fn rows_that_are_no_suspects_hold_nothing_to_hide() {
    const PARTS: [&str; 28] = [
        "token: x",
        "secretoken=1",
        "api key = z",
        "diagnosis.code=J11",
        "\\\"credentials\\\": \\\"a",
        "my-access_key_value\t= q",
        "4111111111111111",
        "4111-1111-1111-1111",
        "3782 822463 10005",
        "ann@example.com",
        "@",
        "+49 30 901820",
        "555-123-4567",
        "DE89 3704 0044 0532 0130 00",
        "password=hunter2",
        "token",
        "passw",
        "ord",
        "AKIAIOSFODNN7EXAMPLE",
        "diagnosis=flu",
        "diagnosis",
        "é",
        " ",
        "17",
        "123456789",
        "",
        "request done in",
        "12.345",
    ];
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let all = all();
    let (mut marked, mut hidden) = (0, 0);
    for _ in 0..300 {
        let records: Vec<serde_json::Value> = (0..20)
            .map(|_| {
                let [body, key, value, number, named] =
                    std::array::from_fn(|_| (0..next(3)).map(|_| *PARTS.get(next(90)).unwrap_or(&"fine ")).collect::<String>());
                let name = ["diagnosis", "user.token", "gen_ai.usage.tokens", "b"][next(4)];
                serde_json::json!({"body": body, "attributes": {key: value, "n": number, name: named}})
            })
            .collect();
        let batch = batch_of(&records);
        let columns = Columns::of(&batch).unwrap();
        let owners = Owners::of(&columns.origins).unwrap();
        let suspects = suspects(&all, &columns);
        // Of a part of a batch as of the whole.
        let part = batch.slice(7, 9);
        assert_eq!(self::suspects(&all, &Columns::of(&part).unwrap()), suspects[7..16]);
        for (row, suspect) in suspects.into_iter().enumerate() {
            let parts = all.apply(&mut Record::of(&owners, &columns, row), None);
            assert!(suspect || parts == 0, "{}", records[row]);
            marked += u32::from(suspect);
            hidden += u32::from(parts > 0);
        }
    }
    assert!(hidden > 1000 && (hidden..5200).contains(&marked), "{hidden} of {marked}");
}

fn suspects(masker: &Masker, columns: &Columns<'_>) -> Vec<bool> {
    let mut rows = vec![false; columns.body.len()];
    masker.mark_suspects(columns, &mut rows);
    rows
}

fn batch_of(records: &[serde_json::Value]) -> RecordBatch {
    let batch = crate::transform::batch(records, 0).unwrap();
    let batch = model::Decoded::new(model::Table::Logs, batch, "test");
    crate::identify::identify(batch, &catalog::Catalog::default()).unwrap().0.records
}

#[test]
fn runs_of_digits_are_found_wherever_they_lie() {
    let mut random = 88_172_645_463_325_252u64;
    for length in 0..300 {
        let text: Vec<u8> = (0..length)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                if random % 8 < 6 { b'0' + (random >> 8) as u8 % 10 } else { (random >> 16) as u8 }
            })
            .collect();
        let mut runs = Vec::new();
        find::each_run(&text, |run| runs.push(run));
        let inside = |at: usize| runs.iter().any(|(start, end)| (*start..*end).contains(&at));
        assert!((0..length).all(|at| inside(at) == text[at].is_ascii_digit()), "{text:?}: {runs:?}");
        assert!(runs.windows(2).all(|two| two[0].1 < two[1].0) && runs.iter().all(|(start, end)| start < end));
    }
}
