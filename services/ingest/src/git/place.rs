//! Where a repository lies, and whether the settings permit to read it.

use std::path::{Path, PathBuf};

/// A repository that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine: an absolute path without symbolic links.
    Folder(PathBuf),
    /// To be fetched from, by the protocol of that name.
    Address {
        /// As git takes it.
        address: String,
        /// `https`, `ssh` or `file`.
        protocol: &'static str,
    },
}

/// The place of `repository`, if it is one of `permitted` or lies below one.
///
/// # Errors
/// Why it may not be read. What lies outside is not told apart from what does not exist, so that nobody learns by asking what
/// this machine holds.
pub(super) async fn of(repository: &str, permitted: &[String]) -> Result<Place, String> {
    const OUTSIDE: &str = "is not below any of the paths and addresses that the setting ingest.git_repositories permits: \
                           have it added there, or send the diff itself";
    let outside = || OUTSIDE.to_owned();
    if repository.starts_with('/') {
        let roots = permitted.iter().filter(|entry| entry.starts_with('/')).map(String::as_str);
        return Ok(Place::Folder(below(repository, roots).await.ok_or_else(outside)?));
    }
    if let Some(path) = repository.strip_prefix("file://") {
        let roots = permitted.iter().filter_map(|entry| entry.strip_prefix("file://"));
        let path = below(path, roots).await.ok_or_else(outside)?;
        let address = format!("file://{}", path.to_str().ok_or_else(outside)?);
        return Ok(Place::Address { address, protocol: "file" });
    }
    let protocol = protocol(repository)?;
    if permitted.iter().any(|entry| is_at_or_below(repository, entry)) {
        Ok(Place::Address { address: repository.to_owned(), protocol })
    } else {
        Err(outside())
    }
}

/// `path` without symbolic links and `..`, if it is then one of `roots` or below one.
pub(super) async fn below(path: impl AsRef<Path>, roots: impl Iterator<Item = &str>) -> Option<PathBuf> {
    let path = tokio::fs::canonicalize(path).await.ok()?;
    for root in roots {
        if tokio::fs::canonicalize(root).await.is_ok_and(|root| path.starts_with(root)) {
            return Some(path);
        }
    }
    None
}

/// By which protocol an address is fetched from, if there is nothing in it that git or a server could read otherwise than
/// [`is_at_or_below`] does.
fn protocol(address: &str) -> Result<&'static str, String> {
    const FORM: &str = "must be an absolute path, or an address such as https://host/path, ssh://git@host/path or \
                        git@host:path";
    if !address.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'%' | b'?' | b'#' | b'\\' | b'"' | b'\'')) {
        return Err("must be an address of plain characters, without any of %, ?, #, \\ and quotes".to_owned());
    }
    let (protocol, rest) = match address.split_once("://") {
        Some(("https", rest)) => ("https", rest),
        Some(("ssh", rest)) => ("ssh", rest),
        Some(_) => return Err(format!("{FORM}; other protocols are not served")),
        // Of scp's form: what stands before the colon holds no slash.
        None => match address.split_once(':') {
            Some((host, path)) if host.contains('@') && !host.contains('/') && !path.starts_with(':') => {
                ("ssh", address)
            }
            _ => return Err(FORM.to_owned()),
        },
    };
    let user = rest.split('/').next().and_then(|host| host.rsplit_once('@')).map(|(user, _)| user);
    if user.is_some_and(|user| protocol == "https" || user.contains(':')) {
        return Err("must not carry a password or token: the user that runs ingest has its own".to_owned());
    }
    if rest.split(['/', ':']).any(|part| part == ".." || part == ".") {
        return Err("must not hold . or .. as a part of its path".to_owned());
    }
    Ok(protocol)
}

