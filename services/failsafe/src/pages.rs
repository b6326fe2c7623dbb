//! `failsafe completions` and `man`: what shells and `man` know of this program, made from what can be typed.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::aot;

use crate::cli::{Cli, Completions, Man, ShellName};
use crate::terminal::say;

/// Prints what completes commands in a shell.
pub(crate) fn completions(options: &Completions) -> anyhow::Result<ExitCode> {
    let shell = match options.shell {
        ShellName::Bash => aot::Shell::Bash,
        ShellName::Zsh => aot::Shell::Zsh,
        ShellName::Fish => aot::Shell::Fish,
        ShellName::PowerShell => aot::Shell::PowerShell,
    };
    let mut text = Vec::new();
    aot::generate(shell, &mut Cli::command(), "failsafe", &mut text);
    say(String::from_utf8_lossy(&text).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for the program and one for each command: `failsafe.1`, `failsafe-submit.1`.
pub(crate) fn man(options: &Man) -> anyhow::Result<ExitCode> {
    let folder = &options.folder;
    let writing = || format!("cannot write manual pages into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(writing)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(writing)?;
    say(&format!(
        "the manual pages are in {}: `man {}` shows the first",
        folder.display(),
        folder.join("failsafe.1").display()
    ));
    Ok(ExitCode::SUCCESS)
}
