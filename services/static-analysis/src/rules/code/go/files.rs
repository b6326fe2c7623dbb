//! Files: who may read and write them, where they lie, and who chooses their paths.

use std::cell::LazyCell;
use std::sync::LazyLock;

use domain::Severity;
use regex::Regex;
use tree_sitter::Node;

use super::gate::{calls, calls_anywhere};
use super::model::{Kind, Model};
use super::types::arguments;
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;

pub(super) static RULES: &[&Rule] =
    &[&FOLDER_MODE, &FILE_MODE, &WRITE_MODE, &TEMPORARY, &VARIABLE_PATH, &ARCHIVE_PATH, &BOMB];

static FOLDER_MODE: Rule = Rule {
    id: "code.go.folder-permissions",
    title: "Folder that everybody may read",
    severity: Severity::Info,
    cwe: 276,
    keywords: &["mkdir"],
    remediation: "Make folders with 0750 or less.",
    references: &["https://pkg.go.dev/os#Mkdir"],
    aliases: &["G301"],
    ..PROGRAM
};

static FILE_MODE: Rule = Rule {
    id: "code.go.file-permissions",
    title: "File that others may read or write",
    severity: Severity::Info,
    cwe: 276,
    keywords: &["openfile", "chmod"],
    remediation: "Open and keep files with 0600 or less.",
    references: &["https://pkg.go.dev/os#OpenFile"],
    aliases: &["G302"],
    ..PROGRAM
};

static WRITE_MODE: Rule = Rule {
    id: "code.go.write-permissions",
    title: "File is written so that others may read it",
    severity: Severity::Info,
    cwe: 276,
    keywords: &["writefile"],
    remediation: "Write files with 0600 or less.",
    references: &["https://pkg.go.dev/os#WriteFile"],
    aliases: &["G306"],
    ..PROGRAM
};

static TEMPORARY: Rule = Rule {
    id: "code.go.temporary-file",
    title: "File of a fixed name in a folder that everybody may write to",
    cwe: 377,
    keywords: &["/tmp", "tempdir"],
    remediation: "Use os.CreateTemp, which chooses a name that nobody has.",
    references: &["https://pkg.go.dev/os#CreateTemp"],
    aliases: &["G303"],
    ..PROGRAM
};

static VARIABLE_PATH: Rule = Rule {
    id: "code.go.variable-path",
    title: "File whose path is not fixed",
    severity: Severity::Info,
    cwe: 22,
    keywords: &["readfile", "os.open", "os.create", ".open("],
    remediation: "Open what is below one folder through os.OpenRoot, or clean the path and check what it begins with.",
    references: &["https://go.dev/blog/osroot"],
    aliases: &["G304"],
    ..PROGRAM
};

static ARCHIVE_PATH: Rule = Rule {
    id: "code.go.archive-path",
    title: "Archive is unpacked wherever it says",
    severity: Severity::Medium,
    cwe: 22,
    keywords: &[".join("],
    remediation: "Refuse names for which filepath.IsLocal is false, or write through os.OpenRoot.",
    references: &["https://pkg.go.dev/path/filepath#IsLocal"],
    aliases: &["G305"],
    ..PROGRAM
};

static BOMB: Rule = Rule {
    id: "code.go.decompression-bomb",
    title: "Compressed data is unpacked without a limit",
    cwe: 409,
    keywords: &["io.copy"],
    remediation: "Copy with io.CopyN or from an io.LimitReader.",
    references: &["https://pkg.go.dev/io#LimitReader"],
    aliases: &["G110"],
    ..PROGRAM
};

/// The functions that files are opened with.
const OPENED: &[&str] = &["os.ReadFile", "io/ioutil.ReadFile", "os.Open", "os.OpenFile", "os.Create"];
/// The functions that files are made with.
const MADE: &[&str] = &["os.Create", "os.WriteFile", "io/ioutil.WriteFile"];
const JOINS: &[&str] = &["path/filepath.Join", "path.Join"];
const COPIES: &[&str] = &["io.Copy", "io.CopyBuffer"];
const FOLDERS: &[&str] = &["os.Mkdir", "os.MkdirAll"];
const MODES: &[&str] = &["os.OpenFile", "os.Chmod"];
const WRITTEN: &[&str] = &["os.WriteFile", "io/ioutil.WriteFile"];

