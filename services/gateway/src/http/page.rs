//! The page at `/`: what can be called, for a person with a browser. It loads nothing from anywhere.

use axum::body::Body;
use bytes::Bytes;
use tonic::codegen::http::{HeaderValue, Response, header};

use super::openapi::comment;
use super::rule::Rules;

const FRAME: &str = include_str!("page.html");
/// Nothing but its own styles.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub(super) fn html(rules: &Rules) -> String {
    let rows = rules.all().iter().map(|rule| {
        let words = comment(&rule.rpc.parent_file(), rule.rpc.path());
        format!(
            "<tr><td><code>{}</code></td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>\n",
            rule.method,
            escaped(&rule.path),
            escaped(rule.rpc.name()),
            escaped(&words)
        )
    });
    FRAME.replace("{version}", env!("CARGO_PKG_VERSION")).replace("{methods}", &rows.collect::<String>())
}

/// The page as an answer.
pub(super) fn answer(html: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::RULES;
    use super::*;

    #[test]
    fn the_page_lists_every_method_and_loads_nothing() {
        let html = html(&RULES);
        for rule in RULES.all() {
            assert!(html.contains(rule.rpc.name()) && html.contains(&rule.path), "{}", rule.path);
        }
        for word in ["{methods}", "{version}", "<script", "src=", "@import", "url("] {
            assert!(!html.contains(word), "{word}");
        }
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
    }
}
