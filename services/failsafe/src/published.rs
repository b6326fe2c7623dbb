//! What was published to the services, a line for each version.

use chassis::Document;

use crate::terminal::{Look, Sheet};

/// Adds the line of one version: `what` was published as `role`.
pub(crate) fn version(sheet: &mut Sheet, document: &Document, role: &str, what: &str, about: &str, is_latest: bool) {
    let look = if is_latest { Look::Plain } else { Look::Dim };
    let at = document.written_at.replace_nanosecond(0).unwrap_or(document.written_at);
    sheet.row(&[
        (look, &format!("{:>4}", document.version)),
        (look, &format!("{} {:02}:{:02}:{:02}", at.date(), at.hour(), at.minute(), at.second())),
        (look, &format!("{role:<8}")),
        (look, what),
        (Look::Dim, about),
    ]);
}
