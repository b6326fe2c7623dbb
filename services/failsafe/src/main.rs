//! FailSafe: everything in one process, and the command line.

fn main() -> std::process::ExitCode {
    failsafe::main()
}
