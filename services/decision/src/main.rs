//! The decision service as a process of its own.

fn main() -> std::process::ExitCode {
    chassis::main(decision::SERVICE, decision::run)
}
