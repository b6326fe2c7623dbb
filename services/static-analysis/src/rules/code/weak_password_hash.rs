//! A password behind a hash that is made to be fast. Python and Go have their own, which know the syntax.

use std::sync::LazyLock;

use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::{code_of, program};
use crate::rules::{AddedLine, Check, Hit, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    id: "code.crypto.weak-password-hash",
    title: "Password behind a fast hash",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    category: Category::Code,
    cwe: 916,
    hazard: "",
    keywords: &["md5", "sha1", "sha-1"],
    remediation: "Use argon2id, scrypt or bcrypt, which are slow on purpose.",
    references: &["https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html"],
    aliases: &[],
    check: Check::Line(check),
};

static HASHED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:\b(?:md5|sha1)(?:Hex)?\s*\(|createHash\(\s*[\x22'](?:md5|sha-?1)[\x22']|Digest::(?:MD5|SHA1)\b|getInstance\(\s*\x22(?:MD5|SHA-?1)\x22|\b(?:MD5|SHA1)\.(?:Create|HashData)\(|hash\(\s*[\x22'](?:md5|sha1)[\x22'])",
    )
    .expect("the pattern is tested")
});
static PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)passw(?:or)?d|passphrase|\bpwd\b").expect("the pattern is tested"));

fn check(line: &AddedLine<'_>) -> Vec<Hit> {
    if program::Language::of(line.path()).is_some() {
        return Vec::new();
    }
    let Some((_, code)) = code_of(line.path(), line.text) else { return Vec::new() };
    let Some(found) = HASHED.find(line.text).filter(|_| PASSWORD.is_match(&code)) else { return Vec::new() };
    let is_code = code.as_bytes().get(found.start()).is_some_and(u8::is_ascii_alphabetic);
    let message = "a graphics card tries billions of passwords a second against this hash";
    is_code.then(|| Hit::at(found.range(), message)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_password_behind_a_fast_hash_is_found() {
        let medium = Severity::Medium;
        sample::finds(&RULE, "src/a.js", &[("h = createHash('md5').update(password).digest('hex');", medium)]);
        sample::finds(&RULE, "a.php", &[("$hash = md5($password);", medium)]);
        sample::finds(&RULE, "a.rb", &[("Digest::SHA1.hexdigest(password)", medium)]);
    }

    #[test]
    fn other_hashes_and_other_texts_are_not() {
        sample::finds_nothing(
            &RULE,
            "src/a.js",
            &["createHash('md5').update(file)", "createHash('sha256').update(password)", "// md5(password)"],
        );
        sample::finds_nothing(&RULE, "README.md", &["md5(password)"]);
    }
}
