//! What a file is, told by its path alone: migration, test, documentation, manifest of dependencies, configuration.
//!
//! The rules are those by which the training data was measured (`data/README.md`), with one exception that is mended
//! in both: a manifest such as `requirements.txt` is never documentation. Case does not matter.

/// What a file is. It may be several things at once (`Cargo.toml` is a manifest and configuration) or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileNature {
    /// A database migration or schema, outside the tests.
    pub migration: bool,
    /// Part of the tests.
    pub test: bool,
    /// Documentation.
    pub documentation: bool,
    /// A manifest or lock file of dependencies.
    pub manifest: bool,
    /// Configuration, continuous integration, containers, scripts or deployment.
    pub configuration: bool,
}

impl FileNature {
    /// What the file at `path` is.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let parts = Parts::of(&path);
        let test = is_test(&parts);
        let manifest = is_manifest(&parts);
        Self {
            migration: !test && is_migration(&parts),
            test,
            documentation: !manifest && is_documentation(&parts),
            manifest,
            configuration: is_configuration(&parts),
        }
    }
}

/// The top-level directory of a path; empty for a file that lies in none.
#[must_use]
pub fn subsystem(path: &str) -> &str {
    path.split_once('/').map_or("", |(first, _)| first)
}

/// A lowercase path in its parts.
struct Parts<'a> {
    directories: Vec<&'a str>,
    file: &'a str,
    stem: &'a str,
    extension: &'a str,
}

impl<'a> Parts<'a> {
    fn of(path: &'a str) -> Self {
        let (directories, file) = path.rsplit_once('/').unwrap_or(("", path));
        let (stem, extension) = match file.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => (stem, extension),
            _ => (file, ""),
        };
        Self { directories: directories.split('/').filter(|d| !d.is_empty()).collect(), file, stem, extension }
    }

    fn lies_in(&self, names: &[&str]) -> bool {
        self.directories.iter().any(|directory| names.contains(directory))
    }
}

fn is_migration(path: &Parts<'_>) -> bool {
    path.lies_in(&["migrations", "migrate"])
        || (path.lies_in(&["alembic"]) && path.lies_in(&["versions"]))
        || path.extension == "sql"
        || path.file == "schema.rb"
        || is_versioned(path.file)
}

/// True for `V12__add_orders.sql` and its kin, as Flyway names them.
fn is_versioned(file: &str) -> bool {
    let version = file.split_once("__").and_then(|(version, _)| version.strip_prefix('v'));
    version.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_'))
    })
}

fn is_test(path: &Parts<'_>) -> bool {
    const DIRECTORIES: [&str; 9] =
        ["__mocks__", "__tests__", "cypress", "e2e", "spec", "specs", "test", "testdata", "tests"];
    const ENDINGS: [&str; 8] = ["_test", "_tests", "_spec", ".test", ".tests", ".spec", "-test", "-spec"];
    let class = matches!(path.extension, "java" | "kt" | "scala" | "cs" | "php" | "swift")
        && ["test", "tests", "spec"].iter().any(|ending| path.stem.ends_with(ending));
    class
        || path.lies_in(&DIRECTORIES)
        || path.stem.starts_with("test_")
        || ENDINGS.iter().any(|ending| path.stem.ends_with(ending))
        || path.file == "conftest.py"
}

fn is_documentation(path: &Parts<'_>) -> bool {
    const STEMS: [&str; 8] =
        ["authors", "changelog", "changes", "contributing", "copying", "licence", "license", "readme"];
    matches!(path.extension, "md" | "mdx" | "rst" | "adoc" | "asciidoc" | "txt")
        || path.lies_in(&["doc", "docs", "documentation"])
        || (path.extension.is_empty() && STEMS.contains(&path.stem))
}

fn is_manifest(path: &Parts<'_>) -> bool {
    const FILES: [&str; 40] = [
        "build.gradle",
        "build.gradle.kts",
        "build.sbt",
        "bun.lock",
        "bun.lockb",
        "cargo.lock",
        "cargo.toml",
        "composer.json",
        "composer.lock",
        "deno.lock",
        "gemfile",
        "gemfile.lock",
        "go.mod",
        "go.sum",
        "gopkg.lock",
        "gopkg.toml",
        "gradle.lockfile",
        "libs.versions.toml",
        "mix.exs",
        "mix.lock",
        "npm-shrinkwrap.json",
        "package-lock.json",
        "package.json",
        "packages.config",
        "packages.lock.json",
        "pdm.lock",
        "pipfile",
        "pipfile.lock",
        "pnpm-lock.yaml",
        "podfile",
        "podfile.lock",
        "poetry.lock",
        "pom.xml",
        "pubspec.lock",
        "pubspec.yaml",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "uv.lock",
        "yarn.lock",
    ];
    let requirements = matches!(path.extension, "txt" | "in")
        && (path.file.starts_with("requirements") || path.directories.last() == Some(&"requirements"));
    FILES.contains(&path.file) || requirements || matches!(path.extension, "gemspec" | "csproj" | "fsproj")
}

