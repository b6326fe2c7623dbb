//! Which words have to be in a hunk before it is parsed: where a keyword is common, what the rule's check asks for besides.

use std::sync::LazyLock;

use crate::paths;
use crate::rules::code::gate::{EVERYWHERE, Finer, Gate};
use crate::rules::code::sql_concatenation;

/// The gate of this language.
pub(in crate::rules::code) static GATE: LazyLock<Gate> =
    LazyLock::new(|| Gate::new(super::rules().into_iter().chain([&sql_concatenation::RULE]), FINER));

const FINER: &[Finer] = &[
    Finer {
        instead_of: &["assert"],
        parts: &[(&["assert"], r"\bassert\b")],
        applies: |path| !paths::is_python_test(path),
    },
    Finer {
        instead_of: &["except"],
        parts: &[(&["except"], r"\bexcept\b"), (&["pass", "continue"], r"\b(?:pass|continue)\b")],
        applies: EVERYWHERE,
    },
    // Names of passwords as the rule knows them; `pass` by itself is a statement.
    Finer {
        instead_of: super::literals::PASSWORD_WORDS,
        parts: &[(
            &["pas", "pwd", "token", "secret"],
            r#"(?xi) (?:^|[^a-z0-9]) (?:pas+wo?r?d|passphrase|pwd|token|secrete?) (?:[^a-z0-9]|$)
            | [_"']pass (?:[^a-z0-9]|$) | (?:^|[^a-z0-9]) pass[_"']"#,
        )],
        applies: EVERYWHERE,
    },
    // The words of a statement may be pieces of a sum, or stand on lines of their own.
    Finer {
        instead_of: &["select "],
        parts: &[(&["select"], r#"(?i)select(?:[\s"'{]|$)"#), (&["from"], r#"(?i)from(?:[\s"'{]|$)"#)],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["delete from"],
        parts: &[(&["delete"], r#"(?i)delete(?:\s+from|\s*(?:["'{]|$))"#)],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["insert into"],
        parts: &[
            (&["insert"], r#"(?i)insert(?:\s+into|\s*(?:["'{]|$))"#),
            (&["values"], r#"(?i)values(?:[\s("'{]|$)"#),
        ],
        applies: EVERYWHERE,
    },
    Finer {
        instead_of: &["update "],
        parts: &[(&["update"], r#"(?i)update(?:[\s"'{]|$)"#), (&["set"], r#"(?i)set(?:[\s"'{]|$)"#)],
        applies: EVERYWHERE,
    },
    Finer { instead_of: &["exec(", "exec "], parts: &[(&["exec"], r"(?:^|[^\w.])exec\b")], applies: EVERYWHERE },
    Finer { instead_of: &["eval("], parts: &[(&["eval"], r"(?:^|[^\w.])eval\b")], applies: EVERYWHERE },
    Finer { instead_of: &["shell"], parts: &[(&["shell"], r"\bshell\s*=")], applies: EVERYWHERE },
    Finer { instead_of: &["requests"], parts: &[(&["requests"], r"\brequests\b")], applies: EVERYWHERE },
    Finer { instead_of: &["ecb"], parts: &[(&["ecb"], "ECB")], applies: EVERYWHERE },
    Finer { instead_of: &["crypt", "crypto"], parts: &[(&["crypt"], r"\bcrypt\b|Crypto")], applies: EVERYWHERE },
    Finer { instead_of: &["xml"], parts: &[(&["xml"], r"\bxml\.|xmlrpc|\bfrom\s+xml\b")], applies: EVERYWHERE },
    Finer { instead_of: &["yaml"], parts: &[(&["yaml"], r"\byaml\b"), (&["load"], r"\bload\b")], applies: EVERYWHERE },
    Finer { instead_of: &["logging.config"], parts: &[(&["logging"], ""), (&["listen"], "")], applies: EVERYWHERE },
    // What these belong to is resolved through the name of a module, which is a keyword, too.
    Finer {
        instead_of: &[
            "tar",
            "chown",
            "rsync",
            "hashes",
            "autoescape",
            "environment(",
            "template(",
            ".generate(",
            "ftp",
            "telnet",
            "etree",
            "minidom",
            "pulldom",
            "expat",
        ],
        parts: &[],
        applies: EVERYWHERE,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(path: &str, hunk: &str, expected: bool) {
        let file = sample::modified(path, hunk);
        assert_eq!(GATE.opens(&file.change.path, &file.hunks[0]), expected, "{hunk}");
    }

    #[test]
    fn a_hunk_that_a_rule_may_speak_of_is_parsed() {
        for hunk in [
            "+import subprocess",
            " from os import system as s\n+s(x)",
            "+    smtp_pass = \"x\"",
            "+d = {\n+    'pass': 'x',\n+}",
            "+q = \"SELECT a \"\n+q += \"FROM b\"",
            "+q = f\"\"\"update\n+  a set b = {c}\"\"\"",
            "+q = 'DELETE' + ' FROM a'",
            "+try:\n+  f()\n+except Exception:\n+  pass",
            "+assert x",
            "+exec code",
            "+hashes.MD5()",
            "+from Crypto.Cipher import DES",
        ] {
            check("src/a.py", hunk, true);
        }
    }

    #[test]
    fn common_words_alone_are_no_reason_to() {
        for hunk in [
            "+x = start(tokens, bypass)\n+pass",
            "-assert x\n+y = 1",
            "+    # please update the target",
            "+try:\n+  f()\n+except KeyError:\n+  g()",
            "+model.eval()\n+user.update(name)",
            "+decrypt(x)",
            "+x.save(update_fields=['a'])",
        ] {
            check("src/a.py", hunk, false);
        }
        check("tests/test_a.py", "+assert x", false);
    }
}
