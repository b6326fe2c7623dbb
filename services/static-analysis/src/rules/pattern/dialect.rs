//! Expressions as Go's engine has them, which is gitleaks': `\w`, `\d`, `\s` and `\b` know ASCII alone, and a `{` that counts nothing
//! stands for itself. Tokens are ASCII, and the tables of all of Unicode make a compiled expression a hundred times as long.

/// `text` with classes of ASCII in the place of Unicode's.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let class = match chars.peek() {
                    Some('w') => "0-9A-Za-z_",
                    Some('d') => "0-9",
                    Some('s') => r"\t\n\x0b\x0c\r\x20",
                    Some('b') if depth == 0 => r"(?-u:\b)",
                    _ => {
                        out.push('\\');
                        out.extend(chars.next());
                        continue;
                    }
                };
                let is_class = chars.next() != Some('b');
                if is_class && depth == 0 {
                    out.push_str(&format!("[{class}]"));
                } else {
                    out.push_str(class);
                }
            }
            '[' => {
                depth += 1;
                out.push('[');
                // A bracket that comes first closes nothing.
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    out.push('\\');
                    out.extend(chars.next());
                }
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(']');
            }
            _ => out.push(c),
        }
    }
    out
}

/// Escapes each `{` that begins no count such as `{3}`, `{3,}` or `{3,5}`, where the text is none of ours without that.
pub(super) fn with_plain_braces(text: String) -> String {
    if regex_syntax::parse(&text).is_ok() {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut after_backslash = false;
    for (at, c) in text.char_indices() {
        if c == '{' && !after_backslash {
            let count = text[at + 1..].split_once('}').map_or("", |(count, _)| count);
            let counts = count.starts_with(|c: char| c.is_ascii_digit())
                && count.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
            if !counts {
                escaped.push('\\');
            }
        }
        after_backslash = c == '\\' && !after_backslash;
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_know_ascii_alone() {
        for (text, expected) in [
            (r"\w+\d", "[0-9A-Za-z_]+[0-9]"),
            (r"[\w.-]{3}", "[0-9A-Za-z_.-]{3}"),
            (r"[^\s]\S", r"[^\t\n\x0b\x0c\r\x20]\S"),
            (r"\bx\\b\[\w", r"(?-u:\b)x\\b\[[0-9A-Za-z_]"),
            (r"[]a\]\d]\d", r"[\]a\]0-9][0-9]"),
            (r"[^]\d]", r"[^\]0-9]"),
        ] {
            assert_eq!(ascii(text), expected, "{text}");
            regex::Regex::new(expected).unwrap();
        }
    }

    #[test]
    fn a_brace_that_counts_nothing_is_one() {
        for (text, expected) in
            [(r"a{2}", r"a{2}"), (r"^\$(?:\d+|{\d+})$", r"^\$(?:\d+|\{\d+})$"), (r"\{{a}{2,}", r"\{\{a}{2,}")]
        {
            assert_eq!(with_plain_braces(text.to_owned()), expected);
            regex::Regex::new(expected).unwrap();
        }
    }
}
