//! The Voice as a process of its own.

fn main() -> std::process::ExitCode {
    failsafe::llm_explainer()
}
