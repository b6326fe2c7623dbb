//! Hashes the source of everything that judges, so that the rule pack's digest changes whenever a rule does, without
//! anybody having to remember it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("src");
    println!("cargo::rerun-if-changed=src");
    let mut files = Vec::new();
    collect(&source, &mut files)?;
    // The service around the judgement does not change what is found.
    files.retain(|file| !["lib.rs", "main.rs"].iter().any(|outside| *file == source.join(outside)));
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(&source).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&file)?.replace("\r\n", "\n");
        hash.update(format!("{name}\0{}\0{text}", text.len()));
    }
    let digest = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes every write");
        hex
    });
    println!("cargo::rustc-env=RULE_PACK_SOURCE={digest}");
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
