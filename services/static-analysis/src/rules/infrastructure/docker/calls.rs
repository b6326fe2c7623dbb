//! What a call of a program does, as far as its arguments say: for the rows that names and options alone cannot tell.

use super::shell::Command;

/// The packages that an installation names: no options, no values of options, no files, no variables.
pub(super) fn packages(command: &Command) -> impl Iterator<Item = &str> {
    const WITH_VALUE: &[&str] = &[
        "-t",
        "-r",
        "--requirement",
        "-c",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "-e",
        "--editable",
        "-X",
        "--repository",
        "--virtual",
        "-o",
        "--target-release",
        "--target",
        "--prefix",
        "--root",
        "-p",
        "--trusted-host",
    ];
    let mut operation = false;
    let mut skip = false;
    command.words.iter().skip(1).map(String::as_str).filter(move |word| {
        if std::mem::take(&mut skip) {
            return false;
        }
        if word.starts_with('-') {
            skip = WITH_VALUE.contains(word);
            return false;
        }
        let name = std::mem::replace(&mut operation, true);
        let file = word.starts_with(['.', '/'])
            || word.contains("://")
            || [".deb", ".whl", ".rpm", ".tar.gz", ".apk"].iter().any(|end| word.ends_with(end));
        name && !file
            && !word.contains('$')
            && !word.starts_with(['>', '<'])
            && !word.ends_with("txt")
            && !word.contains(">&")
    })
}

pub(super) fn strict_ssl_off(command: &Command) -> bool {
    let words: Vec<_> = command.operands().collect();
    let set = words.iter().position(|word| *word == "set");
    set.is_some_and(|at| match words.get(at + 1..) {
        Some(["strict-ssl", "false", ..]) => true,
        Some([first, ..]) => *first == "strict-ssl=false",
        _ => false,
    })
}

pub(super) fn ssl_verify_off(command: &Command) -> bool {
    let options = command.words.iter().map(|word| word.to_ascii_lowercase());
    options.into_iter().any(|word| {
        let value = word.split_once("sslverify=").map(|(_, value)| value.trim_matches(['"', '\'']).to_owned());
        value.is_some_and(|value| matches!(value.as_str(), "0" | "false" | "no"))
    })
}

pub(super) fn git_verify_off(command: &Command) -> bool {
    let words: Vec<_> = command.words.iter().map(|word| word.to_ascii_lowercase()).collect();
    words.windows(2).any(|pair| pair[0] == "http.sslverify" && pair[1] == "false")
        || words.iter().any(|word| word == "http.sslverify=false")
}

pub(super) fn unpinned_npm(command: &Command) -> bool {
    packages(command).any(|package| !package.trim_start_matches('@').contains('@') && !package.contains(['#', ':']))
}

pub(super) fn unpinned_gem(command: &Command) -> bool {
    !command.has_option(&["-v", "--version"]) && packages(command).any(|package| !package.contains(':'))
}

pub(super) fn unpinned_go(command: &Command) -> bool {
    packages(command).any(|package| package.contains('/') && (!package.contains('@') || package.ends_with("@latest")))
}

pub(super) fn high_user(command: &Command) -> bool {
    let number =
        command.words.windows(2).find(|pair| matches!(pair[0].as_str(), "-u" | "--uid")).map(|pair| pair[1].len());
    number.is_some_and(|digits| digits > 5) && !command.has_option(&["-l", "--no-log-init"])
}

pub(super) fn replaces_shell(command: &Command) -> bool {
    command.operands().last().is_some_and(|target| target == "/bin/sh")
}
