//! Small diffs for submissions.

/// A harmless change of `name`.
pub(crate) fn harmless(name: &str) -> String {
    format!(
        "diff --git a/docs/{name}.md b/docs/{name}.md\n--- a/docs/{name}.md\n+++ b/docs/{name}.md\n@@ -1,2 +1,3 @@\n # Notes\n+One more line about {name}.\n end\n"
    )
}

/// A migration that drops a table and cannot be taken back.
pub(crate) fn migration(name: &str) -> String {
    format!(
        "diff --git a/migrations/0042_{name}.up.sql b/migrations/0042_{name}.up.sql\nnew file mode 100644\n--- /dev/null\n+++ b/migrations/0042_{name}.up.sql\n@@ -0,0 +1 @@\n+DROP TABLE {name};\n"
    )
}

/// A change that is worth a look, and no more.
pub(crate) fn worth_a_look() -> String {
    "diff --git a/Dockerfile b/Dockerfile\n--- a/Dockerfile\n+++ b/Dockerfile\n@@ -1,2 +1,3 @@\n FROM debian:13\n+RUN curl -k https://example.com/tool -o /usr/bin/tool\n CMD [\"tool\"]\n"
        .to_owned()
}
