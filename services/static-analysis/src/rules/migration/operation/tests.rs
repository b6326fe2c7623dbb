use super::*;

#[test]
fn a_type_has_one_name() {
    let check = |text: &str, name: &str, arguments: &[u32]| {
        let ty = Type::of(text);
        assert_eq!((ty.name.as_str(), ty.arguments.as_slice()), (name, arguments), "{text}");
    };
    check("character  varying (20)", "varchar", &[20]);
    check("NUMERIC(10, 2)", "numeric", &[10, 2]);
    check("timestamp(3) with time zone", "timestamptz", &[3]);
    check("pg_catalog.int4", "integer", &[]);
    check("text[]", "text", &[]);
    assert!(Type::of("text[]").array && Type::of("serial").is_serial());
}

#[test]
fn a_script_knows_what_is_new() {
    let mut script = Script::default();
    script.push(Operation::DropTable { table: "a".into() }, 0..1, 0..1);
    script.push(
        Operation::CreateTable { table: "a".into(), columns: vec![], references: vec![], replaces: false },
        1..2,
        1..2,
    );
    script.push(Operation::DropTable { table: "a".into() }, 2..3, 2..3);
    assert_eq!(script.each_on_old_table(|step, _| Some(Note::new(step, ""))).len(), 2);
    assert!(!script.is_new("a", 0) && script.is_new("a", 2));
}
