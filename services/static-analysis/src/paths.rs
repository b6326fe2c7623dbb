//! What a path says about a file, by its folders and its name alone.

use std::borrow::Cow;

/// True for a file known as a test, a fixture or an example, and for one that others wrote: what is found there weighs less,
/// and is not hidden.
pub(crate) fn is_test(path: &str) -> bool {
    is_own_test(path) || is_vendored(path)
}

/// True for a copy of somebody else's program.
pub(crate) fn is_vendored(path: &str) -> bool {
    const FOLDERS: &[&str] = &[
        "vendor",
        "node_modules",
        "bower_components",
        "third_party",
        "third-party",
        "thirdparty",
        ".yarn",
        "jspm_packages",
    ];
    let lower = lower(path);
    let name = name(&lower);
    folders(&lower).any(|folder| FOLDERS.contains(&folder))
        || [".min.js", ".min.mjs", ".min.css"].iter().any(|end| name.ends_with(end))
}

/// True for a folder where migrations are put that no longer run.
pub(crate) fn is_archive(path: &str) -> bool {
    const AGES: &[&str] = &["old", "archive", "archived", "obsolete", "deprecated", "squashed"];
    folders(path).any(|folder| {
        let folder = lower(folder);
        folder.split(['_', '-', '.']).any(|word| AGES.contains(&word))
    })
}

/// True for a file known as a test, a fixture or an example.
pub(crate) fn is_own_test(path: &str) -> bool {
    const FOLDERS: &[&str] = &[
        "test",
        "tests",
        "testing",
        "testdata",
        "test-data",
        "test_data",
        "__tests__",
        "__mocks__",
        "spec",
        "specs",
        "e2e",
        "__snapshots__",
        "fixture",
        "fixtures",
        "__fixtures__",
        "mock",
        "mocks",
        "stub",
        "stubs",
        "example",
        "examples",
        "sample",
        "samples",
        "testsuite",
        // Rules, and the examples in them.
        ".failsafe",
    ];
    let lower = lower(path);
    let name = name(&lower);
    let called = |folder: &str| {
        ["_test", "_tests", "-test", "-tests"].iter().any(|end| folder.ends_with(end)) || FOLDERS.contains(&folder)
    };
    // What Laravel makes rows for tests with.
    if folders(&lower).any(called) || is_below_integration(&lower) || lower.contains("database/factories/") {
        return true;
    }
    let extension = extension(name);
    let stem = stem(name);
    name.starts_with("test_")
        || name.starts_with(".env.test")
        || [".example", ".sample", ".template", ".dist"].iter().any(|word| name.contains(word))
        || name == "conftest.py"
        // The settings of an environment are called after it.
        || matches!(stem, "test" | "tests" | "testing")
        // The values with which a chart is tried: https://github.com/helm/chart-testing
        || name.ends_with("values.yaml") && has_folder(path, "ci")
        // Migrations begin with a number, and are no tests whatever they are called.
        || !name.starts_with(|c: char| c.is_ascii_digit())
            && [".test", ".tests", ".spec", "_test", "-test", "-tests", "_tests", "_spec", "_example", "-example", "_sample", "-sample"].iter().any(|end| stem.ends_with(end))
        || (matches!(extension, "java" | "kt" | "cs" | "swift" | "php")
            && (stem.ends_with("test") || stem.ends_with("tests")))
}

/// True below a folder of tests that go through the whole program. Among a program's sources the same word is about what it is
/// integrated with.
fn is_below_integration(lower: &str) -> bool {
    const SOURCES: &[&str] = &["src", "lib", "app", "apps", "main", "pkg", "internal", "packages", "cmd", "charts"];
    let mut above = folders(lower).take_while(|folder| !SOURCES.contains(folder));
    above.any(|folder| matches!(folder, "integration" | "acceptance" | "end2end" | "end-to-end"))
}

/// True for a Python file that pytest or unittest collects, or that helps it: there `assert` is how one checks.
pub(crate) fn is_python_test(path: &str) -> bool {
    let name = name(path);
    let stem = name.strip_suffix(".py").unwrap_or(name);
    let named = stem.starts_with("test_") || stem == "tests" || stem == "conftest";
    named || stem.ends_with("_test") || ["tests", "test", "testing"].iter().any(|folder| has_folder(path, folder))
}

/// True for a file that a package manager writes: it is full of sums that look like secrets.
pub(crate) fn is_lock_file(path: &str) -> bool {
    let name = lower(name(path));
    name.ends_with(".lock")
        || name.ends_with("-lock.json")
        || name.ends_with(".sum")
        || name.ends_with(".lockfile")
        || matches!(&*name, "npm-shrinkwrap.json" | "pnpm-lock.yaml" | "package.resolved" | "deno.lock" | "mix.lock")
}

