//! The functions of a program around some of its lines, so that a long file is not parsed for one of them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::gate::Wanted;
use super::program::Language;
use super::shown::{Shown, count, first_name, is_name_byte};

/// Shorter texts are parsed as they are.
const LINES_MIN: usize = 40;

/// Which lines to keep: those of the functions around what is wanted, of what these are in, and the imports; of Go also what is
/// declared beside functions, and how the other functions are called. `None` when nothing is left to look at.
pub(super) fn around(language: Language, shown: &Shown<'_>, wanted: &Wanted) -> Option<Vec<bool>> {
    let all = vec![true; shown.texts().count()];
    if all.len() < LINES_MIN {
        return Some(all);
    }
    match language {
        Language::Python => Some(python(shown, &wanted.near).unwrap_or(all)),
        Language::Go => match Functions::of(shown) {
            Some(functions) => functions.around(shown, wanted),
            None => Some(all),
        },
    }
}

/// A function of a Python program, or what is between two of them.
struct Region {
    start: usize,
    /// Blanks before its first line.
    indent: usize,
    kept: bool,
}

fn python(shown: &Shown<'_>, wanted: &BTreeSet<usize>) -> Option<Vec<bool>> {
    let count = shown.texts().count();
    let mut regions = regions(shown)?;
    let mut ends: Vec<_> = regions.iter().skip(1).map(|region| region.start).collect();
    ends.push(count);
    for (region, end) in regions.iter_mut().zip(&ends) {
        region.kept |= wanted.range(region.start..*end).next().is_some();
    }
    // The class around a method, and what is around the class.
    let mut indent = 0;
    for region in regions.iter_mut().rev() {
        region.kept |= region.indent < indent;
        if region.kept {
            indent = region.indent;
        }
    }
    let mut keeps = vec![false; count];
    for (region, end) in regions.iter().zip(ends).filter(|(region, _)| region.kept) {
        keeps[region.start..end].fill(true);
    }
    Some(keeps)
}

/// The regions of a text from the top down; `None` when a text of several lines may be cut by them.
fn regions(shown: &Shown<'_>) -> Option<Vec<Region>> {
    const QUOTES: [&str; 2] = ["\"\"\"", "'''"];
    let mut open = [false; 2];
    let mut regions = vec![Region { start: 0, indent: 0, kept: false }];
    let mut decorated = false;
    for (number, line) in shown.texts().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let begins = ["def ", "async def ", "class ", "@"].iter().any(|begin| text.starts_with(begin));
        if begins && open != [false; 2] {
            return None;
        }
        if begins && !decorated {
            regions.push(Region { start: number, indent, kept: false });
        }
        decorated = text.starts_with('@') || decorated && !begins;
        if text.contains("import") {
            regions.last_mut()?.kept = true;
        }
        for (open, quote) in open.iter_mut().zip(QUOTES) {
            *open ^= count(line, quote) % 2 == 1;
        }
    }
    Some(regions)
}

/// A function or method of a Go program.
struct Function<'a> {
    name: &'a str,
    lines: Range<usize>,
    /// Its lines up to the one that ends with the brace of its body; all of them when that is not plain.
    head: usize,
}

/// The functions of a Go program that is laid out as gofmt does it.
struct Functions<'a> {
    all: Vec<Function<'a>>,
    /// The function that each line is in.
    of_line: Vec<Option<usize>>,
}

