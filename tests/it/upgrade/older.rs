//! The programs of an older version, built from this repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Says which version, and that it is to be built, which takes minutes: `1` for the last one that has a tag, or any name that git knows.
const WHICH: &str = "FAILSAFE_UPGRADE";

/// The folder of the older version's programs, built where they are not there; `None` when nobody asks for it.
pub(super) fn programs() -> Option<PathBuf> {
    let which = std::env::var(WHICH).ok().filter(|which| !which.is_empty())?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let version = match which.as_str() {
        "1" => git(&root, &["describe", "--tags", "--abbrev=0", "--match", "v*"]),
        named => named.to_owned(),
    };
    let commit = git(&root, &["rev-parse", "--verify", &format!("{version}^{{commit}}")]);
    let test = std::env::current_exe().unwrap();
    // target/<profile>/deps/it
    let folder = test.ancestors().nth(3).unwrap().join("upgrade").join(version.replace('/', "-"));
    let (source, target, built) = (folder.join("source"), folder.join("target"), folder.join("built"));
    println!("the older version is {version}, commit {commit}, in {}", folder.display());
    if std::fs::read_to_string(&built).is_ok_and(|built| built == commit) {
        return Some(target.join("debug"));
    }
    let source_text = source.to_str().unwrap();
    git(&root, &["worktree", "add", "--force", "--detach", source_text, &commit]);
    let building = Command::new(env!("CARGO"))
        .current_dir(&source)
        .args(["build", "--workspace", "--bins", "--locked", "--target-dir"])
        .arg(&target)
        .status();
    git(&root, &["worktree", "remove", "--force", source_text]);
    assert!(building.unwrap().success(), "{version} is built");
    std::fs::write(built, commit).unwrap();
    Some(target.join("debug"))
}

/// What git says.
fn git(root: &Path, arguments: &[&str]) -> String {
    let told = Command::new("git").current_dir(root).args(arguments).output().unwrap();
    assert!(told.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}
