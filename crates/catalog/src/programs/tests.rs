use super::*;

#[track_caller]
fn refused(source: &str, purpose: Purpose, expected: &str) {
    let faults = Program::compile(source, purpose).err().unwrap_or_else(|| panic!("{source} compiles"));
    let said: Vec<_> = faults.iter().map(|(at, what)| format!("{at}: {what}")).collect();
    assert!(said.iter().any(|text| text.contains(expected)), "{source}: {said:?}");
}

#[test]
fn programs_say_what_they_look_at() {
    let program = Program::compile(r#".attributes.a = upcase(.body); del(.attributes.b)"#, Purpose::Change).unwrap();
    assert!(program.fields.has(RecordField::Attributes) && program.fields.has(RecordField::Body));
    assert!(!program.fields.has(RecordField::Resource) && program.changes);
    let deletes = Program::compile("del(.attributes.b)", Purpose::Change).unwrap();
    assert!(deletes.fields.has(RecordField::Attributes));
    let condition =
        Program::compile(r#"contains(.body, "x") && .severity_number < 9 && .identity.team == "pay""#, Purpose::Condition).unwrap();
    assert!(condition.fields.has(RecordField::SeverityNumber) && !condition.changes);
    Program::compile(r#"exists(.attributes."http.route") && match(.body, r'^GET')"#, Purpose::Condition).unwrap();
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    refused(".atributes.x = 1", Purpose::Change, "0: a record has no field .atributes: did you mean .attributes?");
    refused("\n.user = 1", Purpose::Change, "1: a record has no field .user: what a sender says of its own is .attributes.user");
    refused(". = {}", Purpose::Change, "0: mutation of read-only value");
    refused(".attributes.all = .", Purpose::Change, "18: a program uses fields, not the record as a whole");
    refused(".resource.x = 1", Purpose::Change, "read-only");
    refused("del(.identity.team)", Purpose::Change, "read-only");
    refused(".body = \"x\"\ntrue", Purpose::Condition, "read-only");
    refused(".body", Purpose::Condition, "0: a condition is true or false; this is string");
    refused("parse_json(.body).a == 1", Purpose::Condition, "unhandled error");
    refused("upcas(.body)", Purpose::Change, "did you mean \"upcase\"?");
    refused(".body = get_env_var!(\"HOME\")", Purpose::Change, "call to undefined function");
    refused(".attributes.x = (", Purpose::Change, "");
    refused("%x = 1", Purpose::Change, "0: a record has no metadata");
}

#[test]
fn what_could_take_more_than_its_share_is_refused_unread() {
    refused(&" ".repeat(PROGRAM_BYTES_MAX + 1), Purpose::Change, "over program_bytes_max, 16384");
    refused(&format!("x = {}1{}", "(".repeat(5000), ")".repeat(5000)), Purpose::Change, "operators_max, 512");
    refused(&format!("x = {}true", "!".repeat(5000)), Purpose::Change, "operators_max");
    refused(&format!("x = 1{}", " + 1".repeat(3000)), Purpose::Change, "operators_max");
    refused(r#".body = "a" * 1000000000"#, Purpose::Change, "12: one side of * is a number with a decimal point");
    Program::compile("# 2 * 3\n.attributes.ms = 2.0 * 1000; .attributes.star = \"2 * 3\"", Purpose::Change).unwrap();
    let deep = format!(".attributes.x = {}1{}", "(".repeat(250), ")".repeat(250));
    Program::compile(&deep, Purpose::Change).unwrap();
    let long = format!(".attributes.x = 1{}", " + 1".repeat(500));
    Program::compile(&long, Purpose::Change).unwrap();
}