impl<'a> Functions<'a> {
    /// `None` when it is not plain where they end.
    fn of(shown: &Shown<'a>) -> Option<Self> {
        const BESIDE: [&str; 8] = ["func ", "type ", "var ", "const ", "import ", "//", "/*", "package "];
        let lines: Vec<&str> = shown.texts().collect();
        let mut all: Vec<Function<'a>> = Vec::new();
        let (mut raw, mut inside, mut ended) = (false, false, false);
        for (number, &line) in lines.iter().enumerate() {
            let was_raw = raw;
            raw ^= line.contains('`') && count(line, "`") % 2 == 1;
            if was_raw {
                // A text of several lines may look like anything.
                if line.starts_with("func ") || line.starts_with('}') {
                    return None;
                }
                continue;
            }
            if ended && !line.is_empty() {
                // Or else what ended was no function.
                BESIDE.iter().any(|begin| line.starts_with(begin)).then_some(())?;
                ended = false;
            }
            if line.starts_with("func ") {
                if inside {
                    return None;
                }
                all.push(Function { name: name(line), lines: number..lines.len(), head: 0 });
                inside = true;
            }
            let whole = line.starts_with("func ") && line.ends_with('}');
            if inside && (line.starts_with('}') || whole) {
                let function = all.last_mut()?;
                function.lines.end = number + 1;
                function.head = head(&lines[function.lines.clone()]);
                (inside, ended) = (false, true);
            }
        }
        if inside {
            let function = all.last_mut()?;
            function.head = function.lines.len();
        }
        let mut of_line = vec![None; lines.len()];
        for (number, function) in all.iter().enumerate() {
            of_line[function.lines.clone()].fill(Some(number));
        }
        Some(Self { all, of_line })
    }

    fn around(&self, shown: &Shown<'a>, wanted: &Wanted) -> Option<Vec<bool>> {
        let mut kept = vec![false; self.all.len()];
        let mut any = false;
        for &line in &wanted.near {
            any = true;
            if let Some(function) = self.of_line[line] {
                kept[function] = true;
            }
        }
        let groups = if wanted.linked.is_empty() { Vec::new() } else { self.groups(shown) };
        for parts in &wanted.linked {
            // What is beside functions belongs to each of the groups.
            let there = |group: Option<usize>| {
                parts.iter().all(|lines| {
                    lines.iter().any(|line| self.of_line[*line].is_none_or(|at| Some(groups[at]) == group))
                })
            };
            any |= there(None);
            let met: BTreeSet<_> = groups.iter().copied().filter(|group| there(Some(*group))).collect();
            for (kept, group) in kept.iter_mut().zip(&groups) {
                *kept |= met.contains(group);
            }
        }
        (any || kept.contains(&true)).then(|| {
            let mut keeps = vec![true; self.of_line.len()];
            for (function, _) in self.all.iter().zip(kept).filter(|(_, kept)| !kept) {
                if function.head < function.lines.len() {
                    keeps[function.lines.start + function.head..function.lines.end - 1].fill(false);
                }
            }
            keeps
        })
    }

    /// The group of each function: those that name one another, or one variable of the file, whichever way.
    fn groups(&self, shown: &Shown<'a>) -> Vec<usize> {
        let mut named: HashMap<&str, usize> = HashMap::new();
        // Each function is a group of its own at first; functions of one name are one, and so is each variable of the file.
        let mut group: Vec<usize> = (0..self.all.len()).collect();
        for (number, function) in self.all.iter().enumerate() {
            let first = *named.entry(function.name).or_insert(number);
            join(&mut group, first, number);
        }
        for name in self.variables(shown) {
            named.entry(name).or_insert_with(|| {
                group.push(group.len());
                group.len() - 1
            });
        }
        named.remove("");
        for (number, function) in self.all.iter().enumerate() {
            for text in shown.texts().skip(function.lines.start).take(function.lines.len()) {
                for name in names(text) {
                    if let Some(&other) = named.get(name) {
                        join(&mut group, number, other);
                    }
                }
            }
        }
        (0..self.all.len()).map(|number| root(&mut group, number)).collect()
    }

    /// The variables that are declared beside functions.
    fn variables(&self, shown: &Shown<'a>) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut listed = false;
        for line in shown.texts().zip(&self.of_line).filter(|(_, function)| function.is_none()).map(|(line, _)| line) {
            listed = line.starts_with("var (") || listed && !line.starts_with(')');
            let declaration = line.strip_prefix("var ").or_else(|| line.strip_prefix('\t').filter(|_| listed));
            let declaration = declaration.unwrap_or("");
            // Of a declaration without a value the type is among the names, which does no harm.
            found.extend(names(declaration.split_once(" = ").map_or(declaration, |(left, _)| left)));
        }
        found
    }
}