fn is_configuration(path: &Parts<'_>) -> bool {
    const DIRECTORIES: [&str; 8] = [".ci", ".circleci", ".github", ".gitlab", "ci", "config", "script", "scripts"];
    const FILES: [&str; 6] = [".dockerignore", ".env", "deploy", "jenkinsfile", "makefile", "procfile"];
    const BEGINNINGS: [&str; 5] = ["dockerfile", "docker-compose", "deploy.", "deploy-", "deploy_"];
    matches!(path.extension, "yml" | "yaml" | "toml" | "ini" | "cfg" | "conf" | "env" | "properties" | "tf")
        || path.extension == "dockerfile"
        || path.lies_in(&DIRECTORIES)
        || path.directories.iter().any(|directory| directory.starts_with("deploy"))
        || FILES.contains(&path.file)
        || BEGINNINGS.iter().any(|beginning| path.file.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` holds the first letters of migration, test, documentation, package manifest and configuration.
    #[track_caller]
    fn check(path: &str, expected: &str) {
        let nature = FileNature::of(path);
        let letters = [
            (nature.migration, 'm'),
            (nature.test, 't'),
            (nature.documentation, 'd'),
            (nature.manifest, 'p'),
            (nature.configuration, 'c'),
        ];
        let got: String = letters.iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
        assert_eq!(got, expected, "{path}");
    }

    #[test]
    fn migrations_are_known_by_their_place_or_form_and_never_in_tests() {
        check("db/migrate/20240101_add_orders.rb", "m");
        check("db/schema.rb", "m");
        check("app/shop/migrations/0007_orders.py", "m");
        check("alembic/versions/ab12_orders.py", "m");
        check("sql/report.sql", "m");
        check("src/main/resources/db/V1_2__orders.java", "m");
        check("spec/migrations/orders_spec.rb", "t");
        check("tests/fixtures/dump.sql", "t");
        check("src/versions/main.py", "");
        check("src/vendor__x.rs", "");
        check("src/migration_status.rs", "");
    }

    #[test]
    fn tests_are_known_by_their_directory_or_name() {
        check("tests/it/main.rs", "t");
        check("app/models/order_test.go", "t");
        check("web/src/cart.spec.ts", "t");
        check("web/src/__tests__/cart.js", "t");
        check("src/test/java/shop/OrderTest.java", "t");
        check("api/OrderSpec.scala", "t");
        check("test_orders.py", "t");
        check("conftest.py", "t");
        check("src/latest.rs", "");
        check("src/contest.java", "t");
        check("src/inspect.py", "");
    }

    #[test]
    fn documentation_holds_no_manifest() {
        check("README.md", "d");
        check("LICENSE", "d");
        check("license.rb", "");
        check("docs/guide/setup.html", "d");
        check("notes.TXT", "d");
        check("requirements.txt", "p");
        check("docs/requirements.txt", "p");
        check("tests/README.md", "td");
    }

    #[test]
    fn manifests_and_lock_files_of_dependencies() {
        check("Cargo.toml", "pc");
        check("services/api/Cargo.lock", "p");
        check("package.json", "p");
        check("pnpm-lock.yaml", "pc");
        check("Gemfile", "p");
        check("requirements/base.in", "p");
        check("requirements-dev.txt", "p");
        check("shop.gemspec", "p");
        check("go.mod", "p");
        check("src/package.rs", "");
    }

    #[test]
    fn configuration_covers_pipelines_containers_and_scripts() {
        check(".github/workflows/ci.yml", "c");
        check("Dockerfile", "c");
        check("docker/api.Dockerfile", "c");
        check("docker-compose.override.yml", "c");
        check("config/routes.rb", "c");
        check("deployment/run.py", "c");
        check("deploy.sh", "c");
        check("scripts/backfill", "c");
        check("src/app.ini", "c");
        check("Makefile", "c");
        check(".env", "c");
        check("src/deployable.rs", "");
        check("src/main.rs", "");
        check("", "");
    }

    #[test]
    fn the_subsystem_is_the_first_directory() {
        assert_eq!(subsystem("web/src/cart.ts"), "web");
        assert_eq!(subsystem("README.md"), "");
    }
}