/// Whether `address` is `entry`, with or without `.git`, or continues it behind a slash or colon.
fn is_at_or_below(address: &str, entry: &str) -> bool {
    !entry.is_empty()
        && address.strip_prefix(entry).is_some_and(|rest| {
            rest.is_empty() || rest == ".git" || rest.starts_with('/') || entry.ends_with(['/', ':'])
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(repository: &str, permitted: &[&str], expected: Result<&str, &str>) {
        let permitted: Vec<_> = permitted.iter().map(ToString::to_string).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match (runtime.block_on(of(repository, &permitted)), expected) {
            (Ok(Place::Address { address, protocol }), Ok(expected)) => {
                assert_eq!((address.as_str(), protocol), (repository, expected));
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (got, expected) => panic!("{repository}: got {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn an_address_is_permitted_by_its_whole_beginning() {
        let acme = &["https://forge.example/acme", "git@forge.example:acme/", "ssh://git@forge.example/"][..];
        check("https://forge.example/acme/shop", acme, Ok("https"));
        check("https://forge.example/acme/shop.git", acme, Ok("https"));
        check("https://forge.example/acme.git", acme, Ok("https"));
        check("git@forge.example:acme/shop", acme, Ok("ssh"));
        check("ssh://git@forge.example/acme/shop", acme, Ok("ssh"));
        let outside = Err("ingest.git_repositories");
        check("https://forge.example/acme-evil/shop", acme, outside);
        check("https://forge.example/acme.git.evil/shop", acme, outside);
        check("https://forge.example/other", acme, outside);
        check("https://forge.example.evil/acme/shop", acme, outside);
        check("git@forge.example:other/shop", acme, outside);
        check("https://forge.example/acme/shop", &[], outside);
        check("https://forge.example/acme/shop", &[""], outside);
    }

    #[test]
    fn an_address_that_could_be_read_two_ways_is_refused() {
        let all = &["https://", "ssh://", "git@", "/", "ext::", "http://"][..];
        check("https://forge.example/acme/../other", all, Err(".. as a part"));
        check("git@forge.example:../other", all, Err(".. as a part"));
        check("https://forge.example/acme/%2e%2e/other", all, Err("plain characters"));
        check("https://forge.example/a b", all, Err("plain characters"));
        check("https://token@forge.example/acme", all, Err("password or token"));
        check("ssh://git:secret@forge.example/acme", all, Err("password or token"));
        check("http://forge.example/acme", all, Err("other protocols"));
        check("ext::sh -c id", all, Err("plain characters"));
        check("ext::sh", all, Err("must be an absolute path"));
        check("git@forge.example::x", all, Err("must be an absolute path"));
        check("relative/path", all, Err("must be an absolute path"));
        check("--upload-pack=id", all, Err("must be an absolute path"));
        check("", all, Err("must be an absolute path"));
    }

    #[test]
    fn a_path_is_permitted_by_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path).to_str().unwrap().to_owned();
        std::fs::create_dir_all(at("in/deep")).unwrap();
        std::fs::create_dir_all(at("inside")).unwrap();
        std::fs::create_dir_all(at("out")).unwrap();
        std::os::unix::fs::symlink(at("out"), at("in/escape")).unwrap();
        std::os::unix::fs::symlink(at("in"), at("way in")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let of = |path: String| runtime.block_on(of(&path, &[at("in"), format!("file://{}", at("in"))]));
        let deep = std::fs::canonicalize(at("in/deep")).unwrap();
        for path in ["in/deep", "in/../in/deep", "way in/deep"] {
            assert_eq!(of(at(path)), Ok(Place::Folder(deep.clone())));
            let address = format!("file://{}", deep.display());
            assert_eq!(of(format!("file://{}", at(path))), Ok(Place::Address { address, protocol: "file" }));
        }
        for path in ["out", "in/escape", "in/../out", "inside", "in/absent", "."] {
            assert!(of(at(path)).is_err_and(|error| error.contains("ingest.git_repositories")), "{path}");
            assert!(of(format!("file://{}", at(path))).is_err(), "{path}");
        }
    }
}