/// The name of a function or method, by the line that begins it.
fn name(line: &str) -> &str {
    let rest = line.strip_prefix("func ").unwrap_or(line);
    let rest = if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, rest)| rest) } else { rest };
    first_name(rest.trim_start())
}

/// How many lines there are up to the one that opens the body.
fn head(lines: &[&str]) -> usize {
    let mut depth = 0_i64;
    for (number, line) in lines.iter().enumerate() {
        depth += line.matches('(').count() as i64 - line.matches(')').count() as i64;
        if line.ends_with('{') && depth == 0 {
            return number + 1;
        }
    }
    lines.len()
}

/// The names in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.as_bytes().chunk_by(|a, b| is_name_byte(*a) && is_name_byte(*b)).scan(0, move |at, chunk| {
        let start = *at;
        *at += chunk.len();
        Some(text.get(start..*at).filter(|_| is_name_byte(chunk[0])).unwrap_or(""))
    })
}

/// The group that a function is in, as far as that is known.
fn root(group: &mut [usize], mut of: usize) -> usize {
    while group[of] != of {
        group[of] = group[group[of]];
        of = group[of];
    }
    of
}

fn join(group: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(group, one), root(group, other));
    group[other.max(one)] = one.min(other);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// The names of the functions of a long program that are kept whole for these lines.
    #[track_caller]
    fn check(wanted: &Wanted, expected: Option<&[&str]>) {
        let body = "\tuse()\n".repeat(12);
        let mut text = "package a\n\nvar shared = 1\n\n".to_owned();
        for (signature, first) in [
            ("one()", "two(1)"),
            ("two(n int) error", "log(n)"),
            ("(s *Server) three()", "shared++"),
            ("four()", "print(shared)"),
            ("five()", "log(5)"),
        ] {
            text.push_str(&format!("func {signature} {{\n\t{first}\n{body}}}\n\n"));
        }
        let file = sample::added("a/b.go", &text);
        let shown = Shown::of("a/b.go", &file.hunks[0]);
        let kept = around(Language::Go, &shown, wanted).map(|keeps| {
            let functions = Functions::of(&shown).unwrap().all;
            assert!(shown.texts().zip(&keeps).all(|(line, kept)| *kept || line.starts_with('\t')));
            let whole = |function: &Function<'_>| keeps[function.lines.clone()].iter().all(|kept| *kept);
            functions.iter().filter(|function| whole(function)).map(|function| function.name.to_owned()).collect()
        });
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(kept, expected);
    }

    fn near(lines: &[usize]) -> Wanted {
        Wanted { near: lines.iter().copied().collect(), linked: Vec::new() }
    }

    fn linked(parts: &[&[usize]]) -> Wanted {
        Wanted { near: BTreeSet::new(), linked: vec![parts.iter().map(|lines| lines.to_vec()).collect()] }
    }

    #[test]
    fn of_other_functions_only_the_signature_is_kept() {
        check(&near(&[6]), Some(&["one"]));
        check(&near(&[2]), Some(&[]));
        check(&near(&[6, 70]), Some(&["one", "five"]));
    }

    #[test]
    fn functions_that_call_one_another_or_share_a_variable_stay_together() {
        check(&linked(&[&[6]]), Some(&["one", "two"]));
        check(&linked(&[&[6], &[22]]), Some(&["one", "two"]));
        check(&linked(&[&[38]]), Some(&["three", "four"]));
        check(&linked(&[&[70], &[2]]), Some(&["five"]));
        check(&linked(&[&[6], &[70]]), None);
    }

    #[test]
    fn what_is_not_laid_out_as_usual_is_kept_whole() {
        let body = "\tuse()\n".repeat(50);
        for program in
            ["func a() {\nif b {\n}\nc()\n", "func a() {\n\tb := `\nfunc c() {\n`\n", "func a() int\nfunc b() {\n"]
        {
            let text = format!("{program}{body}}}\n");
            let file = sample::added("a/b.go", &text);
            let shown = Shown::of("a/b.go", &file.hunks[0]);
            assert!(Functions::of(&shown).is_none(), "{program}");
        }
    }
}