/// True for a file that is written to be read by people.
pub(crate) fn is_documentation(path: &str) -> bool {
    matches!(&*lower(extension(path)), "md" | "mdx" | "markdown" | "rst" | "adoc")
}

/// The file's name without its folders.
pub(crate) fn name(path: &str) -> &str {
    after_last(path, b'/').unwrap_or(path)
}

/// The folder the file is in, without a slash at the end; empty at the top.
pub(crate) fn folder(path: &str) -> &str {
    after_last(path, b'/').map_or("", |name| &path[..path.len() - name.len() - 1])
}

/// The file's extension as written, empty when it has none.
pub(crate) fn extension(path: &str) -> &str {
    // Of a name without a dot, one of its folders may have some.
    after_last(path, b'.').filter(|extension| !extension.as_bytes().contains(&b'/')).unwrap_or("")
}

/// The file's name without its extension.
fn stem(path: &str) -> &str {
    let name = name(path);
    after_last(name, b'.').map_or(name, |extension| &name[..name.len() - extension.len() - 1])
}

/// The names of the folders that the file is in, from the top down.
pub(crate) fn folders(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let end = rest.as_bytes().iter().position(|byte| *byte == b'/')?;
        let folder = &rest[..end];
        rest = &rest[end + 1..];
        Some(folder)
    })
}

/// What stands behind the last of these signs. Paths are short and are asked about often: a plain loop outruns `rsplit`.
fn after_last(text: &str, sign: u8) -> Option<&str> {
    debug_assert!(sign.is_ascii());
    text.as_bytes().iter().rposition(|byte| *byte == sign).map(|at| &text[at + 1..])
}

/// The path in small letters, copied only if it has others (ASCII).
pub(crate) fn lower(path: &str) -> Cow<'_, str> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(path.to_ascii_lowercase())
    } else {
        Cow::Borrowed(path)
    }
}

/// True when one of the file's folders has this name.
pub(crate) fn has_folder(path: &str, wanted: &str) -> bool {
    folders(path).any(|folder| folder.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_known_by_its_folder_or_its_name() {
        for path in [
            "tests/it/main.rs",
            "src/test/java/A.java",
            "pkg/x_test.go",
            "web/a.spec.ts",
            "test_pay.py",
            "a/testdata/k.pem",
            "app/src/UserTest.java",
            ".env.example",
            "database/factories/KeyFactory.php",
            ".env.test",
            "config.sample.yml",
            "spec/models/user_spec.rb",
            "old/acme/acme_example.json",
            "web/__snapshots__/a.snap",
            "shop/settings/test.py",
            "config/environments/test.rb",
            "src/main/resources/application-test.yml",
            "charts/exporter/ci/tls-values.yaml",
            "session/stub/jwk.json",
            "integration_test/tls/server.key",
            "integration/scenario.go",
            "web/acceptance/login.ts",
        ] {
            assert!(is_test(path) && is_own_test(path), "{path}");
        }
        for path in ["vendor/github.com/a/b.go", "web/node_modules/a/b.js", ".yarn/releases/yarn-4.cjs", "js/a.min.js"]
        {
            assert!(is_test(path) && !is_own_test(path), "{path}");
        }
        for path in [
            "src/latest.rs",
            "contest/main.go",
            "src/attestation/a.rs",
            "db/migrate/1_add_test.rb",
            "src/protest.rs",
            "ci/deploy.yaml",
            "src/vendors/a.rb",
            "src/integration/pay.rs",
            "integrations/slack.py",
            "charts/a/values.yaml",
        ] {
            assert!(!is_test(path), "{path}");
        }
    }

    #[test]
    fn a_path_has_parts() {
        assert_eq!(
            (folder("a/b/c.up.sql"), name("a/b/c.up.sql"), extension("a/b/c.up.sql")),
            ("a/b", "c.up.sql", "sql")
        );
        assert_eq!((folder("Makefile"), name("Makefile"), extension("Makefile")), ("", "Makefile", ""));
        assert!(is_archive("db/old_migrations/1.rb") && is_archive("db/archive/1.sql"));
        assert!(!is_archive("db/migrations/drop_old.sql") && !is_archive("gold/migrations/1.py"));
        assert!(has_folder("db/Migrations/1.sql", "migrations") && !has_folder("db/migrations", "migrations"));
    }
}
