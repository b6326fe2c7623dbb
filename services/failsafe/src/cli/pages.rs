//! What can be typed to have the shell and `man` know this program.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const COMPLETIONS_HELP: &str = "\
For example:
  failsafe completions bash > ~/.local/share/bash-completion/completions/failsafe
  failsafe completions zsh > ~/.zfunc/_failsafe
  failsafe completions fish > ~/.config/fish/completions/failsafe.fish
  failsafe completions powershell >> $PROFILE";

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: ShellName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ShellName {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The folder that the pages are written into, one for each command.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
