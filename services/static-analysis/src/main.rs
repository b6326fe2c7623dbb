//! The Law as a process of its own.

fn main() -> std::process::ExitCode {
    chassis::main(static_analysis::SERVICE, static_analysis::run)
}