pub(super) fn triggers() -> Vec<Trigger> {
    vec![
        Trigger::of(&[&FOLDER_MODE]).part(calls(FOLDERS)).near(),
        Trigger::of(&[&FILE_MODE]).part(calls(MODES)).near(),
        Trigger::of(&[&WRITE_MODE]).part(calls(WRITTEN)).near(),
        Trigger::of(&[&TEMPORARY]).part(calls(MADE)).word(TEMPORARY.keywords).linked(),
        Trigger::of(&[&VARIABLE_PATH]).part(calls(OPENED)).linked(),
        Trigger::of(&[&ARCHIVE_PATH]).part(calls(JOINS)).word(&["zip.", "tar.", "archive/zip", "archive/tar"]).linked(),
        Trigger::of(&[&BOMB]).part(calls(COPIES)).part(calls_anywhere(UNPACKERS)).linked(),
    ]
}

pub(super) fn check<'t>(model: &Model<'_, 't>, callee: &str, call: Node<'t>, report: &mut Report<'_>) {
    let args = LazyCell::new(|| arguments(call));
    match callee {
        of if FOLDERS.contains(&of) && has_mode_beyond(model, &args, 0o750) => {
            report.at(&FOLDER_MODE, call, "everybody on this machine may look into this folder");
        }
        of if MODES.contains(&of) && has_mode_beyond(model, &args, 0o600) => {
            report.at(&FILE_MODE, call, "others on this machine may read or write this file");
        }
        of if WRITTEN.contains(&of) && has_mode_beyond(model, &args, 0o600) => {
            report.at(&WRITE_MODE, call, "others on this machine may read this file");
        }
        _ => {}
    }
    if MADE.contains(&callee) && args.first().is_some_and(|path| is_temporary(model, *path, 0)) {
        report.at(&TEMPORARY, call, "anybody on this machine can put a file or a link at this path first");
    }
    if OPENED.contains(&callee) && args.first().is_some_and(|path| is_open_path(model, *path)) {
        report.at(&VARIABLE_PATH, call, "whoever chooses this path can read or write files of the machine");
    }
    if is_join(callee) && args.iter().any(|part| is_of_archive(model, *part)) {
        report.at(&ARCHIVE_PATH, call, "an archive can hold paths such as ../../etc/cron.d/x, and they are written");
    }
    if COPIES.contains(&callee) && args.get(1).is_some_and(|from| is_unpacked(model, *from)) {
        report.at(&BOMB, call, "a small file can unpack to more than the machine has room for");
    }
}

fn has_mode_beyond<'t>(model: &Model<'_, 't>, args: &[Node<'t>], allowed: i128) -> bool {
    let Some(mode) = args.last() else { return false };
    let literal = if mode.kind() == "int_literal" { model.integer(*mode) } else { None };
    literal.is_some_and(|mode| mode | allowed != allowed) || model.source(*mode) == "os.ModePerm"
}

fn is_join(callee: &str) -> bool {
    JOINS.contains(&callee)
}

fn is_temporary<'t>(model: &Model<'_, 't>, path: Node<'t>, depth: usize) -> bool {
    static FOLDER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?:/(?:usr|var))?/tmp(?:/|$)").expect("the pattern is tested"));
    if let Some(text) = model.literal(path) {
        return FOLDER.is_match(text);
    }
    match path.kind() {
        "call_expression" => {
            let callee = model.callee(path);
            let first = arguments(path).first().copied();
            callee == "os.TempDir"
                || depth < 4 && is_join(&callee) && first.is_some_and(|first| is_temporary(model, first, depth + 1))
        }
        "binary_expression" => {
            model.operands(path).first().is_some_and(|first| depth < 4 && is_temporary(model, *first, depth + 1))
        }
        _ => false,
    }
}

