//! Ingest as a process of its own.
fn main() -> std::process::ExitCode {
    chassis::main(ingest::SERVICE, ingest::run)
}
