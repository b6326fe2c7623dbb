//! The Intuition as a process of its own.

fn main() -> std::process::ExitCode {
    chassis::main(ml_scoring::SERVICE, ml_scoring::run)
}