fn is_clean(callee: &str) -> bool {
    matches!(callee, "path/filepath.Clean" | "path/filepath.Rel" | "path/filepath.EvalSymlinks")
}

fn is_open<'t>(model: &Model<'_, 't>, node: Node<'t>) -> bool {
    node.kind() == "identifier"
        && model.variable(node).is_some_and(|variable| variable.kind != Kind::Constant)
        && !model.is_fixed(node)
}

fn is_cleaned<'t>(model: &Model<'_, 't>, node: Node<'t>) -> bool {
    let Some(variable) = model.variable(node) else { return false };
    variable.values.iter().any(|value| value.node.kind() == "call_expression" && is_clean(&model.callee(value.node)))
}

fn is_open_path<'t>(model: &Model<'_, 't>, path: Node<'t>) -> bool {
    match path.kind() {
        "call_expression" => {
            let callee = model.callee(path);
            is_join(&callee) && !is_safe_join(model, path) && is_open_join(model, path)
        }
        "binary_expression" => model.operands(path).into_iter().any(|operand| is_open(model, operand)),
        "identifier" => {
            let Some(variable) = model.variable(path) else { return false };
            if variable.kind == Kind::Constant || is_cleaned(model, path) {
                return false;
            }
            let join = variable
                .values
                .iter()
                .find(|value| value.node.kind() == "call_expression" && is_join(&model.callee(value.node)));
            match join {
                Some(join) => !is_safe_join(model, join.node),
                None => !model.is_fixed(path),
            }
        }
        _ => false,
    }
}

fn is_open_join<'t>(model: &Model<'_, 't>, join: Node<'t>) -> bool {
    arguments(join).into_iter().any(|part| {
        let sum = part.kind() == "binary_expression"
            && model.operands(part).into_iter().any(|operand| is_open(model, operand));
        sum || is_open(model, part)
    })
}

/// A fixed folder, and below it what was cleaned.
fn is_safe_join<'t>(model: &Model<'_, 't>, join: Node<'t>) -> bool {
    let mut base = false;
    let mut clean = false;
    for part in arguments(join) {
        match part.kind() {
            "interpreted_string_literal" | "raw_string_literal" => base = true,
            "identifier" if model.is_fixed(part) => base = true,
            "identifier" => clean |= is_cleaned(model, part),
            "call_expression" => clean |= is_clean(&model.callee(part)),
            _ => {}
        }
    }
    base && clean
}

fn is_of_archive<'t>(model: &Model<'_, 't>, part: Node<'t>) -> bool {
    let selector = match part.kind() {
        "selector_expression" => Some(part),
        "identifier" => {
            let value = model.variable(part).and_then(|variable| variable.values.first());
            value.map(|value| value.node).filter(|node| node.kind() == "selector_expression")
        }
        _ => None,
    };
    let operand = selector.and_then(|selector| selector.child_by_field_name("operand"));
    operand
        .is_some_and(|operand| matches!(model.type_of(operand).as_str(), "*archive/zip.File" | "*archive/tar.Header"))
}

const UNPACKERS: &[&str] = &[
    "compress/gzip.NewReader",
    "compress/zlib.NewReader",
    "compress/zlib.NewReaderDict",
    "compress/bzip2.NewReader",
    "compress/flate.NewReader",
    "compress/flate.NewReaderDict",
    "compress/lzw.NewReader",
    "archive/tar.NewReader",
    "archive/zip.NewReader",
    "(*archive/zip.File).Open",
];

fn is_unpacked<'t>(model: &Model<'_, 't>, from: Node<'t>) -> bool {
    let Some(variable) = model.variable(from) else { return false };
    let of_reader =
        |node: Node<'t>| node.kind() == "call_expression" && UNPACKERS.contains(&model.callee(node).as_str());
    variable.values.iter().any(|value| value.index == 0 && of_reader(value.node))
}
